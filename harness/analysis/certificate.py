"""What is known about a fit beyond its numbers: is it the optimum, and is it determined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.estimator import Estimator

GRADIENT_TOLERANCE = 1e-6
SAME_BASIN = 1e-8  # relative difference of objectives that counts as the same optimum
CLOSE_BASIN = 1e-2  # a second optimum this little worse is worth a warning
CORRELATED = 0.99
ILL_CONDITIONED = 1e8
FEW_DEGREES = 5
NOISE = 1e-14  # rounding error of an objective, relative to that of the observations
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
    ill_conditioned, few_points (n - p < 5), asymptote_outside:P (of a law of shares, beyond 0
    or 1), midpoint_outside:P (beyond the x of its curve, or, of
    a size such as N0, beyond the sizes fitted), no_number:P (infinite or none),
    outside_unit (y above 1 under a law made for error rates), worse_than_mean (R2 < 0, pooled
    or of a curve). A parameter of one curve is told as P/GROUP.
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
    more: tuple[str, ...] = (),
) -> Certificate:
    """A certificate from what the fit found; `ends` (starts,) are the objectives it ended at,
    `more` flags of the law's own.
    """
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
        *more,
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


def rises(estimator: Estimator, best: float, F: NDArray[np.float64], dof: int) -> NDArray[np.bool_]:
    """Which objectives (H,) lie above the 95 % limit of a profile with its lowest point at `best`.

    Where the objective hardly rises, the data do not say where a parameter ends. Squares go by
    the F distribution's limit for many degrees of freedom, other losses by their likelihood.
    """
    if dof <= 0:
        return np.ones(len(F), dtype=bool)
    noise = NOISE * estimator.scale
    if estimator.loss.name == "squares":
        return np.asarray(~(best * (1.0 + CHI2_95 / dof) + noise >= F))
    n = len(estimator.window.x)
    likely = estimator.loss.log_likelihood
    top = likely(best, estimator.delta, n)
    fall = np.array([top - likely(float(one), estimator.delta, n) for one in F])
    return np.asarray(~((fall <= CHI2_95 / 2) | (best + noise >= F)))
