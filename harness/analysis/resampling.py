"""Uncertainty by whole curves: the bootstrap over curves, and leaving one curve out.

The points of one learning curve depend on each other, so that drawing points would pretend to
far more information than there is. A curve is drawn, or left out, as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.laws import SharedSlopeLaw, get_law
from harness.analysis.search import Search
from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from harness.analysis.curves import Curves
    from harness.analysis.fits import Fit

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Resample:
    """Refits of one fit to curves drawn with replacement.

    method: "curve". n: replicates drawn. failed: replicates with fewer distinct N than the
    law needs, or that did not converge; they are in no interval. on_bound: replicates, among
    the others, in which a parameter ran to a bound of the search. intervals: the central 95 %
    of each shared parameter; an end beyond which all replicates ran to a bound is open: inf
    above, below 0 for a positive parameter and -inf for another.
    draws: one value per replicate, NaN where failed. k, E0: by N, the slope and level that
    each replicate gives that curve; a free E0 is the best one on the curve's own points.
    note: says in words what failed, what ran to bounds and which ends are open; empty if
    nothing did.
    """

    method: str
    n: int
    seed: int
    failed: int
    on_bound: int
    intervals: dict[str, tuple[float, float]]
    draws: dict[str, NDArray[np.float64]]
    k: dict[float, NDArray[np.float64]]
    E0: dict[float, NDArray[np.float64]]
    note: str

    def band(
        self, x: ArrayLike, N: float, level: float = LEVEL
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest L at each X = x, between which `level` of the replicates lie.

        Pointwise, of the fitted line, for a curve that was fitted: the scatter of single
        points about the line is not in it. Raises DataError for another N.
        """
        if N not in self.k:
            raise DataError(
                f"no replicate knows the curve N={N:g}",
                expected="one of " + ", ".join(f"{size:g}" for size in self.k),
                found=f"{N:g}",
                hint="draw bands for fitted curves only",
            )
        keep = np.isfinite(self.k[N])
        u = np.log10(np.asarray(x, dtype=float))
        lines = 10.0 ** (self.E0[N][keep, None] - self.k[N][keep, None] * u.reshape(1, -1))
        tail = 50.0 * (1.0 - level)
        low, high = np.percentile(lines, [tail, 100.0 - tail], axis=0)
        return low.reshape(u.shape), high.reshape(u.shape)


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """The law refitted without each curve in turn.

    N: (G,) the curve left out. params: (G,) values of each shared parameter, NaN where the
    rest does not determine it. se: jackknife standard errors, from the refits that succeeded.
    """

    N: NDArray[np.float64]
    params: dict[str, NDArray[np.float64]]
    se: dict[str, float]
    failed: int


def resample(fit: Fit, curves: Curves, *, n: int = 1000, seed: int = 0) -> Resample:
    """Refit `fit` to `n` draws of its curves with replacement, each to its own optimum.

    `curves` are those that were fitted. The same `seed` gives the same draws. Raises
    DataError for a law without shared parameters, for fewer than one replicate, and if every
    replicate fails.
    """
    search = _search(fit, curves)
    if n < 1:
        raise DataError(
            "no replicate was asked for", expected="n of 1 or more", found=str(n), hint="n: 1000"
        )
    G = len(search.window.N)
    drawn = np.random.default_rng(seed).integers(G, size=(n, G))
    m = (drawn[:, :, None] == np.arange(G)).sum(1).astype(float)
    refits = _refit(search, m)
    good = np.isfinite(refits.params).all(1)
    failed = int((~good).sum())
    on_bound = int(refits.on_bound[good].sum())
    if failed == n:
        raise DataError(
            f"none of {n} replicates determines {fit.law}",
            expected=f"{search.law.min_curves} distinct {fit.group} in a draw",
            found=f"{G} curve(s) to draw from",
            hint="fit more curves, or leave `resample` out",
        )
    names = [one.name for one in search.law.shared]
    tail = 50.0 * (1.0 - LEVEL)
    ends = np.percentile(refits.params[good], [tail, 100.0 - tail], axis=0)
    for j, (low, high) in enumerate(ends.T):
        draws = refits.params[good, j]
        # Where only the search's bound ends the interval, the data do not.
        if refits.on_bound[good][draws >= high].all():
            ends[1, j] = np.inf
        # K_max is known where N0 runs to 0, so a positive parameter goes by its own bound.
        ended = refits.on_bound[good] if low < 0 else refits.at_lower[good, j]
        if ended[draws <= low].all():
            ends[0, j] = -np.inf if low < 0 else 0.0
    intervals = {name: (float(ends[0, j]), float(ends[1, j])) for j, name in enumerate(names)}
    return Resample(
        method="curve",
        n=n,
        seed=seed,
        failed=failed,
        on_bound=on_bound,
        intervals=intervals,
        draws={name: refits.params[:, j] for j, name in enumerate(names)},
        k={float(N): refits.k[:, i] for i, N in enumerate(search.window.N)},
        E0={float(N): refits.E0[:, i] for i, N in enumerate(search.window.N)},
        note=_note(n, failed, on_bound, search.law.min_curves, fit.group, intervals),
    )


