"""The rows that a fit uses, checked, weighted, and sorted by curve and x."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.arguments import whole
from harness.analysis.losses import get_loss, get_space
from harness.errors import DataError, SuiteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.curves import Curves

WEIGHTS = ("per_curve", "per_point")
_LARGEST = 1e100  # its square, and that of its inverse, is a number with digits to spare
_ROUNDING = 1e-12  # values that differ by a smaller share are one value, computed twice
_PADDING = 2.0  # curves are padded to one length only if they differ by less than this factor


@dataclass(frozen=True, eq=False)
class Block:
    """Some curves of similar length as one padded table; padding has weight 0 and L = 1.

    curves: (g,) which of the window's. u: (g, T) log10 x less the curve's centre. L, w: (g, T).
    """

    curves: NDArray[np.intp]
    u: NDArray[np.float64]
    L: NDArray[np.float64]
    w: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Window:
    """n points of G curves, sorted by curve and x.

    N: (G,) values of the group, ascending. x, L: (n,). w: (n,) weights; their sum is 1. curve:
    (n,) index into N. rows: (n,) where each point stands in the table it came from. n: (G,)
    points per curve.
    """

    N: NDArray[np.float64]
    x: NDArray[np.float64]
    L: NDArray[np.float64]
    w: NDArray[np.float64]
    curve: NDArray[np.intp]
    rows: NDArray[np.intp]
    n: NDArray[np.intp]

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums of values (..., n) over the points of each curve: (..., G)."""
        return np.asarray(np.add.reduceat(values, self._firsts, axis=-1))

    def only(self, i: int) -> Window:
        """Curve i alone, its points weighing what they do here."""
        part = slice(int(self._firsts[i]), int(self._firsts[i] + self.n[i]))
        return Window(
            N=self.N[i : i + 1],
            x=self.x[part],
            L=self.L[part],
            w=self.w[part],
            curve=np.zeros(int(self.n[i]), dtype=np.intp),
            rows=self.rows[part],
            n=self.n[i : i + 1],
        )

    def thinned(self, most: int) -> Window:
        """At most about `most` points, evenly along each curve, each curve weighing the same."""
        every = -(-len(self.x) // most)
        place = np.arange(len(self.x)) - self._firsts[self.curve]
        # Short curves keep all their points, and every curve its last one.
        stride = np.minimum(every, np.maximum(self.n // 16, 1))[self.curve]
        keep = (place % stride == 0) | (place == self.n[self.curve] - 1)
        n = np.bincount(self.curve[keep], minlength=len(self.N))
        factor = self.sums(self.w) / np.bincount(self.curve, self.w * keep, len(self.N))
        return Window(
            N=self.N,
            x=self.x[keep],
            L=self.L[keep],
            w=(self.w * factor[self.curve])[keep],
            curve=self.curve[keep],
            rows=self.rows[keep],
            n=n,
        )

    @cached_property
    def u(self) -> NDArray[np.float64]:
        """(n,) log10 of x."""
        return np.log10(self.x)

    @cached_property
    def centre(self) -> NDArray[np.float64]:
        """(G,) weighted mean of u, the pivot of each line."""
        return self.sums(self.w * self.u) / self.sums(self.w)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All curves in tables of little padding, however unequal their lengths."""
        order = np.argsort(self.n, kind="stable")
        blocks, first = [], 0
        while first < len(order):
            longest = _PADDING * self.n[order[first]]
            end = int(np.searchsorted(self.n[order], longest, side="right"))
            blocks.append(self._block(np.sort(order[first:end])))
            first = end
        return tuple(blocks)

    @cached_property
    def _firsts(self) -> NDArray[np.intp]:
        return np.concatenate([[0], np.cumsum(self.n)[:-1]]).astype(np.intp)

    def _block(self, curves: NDArray[np.intp]) -> Block:
        places = np.arange(int(self.n[curves].max()))
        used = places < self.n[curves][:, None]
        at = np.where(used, self._firsts[curves][:, None] + places, 0)
        return Block(
            curves=curves,
            u=np.where(used, self.u[at] - self.centre[curves][:, None], 0.0),
            L=np.where(used, self.L[at], 1.0),
            w=np.where(used, self.w[at], 0.0),
        )


@dataclass(frozen=True)
class Selection:
    """How rows become a window and residuals; a fit keeps it, so that others are treated alike.

    Rows of one curve, or of one run of it where `run` names a column, are ordered by `x`, those
    of equal `x` as they stand, before `drop_first` and `drop_last` count them. takes_log_x,
    takes_sizes, takes_log_y, min_points say what the law asks of the rows.
    """

    x: str = "C"
    y: str = "ErrRate"
    group: str = "N"
    weights: str = "per_curve"
    space: str = "linear"
    drop_first: int = 0
    drop_last: int = 0
    loss: str = "squares"
    delta: float | None = None
    run: str | None = None
    takes_log_x: bool = True
    takes_sizes: bool = False
    takes_log_y: bool = True
    min_points: int = 2

    def __post_init__(self) -> None:
        get_space(self.space)
        get_loss(self.loss, self.delta)
        if self.weights not in WEIGHTS:
            raise SuiteError(
                "weights is not known",
                expected=" or ".join(WEIGHTS),
                found=repr(self.weights),
                hint=f"write weights: {WEIGHTS[0]}",
            )
        for key, count in (("drop_first", self.drop_first), ("drop_last", self.drop_last)):
            object.__setattr__(
                self, key, whole(key, count, 0, hint=f"write {key}: 0", error=SuiteError)
            )

    def kept(self, curves: Curves) -> NDArray[np.bool_]:
        """For each row of `curves`, whether the window keeps it."""
        strand, _ = self._strands(curves)
        order = np.lexsort((curves[self.x], strand))
        counts = np.bincount(strand)
        firsts = np.cumsum(counts) - counts
        place = np.arange(len(order)) - firsts[strand[order]]
        keep = np.zeros(len(curves), dtype=bool)
        keep[order] = (place >= self.drop_first) & (place < counts[strand[order]] - self.drop_last)
        return keep

    def window(self, curves: Curves) -> Window:
        """The window on `curves`.

        Raises DataError for no rows, text or non-finite values, X <= 0 or L <= 0 where a
        logarithm is taken, a curve that the clips leave with fewer points than the law needs, a
        curve whose X or L is constant.
        """
        if not len(curves):
            raise DataError(
                "there are no rows to fit",
                expected="at least 2 points per curve",
                found="none",
                hint="check the analysis' `where`",
            )
        group = self._numbers(
            curves,
            self.group,
            "fit one of its texts at a time with `where`, or add a column that numbers them",
        )
        x = self._numbers(curves, self.x)
        y = self._numbers(curves, self.y)
        if self.takes_log_x:
            self._positive(self.x, x, group, "whose logarithm the law takes")
        elif (x < 0).any():
            i = int(np.argmax(x < 0))
            raise DataError(
                f"{self.x} is negative in {int((x < 0).sum())} of {len(x)} rows",
                expected=f"{self.x} of 0 or more",
                found=f"{x[i]:g} at {self.group}={group[i]:g}",
                hint="name the column of what was spent with `x`",
            )
        if self.takes_sizes:
            self._positive(
                self.group,
                group,
                group,
                "a size by which the law ties its curves",
                "name the column of sizes with `group`, or fit a law with free curves: loglinear",
            )
        if self.takes_log_y:
            told = "whose logarithm the law takes"
            if np.isin(y, (0.0, 1.0)).all() and len(np.unique([group, x], axis=1)[0]) < len(y):
                # Without its 0s a table of answers would hold nothing but one outcome.
                means = "these are single answers: average them over questions first, `mean_over`"
                self._positive(self.y, y, group, told, means)
            self._positive(self.y, y, group, told)
        elif get_space(self.space).positive:
            self._positive(self.y, y, group, f"which the space {self.space} asks for")
        keep = self.kept(curves)
        N, member, counts = np.unique(group, return_inverse=True, return_counts=True)
        left = np.bincount(member[keep], minlength=len(N))
        self._distinct(N)
        self._enough(curves, N, counts, left)
        order = np.flatnonzero(keep)
        order = order[np.lexsort((x[order], member[order]))]
        curve = member[order]
        share = 1.0 / (left * len(N)) if self.weights == "per_curve" else 1.0 / left.sum()
        w = np.broadcast_to(share, N.shape)[curve]
        window = Window(N=N, x=x[order], L=y[order], w=w, curve=curve, rows=order, n=left)
        self._vary(window)
        return window

    def _strands(self, curves: Curves) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """The curve, or run of a curve, that each row belongs to, and the group of each strand."""
        group = curves[self.group]
        if self.run is None:
            values, strand = np.unique(group, return_inverse=True)
            return strand, values
        values, first = np.unique(group, return_inverse=True)
        runs, second = np.unique(curves[self.run], return_inverse=True)
        pairs, strand = np.unique(first * len(runs) + second, return_inverse=True)
        return strand, values[pairs // len(runs)]

    def _distinct(self, N: NDArray[np.float64]) -> None:
        alike = np.diff(N) <= _ROUNDING * np.abs(N[1:])
        if alike.any():
            i = int(np.argmax(alike))
            raise DataError(
                f"two values of {self.group} differ by rounding only",
                expected="one value for all rows of a curve",
                found=f"{float(N[i])!r} and {float(N[i + 1])!r}",
                hint=f"round {self.group}",
            )

    def _enough(
        self,
        curves: Curves,
        N: NDArray[np.float64],
        counts: NDArray[np.intp],
        left: NDArray[np.intp],
    ) -> None:
        short = left < self.min_points
        if self.run is not None and not short.any():
            strand, values = self._strands(curves)
            lost = np.bincount(strand) <= self.drop_first + self.drop_last
            if not lost.any():
                return
            raise DataError(
                f"a {self.run} of {self.group}={values[lost][0]:g} keeps no point",
                expected="at least one point in each run after the clips",
                found=f"drop_first={self.drop_first}, drop_last={self.drop_last}",
                hint="drop fewer rows, or exclude the run with `where`",
            )
        if short.any():
            i = int(np.argmax(short))
            points = f"{self.min_points} point" + "s" * (self.min_points > 1)
            if not self.drop_first + self.drop_last:
                rows = f"{counts[i]} row" + "s" * (int(counts[i]) > 1)
                raise DataError(
                    f"{self.group}={N[i]:g} has fewer than {points}",
                    expected=f"at least {points} per curve",
                    found=rows,
                    hint="exclude the curve with `where`; if every row has a value of its own, "
                    f"{self.group} tells no curves apart: name another column with `group`",
                )
            raise DataError(
                f"{self.group}={N[i]:g} keeps fewer than {points}",
                expected=f"at least {points} per curve after the clips",
                found=f"{counts[i]} rows, drop_first={self.drop_first}, drop_last={self.drop_last}",
                hint="drop fewer rows, or exclude the curve with `where`",
            )

    @staticmethod
    def _numbers(
        curves: Curves, name: str, instead: str = "name a numeric column"
    ) -> NDArray[np.float64]:
        values: NDArray[Any] = curves[name]
        if values.dtype == object:
            raise DataError(
                f"{name} is text",
                expected="numbers",
                found=repr(values[0]),
                hint=instead,
            )
        bad = ~np.isfinite(values)
        if bad.any():
            raise DataError(
                f"{name} is not finite in {int(bad.sum())} of {len(values)} rows",
                expected="finite numbers",
                found=f"{values[bad][0]} in row {int(np.argmax(bad))}",
                hint="leave out rows without a measurement",
            )
        size = np.abs(values)
        far = (size > _LARGEST) | ((size < 1.0 / _LARGEST) & (size > 0))
        if far.any():
            raise DataError(
                f"{name} is too large or too small in {int(far.sum())} of {len(values)} rows",
                expected=f"0, or a size from {1.0 / _LARGEST:g} to {_LARGEST:g}",
                found=f"{values[far][0]:g} in row {int(np.argmax(far))}",
                hint="correct the value, or give the column in another unit",
            )
        return values

    def _positive(
        self,
        name: str,
        values: NDArray[np.float64],
        group: NDArray[np.float64],
        why: str,
        hint: str = "leave step 0 and losses of 0 out with `where`",
    ) -> None:
        bad = values <= 0
        if bad.any():
            i = int(np.argmax(bad))
            raise DataError(
                f"{name} is not positive in {int(bad.sum())} of {len(values)} rows",
                expected=f"{name} > 0, {why}",
                found=f"{values[i]:g} at {self.group}={group[i]:g}",
                hint=hint,
            )

    def _vary(self, window: Window) -> None:
        """Refuse a constant curve, or constant points where a curve may be a single one."""
        by_curve = self.min_points > 1
        for name, values in ((self.x, window.x), (self.y, window.L)):
            first = np.concatenate([[0], np.cumsum(window.n)[:-1]]).astype(np.intp)
            if not by_curve:
                first = first[:1]
            low, high = np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)
            size = np.maximum(np.abs(low), np.abs(high))
            alike = high - low <= _ROUNDING * size
            if alike.any():
                i = int(np.argmax(alike))
                curve = (
                    f"the curve {self.group}={window.N[i]:g} is" if by_curve else "all points are"
                )
                count = window.n[i] if by_curve else len(values)
                raise DataError(
                    f"{curve} constant in {name}",
                    expected="at least two different values",
                    found=f"{count} points, all {values[first][i]:g} to 12 digits",
                    hint="a constant curve has no slope to fit: exclude it with `where`",
                )
