"""Losses of policy-gradient training, token by token, and how token losses become one number.

Tensors are (B, T) over response tokens with a mask of the same shape, and may be of any floating
type: everything is computed in float32. What stands outside the mask is never read; a NaN inside it
makes the loss NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Logits are worked through in slices of this many numbers (64 MiB of float32), so that with a
# vocabulary of 150 000 no second tensor of the size of all logits is ever held.
_SLICE = 1 << 24


def logp_from_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """log softmax(logits)[label] of every token, in nats.

    Args:
        logits: (..., V) of any floating type; only they are kept for the gradient.
        labels: (...) int64 below V.

    Returns:
        (...) float32.

    Raises:
        RuntimeError: a label that is negative or not below V; there is none that is ignored.
    """
    return _Logp.apply(logits, labels)  # type: ignore[no-any-return, no-untyped-call]


def entropy_from_logits(logits: Tensor) -> Tensor:
    """H = -sum_v p_v log p_v with p = softmax(logits), in nats: logits (..., V) -> (...) float32.

    A logit of -inf adds nothing. Only the logits are kept for the gradient, which is
    dH/dl_v = -p_v (log p_v + H).
    """
    return _Entropy.apply(logits)  # type: ignore[no-any-return, no-untyped-call]


def _slices(logits: Tensor) -> Iterator[slice]:
    """The rows of (N, V) logits, a bearable number at a time."""
    size = max(1, _SLICE // logits.shape[-1])
    for start in range(0, len(logits), size):
        yield slice(start, start + size)


def _log_p(logits: Tensor) -> Tensor:
    # Below -104 exp is 0 in float32, and 0 times the logarithm of a logit of -inf would be NaN.
    return torch.log_softmax(logits, dim=-1, dtype=torch.float32).clamp_(min=-200.0)


class _Logp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        ctx.save_for_backward(logits, labels)
        flat, chosen = logits.flatten(0, -2), labels.flatten().unsqueeze(1)
        logp = torch.empty(len(flat), dtype=torch.float32, device=logits.device)
        for rows in _slices(flat):
            every = torch.log_softmax(flat[rows], dim=-1, dtype=torch.float32)
            logp[rows] = every.gather(1, chosen[rows]).squeeze(1)
        return logp.view(labels.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        logits, labels = ctx.saved_tensors
        flat, chosen = logits.flatten(0, -2), labels.flatten().unsqueeze(1)
        weight = upstream.flatten().unsqueeze(1)
        gradient = torch.empty_like(flat)
        for rows in _slices(flat):
            part = torch.softmax(flat[rows], dim=-1, dtype=torch.float32).mul_(-weight[rows])
            mine = part.gather(1, chosen[rows]) + weight[rows]
            gradient[rows] = part.scatter_(1, chosen[rows], mine)
        return gradient.view(logits.shape), None


class _Entropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        flat = logits.flatten(0, -2)
        entropy = torch.empty(len(flat), dtype=torch.float32, device=logits.device)
        for rows in _slices(flat):
            logs = _log_p(flat[rows])
            entropy[rows] = -logs.mul_(logs.exp()).sum(dim=-1)
        ctx.save_for_backward(logits, entropy)
        return entropy.view(logits.shape[:-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        logits, entropy = ctx.saved_tensors
        flat, weight = logits.flatten(0, -2), upstream.flatten().unsqueeze(1)
        gradient = torch.empty_like(flat)
        for rows in _slices(flat):
            logs = _log_p(flat[rows])
            p = logs.exp()
            gradient[rows] = logs.add_(entropy[rows].unsqueeze(1)).mul_(p).mul_(-weight[rows])
        return gradient.view(logits.shape)


@dataclass(frozen=True)
class _Totals:
    """What token losses are divided by, counted over the whole minibatch."""

    tokens: Tensor | float
    sequences: Tensor | float
    horizon: float


def _token_mean(losses: Tensor, _mask: Tensor, totals: _Totals) -> Tensor:
    """DAPO (Yu et al. 2025, eq. 8): every token counts the same."""
    return losses.sum() / totals.tokens


def _seq_mean_token_sum(losses: Tensor, _mask: Tensor, totals: _Totals) -> Tensor:
    return losses.sum() / totals.sequences


def _seq_mean_token_mean(losses: Tensor, mask: Tensor, totals: _Totals) -> Tensor:
    """GRPO (Shao et al. 2024, eq. 3): every response counts the same."""
    per_sequence = losses.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return per_sequence.sum() / totals.sequences


def _seq_mean_token_sum_norm(losses: Tensor, _mask: Tensor, totals: _Totals) -> Tensor:
    """Dr. GRPO (Liu et al. 2025): divided by a constant length, whatever the responses' own."""
    return losses.sum() / (totals.sequences * totals.horizon)


AGGREGATIONS: Final[dict[str, Callable[[Tensor, Tensor, _Totals], Tensor]]] = {
    "token-mean": _token_mean,
    "seq-mean-token-sum": _seq_mean_token_sum,
    "seq-mean-token-mean": _seq_mean_token_mean,
    "seq-mean-token-sum-norm": _seq_mean_token_sum_norm,
}


