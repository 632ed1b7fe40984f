"""One step of reinforcement learning: responses with scores in, updated weights out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.cell.contract import DivergedError
from harness.cell.train.rl import advantages as estimators
from harness.cell.train.rl.garbage import not_collected
from harness.cell.train.rl.kl import kl_penalty, token_rewards_with_kl
from harness.cell.train.rl.losses import aggregate, policy_loss, value_loss
from harness.cell.train.rl.policy import Critic, micro_batches
from harness.cell.train.rl.seeds import derived_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from harness.cell.train.rl.policy import Batch, Policy
    from harness.cell.train.rl.settings import Algorithm, Train


@dataclass(frozen=True)
class Rollout:
    """What a step learns from: B responses to B / n problems.

    Attributes:
        batch: prompts with responses.
        scores: (B,) in [0, 1].
        groups: (B,) number of the problem that each answers.
    """

    batch: Batch
    scores: Tensor
    groups: Tensor


@dataclass(frozen=True)
class _Signal:
    """What the losses need of a rollout, all (B, T) and without gradient."""

    advantages: Tensor
    old_logp: Tensor
    ref_logp: Tensor | None
    old_values: Tensor | None
    returns: Tensor | None


class Learner:
    """Policy, reference, critic and their optimisers."""

    def __init__(self, policy: Policy, algorithm: Algorithm, train: Train, seed: int) -> None:
        self.policy = policy
        self._algorithm, self._train, self._seed = algorithm, train, seed
        self.reference = policy.frozen_copy() if algorithm.kl.coef > 0 else None
        self.critic = Critic(policy) if algorithm.name == "ppo" else None
        self._optimizer = _adamw(policy.trainable(), train.lr, train.weight_decay)
        self._critic_optimizer = None
        if self.critic is not None:
            self._critic_optimizer = _adamw(
                list(self.critic.parameters()), algorithm.critic.lr, train.weight_decay
            )

    def state(self) -> dict[str, object]:
        """Optimisers and critic, as checkpoints hold them; the policy's weights are apart."""
        state: dict[str, object] = {"optimizer": self._optimizer.state_dict()}
        if self.critic is not None and self._critic_optimizer is not None:
            state["critic"] = self.critic.state_dict()
            state["critic_optimizer"] = self._critic_optimizer.state_dict()
        if self.reference is not None:
            state["reference"] = self.reference.model.state_dict()
        return state

    def load_state(self, state: Mapping[str, object]) -> None:
        """Go on from what `state` gave."""
        self._optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        if self.critic is not None and self._critic_optimizer is not None:
            self.critic.load_state_dict(state["critic"])  # type: ignore[arg-type]
            self._critic_optimizer.load_state_dict(state["critic_optimizer"])  # type: ignore[arg-type]
        if self.reference is not None:
            self.reference.model.load_state_dict(state["reference"])  # type: ignore[arg-type]

    @not_collected()
    def update(self, rollout: Rollout, step: int) -> dict[str, float]:
        """Learn from one rollout; returns what there is to report of it.

        Args:
            step: the number of the step, counted from 1.

        Raises:
            DivergedError: a loss or gradient that is not finite; nothing was changed by it.
        """
        signal, told = self._signal(rollout)
        rows = len(rollout.batch)
        size = rows // self._algorithm.minibatches
        sums: dict[str, list[float]] = {}
        for epoch in range(self._algorithm.epochs):
            source = torch.Generator().manual_seed(derived_seed(self._seed, f"order/{epoch}", step))
            order = torch.randperm(rows, generator=source).to(rollout.batch.ids.device)
            for minibatch in torch.split(order, size):
                for name, value in self._minibatch(rollout.batch, signal, minibatch, step).items():
                    sums.setdefault(name, []).append(value)
        told |= {name: math.fsum(values) / len(values) for name, values in sums.items()}
        return told

    @torch.no_grad()
    def _signal(self, rollout: Rollout) -> tuple[_Signal, dict[str, float]]:
        batch, algorithm = rollout.batch, self._algorithm
        mask = batch.mask
        old_logp = self._over_rows(batch, lambda part: self._logp(self.policy, part))
        ref_logp = values = None
        told: dict[str, float] = {}
        if self.reference is not None:
            reference = self.reference
            ref_logp = self._over_rows(batch, lambda part: self._logp(reference, part))
            divergence = kl_penalty(old_logp, ref_logp, algorithm.kl.form)
            told["kl"] = float((divergence * mask).sum() / mask.sum())
        if self.critic is not None:
            values = self._over_rows(batch, self.critic.values)
        penalty = torch.zeros_like(old_logp)
        if ref_logp is not None and algorithm.kl.place == "reward":
            penalty = kl_penalty(old_logp, ref_logp, algorithm.kl.form)
        rewards = token_rewards_with_kl(rollout.scores, mask, penalty, algorithm.kl.coef)
        advantages, returns = _ESTIMATORS[algorithm.name](algorithm, rollout, rewards, values)
        return _Signal(advantages, old_logp, ref_logp, values, returns), told

    def _logp(self, policy: Policy, batch: Batch) -> Tensor:
        return policy.log_probs(batch, self._train.temperature)[0]

    def _over_rows(self, batch: Batch, function: Callable[[Batch], Tensor]) -> Tensor:
        """`function` of the batch, a micro-batch of rows at a time."""
        size = self._train.micro_batch
        if not size or size >= len(batch):
            return function(batch)
        told = batch.mask.new_zeros(batch.mask.shape, dtype=torch.float32)
        for part in micro_batches(len(batch), size):
            rows = torch.arange(part.start, part.stop, device=batch.ids.device)
            one = function(batch.select(rows))
            told[rows, : one.shape[1]] = one
        return told

    def _minibatch(
        self, batch: Batch, signal: _Signal, rows: Tensor, step: int
    ) -> dict[str, float]:
        """One update of the policy and, where there is one, of the critic."""
        told: dict[str, float] = {}
        if self.critic is not None and self._critic_optimizer is not None:
            told |= self._step_critic(batch, signal, rows, step)
            if step <= self._algorithm.critic.warm_up:
                return told
        self._optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        tokens, sequences = int(batch.mask[rows].sum()), len(rows)
        for part in micro_batches(len(rows), self._train.micro_batch):
            chosen = rows[part.start : part.stop]
            loss, parts = self._policy_loss(batch, signal, chosen, tokens, sequences)
            torch.autograd.backward(loss)
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value
        parameters = self.policy.trainable()
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, self._train.grad_clip))
        if not (math.isfinite(norm) and math.isfinite(sums["loss"])):
            raise _not_finite(step, f"loss {sums['loss']}, gradient norm {norm}")
        lr = self._train.lr * min(1.0, step / max(1, self._train.lr_warm_up))
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        return {**told, **sums, "grad_norm": norm}

    def _policy_loss(
        self, batch: Batch, signal: _Signal, rows: Tensor, tokens: int, sequences: int
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of some rows of a minibatch, and its parts; over all rows they add up."""
        algorithm, part = self._algorithm, batch.select(rows)
        width = part.mask.shape[1]
        logp, entropy = self.policy.log_probs(
            part,
            self._train.temperature,
            with_entropy=True,
            entropy_gradient=algorithm.entropy > 0,
        )
        assert entropy is not None
        scale: dict[str, Any] = {
            "total_tokens": tokens,
            "total_sequences": sequences,
            "horizon": self._train.max_new_tokens,
        }
        old = signal.old_logp[rows, :width]
        loss, told = policy_loss(
            logp,
            old,
            signal.advantages[rows, :width],
            part.mask,
            clip_low=algorithm.clip_low,
            clip_high=algorithm.clip_high,
            clip_ratio_c=algorithm.clip_c or None,
            aggregation=algorithm.aggregation,
            **scale,
        )
        share = float(part.mask.sum()) / tokens
        parts = {name: float(told[name]) * share for name in ("clip_fraction", "approx_kl")}
        mean_entropy = (entropy.detach() * part.mask).sum() / tokens
        parts["entropy"] = float(mean_entropy)
        if algorithm.entropy:
            randomness = aggregate(entropy, part.mask, algorithm.aggregation, **scale)
            loss = loss - algorithm.entropy * randomness
        if signal.ref_logp is not None and algorithm.kl.place == "loss":
            divergence = kl_penalty(logp, signal.ref_logp[rows, :width], algorithm.kl.form)
            loss = loss + algorithm.kl.coef * aggregate(
                divergence, part.mask, algorithm.aggregation, **scale
            )
        parts["loss"] = float(loss.detach())
        return loss, parts

    def _step_critic(
        self, batch: Batch, signal: _Signal, rows: Tensor, step: int
    ) -> dict[str, float]:
        assert self.critic is not None
        assert self._critic_optimizer is not None
        assert signal.old_values is not None
        assert signal.returns is not None
        self._critic_optimizer.zero_grad(set_to_none=True)
        total, tokens = 0.0, int(batch.mask[rows].sum())
        for span in micro_batches(len(rows), self._train.micro_batch):
            chosen = rows[span.start : span.stop]
            part = batch.select(chosen)
            width = part.mask.shape[1]
            loss = value_loss(
                self.critic.values(part),
                signal.returns[chosen, :width],
                signal.old_values[chosen, :width],
                part.mask,
                clip=self._algorithm.critic.clip or None,
                total_tokens=tokens,
            )
            torch.autograd.backward(loss)
            total += float(loss.detach())
        norm = torch.nn.utils.clip_grad_norm_(self.critic.parameters(), self._train.grad_clip)
        if not (math.isfinite(total) and math.isfinite(float(norm))):
            raise _not_finite(step, f"value loss {total}, gradient norm {float(norm)}")
        self._critic_optimizer.step()
        return {"value_loss": total}


def _grpo(
    algorithm: Algorithm, rollout: Rollout, _rewards: Tensor, _values: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    given = estimators.grpo(
        rollout.scores,
        rollout.groups,
        rollout.batch.mask,
        normalise_std=algorithm.normalise_std,
    )
    return given, None


def _ppo(
    algorithm: Algorithm, rollout: Rollout, rewards: Tensor, values: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    assert values is not None
    critic = algorithm.critic
    return estimators.gae(rewards, values, rollout.batch.mask, gamma=critic.gamma, lam=critic.lam)


def _reinforce_plus_plus(
    algorithm: Algorithm, rollout: Rollout, rewards: Tensor, _values: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    return estimators.reinforce_plus_plus(rewards, rollout.batch.mask, gamma=algorithm.critic.gamma)


def _reinforce_plus_plus_baseline(
    _algorithm: Algorithm, rollout: Rollout, _rewards: Tensor, _values: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    given = estimators.reinforce_plus_plus_baseline(
        rollout.scores, rollout.groups, rollout.batch.mask
    )
    return given, None


_ESTIMATORS = {
    "grpo": _grpo,
    "ppo": _ppo,
    "reinforce_plus_plus": _reinforce_plus_plus,
    "reinforce_plus_plus_baseline": _reinforce_plus_plus_baseline,
}


def _adamw(
    parameters: list[torch.nn.Parameter], lr: float, weight_decay: float
) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)


def _not_finite(step: int, found: str) -> DivergedError:
    return DivergedError(
        f"training diverged at step {step}: a loss or gradient is not finite",
        where="settings.train",
        found=found,
        hint="lower `lr`, raise `kl.coef`, or train in float32",
    )
