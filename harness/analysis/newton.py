"""Many small minimisations at once: Newton's method with damping and bounds, batched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ITERATIONS = 200
DECREASE = 1e-14  # stop once Newton predicts a smaller relative decrease; one step follows
_SHORTEST = 1e-3  # a Newton step is cut to this share before it is damped
_DEFINITE = 1e-11  # smallest pivot of a scaled Hessian that counts as positive definite


Derivatives = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]
"""F (R,), its gradient (R, P) and its Hessian (R, P, P)."""

Objective = Callable[["NDArray[np.float64]", "NDArray[np.intp]"], Derivatives]
"""Derivatives at z (R, P) for the problems `rows` (R,)."""


@dataclass(frozen=True, eq=False)
class Minima:
    """z: (R, P) where each problem ended. F: (R,). converged: (R,)."""

    z: NDArray[np.float64]
    F: NDArray[np.float64]
    converged: NDArray[np.bool_]


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # wild steps overflow
def minimise(
    objective: Objective,
    z: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    *,
    noise: NDArray[np.float64],
    fixed: NDArray[np.bool_] | None = None,
    decrease: float = DECREASE,
    iterations: int = MAX_ITERATIONS,
) -> Minima:
    """Minimise R problems of P variables from z (R, P) within lower, upper (P,).

    `noise` (R,) is the rounding error of F: smaller differences mean nothing. `fixed` (R, P)
    holds variables where they start. A problem ends with the step that is predicted to lower F
    by less than `decrease`, relative. A Hessian that is not positive definite has its
    eigenvalues replaced by their absolute values, so that every step goes downhill.
    """
    z = np.clip(z, lower, upper)
    R, P = z.shape
    held_always = np.zeros((R, P), dtype=bool) if fixed is None else fixed
    F, g, H = objective(z, np.arange(R))
    damping, length = np.zeros(R), np.ones(R)
    converged = np.zeros(R, dtype=bool)
    usable = np.isfinite(F) & np.isfinite(H).all((1, 2))
    F = np.where(usable, F, np.inf)  # a start from which nothing can be computed ends nowhere
    active = np.flatnonzero(usable)
    for _ in range(iterations):
        if not len(active):
            break
        za, ga, Ha, Fa = z[active], g[active], H[active], F[active]
        held = held_always[active] | ((za <= lower) & (ga > 0)) | ((za >= upper) & (ga < 0))
        step, predicted, definite = _step(ga, Ha, held, damping[active])
        step *= length[active, None]
        trial = np.clip(za + step, lower, upper)
        Ft, gt, Ht = objective(trial, active)
        better = (Ft <= Fa + noise[active]) & np.isfinite(Ht).all((1, 2))
        took = active[better]
        z[took], F[took], g[took], H[took] = trial[better], Ft[better], gt[better], Ht[better]
        small = predicted <= decrease * Fa + 1e-10 * noise[active]
        converged[active] = small
        # Downhill along a definite Newton step there is a lower point, so go less far before
        # turning: in the narrow valleys of losses with kinks, damping would creep.
        shorter = ~better & definite & (damping[active] == 0) & (length[active] > _SHORTEST)
        length[active] = np.where(shorter, length[active] * _along(Fa, Ft, (ga * step).sum(1)), 1.0)
        damping[active] = np.where(
            better | shorter,
            np.where(damping[active] > 1e-4, damping[active] / 10, 0.0),
            np.maximum(damping[active] * 10, 0.1),
        )
        active = active[~small]
    return Minima(z, F, converged)


def _step(
    g: NDArray[np.float64],
    H: NDArray[np.float64],
    held: NDArray[np.bool_],
    damping: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Damped step (R, P), 0 where held, the decrease that the undamped one predicts (R,), and
    whether H is positive definite (R,).
    """
    diagonal = np.abs(np.diagonal(H, axis1=1, axis2=2))
    floor = 1e-12 * diagonal.max(axis=1, keepdims=True) + np.finfo(float).tiny
    d = np.where(held, 0.0, 1.0 / np.sqrt(np.maximum(diagonal, floor)))
    scaled = H * d[:, :, None] * d[:, None, :]
    scaled[held[:, :, None] & np.eye(H.shape[1], dtype=bool)] = 1.0
    slope = g * d
    step, definite = _solve(scaled, slope)
    predicted = 0.5 * (step * slope).sum(1)
    damped = np.flatnonzero(definite & (damping > 0))
    if len(damped):
        raised = scaled[damped] + damping[damped, None, None] * np.eye(H.shape[1])
        step[damped] = _solve(raised, slope[damped])[0]
    bent = np.flatnonzero(~definite)
    if len(bent):
        values, vectors = np.linalg.eigh(scaled[bent])
        values = np.maximum(np.abs(values), 1e-12)
        along = np.einsum("rpv,rp->rv", vectors, slope[bent])
        steepest = along / (values + damping[bent, None])
        step[bent] = np.einsum("rpv,rv->rp", vectors, steepest)
        predicted[bent] = 0.5 * (along * along / values).sum(1)
    return -step * d, predicted, definite


def _along(
    F: NDArray[np.float64], Ft: NDArray[np.float64], slope: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The share of a step, from 0.1 to 0.5, at which the parabola through what is known is least:
    F and its slope along the step here, Ft at its end.
    """
    share = -0.5 * slope / (Ft - F - slope)
    return np.where(np.isfinite(share), np.clip(share, 0.1, 0.5), 0.1)


def _solve(
    A: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Solutions (R, P) of A (R, P, P) x = b, and which A are positive definite, by L D L'.

    Diagonals of A are 1 or so. One pass over all R at once costs far less than R calls.
    """
    P = A.shape[1]
    L = np.ascontiguousarray(np.moveaxis(A, 0, -1))
    x = b.T.copy()
    definite = np.ones(len(A), dtype=bool)
    for j in range(P):
        pivot = L[j, j]
        definite &= pivot > _DEFINITE
        pivot[~definite] = 1.0
        below = L[j + 1 :, j].copy()
        L[j + 1 :, j] /= pivot
        L[j + 1 :, j + 1 :] -= L[j + 1 :, None, j] * below
        x[j + 1 :] -= L[j + 1 :, j] * x[j]
        x[j] /= pivot
    for j in range(P - 1, 0, -1):
        x[:j] -= L[j, :j] * x[j]
    return x.T, definite
