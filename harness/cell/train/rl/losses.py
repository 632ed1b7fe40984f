"""Losses of policy-gradient training, token by token, and how token losses become one number.

All tensors are (B, T) over response tokens with a mask of the same shape; sums are made in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


def logp_from_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """log softmax(logits)[label]: logits (B, T, V), labels (B, T) -> (B, T) in float32."""
    return -torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), reduction="none"
    ).view(labels.shape)


def entropy_from_logits(logits: Tensor) -> Tensor:
    """H = log Z - sum_v p_v l_v of logits l (B, T, V) -> (B, T) in nats, float32."""
    logits = logits.float()
    log_z = torch.logsumexp(logits, dim=-1)
    return log_z - (torch.softmax(logits, dim=-1) * logits).sum(dim=-1)


def _token_mean(losses: Tensor, mask: Tensor, tokens: float, _sequences: float) -> Tensor:
    return (losses * mask).sum() / tokens


def _seq_mean_token_sum(losses: Tensor, mask: Tensor, _tokens: float, sequences: float) -> Tensor:
    return (losses * mask).sum() / sequences


def _seq_mean_token_mean(losses: Tensor, mask: Tensor, _tokens: float, sequences: float) -> Tensor:
    per_sequence = (losses * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return per_sequence.sum() / sequences


def _seq_mean_token_sum_norm(losses: Tensor, mask: Tensor, _tokens: float, seqs: float) -> Tensor:
    return (losses * mask).sum() / (seqs * losses.shape[1])


AGGREGATIONS: Final[dict[str, Callable[[Tensor, Tensor, float, float], Tensor]]] = {
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
) -> Tensor:
    """One number of token losses (B, T).

    Args:
        total_tokens, total_sequences: of the whole minibatch, where this is a part of it: the sum
            over parts is then the number of the whole.
    """
    mask = mask.float()
    tokens = float(mask.sum()) if total_tokens is None else total_tokens
    sequences = float(len(mask)) if total_sequences is None else total_sequences
    return AGGREGATIONS[aggregation](losses.float(), mask, max(tokens, 1.0), sequences)


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
) -> tuple[Tensor, dict[str, Tensor]]:
    """PPO's clipped surrogate (Schulman et al. 2017, eq. 7), with r = exp(logp - old_logp):

        L = -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A)

    and, for A < 0, the dual clip L <= -c A (Ye et al. 2020, eq. 5).

    Returns:
        The loss and, without gradient, `clip_fraction`, `approx_kl` (mean of old_logp - logp) and
        `ratio`, means over the tokens given.
    """
    logp, old_logp, advantages = logp.float(), old_logp.float(), advantages.float()
    log_ratio = (logp - old_logp).clamp(min=-20.0, max=20.0)
    ratio = torch.exp(log_ratio)
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1.0 - clip_low, 1.0 + clip_high)
    losses = torch.maximum(plain, clipped)
    if clip_ratio_c is not None:
        bounded = torch.minimum(losses, -advantages * clip_ratio_c)
        losses = torch.where(advantages < 0, bounded, losses)
    with torch.no_grad():
        weight = mask.float()
        count = weight.sum().clamp(min=1.0)
        told = {
            "clip_fraction": ((clipped > plain).float() * weight).sum() / count,
            "approx_kl": (-log_ratio * weight).sum() / count,
            "ratio": (ratio * weight).sum() / count,
        }
    loss = aggregate(
        losses,
        mask,
        aggregation,
        total_tokens=total_tokens,
        total_sequences=total_sequences,
    )
    return loss, told


def value_loss(
    values: Tensor,
    returns: Tensor,
    old_values: Tensor,
    mask: Tensor,
    *,
    clip: float | None,
    total_tokens: float | None = None,
) -> Tensor:
    """Half the squared error of the critic, its move since the rollout clipped to +- clip."""
    values = values.float()
    errors = (values - returns) ** 2
    if clip is not None:
        near = old_values + (values - old_values).clamp(-clip, clip)
        errors = torch.maximum(errors, (near - returns) ** 2)
    return 0.5 * aggregate(errors, mask, "token-mean", total_tokens=total_tokens)
