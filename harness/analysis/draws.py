"""What a replicate of a fit is made of: curves, clusters, questions or residuals drawn anew.

| by | drawn with replacement | for |
|---|---|---|
| curve | whole curves | shared parameters of a law |
| seed, run, any column | its values, within each curve | several runs of each curve |
| question | questions, the same ones for all curves | rows by question |
| block | blocks of consecutive residuals, within each run | one run per curve |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.curves import Curves
from harness.analysis.estimator import Problems
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.analysis.estimator import Estimator
    from harness.analysis.fits import Fit

_NUMBERS = 1 << 21  # of one piece of the draws: 16 MiB
_MANY = 30  # things of which there are 10^16 different draws
_FEW = 10  # things to draw from below which their number is worth a word
CROSSED = ("question",)  # columns whose values are the same things in every curve


@dataclass(frozen=True, eq=False)
class Drawn:
    """How the replicates of one fit come about.

    estimator: the problem that is refitted. pieces: problems, a few replicates at a time, and
    which of those replicates determine the law at all (r,). clusters: how many things there were
    to draw from. block: points of a block. notes: what the reader of an interval has to know. ways:
    how many different draws that determine the law there are, inf for very many.
    """

    estimator: Estimator
    pieces: Iterator[tuple[Problems, NDArray[np.bool_]]]
    clusters: int
    block: int | None = None
    notes: list[str] = field(default_factory=list)
    ways: float = math.inf


Scheme = Callable[["Fit", Curves, int, np.random.Generator, "int | None"], Drawn]
"""Draws n replicates of a fit to curves; the last argument is the length of a block."""


def by_curve(
    fit: Fit, curves: Curves, n: int, rng: np.random.Generator, _block: int | None
) -> Drawn:
    """Whole curves; a replicate with fewer distinct ones than the law needs determines nothing."""
    estimator = fit.estimator(curves)
    G, least = estimator.G, estimator.law.min_curves

    def pieces() -> Iterator[tuple[Problems, NDArray[np.bool_]]]:
        m = multiplicities(G, n, rng)
        for part in _parts(n, G):
            yield (
                Problems(m[part], estimator.window.curve),
                np.asarray((m[part] > 0).sum(1) >= least),
            )

    return Drawn(estimator, pieces(), G, notes=_few(G, "curves"), ways=_ways(G, least))


def _ways(m: int, least: int = 1) -> float:
    """How many multisets of m of m things there are that hold `least` different ones or more."""
    if m > _MANY:
        return math.inf
    # k things are chosen, and each is drawn at least once.
    return sum(math.comb(m, k) * math.comb(m - 1, k - 1) for k in range(max(least, 1), m + 1))


def _few(m: int, things: str) -> list[str]:
    """A note that says how much too narrow intervals drawn from m things are, if they are few."""
    if not 1 < m < _FEW:
        return []
    # The variance of m drawn values is (m - 1) / m of theirs.
    lost = 1 - math.sqrt(1 - 1 / m)
    return [
        f"{m} {things}: drawn from so few, the intervals are about {100 * lost:.0f}% too narrow"
    ]


def multiplicities(G: int, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each of G curves is in each of n draws of G: (n, G)."""
    drawn = rng.integers(G, size=(n, G))
    return np.asarray((drawn[:, :, None] == np.arange(G)).sum(1).astype(float))


def by_column(column: str) -> Scheme:
    """Values of a column, such as seeds: within each curve as many as there are.

    A law that shares all its parameters may have curves of a single run, down to every point a
    run of its own; then runs are drawn from all curves together.
    """

    def scheme(
        fit: Fit, curves: Curves, n: int, rng: np.random.Generator, _block: int | None
    ) -> Drawn:
        estimator = fit.estimator(curves)
        window, law = estimator.window, estimator.law
        names, value = np.unique(curves[column][window.rows], return_inverse=True)
        pairs, cluster = np.unique(window.curve * len(names) + value, return_inverse=True)
        of_curve = pairs // len(names)
        each = np.bincount(of_curve, minlength=estimator.G)
        notes = []
        lone = np.flatnonzero(each == 1)
        strata = of_curve
        if len(lone) and not estimator.form.own:
            strata, each = np.zeros(len(pairs), dtype=np.intp), np.array([len(pairs)])
        elif len(lone) == len(each):
            raise DataError(
                f"every curve has a single {column}",
                expected=f"several values of {column} in a curve",
                found=f"{fit.group}={window.N[0]:g} has one",
                hint="by: block draws stretches of the one run, and by: curve whole curves",
            )
        elif len(lone):
            told = ", ".join(f"{window.N[i]:g}" for i in lone[:4])
            more = ", ..." if len(lone) > 4 else ""
            notes.append(
                f"one {column} only for {fit.group}={told}{more}: its variance is in no interval"
            )
        notes += _few(int(each.max()), f"values of {column} in a curve")
        K = len(pairs)
        first = np.cumsum(each) - each
        of_each = np.unique(of_curve, return_index=True)[1]
        # The law's own parameters of a curve need points of it; strata see to that.
        least = law.min_curves if len(each) == 1 else 0

        def pieces() -> Iterator[tuple[Problems, NDArray[np.bool_]]]:
            for part in _parts(n, K):
                r = part.stop - part.start
                # Row by row, so that more replicates keep the first ones.
                drawn = first[strata] + (rng.random((r, K)) * each[strata]).astype(np.intp)
                flat = (np.arange(r)[:, None] * K + drawn).ravel()
                factors = np.bincount(flat, minlength=r * K).reshape(r, K).astype(float)
                there = np.logical_or.reduceat(factors > 0, of_each, axis=1).sum(1)
                yield Problems(factors, cluster), np.asarray(there >= least)

        ways = math.prod(_ways(int(m), least) for m in each)
        return Drawn(estimator, pieces(), K, notes=notes, ways=ways)

    return scheme


