"""What is known about a fit beyond its numbers: is it the optimum, and is it determined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.search import Search

GRADIENT_TOLERANCE = 1e-6
SAME_BASIN = 1e-8  # relative difference of objectives that counts as the same optimum
CLOSE_BASIN = 1e-2  # a second optimum this little worse is worth a warning
CORRELATED = 0.99
ILL_CONDITIONED = 1e8
FEW_DEGREES = 5
CHI2_95 = 3.841  # 95 % point of chi-squared with one degree of freedom


@dataclass(frozen=True)
class Certificate:
    """How far a fit can be trusted.

    gradient_norm: largest cosine between the residual and a column of the Jacobian.
    condition_number: of the Jacobian in the law's parameters, columns of length 1.
    starts, share_in_best: searches made, share that ended in the best optimum.
    second_gap: relative excess of the second-best optimum; None if there is only one.
    on_bound: parameters that ended on a bound of the search.
    flags: short names of what is wrong, none if nothing is: not_converged, close_optimum,
    on_bound:P, flat_profile:P (the 95 % profile interval of P has no end), correlated:P~Q,
    ill_conditioned, few_points (n - p < 5).
    """

    gradient_norm: float
    condition_number: float
    starts: int
    share_in_best: float
    second_gap: float | None
    on_bound: tuple[str, ...]
    flags: tuple[str, ...]


def certify(
    *,
    gradient_norm: float,
    condition_number: float,
    dof: int,
    ends: NDArray[np.float64],
    noise: float,
    on_bound: tuple[str, ...],
    flat: tuple[str, ...],
    correlation: dict[tuple[str, str], float],
) -> Certificate:
    """A certificate from what the fit found; `ends` (starts,) are the objectives it ended at."""
    best = float(ends.min())
    same = ends <= best + SAME_BASIN * best + noise
    second_gap = None
    if not same.all():
        second_gap = float(ends[~same].min() / best - 1.0) if best > 0 else float("inf")
    flags = [
        *(["not_converged"] if not gradient_norm <= GRADIENT_TOLERANCE else []),
        *(["close_optimum"] if second_gap is not None and second_gap < CLOSE_BASIN else []),
        *(f"on_bound:{name}" for name in on_bound),
        *(f"flat_profile:{name}" for name in flat),
        *(f"correlated:{a}~{b}" for (a, b), r in correlation.items() if abs(r) > CORRELATED),
        *(["ill_conditioned"] if not condition_number <= ILL_CONDITIONED else []),
        *(["few_points"] if dof < FEW_DEGREES else []),
    ]
    return Certificate(
        gradient_norm=gradient_norm,
        condition_number=condition_number,
        starts=len(ends),
        share_in_best=float(same.mean()),
        second_gap=second_gap,
        on_bound=on_bound,
        flags=tuple(flags),
    )


def flat_parameters(
    search: Search,
    held: NDArray[np.bool_],
    ends: NDArray[np.float64],
    best: float,
    dof: int,
) -> tuple[str, ...]:
    """Parameters whose profile stays below the 95 % limit up to a bound of the search.

    `ends` (H,) are the optima with one coordinate, marked in `held` (H, P), kept on its
    bound. Where the objective hardly rises, the data do not say where the parameter ends.
    """
    if dof <= 0:
        return ()
    limit = best * (1.0 + CHI2_95 / dof) + search.noise
    flat = np.flatnonzero(held[ends <= limit].any(axis=0))
    return tuple(search.law.shared[j].name for j in flat)
