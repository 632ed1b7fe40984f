"""Uncertainty by drawing again: curves, runs, questions or blocks of residuals, each refitted.

The points of one learning curve depend on each other, so that drawing points would pretend to
far more information than there is. What is drawn is a thing that is independent of the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from harness.analysis.arguments import whole
from harness.analysis.curves import Curves
from harness.analysis.draws import Drawn, multiplicities, scheme_of
from harness.analysis.estimator import Problems
from harness.analysis.laws import SharedSlopeLaw
from harness.analysis.optimum import find, is_fast
from harness.analysis.polish import finish
from harness.analysis.search import Search
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from harness.analysis.estimator import Estimator
    from harness.analysis.fits import Fit

LEVEL = 0.95
LEAST_WAYS = round(2 / (1 - LEVEL))  # different draws, for one of them to lie beyond either end
MOST_DROPPED = 1 - LEVEL  # share of draws; were more on one side, that end would be theirs
_WIDTH = 1e-9  # relative: that of replicates which differ by rounding
_RIVAL = 1.05  # other basins of the fit whose F is so close are refitted too
_RIVALS = 3
_Key = TypeVar("_Key", str, float)


@dataclass(frozen=True, eq=False)
class Resample:
    """Refits of one fit to what was drawn with replacement.

    method: what was drawn: "curve", "block" or a column. n: replicates drawn. failed: replicates
    that do not determine the law, or that did not converge; they are in no interval. on_bound:
    replicates, among the others, in which a parameter ran to a bound of the search. clusters:
    how many curves, runs or questions there were to draw from. block: points of a block.
    intervals: the central 95 % of each shared parameter; an end beyond which all replicates ran
    to a bound is open: inf above, below 0 for a positive parameter and -inf for another.
    intervals_by_curve: the same for each parameter of a curve, by N; ends are never open. Both ends
    are NaN where an interval is withheld, and a flag says why.
    flags: few_units (fewer than 40 different draws determine the law, as of less than five curves:
    nothing lies beyond the ends of a central 95 %), many_dropped (more than 5 % of the replicates
    failed: the rest are no sample of all), both withholding every interval and band; no_spread:P
    (all replicates have the same P, or P of some curve: nothing that was drawn moves it).
    draws: one value per replicate, NaN where failed. by_curve: by parameter and N, likewise;
    where the curve was not drawn, the best on its own points. k, E0: those of straight lines by
    N, empty for other laws.
    note: says in words what is withheld, what failed, what ran to bounds, which ends are open and
    what is in no interval; empty if there is nothing to say.
    """

    method: str
    n: int
    seed: int
    failed: int
    on_bound: int
    clusters: int
    block: int | None
    intervals: dict[str, tuple[float, float]]
    intervals_by_curve: dict[str, dict[float, tuple[float, float]]]
    draws: dict[str, NDArray[np.float64]]
    by_curve: dict[str, dict[float, NDArray[np.float64]]]
    k: dict[float, NDArray[np.float64]]
    E0: dict[float, NDArray[np.float64]]
    note: str
    flags: tuple[str, ...]
    _refits: _Refits = field(repr=False)

    @property
    def withheld(self) -> bool:
        """Whether there is no interval and no band at all."""
        return "few_units" in self.flags or "many_dropped" in self.flags

    def __repr__(self) -> str:
        """What was drawn and the intervals of shared parameters; thousands of draws say nothing."""
        told = ", ".join(
            f"{name} {low:.4g} to {high:.4g}" for name, (low, high) in self.intervals.items()
        )
        parts = [
            f"by {self.method}, {self.n - self.failed} of {self.n} replicates from {self.clusters}",
            *([told] if told and not self.withheld else []),
            *([self.note] if self.note else []),
        ]
        return f"<Resample {'; '.join(parts)}>"

    def predictions(self, x: ArrayLike, N: float) -> NDArray[np.float64]:
        """What every replicate that did not fail predicts at X = x: (replicates, *x.shape).

        Of a curve that was fitted; raises DataError for another N.
        """
        sizes = self._refits.estimator.window.N
        if N not in sizes:
            raise DataError(
                f"no replicate knows the curve N={N:g}",
                expected="one of " + ", ".join(f"{size:g}" for size in sizes),
                found=f"{N:g}",
                hint="draw bands for fitted curves only",
            )
        at = np.asarray(x, dtype=float)
        z = self._refits.z[np.isfinite(self._refits.z).all(1)]
        curve = int(np.flatnonzero(sizes == N)[0])
        found = self._refits.estimator.predicted_at(z, at.reshape(-1), curve)
        return found.reshape(len(z), *at.shape)

    def band(
        self, x: ArrayLike, N: float, level: float = LEVEL
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest L at each X = x, between which `level` of the replicates lie.

        Pointwise, of the fitted line, for a curve that was fitted: the scatter of single
        points about the line is not in it. NaN where intervals are withheld. Raises DataError for
        another N.
        """
        tail = 50.0 * (1.0 - level)
        low, high = np.percentile(self.predictions(x, N), [tail, 100.0 - tail], axis=0)
        if self.withheld:
            low, high = np.full_like(low, np.nan), np.full_like(high, np.nan)
        return low, high


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