def leave_one_curve_out(fit: Fit, curves: Curves) -> LeaveOneOut:
    """Refit `fit` without each curve in turn; `curves` are those that were fitted.

    Raises DataError for a law without shared parameters.
    """
    search = _search(fit, curves)
    G = len(search.window.N)
    refits = _refit(search, 1.0 - np.eye(G))
    good = np.isfinite(refits.params).all(1)
    kept = refits.params[good]
    count = len(kept)
    spread = np.full(refits.params.shape[1], np.nan)
    if count > 1:
        spread = np.sqrt((count - 1) / count * ((kept - kept.mean(0)) ** 2).sum(0))
    names = [one.name for one in search.law.shared]
    return LeaveOneOut(
        N=search.window.N,
        params={name: refits.params[:, j] for j, name in enumerate(names)},
        se={name: float(spread[j]) for j, name in enumerate(names)},
        failed=G - count,
    )


@dataclass(frozen=True, eq=False)
class _Refits:
    params: NDArray[np.float64]
    k: NDArray[np.float64]
    E0: NDArray[np.float64]
    at_lower: NDArray[np.bool_]
    on_bound: NDArray[np.bool_]


def _search(fit: Fit, curves: Curves) -> Search:
    law = get_law(fit.law)
    if not isinstance(law, SharedSlopeLaw):
        raise DataError(
            f"{fit.law} shares no parameter between curves",
            expected="a law with shared parameters, e.g. loglinear_kn",
            found=fit.law,
            hint="leave `resample` out of this analysis",
        )
    return Search(law, fit.selection.window(curves), fit.space)


def _refit(search: Search, m: NDArray[np.float64]) -> _Refits:
    """Refit for multiplicities m (R, G); NaN where the curves do not determine the law."""
    # Draws repeat each other: seven curves have only 1,716 multisets.
    distinct, back = np.unique(m, axis=0, return_inverse=True)
    enough = (distinct > 0).sum(1) >= search.law.min_curves
    R, G, P = len(distinct), m.shape[1], len(search.lower)
    params, k, E0 = np.full((R, P), np.nan), np.full((R, G), np.nan), np.full((R, G), np.nan)
    at_lower, on_bound = np.zeros((R, P), dtype=bool), np.zeros(R, dtype=bool)
    if enough.any():
        found = search.minimise_all(distinct[enough])
        rows = np.flatnonzero(enough)[found.converged]
        z = found.z[found.converged]
        lines = search.lines(z)
        level = lines[1] if len(lines) == 2 else None
        params[rows] = np.stack(search.law.published(z, search.N_ref), axis=-1)
        k[rows] = lines[0]
        E0[rows] = search.curves.terms(lines[0], level).c + lines[0] * search.window.centre
        at_lower[rows] = (z <= search.lower) & search.bounded
        on_bound[rows] = (at_lower[rows] | ((z >= search.upper) & search.bounded)).any(1)
    back = back.reshape(-1)
    return _Refits(params[back], k[back], E0[back], at_lower[back], on_bound[back])


def _note(
    n: int,
    failed: int,
    on_bound: int,
    min_curves: int,
    group: str,
    intervals: dict[str, tuple[float, float]],
) -> str:
    parts = []
    if failed:
        parts.append(
            f"{failed} of {n} replicates left out: fewer than {min_curves} distinct {group}, "
            "or no convergence"
        )
    if on_bound:
        parts.append(f"in {on_bound} of {n} a parameter ran to a bound of the search")
    above = [name for name, (_, high) in intervals.items() if high == np.inf]
    below = [name for name, (low, _) in intervals.items() if low in (0.0, -np.inf)]
    if above:
        parts.append(f"the data set no upper end to {', '.join(above)}")
    if below:
        parts.append(f"the data set no lower end to {', '.join(below)}")
    return "; ".join(parts)