def by_question(column: str) -> Scheme:
    """Values of a column that every curve shares, of whose means the fit's points are made."""

    def scheme(
        fit: Fit, curves: Curves, n: int, rng: np.random.Generator, _block: int | None
    ) -> Drawn:
        points, sums, counts = _by_point(fit, curves, column)
        window = fit.selection.window(points)
        if len(window.x) != fit.n:
            raise DataError(
                f"the fit was not made to means over {column}",
                expected=f"{len(window.x)} points, one for each {fit.group} and {fit.x}",
                found=f"{fit.n} points",
                hint=f'fit(mean_over(curves, "{column}", ...), ...), then resample with all rows',
            )
        estimator = fit.estimator(points)
        sums, counts = sums[:, window.rows], counts[:, window.rows]
        Q = len(sums)

        def pieces() -> Iterator[tuple[Problems, NDArray[np.bool_]]]:
            for part in _parts(n, max(Q, len(window.x))):
                r = part.stop - part.start
                drawn = (np.arange(r)[:, None] * Q + rng.integers(Q, size=(r, Q))).ravel()
                times = np.bincount(drawn, minlength=r * Q).reshape(r, Q).astype(float)
                with np.errstate(invalid="ignore"):  # a point without a question determines nothing
                    y = (times @ sums) / (times @ counts)
                yield _observed(estimator, y)

        return Drawn(estimator, pieces(), Q, notes=_few(Q, "questions"), ways=_ways(Q))

    return scheme


def mean_over(
    curves: Curves, column: str, *, group: str, x: str, y: str, run: str | None = None
) -> Curves:
    """Points of rows by question: the mean of y for each value of group, x and run."""
    table = Curves.of(curves)
    return _means(table, column, [group, x] + ([run] if run else []), y)[0]


