"""Advantages: how much better a response, or a token of it, was than expected.

All of them take a mask (B, T) of response tokens and give (B, T), 0 outside the mask.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPS = 1e-8


def grpo(
    rewards: Tensor,
    groups: Tensor,
    mask: Tensor,
    *,
    normalise_std: bool = True,
    eps: float = 1e-6,
) -> Tensor:
    """A_i = (r_i - mean_g) / (std_g + eps), the same for all tokens (Shao et al. 2024, eq. 3).

    Args:
        rewards: (B,); groups: (B,) number of the problem that each response answers.
        normalise_std: False leaves the division out (Dr. GRPO, Liu et al. 2025).

    A group of one response has mean 0 and standard deviation 1, as in verl.
    """
    rewards = rewards.float()
    _, inverse, counts = torch.unique(groups, return_inverse=True, return_counts=True)
    zeros = torch.zeros(len(counts), dtype=torch.float32, device=rewards.device)
    mean = zeros.scatter_add(0, inverse, rewards) / counts
    squares = zeros.scatter_add(0, inverse, (rewards - mean[inverse]).square())
    std = (squares / (counts - 1).clamp(min=1)).sqrt()
    single = counts == 1
    mean, std = mean.masked_fill(single, 0.0), std.masked_fill(single, 1.0)
    advantages = rewards - mean[inverse]
    if normalise_std:
        advantages = advantages / (std[inverse] + eps)
    return advantages.unsqueeze(1) * mask.float()


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

    with V = 0 after the last token; returns are A + V, before A is whitened over the batch.
    """
    mask = mask.float()
    last = torch.zeros_like(values[:, 0])
    following = torch.zeros_like(last)
    backwards = []
    for t in reversed(range(values.shape[1])):
        delta = token_rewards[:, t] + gamma * following - values[:, t]
        now = delta + gamma * lam * last
        # Behind the end of a response both stay what they are: nothing.
        following = torch.where(mask[:, t] > 0, values[:, t], following)
        last = torch.where(mask[:, t] > 0, now, last)
        backwards.append(last)
    advantages = torch.stack(backwards[::-1], dim=1)
    returns = advantages + values
    if whiten:
        advantages = masked_whiten(advantages, mask)
    return advantages * mask, returns


def reinforce_plus_plus(
    token_rewards: Tensor, mask: Tensor, *, gamma: float
) -> tuple[Tensor, Tensor]:
    """REINFORCE++ (Hu 2025): returns to go, G_t = r_t + gamma G_{t+1}, whitened over all tokens."""
    mask = mask.float()
    running = torch.zeros_like(token_rewards[:, 0])
    backwards = []
    for t in reversed(range(token_rewards.shape[1])):
        running = (token_rewards[:, t] + gamma * running) * mask[:, t]
        backwards.append(running)
    returns = torch.stack(backwards[::-1], dim=1)
    return masked_whiten(returns, mask) * mask, returns


def reinforce_plus_plus_baseline(rewards: Tensor, groups: Tensor, mask: Tensor) -> Tensor:
    """REINFORCE++-baseline: scores less their group's mean, whitened over all tokens (Hu 2025)."""
    mask = mask.float()
    centred = grpo(rewards, groups, mask, normalise_std=False)
    return masked_whiten(centred, mask) * mask


def masked_whiten(values: Tensor, mask: Tensor) -> Tensor:
    """(v - mean) / sqrt(var + 1e-8) over the masked values, with Bessel's correction."""
    mask = mask.float()
    count = mask.sum()
    mean = (values * mask).sum() / count
    variance = ((values - mean).square() * mask).sum() / (count - 1.0).clamp(min=1.0)
    return (values - mean) * torch.rsqrt(variance + _EPS)