def resample(
    fit: Fit,
    curves: Curves,
    *,
    by: str = "curve",
    n: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> Resample:
    """Refit `fit` to `n` draws, each to its own optimum.

    `curves` are those that were fitted. `by`: "curve", whole curves; a column such as "seed", its
    values within each curve; "question", the same draw of questions for all curves, where
    `curves` has a row for each question and the fit was made to means (`mean_over`); "block",
    blocks of `block` consecutive residuals of each run. The same `seed` gives the same draws.

    Raises DataError for a draw of curves under a law without shared parameters, for a `by` that
    is no column, for fewer than one replicate, for a block that is none, and if every replicate
    fails.
    """
    curves = Curves.of(curves)
    if by == "curve":
        _check_shared(fit)
    n = whole("n, the number of replicates,", n, 1, hint="n: 1000")
    seed = whole("the seed", seed, 0, hint="seed: 0")
    if block is not None:
        hint = "leave `block` out: its length then follows from the residuals"
        block = whole("the length of a block", block, 1, hint=hint)
        if by != "block":
            raise DataError(
                "a block is drawn with by: block only",
                expected="by: block",
                found=f"block={block}, by={by}",
                hint=hint,
            )
    rng = np.random.default_rng(seed)
    drawn = scheme_of(by, curves)(fit, curves, n, rng, block)
    if by == "curve" and is_fast(drawn.estimator):
        # Lines have their levels in closed form, and a grid that sees every basin.
        refits = _refit_lines(drawn.estimator, multiplicities(drawn.estimator.G, n, rng))
    else:
        refits = _refit(drawn, n, own_points=by == "curve")
    good = np.asarray(np.isfinite(refits.z).all(1))
    failed, on_bound = int((~good).sum()), int(refits.on_bound[good].sum())
    if failed == n:
        raise DataError(
            f"none of {n} replicates determines {fit.law}",
            expected=f"{drawn.estimator.law.min_curves} distinct {fit.group} in a draw, and a fit "
            "that converges",
            found=f"{drawn.clusters} to draw from",
            hint="look at the flags of the fit; fit more points or curves, or leave `resample` out",
        )
    flags = _withheld(n, failed, drawn)
    shared, own = drawn.estimator.parameters(refits.z)
    ends = _ends(refits, good, list(shared.values()))
    intervals = {name: (low, high) for name, (low, high) in zip(shared, ends, strict=True)}
    sizes = [float(N) for N in drawn.estimator.window.N]
    tails = [50.0 * (1.0 - LEVEL), 50.0 * (1.0 + LEVEL)]
    by_size = {
        name: {
            N: (float(low), float(high))
            for N, (low, high) in zip(
                sizes, np.percentile(values[good], tails, axis=0).T, strict=True
            )
        }
        for name, values in own.items()
    }
    notes = _notes(fit, by, n, failed, on_bound, intervals, drawn, flags)
    still = dict.fromkeys(_withhold(intervals, everything=bool(flags)), "")
    for name, of_curves in by_size.items():
        if alike := _withhold(of_curves, everything=bool(flags)):
            of_some = ", ".join(f"{N:g}" for N in alike)
            still[name] = f" of {fit.group}={of_some}" if len(alike) < len(sizes) else ""
    if still and not flags:
        told = ", ".join(name + of_some for name, of_some in still.items())
        notes.append(f"no_spread: no interval where all replicates agree: {told}")
        flags += [f"no_spread:{name}" for name in still]
    by_curve = {
        name: {N: values[:, i] for i, N in enumerate(sizes)} for name, values in own.items()
    }
    return Resample(
        method=by,
        n=n,
        seed=seed,
        failed=failed,
        on_bound=on_bound,
        clusters=drawn.clusters,
        block=drawn.block,
        intervals=intervals,
        intervals_by_curve=by_size,
        draws=dict(shared),
        by_curve=by_curve,
        k=by_curve.get("k", {}),
        E0=by_curve.get("E0", {}),
        note="; ".join(notes),
        flags=tuple(flags),
        _refits=refits,
    )


def leave_one_curve_out(fit: Fit, curves: Curves) -> LeaveOneOut:
    """Refit `fit` without each curve in turn; `curves` are those that were fitted.

    Raises DataError for a law without shared parameters.
    """
    _check_shared(fit)
    estimator = fit.estimator(curves)
    m = 1.0 - np.eye(estimator.G)
    if is_fast(estimator):
        refits = _refit_lines(estimator, m)
    else:
        enough = (m > 0).sum(1) >= estimator.law.min_curves
        pieces = iter([(Problems(m, estimator.window.curve), enough)])
        refits = _refit(Drawn(estimator, pieces, estimator.G), estimator.G, own_points=True)
    params = {name: np.asarray(v) for name, v in estimator.parameters(refits.z)[0].items()}
    good = np.isfinite(refits.z).all(1)
    count = int(good.sum())
    return LeaveOneOut(
        N=estimator.window.N,
        params=params,
        se={name: _jackknife(values[good]) for name, values in params.items()},
        failed=estimator.G - count,
    )


def _jackknife(kept: NDArray[np.float64]) -> float:
    count = len(kept)
    if count < 2:
        return float("nan")
    return float(np.sqrt((count - 1) / count * ((kept - kept.mean()) ** 2).sum()))


@dataclass(frozen=True, eq=False)
class _Refits:
    """z: (R, M), NaN where the draw does not determine the law. at_lower: (R, P) shared
    coordinates on their lower bound. on_bound: (R,) whether any coordinate is on one.
    """

    estimator: Estimator
    z: NDArray[np.float64]
    at_lower: NDArray[np.bool_]
    on_bound: NDArray[np.bool_]


def _refits(estimator: Estimator, z: NDArray[np.float64]) -> _Refits:
    at_lower = np.isfinite(estimator.lower) & (z <= estimator.lower)
    at_upper = np.isfinite(estimator.upper) & (z >= estimator.upper)
    on_bound = np.asarray((at_lower | at_upper).sum(1) > 0)
    return _Refits(estimator, z, at_lower[:, : estimator.form.shared], on_bound)


def _check_shared(fit: Fit) -> None:
    if not fit.params:
        raise DataError(
            f"{fit.law} shares no parameter between curves",
            expected="a law with shared parameters, e.g. loglinear_kn",
            found=fit.law,
            hint="draw within curves: by: seed where there are several runs of each, by: block "
            "where there is one",
        )


def _refit(drawn: Drawn, n: int, *, own_points: bool) -> _Refits:
    """Refit every piece from the optimum of all points, and from rivals that are close to it.

    own_points: parameters of a curve that is not in a draw are the best on its own points.
    """
    estimator = drawn.estimator
    optimum = find(estimator)
    starts = [optimum.z]
    if len(optimum.basins) > 1:
        F = estimator.value(optimum.basins)
        starts = list(optimum.basins[F <= _RIVAL * optimum.F][:_RIVALS])
    z = np.full((n, estimator.size), np.nan)
    first = 0
    for problems, good in drawn.pieces:
        rows = np.flatnonzero(good)
        if len(rows):
            some = problems.only(rows)
            ends = [estimator.minimise(start, some) for start in starts]
            ends = [finish(estimator, end, some) for end in ends]
            best = np.argmin([np.where(end.converged, end.F, np.inf) for end in ends], axis=0)
            found = np.array([end.z for end in ends])[best, np.arange(len(rows))]
            converged = np.array([end.converged for end in ends])[best, np.arange(len(rows))]
            if own_points and estimator.form.own:
                held = np.arange(estimator.size) < estimator.form.shared
                own = estimator.minimise(found, Problems(), held=held)
                own = finish(estimator, own, Problems(), held)
                found, converged = own.z, converged & own.converged
            z[first + rows[converged]] = found[converged]
        first += len(good)
    return _refits(estimator, z)


def _refit_lines(estimator: Estimator, m: NDArray[np.float64]) -> _Refits:
    """Refit straight lines for multiplicities m (R, G) of their curves, searched from a grid."""
    assert isinstance(estimator.law, SharedSlopeLaw)
    search = Search(estimator.law, estimator.window, estimator.space.name)
    # Draws repeat each other: seven curves have only 1,716 multisets.
    distinct, back = np.unique(m, axis=0, return_inverse=True)
    enough = (distinct > 0).sum(1) >= search.law.min_curves
    z = np.full((len(distinct), estimator.size), np.nan)
    if enough.any():
        found = search.minimise_all(distinct[enough])
        rows, shared = np.flatnonzero(enough)[found.converged], found.z[found.converged]
        z[rows] = np.concatenate([shared, search.levels(shared)], axis=1)
    return _refits(estimator, z[back.reshape(-1)])


def _ends(
    refits: _Refits, good: NDArray[np.bool_], values: list[NDArray[np.float64]]
) -> list[tuple[float, float]]:
    """The central 95 % of each shared parameter (R,), its ends open where only a bound is one."""
    tail = 50.0 * (1.0 - LEVEL)
    found = []
    for j, draws in enumerate(values):
        kept, on_bound = draws[good], refits.on_bound[good]
        low, high = (float(end) for end in np.percentile(kept, [tail, 100.0 - tail]))
        # K_max is known where N0 runs to 0, so a positive parameter goes by its own bound.
        ended = on_bound if low < 0 else refits.at_lower[good, j]
        open_below, open_above = ended[kept <= low].all(), on_bound[kept >= high].all()
        if open_below:
            low = -np.inf if low < 0 else 0.0
        # Where only the search's bound ends the interval, the data do not.
        found.append((low, np.inf if open_above else high))
    return found


def _withheld(n: int, failed: int, drawn: Drawn) -> list[str]:
    """Flags that leave no interval."""
    return [
        *(["few_units"] if drawn.ways < LEAST_WAYS else []),
        *(["many_dropped"] if failed > MOST_DROPPED * n else []),
    ]


def _withhold(ends: dict[_Key, tuple[float, float]], *, everything: bool) -> list[_Key]:
    """Withhold intervals of no width, or `everything`; which have no width."""
    still = [
        key
        for key, (low, high) in ends.items()
        if high < np.inf and high - low <= _WIDTH * max(abs(low), abs(high))
    ]
    for key in ends if everything else still:
        ends[key] = (np.nan, np.nan)
    return still


def _notes(
    fit: Fit,
    by: str,
    n: int,
    failed: int,
    on_bound: int,
    intervals: Mapping[str, tuple[float, float]],
    drawn: Drawn,
    flags: list[str],
) -> list[str]:
    parts = []
    if "few_units" in flags:
        ways = int(drawn.ways)
        parts.append(
            f"few_units: no interval, since {drawn.clusters} things to draw from give {ways} "
            f"different draw{'s' * (ways != 1)} that determine{'s' * (ways == 1)} {fit.law}, and "
            f"the ends of a central {LEVEL:.0%} take {LEAST_WAYS}"
        )
    if "many_dropped" in flags:
        parts.append(
            f"many_dropped: no interval, since more than {MOST_DROPPED:.0%} of the replicates are "
            "left out"
        )
    if failed:
        few = f"fewer than {drawn.estimator.law.min_curves} distinct {fit.group}, or "
        why = few if by == "curve" else ""
        parts.append(f"{failed} of {n} replicates left out: {why}no convergence")
    if on_bound:
        parts.append(f"in {on_bound} of {n} a parameter ran to a bound of the search")
    if flags:
        return [*parts, *drawn.notes]
    above = [name for name, (_, high) in intervals.items() if high == np.inf]
    below = [name for name, (low, _) in intervals.items() if low in (0.0, -np.inf)]
    if above:
        parts.append(f"the data set no upper end to {', '.join(above)}")
    if below:
        parts.append(f"the data set no lower end to {', '.join(below)}")
    return [*parts, *drawn.notes]