def by_block(
    fit: Fit, curves: Curves, n: int, rng: np.random.Generator, block: int | None
) -> Drawn:
    """Moving blocks of residuals (Kuensch 1989) of each run, put on the fitted curve.

    Residuals are taken in the space of the fit, centred curve by curve (at the mean, or the
    median where the loss is not squares) and widened by sqrt(n / (n - p)), since the fit has
    drawn them towards 0.
    """
    estimator = fit.estimator(curves)
    window, space = estimator.window, estimator.space
    fitted = estimator.predicted(estimator.coordinates_of(fit))
    residual = space.residual(fitted, window.L)
    strand = window.curve
    if fit.run is not None:
        _, value = np.unique(Curves.of(curves)[fit.run][window.rows], return_inverse=True)
        _, strand = np.unique(strand * (value.max() + 1) + value, return_inverse=True)
    # Points of one run in a row, each run in the order of x.
    order = np.argsort(strand, kind="stable")
    lengths = np.bincount(strand)
    middle = np.mean if estimator.loss.name == "squares" else np.median
    wide = math.sqrt(fit.n / fit.dof) if fit.dof > 0 else 1.0
    ends = np.cumsum(window.n)
    centred = residual.copy()
    for i, end in enumerate(ends):
        part = slice(int(end - window.n[i]), int(end))
        centred[part] = wide * (residual[part] - middle(residual[part]))
    firsts = np.cumsum(lengths) - lengths
    runs = np.split(centred[order], firsts[1:])
    length = block if block is not None else block_length(runs)
    note = (
        f"blocks of {length} steps within each run: the variance between runs is not in the "
        "intervals, which are a lower bound"
    )

    def pieces() -> Iterator[tuple[Problems, NDArray[np.bool_]]]:
        at = np.minimum(length, lengths)
        count = -(-lengths // at)
        run = np.repeat(np.arange(len(runs)), count)
        # Of every point: the block it stands in, and its place there.
        place = np.arange(len(order)) - np.repeat(firsts, lengths)
        own = np.repeat(at, lengths)
        of = np.repeat(np.cumsum(count) - count, lengths) + place // own
        for part in _parts(n, len(order)):
            u = rng.random((part.stop - part.start, len(run)))
            start = firsts[run] + (u * (lengths - at + 1)[run]).astype(np.intp)
            moved = np.empty((len(u), len(order)))
            moved[:, order] = centred[order][start[:, of] + place % own]
            yield _observed(estimator, _BACK[space.name](fitted, moved))

    return Drawn(estimator, pieces(), len(runs), block=length, notes=[note])


def block_length(runs: list[NDArray[np.float64]]) -> int:
    """Points of a block: ceil(n^(1/3)), or more if the residuals' correlation asks for it.

    The second is the rule of Politis and White (2004, as corrected by Patton et al. 2009) for
    blocks that may overlap, from autocovariances pooled over the runs; a third of the shortest
    run is the most. n is the length of a middling run.
    """
    n = int(np.median([len(one) for one in runs]))
    most = max(min(len(one) for one in runs) // 3, 1)
    least = math.ceil(n ** (1 / 3))
    lags = max(min(n // 2, 200), 1)
    total = sum(float((one * one).sum()) for one in runs)
    if total == 0.0 or n < 4:
        return int(min(least, most))
    rho = np.array(
        [sum(float((one[lag:] * one[: -lag or None]).sum()) for one in runs) for lag in range(lags)]
    )
    rho /= total
    quiet = np.abs(rho[1:]) < 2 * math.sqrt(math.log10(n) / n)
    needed = max(5, math.ceil(math.sqrt(math.log10(n))))
    last = next((lag for lag in range(len(quiet)) if quiet[lag : lag + needed].all()), len(quiet))
    lag = np.arange(1, min(2 * max(last, 1), lags - 1) + 1)
    window = np.clip(2 * (1 - lag / (2 * max(last, 1))), 0, 1)
    G = 2 * float((window * lag * rho[lag]).sum())
    D = 4 / 3 * (1 + 2 * float((window * rho[lag]).sum())) ** 2
    if D > 0:
        least = max(least, math.ceil((2 * G * G / D) ** (1 / 3) * n ** (1 / 3)))
    return int(min(least, most))


SCHEMES: dict[str, Scheme] = {"curve": by_curve, "block": by_block}


def scheme_of(by: str, curves: Curves) -> Scheme:
    """The scheme of a name, or of a column of the curves.

    Raises DataError that lists both for any other name.
    """
    if by in SCHEMES:
        return SCHEMES[by]
    if by not in curves.names:
        near = get_close_matches(by, [*SCHEMES, *curves.names], 1, cutoff=0.5)
        raise DataError(
            f"there is nothing named {by!r} to draw",
            expected="curve, block, or a column: " + ", ".join(curves.names),
            found=by,
            hint=f'did you mean by="{near[0]}"?' if near else 'by="curve" draws whole curves',
        )
    return by_question(by) if by in CROSSED else by_column(by)


def _parts(n: int, width: int) -> Iterator[slice]:
    rows = max(_NUMBERS // max(width, 1), 1)
    for start in range(0, n, rows):
        yield slice(start, min(start + rows, n))


# The y that has residual r about f, in each space.
_BACK: dict[str, Callable[..., NDArray[np.float64]]] = {
    "linear": lambda f, r: f - r,
    "log10": lambda f, r: f * 10.0**-r,
    "relative": lambda f, r: f / (1.0 + r),
}


def _observed(estimator: Estimator, y: NDArray[np.float64]) -> tuple[Problems, NDArray[np.bool_]]:
    """Problems of other observations; those that the space cannot take determine nothing."""
    good = np.asarray(np.isfinite(y).all(1))
    if estimator.space.positive:
        good &= (y > 0).all(1)
    return Problems(observed=np.where(good[:, None], y, estimator.window.L)), good


def _by_point(
    fit: Fit, curves: Curves, column: str
) -> tuple[Curves, NDArray[np.float64], NDArray[np.float64]]:
    return _means(curves, column, [fit.group, fit.x] + ([fit.run] if fit.run else []), fit.y)


def _means(
    curves: Curves, column: str, by: list[str], y: str
) -> tuple[Curves, NDArray[np.float64], NDArray[np.float64]]:
    """Means over `column` for each combination of `by`, with sums and counts (Q, points)."""
    which = np.zeros(len(curves), dtype=np.intp)
    for name in by:
        level, code = np.unique(curves[name], return_inverse=True)
        which = which * len(level) + code
    _, first, point = np.unique(which, return_index=True, return_inverse=True)
    questions, question = np.unique(curves[column], return_inverse=True)
    sums = np.zeros((len(questions), len(first)))
    counts = np.zeros_like(sums)
    np.add.at(sums, (question, point), curves[y])
    np.add.at(counts, (question, point), 1.0)
    means = {name: curves[name][first] for name in by}
    return Curves({**means, y: sums.sum(0) / counts.sum(0)}), sums, counts
