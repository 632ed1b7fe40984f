"""Advantages: how much better a response, or a token of it, was than expected.

Masks (B, T) are true on the tokens of the responses. All results are (B, T), float32, without
gradient, and 0 outside the mask; what stands outside the mask of an argument is never read. A NaN
inside it spreads to all that depends on it.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPS = 1e-8


@torch.no_grad()
def grpo(
    rewards: Tensor,
    groups: Tensor,
    mask: Tensor,
    *,
    normalise_std: bool = True,
    eps: float = 1e-6,
) -> Tensor:
    """A_i = (r_i - mean_g) / (std_g + eps), the same for all tokens (Shao et al. 2024, sec. 4.1.2).

    Args:
        rewards: (B,) of the whole responses.
        groups: (B,) int64, number of the problem that each response answers; in any order.
        mask: (B, T).
        normalise_std: False leaves the division out (Dr. GRPO, Liu et al. 2025, sec. 3.2).
        eps: keeps the division finite where all rewards of a group are equal.

    The standard deviation is the sample's, divided by n - 1. A group of one response has mean 0
    and standard deviation 1, as in verl.
    """
    # In float64 the mean of equal float32 numbers is exactly that number. A rounding error is not
    # small beside eps: there would be something to learn from a group that says nothing.
    scores = rewards.double()
    _, inverse, counts = torch.unique(groups, return_inverse=True, return_counts=True)
    zeros = scores.new_zeros(len(counts))
    mean = zeros.scatter_add(0, inverse, scores) / counts
    squares = zeros.scatter_add(0, inverse, (scores - mean[inverse]).square())
    std = (squares / (counts - 1).clamp(min=1)).sqrt()
    single = counts == 1
    mean, std = mean.masked_fill(single, 0.0), std.masked_fill(single, 1.0)
    advantages = scores - mean[inverse]
    if normalise_std:
        advantages = advantages / (std[inverse] + eps)
    return _inside(advantages.unsqueeze(1).expand(mask.shape), mask)


@torch.no_grad()
def gae(
    token_rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    gamma: float,
    lam: float,
    whiten: bool = True,
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2016, eq. 16):

        d_t = r_t + gamma V_{t+1} - V_t,    A_t = d_t + gamma lam A_{t+1}

    with V = A = 0 after the last token. Tokens that the mask leaves out between others are passed
    over: the token before them is followed by the one after them.

    Args:
        token_rewards, values, mask: (B, T); V_t is the value before token t is drawn.
        whiten: scale the advantages to mean 0 and variance 1 over all tokens, see `masked_whiten`.

    Returns:
        Advantages, and returns A + V with A as it was before it was whitened.
    """
    rewards, values, inside = _inside(token_rewards, mask), _inside(values, mask), mask.bool()
    following = last = torch.zeros_like(values[:, 0])
    backwards = []
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * following - values[:, t]
        now = delta + gamma * lam * last
        following = torch.where(inside[:, t], values[:, t], following)
        last = torch.where(inside[:, t], now, last)
        backwards.append(last)
    advantages = _inside(torch.stack(backwards[::-1], dim=1), mask)
    returns = advantages + values
    return (masked_whiten(advantages, mask) if whiten else advantages), returns


@torch.no_grad()
def reinforce_plus_plus(
    token_rewards: Tensor, mask: Tensor, *, gamma: float
) -> tuple[Tensor, Tensor]:
    """REINFORCE++ (Hu 2025): returns to go, G_t = r_t + gamma G_{t+1}, whitened over all tokens.

    Args:
        token_rewards, mask: (B, T); tokens left out between others are passed over, as in `gae`.

    Returns:
        Advantages, and the returns that they are made of.
    """
    rewards, inside = _inside(token_rewards, mask), mask.bool()
    running = torch.zeros_like(rewards[:, 0])
    backwards = []
    for t in reversed(range(rewards.shape[1])):
        running = torch.where(inside[:, t], rewards[:, t] + gamma * running, running)
        backwards.append(running)
    returns = _inside(torch.stack(backwards[::-1], dim=1), mask)
    return masked_whiten(returns, mask), returns


def reinforce_plus_plus_baseline(rewards: Tensor, groups: Tensor, mask: Tensor) -> Tensor:
    """REINFORCE++-baseline: scores less their group's mean, whitened over all tokens (Hu 2025).

    Args:
        rewards, groups, mask: as in `grpo`.
    """
    return masked_whiten(grpo(rewards, groups, mask, normalise_std=False), mask)


@torch.no_grad()
def masked_whiten(values: Tensor, mask: Tensor) -> Tensor:
    """(v - mean) / sqrt(var + 1e-8) over the masked values (B, T), the variance divided by n - 1.

    A single value, and values that are all equal, become 0.
    """
    # In float64 for the same reason as in `grpo`: 1e-8 does not cover a rounding error of the mean.
    weight, known = mask.double(), _inside(values, mask).double()
    count = weight.sum()
    mean = known.sum() / count
    variance = ((known - mean).square() * weight).sum() / (count - 1.0).clamp(min=1.0)
    return _inside((known - mean) * torch.rsqrt(variance + _EPS), mask)


def _inside(x: Tensor, mask: Tensor) -> Tensor:
    """`x` in float32, 0 outside the mask whatever stands there: 0 times NaN would be NaN."""
    return torch.where(mask.bool(), x.float(), 0.0)
