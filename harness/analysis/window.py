"""The rows that a fit uses: one padded row of points per curve, checked and weighted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import DataError, SuiteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.curves import Curves

WEIGHTS = ("per_curve", "per_point")
SPACES = ("linear", "log10")


@dataclass(frozen=True, eq=False)
class Window:
    """G curves of at most T points; points past a curve's end have weight 0.

    N: (G,) sizes, ascending. u: (G, T) log10 X. L: (G, T) loss. w: (G, T) weights; their sum
    is 1 over all points. centre: (G,) weighted mean of u, the pivot of each line. n: (G,)
    points per curve.
    """

    N: NDArray[np.float64]
    u: NDArray[np.float64]
    L: NDArray[np.float64]
    w: NDArray[np.float64]
    centre: NDArray[np.float64]
    n: NDArray[np.intp]

    @property
    def used(self) -> NDArray[np.bool_]:
        """(G, T): which places hold a point."""
        return np.arange(self.u.shape[1]) < self.n[:, None]


@dataclass(frozen=True)
class Selection:
    """How rows become a window; a fit keeps it, so that other rows can be treated alike.

    Rows of one curve are ordered by `x`, those of equal `x` as they stand, before `drop_first`
    and `drop_last` count them.
    """

    x: str = "C"
    y: str = "ErrRate"
    group: str = "N"
    weights: str = "per_curve"
    space: str = "linear"
    drop_first: int = 0
    drop_last: int = 0

    def __post_init__(self) -> None:
        for key, value, known in (
            ("weights", self.weights, WEIGHTS),
            ("space", self.space, SPACES),
        ):
            if value not in known:
                raise SuiteError(
                    f"{key} is not known",
                    expected=" or ".join(known),
                    found=repr(value),
                    hint=f"write {key}: {known[0]}",
                )
        for key, count in (("drop_first", self.drop_first), ("drop_last", self.drop_last)):
            if count < 0:
                raise SuiteError(
                    f"{key} is negative",
                    expected="a number of rows, 0 or more",
                    found=str(count),
                    hint=f"write {key}: 0",
                )

    def kept(self, curves: Curves) -> NDArray[np.bool_]:
        """For each row of `curves`, whether the window keeps it."""
        group, x = curves[self.group], curves[self.x]
        keep = np.zeros(len(curves), dtype=bool)
        for value in np.unique(group):
            rows = np.flatnonzero(group == value)
            rows = rows[np.argsort(x[rows], kind="stable")]
            end = max(len(rows) - self.drop_last, 0)
            keep[rows[self.drop_first : end]] = True
        return keep

    def window(self, curves: Curves) -> Window:
        """The window on `curves`.

        Raises DataError for no rows, text or non-finite values, X <= 0, L <= 0, a curve that
        the clips leave with fewer than 2 points, a curve whose X or L is constant.
        """
        if not len(curves):
            raise DataError(
                "there are no rows to fit",
                expected="at least 2 points per curve",
                found="none",
                hint="check the analysis' `where`",
            )
        group = self._numbers(curves, self.group)
        x = self._positive(curves, self.x, group)
        y = self._positive(curves, self.y, group)
        N, counts = np.unique(group, return_counts=True)
        left = counts - self.drop_first - self.drop_last
        if (left < 2).any():
            i = int(np.argmin(left))
            raise DataError(
                f"{self.group}={N[i]:g} keeps fewer than 2 points",
                expected="at least 2 points per curve after the clips",
                found=f"{counts[i]} rows, drop_first={self.drop_first}, drop_last={self.drop_last}",
                hint="drop fewer rows, or exclude the curve with `where`",
            )
        keep = np.flatnonzero(self.kept(curves))
        order = keep[np.lexsort((x[keep], group[keep]))]
        G, T = len(N), int(left.max())
        u, L = np.zeros((G, T)), np.zeros((G, T))
        for i, rows in enumerate(np.split(order, np.cumsum(left)[:-1])):
            u[i, : left[i]] = np.log10(x[rows])
            L[i, : left[i]] = y[rows]
            for name, values in ((self.x, u[i, : left[i]]), (self.y, L[i, : left[i]])):
                self._not_constant(f"{self.group}={N[i]:g}", name, values)
        used = np.arange(T) < left[:, None]
        w = used / (left[:, None] * G if self.weights == "per_curve" else left.sum())
        centre = (w * u).sum(1) / w.sum(1)
        u = np.where(used, u, centre[:, None])
        return Window(N=N, u=u, L=L, w=w, centre=centre, n=left)

    @staticmethod
    def _numbers(curves: Curves, name: str) -> NDArray[np.float64]:
        values: NDArray[Any] = curves[name]
        if values.dtype == object:
            raise DataError(
                f"{name} is text",
                expected="numbers",
                found=repr(values[0]),
                hint="name a numeric column",
            )
        bad = ~np.isfinite(values)
        if bad.any():
            raise DataError(
                f"{name} is not finite in {int(bad.sum())} of {len(values)} rows",
                expected="finite numbers",
                found=f"{values[bad][0]} in row {int(np.argmax(bad))}",
                hint="leave out rows without a measurement",
            )
        return values

    def _positive(
        self, curves: Curves, name: str, group: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        values = self._numbers(curves, name)
        bad = values <= 0
        if bad.any():
            i = int(np.argmax(bad))
            raise DataError(
                f"{name} is not positive in {int(bad.sum())} of {len(values)} rows",
                expected=f"{name} > 0, whose logarithm the law takes",
                found=f"{values[i]:g} at {self.group}={group[i]:g}",
                hint="leave step 0 and losses of 0 out with `where`",
            )
        return values

    @staticmethod
    def _not_constant(curve: str, name: str, values: NDArray[np.float64]) -> None:
        if (values == values[0]).all():
            raise DataError(
                f"the curve {curve} is constant in {name}",
                expected="at least two different values",
                found=f"{len(values)} points, all of one value",
                hint="a constant curve has no slope to fit: exclude it with `where`",
            )
