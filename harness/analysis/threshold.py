"""When a curve reaches a level: read off its isotonic regression, so that no dip counts twice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.arguments import real, whole
from harness.analysis.smoothing import distinct_points, isotonic

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95


@dataclass(frozen=True)
class Crossing:
    """When a curve reaches `level`.

    x: the first abscissa at which it does, inf if it never does. low, high: ends of the 95 %
    interval of the bootstrap, None without one; inf where the replicates never reach the level.
    never: share of replicates that never do. at_first_point: the level was reached before the
    first point, so that x is an upper limit.
    """

    x: float
    level: float
    low: float | None = None
    high: float | None = None
    never: float | None = None
    at_first_point: bool = False


def time_to_threshold(
    x: ArrayLike,
    y: ArrayLike,
    level: float,
    *,
    decreasing: bool = True,
    resamples: int = 0,
    seed: int = 0,
) -> Crossing:
    """First x at which the monotone curve nearest to the points reaches `level`.

    The curve is linear in ln x between points. With `resamples`, residuals are drawn in blocks of
    ceil(n^(1/3)) consecutive points, since those of one run depend on each other, put on the
    curve, and the crossing is read off again; the variance between runs is not in that interval.

    Raises DataError for points that cannot be smoothed in log x, a level that is not finite, and
    resamples or a seed that are no whole numbers of 0 or more.
    """
    level = real("the level", level, hint="give the level in the unit of y")
    resamples = whole("resamples", resamples, 0, hint="resamples=1000, or 0 for no interval")
    seed = whole("the seed", seed, 0, hint="seed=0")
    points = distinct_points(x, y)
    curve = isotonic(points.y, points.w, decreasing=decreasing)
    sign = 1.0 if decreasing else -1.0
    crossing = _first(points.u, sign * curve, sign * level)
    at_first_point = bool(sign * curve[0] <= sign * level)
    if not resamples:
        return Crossing(crossing, level, at_first_point=at_first_point)
    drawn = _blocks(points.y - curve, resamples, np.random.default_rng(seed))
    times = np.array(
        [
            _first(points.u, sign * isotonic(one, points.w, decreasing=decreasing), sign * level)
            for one in curve + drawn
        ]
    )
    tail = (1 - LEVEL) / 2
    # By order statistics: between a number and inf there is nothing to interpolate.
    low, high = np.quantile(times, [tail, 1 - tail], method="inverted_cdf")
    never = float(np.isinf(times).mean())
    return Crossing(crossing, level, float(low), float(high), never, at_first_point)


def _first(u: NDArray[np.float64], falling: NDArray[np.float64], level: float) -> float:
    reached = falling <= level
    if not reached.any():
        return math.inf
    i = int(reached.argmax())
    if i == 0:
        return float(np.exp(u[0]))
    share = (falling[i - 1] - level) / (falling[i - 1] - falling[i])
    return float(np.exp(u[i - 1] + share * (u[i] - u[i - 1])))


def _blocks(
    residual: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Residuals (resamples, n) put together from blocks of consecutive ones, centred."""
    n = len(residual)
    length = math.ceil(n ** (1 / 3))
    starts = rng.integers(n - length + 1, size=(resamples, math.ceil(n / length)))
    places = (starts[..., None] + np.arange(length)).reshape(resamples, -1)[:, :n]
    return np.asarray((residual - residual.mean())[places])
