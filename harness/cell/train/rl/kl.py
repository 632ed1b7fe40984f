"""Estimators of the Kullback-Leibler divergence of a policy from its reference, from its own draws.

John Schulman, "Approximating KL Divergence" (2020): with d = log p - log q of a token drawn from p,
k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d. The means of k1 and k3 are the divergence, that of k2 is
close to it where p and q are. Of gradients the reverse holds: only that of k2 has the divergence's
gradient as its mean, so that k1 belongs into rewards and says nothing in a loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


def _k3(d: Tensor) -> Tensor:
    # exp(-d) - 1 loses all digits of a small d. What may remain below 0 is a rounding error.
    return (torch.expm1(-d) + d).clamp(min=0.0)


def _low_var_kl(d: Tensor) -> Tensor:
    # Clamped before and after, as verl does: one wild token must not be the whole penalty.
    return _k3(d.clamp(min=-20.0, max=20.0)).clamp(max=10.0)


KL_FORMS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "k1": lambda d: d,
    "abs": torch.abs,
    "k2": lambda d: 0.5 * d.square(),
    "k3": _k3,
    "low_var_kl": _low_var_kl,
}


def kl_penalty(logp: Tensor, ref_logp: Tensor, form: str) -> Tensor:
    """Estimates (B, T) in nats, float32, from log-probabilities (B, T) of the tokens drawn.

    Args:
        logp: under the policy; gradients flow through it.
        ref_logp: under the reference.
        form: a key of `KL_FORMS`; verl calls `low_var_kl` k3 too, here k3 is not clamped.

    Raises:
        KeyError: no such form.
    """
    return KL_FORMS[form](logp.float() - ref_logp.float())


def token_rewards_with_kl(scores: Tensor, mask: Tensor, kl: Tensor, coef: float) -> Tensor:
    """Each response's score on its last token, less coef * kl on every token (Ouyang et al. 2022).

    Args:
        scores: (B,) of the whole responses.
        mask, kl: (B, T); a row without any token gets no reward.

    Returns:
        (B, T) float32, 0 outside the mask.
    """
    inside = mask.bool()
    place = inside.cumsum(dim=1)
    is_last = inside & (place == place[:, -1:])
    ends = torch.where(is_last, scores.float().unsqueeze(1), 0.0)
    return ends - coef * torch.where(inside, kl.float(), 0.0)
