"""Supervised steps on reference solutions, before reinforcement learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.cell.contract import DivergedError
from harness.cell.train.rl.checks import check_length, context_length
from harness.cell.train.rl.policy import make_batch
from harness.cell.train.rl.problems import Schedule
from harness.cell.train.rl.seeds import derived_seed
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.cell.train.rl.policy import Policy
    from harness.cell.train.rl.settings import WarmUp
    from harness.data.rows import Row


def warm_up(
    policy: Policy,
    rows: Sequence[Row],
    settings: WarmUp,
    weights: Mapping[str, float],
    seed: int,
    *,
    stop: Callable[[int], bool] = lambda _: False,
) -> float:
    """Train on the rows' solutions by next-token cross-entropy, prompts not counted.

    AdamW, a learning rate that falls linearly to a tenth, gradients clipped at norm 1.

    Args:
        rows: the training split; gone through as often as the steps need.
        weights: ability -> share of every batch.
        stop: asked after every step, by its number; true ends the warm-up early.

    Returns:
        The loss of the last step in nats per token; NaN without steps.

    Raises:
        DataError: a row without a solution, or too long for the model with it.
        DivergedError: a loss that is not finite.
    """
    if settings.steps == 0:
        return float("nan")
    chosen = [row for row in rows if row.ability in weights]
    for row in chosen:
        if row.solution is None:
            raise DataError(
                "a row without a reference solution, which the warm-up needs",
                where=row.where,
                hint="give `extra_info.solution`, or `warm_up: {steps: 0}`",
            )
    schedule = Schedule(
        chosen,
        weights,
        steps=settings.steps,
        batch=settings.batch,
        order="shuffled",
        tau=_passes(chosen, weights, settings),
        seed=derived_seed(seed, "warm-up"),
    )
    encoded = {id(row): _encode(policy, row) for row in chosen}
    optimizer = torch.optim.AdamW(
        policy.trainable(), lr=settings.lr, weight_decay=0.0, betas=(0.9, 0.95), fused=True
    )
    policy.model.train()
    value = float("nan")
    for step in range(settings.steps):
        pairs = [encoded[id(row)] for row in schedule[step]]
        prompts, responses = [one for one, _ in pairs], [one for _, one in pairs]
        batch = make_batch(prompts, responses, policy.pad, policy.device)
        logp, _ = policy.log_probs(batch, 1.0)
        loss = -(logp * batch.mask).sum() / batch.mask.sum()
        value = float(loss.detach())
        if value != value or value == float("inf"):
            raise DivergedError(
                f"the loss of warm-up step {step + 1} is not finite",
                where="settings.warm_up",
                found=f"{value}",
                hint="lower `warm_up.lr`",
            )
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * (1.0 - 0.9 * step / settings.steps)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(policy.trainable(), 1.0)
        optimizer.step()
        if stop(step + 1):
            break
    policy.model.eval()
    return value


def _encode(policy: Policy, row: Row) -> tuple[list[int], list[int]]:
    assert row.solution is not None
    response = policy.tokenizer(row.solution, add_special_tokens=False)["input_ids"]
    prompt = policy.encode(row.messages)
    check_length(prompt, len(response) + 1, context_length(policy), row)
    return prompt, [*response, policy.eos]


def _passes(rows: Sequence[Row], weights: Mapping[str, float], settings: WarmUp) -> int:
    """How often the scarcest domain must be gone through for the steps asked for."""
    total = sum(weights.values())
    counts = {name: sum(row.ability == name for row in rows) for name in weights}
    drawn = settings.steps * settings.batch
    needed = (
        (drawn * weight / total + settings.steps) / max(1, counts[name])
        for name, weight in weights.items()
    )
    return max(1, *(int(one) + 1 for one in needed))
