"""Estimators of the Kullback-Leibler divergence of a policy from its reference, from its own draws.

John Schulman, "Approximating KL Divergence" (2020): with d = log p - log q of a token drawn from p,
k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


def _k3(d: Tensor) -> Tensor:
    return torch.exp(-d) - 1.0 + d


def _low_var_kl(d: Tensor) -> Tensor:
    # Clamped before and after, as verl does: one wild token must not be the whole penalty.
    return _k3(d.clamp(min=-20.0, max=20.0)).clamp(min=-10.0, max=10.0)


KL_FORMS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "k1": lambda d: d,
    "abs": torch.abs,
    "k2": lambda d: 0.5 * d.square(),
    "k3": _k3,
    "low_var_kl": _low_var_kl,
}


def kl_penalty(logp: Tensor, ref_logp: Tensor, form: str) -> Tensor:
    """(B, T) log-probabilities under policy and reference -> (B, T) estimates in nats."""
    return KL_FORMS[form](logp.float() - ref_logp.float())


def token_rewards_with_kl(scores: Tensor, mask: Tensor, kl: Tensor, coef: float) -> Tensor:
    """(B, T) rewards: each response's score (B,) on its last token, less coef * kl on every token."""
    mask = mask.float()
    rewards = -coef * kl.float() * mask
    last = (mask.cumsum(dim=1).argmax(dim=1)).unsqueeze(1)
    return rewards.scatter_add(1, last, (scores.float() * mask.amax(dim=1)).unsqueeze(1))