def aggregate(
    losses: Tensor,
    mask: Tensor,
    aggregation: str,
    *,
    total_tokens: float | None = None,
    total_sequences: float | None = None,
    horizon: float | None = None,
) -> Tensor:
    """One number of token losses (B, T), as `aggregation`, a key of `AGGREGATIONS`, has it.

    Args:
        total_tokens, total_sequences: of the whole minibatch, where this is a part of it: the sum
            over the parts, and of their gradients, is then that of the whole. By default they are
            counted here; rows without any token are no sequences.
        horizon: what `seq-mean-token-sum-norm` divides by, the longest response that may occur. By
            default T: wrong for a part whose padding was cut to its own longest response.

    A batch without any token gives 0.

    Raises:
        KeyError: no such aggregation.
    """
    inside = mask.bool()
    totals = _Totals(
        tokens=inside.sum().clamp(min=1) if total_tokens is None else total_tokens,
        sequences=(
            inside.any(dim=1).sum().clamp(min=1) if total_sequences is None else total_sequences
        ),
        horizon=losses.shape[1] if horizon is None else horizon,
    )
    return AGGREGATIONS[aggregation](_inside(losses, inside), inside, totals)


def policy_loss(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    clip_ratio_c: float | None = None,
    aggregation: str = "token-mean",
    total_tokens: float | None = None,
    total_sequences: float | None = None,
    horizon: float | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """PPO's clipped surrogate (Schulman et al. 2017, eq. 7), with r = exp(logp - old_logp):

        L = -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A)

    and, for A < 0, the dual clip L <= -c A (Ye et al. 2020, eq. 5). The exponent is held within
    +-20, so that no ratio overflows.

    Args:
        logp: (B, T) under the policy that is trained; gradients flow through it alone.
        old_logp: (B, T) under the policy that drew the tokens.
        advantages, mask: (B, T).
        clip_low, clip_high: the range, DAPO's if they differ (Yu et al. 2025, eq. 10).
        clip_ratio_c: c > 1, or None for no dual clip.
        aggregation, total_tokens, total_sequences, horizon: see `aggregate`.

    Returns:
        The loss and, without gradient, means over the tokens given here: `clip_fraction` of tokens
        whose ratio was clipped, `dual_clip_fraction` if there is a c, `approx_kl` in nats of
        old_logp - logp, and `ratio`.

    Raises:
        ValueError: c is not above 1: it would bound what the clip range allows.
    """
    if clip_ratio_c is not None and not clip_ratio_c > 1.0:
        raise ValueError(f"the dual clip's bound must be above 1, not {clip_ratio_c}")
    advantages = _inside(advantages.detach(), mask)
    log_ratio = _inside(logp.float() - old_logp.detach().float(), mask).clamp(min=-20.0, max=20.0)
    ratio = torch.exp(log_ratio)
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1.0 - clip_low, 1.0 + clip_high)
    losses = torch.maximum(plain, clipped)
    shares = {"clip_fraction": clipped > plain}
    if clip_ratio_c is not None:
        bound = -advantages * clip_ratio_c
        is_bounded = (advantages < 0) & (losses > bound)
        losses = torch.where(is_bounded, bound, losses)
        shares["dual_clip_fraction"] = is_bounded
    with torch.no_grad():
        told = {"approx_kl": -log_ratio, "ratio": ratio, **shares}
        means = {name: aggregate(value, mask, "token-mean") for name, value in told.items()}
    loss = aggregate(
        losses,
        mask,
        aggregation,
        total_tokens=total_tokens,
        total_sequences=total_sequences,
        horizon=horizon,
    )
    return loss, means


def value_loss(
    values: Tensor,
    returns: Tensor,
    old_values: Tensor,
    mask: Tensor,
    *,
    clip: float | None,
    total_tokens: float | None = None,
) -> Tensor:
    """Half the squared error of the critic, the mean over tokens.

        L = 1/2 max((V - R)^2, (V_old + clip(V - V_old, -clip, clip) - R)^2)

    The second term is that of PPO's reference implementation (Dhariwal et al., OpenAI Baselines):
    nothing is gained by moving further than `clip` from the value of the rollout.

    Args:
        values: (B, T); gradients flow through them alone.
        returns, old_values, mask: (B, T).
        clip: None leaves the second term out.
        total_tokens: see `aggregate`.
    """
    values, old, goal = (
        _inside(one, mask) for one in (values, old_values.detach(), returns.detach())
    )
    errors = (values - goal).square()
    if clip is not None:
        near = old + (values - old).clamp(-clip, clip)
        errors = torch.maximum(errors, (near - goal).square())
    return 0.5 * aggregate(errors, mask, "token-mean", total_tokens=total_tokens)


def _inside(x: Tensor, mask: Tensor) -> Tensor:
    """`x` in float32, 0 outside the mask whatever stands there, and so is its gradient."""
    return torch.where(mask.bool(), x.float(), 0.0)
