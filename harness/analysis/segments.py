"""Straight lines broken where the squares are least: dynamic programming over all breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDING = 1e-12  # of the sum of squares: what the cumulative sums leave of an exact line


@dataclass(frozen=True, eq=False)
class Segments:
    """Lines fitted between breaks.

    starts: (K,) index of the first point of each segment. edges: (K - 1,) where one ends and
    the next begins, halfway between their points. level, slope: (K,), of y = level + slope u.
    bic: n ln(squares / n) + (3 K - 1) ln n: two parameters a line and the breaks.
    """

    starts: NDArray[np.intp]
    edges: NDArray[np.float64]
    level: NDArray[np.float64]
    slope: NDArray[np.float64]
    bic: float

    def predict(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """The line of the segment that each u falls into."""
        i = np.searchsorted(self.edges, u, side="right")
        return np.asarray(self.level[i] + self.slope[i] * u)


def segmented(
    u: NDArray[np.float64],
    y: NDArray[np.float64],
    w: NDArray[np.float64],
    *,
    most: int,
    least_points: int,
) -> Segments:
    """The best lines for 1 to `most` segments (Bellman 1961), of which BIC chooses.

    u: (n,) ascending and distinct, w: (n,) weights. A segment has `least_points` points or
    more. All O(n^2) lines come from cumulative sums; the programme is O(most n^2).
    """
    n, least = len(u), max(least_points, 2)
    centre = u.mean()
    cost = _costs(u - centre, y - y.mean(), w, least)
    K = max(min(most, n // least), 1)
    best = np.full((K, n), np.inf)  # of the points up to and with each one
    previous = np.zeros((K, n), dtype=np.intp)
    best[0] = cost[0]
    for k in range(1, K):
        through = best[k - 1, :-1, None] + cost[1:]
        previous[k] = through.argmin(0) + 1
        best[k] = through.min(0)
    total = float((w * (y - np.average(y, weights=w)) ** 2).sum())
    squares = np.maximum(best[:, -1], _ROUNDING * total + np.finfo(float).tiny)
    bic = n * np.log(squares / n) + (3 * np.arange(1, K + 1) - 1) * np.log(n)
    chosen = int(bic.argmin())
    starts, end = [], n - 1
    for k in range(chosen, 0, -1):
        starts.append(int(previous[k, end]))
        end = starts[-1] - 1
    first = np.array([0, *reversed(starts)])
    lines = [
        np.polynomial.polynomial.polyfit(u[a:b] - centre, y[a:b], 1, w=np.sqrt(w[a:b]))
        for a, b in zip(first, [*first[1:], n], strict=True)
    ]
    level, slope = np.array(lines).T
    return Segments(
        starts=first,
        edges=(u[first[1:]] + u[first[1:] - 1]) / 2,
        level=level - slope * centre,
        slope=slope,
        bic=float(bic[chosen]),
    )


def _costs(
    u: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64], least: int
) -> NDArray[np.float64]:
    """Squares about the line through the points i to j with both ends, (n, n); inf if too few."""
    n = len(u)
    powers = np.stack([np.ones(n), u, y, u * u, u * y, y * y]) * w
    sums = np.concatenate([np.zeros((6, 1)), np.cumsum(powers, axis=1)], axis=1)
    W, U, Y, UU, UY, YY = sums[:, None, 1:] - sums[:, :-1, None]
    i = np.arange(n)
    long_enough = i - i[:, None] + 1 >= least
    W = np.where(long_enough, W, 1.0)
    spread = np.where(long_enough, UU - U * U / W, 1.0)
    squares = YY - Y * Y / W - (UY - U * Y / W) ** 2 / spread
    return np.where(long_enough, np.maximum(squares, 0.0), np.inf)
