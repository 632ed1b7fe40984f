"""Smooth curves, for the eye and for the time at which a level is reached.

What comes out is drawn, never fitted: smoothed points are no measurements, their errors are not
independent and their number says nothing. `Smoothed.y` therefore keeps a mark through slicing and
arithmetic, by which `Curves` refuses it; and where another container has lost the mark, a fit knows
the values again (`smoothed_values`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from harness.analysis.arguments import real, whole
from harness.analysis.segments import segmented
from harness.analysis.smoothed_values import remember
from harness.analysis.spline_gcv import gcv_spline
from harness.analysis.tables import unmasked
from harness.errors import DataError, SuiteError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FEWEST = 5  # distinct x that a smoothing spline needs
MOST = 1000  # distinct x beyond which points are averaged in bins first

Predictor = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]


class SmoothedPoints(np.ndarray):
    """Values off a smoothed curve: an array whose mark says that no fit may take it."""

    smoothed: ClassVar[bool] = True
    __array_priority__ = 1.0  # so that the mark outlives np.concatenate with plain arrays


@dataclass(frozen=True, eq=False)
class Smoothed:
    """A smoothed curve; call it for values between its ends.

    x: (n,) distinct abscissae, ascending, in the unit given. y: (n,) the curve there.
    method: how it was asked for. parameters: what was used, defaults and choices included.
    flags: few_points (a straight line in log x instead of the method), binned (more than
    1,000 distinct x: averaged in bins of log x first). predict: the curve at u = ln x, beyond its
    ends too. raw: the y that were smoothed, and their means where x repeats.

    What `y`, a call and `predict` give is marked and remembered, so that no fit takes it.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    method: str
    parameters: Mapping[str, Any]
    flags: tuple[str, ...]
    predict: Predictor = field(repr=False)
    raw: NDArray[np.float64] = field(repr=False)
    smoothed: ClassVar[bool] = True

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        """The curve at `x`, shaped alike; NaN outside the range of the points."""
        at = np.asarray(x, dtype=float)
        inside = (at >= self.x[0]) & (at <= self.x[-1])
        u = np.log(np.where(inside, at, self.x[0]))
        return np.where(inside, self.predict(u), np.nan).view(SmoothedPoints)


@dataclass(frozen=True, eq=False)
class Points:
    """Points to smooth, sorted, those of equal x averaged.

    x, u, y, w: (n,) abscissa, ln x, mean and number of points there. raw: all points, (2, m).
    """

    x: NDArray[np.float64]
    u: NDArray[np.float64]
    y: NDArray[np.float64]
    w: NDArray[np.float64]
    raw: NDArray[np.float64]


def smooth(x: ArrayLike, y: ArrayLike, method: str = "spline", **options: Any) -> Smoothed:
    """Smooth one curve y(x); points in any order, repeated x are averaged.

    `method`:

    - "spline": the cubic smoothing spline in ln x whose penalty has the least generalised
      cross-validation score (Craven and Wahba 1979).
    - "isotonic": the monotone curve nearest in squares, linear in ln x in between. Option
      `decreasing` (None: as the ends say).
    - "segments": straight lines in ln x, broken where the squares are least, their number by BIC.
      Options `most` (segments, 8), `least_points` (of one segment, 5).
    - "paper": as the code published with Tan et al. (arXiv 2509.25300) does: a spline in ln x
      with weights from the scatter around each point, then isotonic regression. Options
      `s_factor` (1), `k` (degree, 5), `window` (200), `min_se` (1e-6), `x_power` (0),
      `decreasing`; the defaults are those of that code's command line.

    Raises DataError for fewer than 2 distinct x, for x that is not above 0 and for values that
    are not finite; SuiteError for an unknown method or option, or a value that it
    cannot take.
    """
    if method not in _METHODS:
        raise SuiteError(
            f"there is no smoothing {method!r}",
            expected="one of " + ", ".join(_METHODS),
            found=method,
            hint="smooth: spline",
        )
    points = distinct_points(x, y)
    how, known = _METHODS[method]
    if unknown := set(options) - set(known):
        raise SuiteError(
            f"the smoothing {method} has no option {min(unknown)!r}",
            expected="one of " + ", ".join(known) if known else "no options",
            found=", ".join(sorted(unknown)),
            hint="leave it out",
        )
    chosen = _checked(method, {**known, **options}, len(points.x))
    if len(points.x) < FEWEST and method != "isotonic":
        predict, used, flags = _line(points)
    else:
        predict, used, flags = how(points, **chosen)
    raw = np.concatenate([points.raw[1], points.y])
    marked = _marked(predict, raw, means=method == "isotonic")
    return Smoothed(
        x=points.x,
        y=marked(points.u),
        method=method,
        parameters=MappingProxyType({**chosen, **used}),
        flags=flags,
        predict=marked,
        raw=raw,
    )


def _marked(predict: Predictor, raw: NDArray[np.float64], *, means: bool) -> Predictor:
    """`predict`, its values marked as smoothed and remembered."""

    def marked(u: ArrayLike) -> NDArray[np.float64]:
        values = np.asarray(predict(np.asarray(u, dtype=float)))
        remember(values, raw, means=means)
        return values.view(SmoothedPoints)

    return marked


def _checked(method: str, options: dict[str, Any], n: int) -> dict[str, Any]:
    """The options of a method, for n distinct x; SuiteError for values that it cannot take."""
    if not any(options.get("decreasing") is one for one in (None, True, False)):
        raise SuiteError(
            "decreasing is neither true nor false",
            expected="true, false, or None: as the ends say",
            found=repr(options["decreasing"])[:60],
            hint="leave it out",
        )
    for name, least in _WHOLE.get(method, {}).items():
        hint = f"the default is {_METHODS[method][1][name]}"
        options[name] = whole(name, options[name], least, hint=hint, error=SuiteError)
    for name, limits in _REAL.get(method, {}).items():
        hint = f"the default is {_METHODS[method][1][name]}"
        options[name] = real(name, options[name], hint=hint, error=SuiteError, **limits)
    if method == "segments" and FEWEST <= n < options["least_points"]:
        raise SuiteError(
            f"no segment can have {options['least_points']} points",
            expected=f"least_points up to {n}",
            found=f"{n} distinct x",
            hint="ask for fewer, or give more points",
        )
    return options


def falls(y: NDArray[np.float64]) -> bool:
    """Whether a curve falls: the mean of its last points (5 or half) is below that of the first."""
    k = max(min(5, len(y) // 2), 1)
    return float(y[-k:].mean()) <= float(y[:k].mean())


def isotonic(
    y: NDArray[np.float64], w: NDArray[np.float64], *, decreasing: bool
) -> NDArray[np.float64]:
    """The monotone values (n,) nearest to y in weighted squares."""
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(y, weights=w, increasing=not decreasing).x)


Result = tuple[Predictor, dict[str, Any], tuple[str, ...]]


def _spline(points: Points) -> Result:
    few, flags = _binned(points)
    spline = gcv_spline(few.u, few.y, few.w)
    used = {"penalty": spline.penalty, "gcv": spline.score, "degrees_of_freedom": spline.freedom}
    return spline.predict, used, flags


def _isotonic(points: Points, *, decreasing: bool | None) -> Result:
    down = falls(points.y) if decreasing is None else decreasing
    steps = isotonic(points.y, points.w, decreasing=down)
    return _between(points.u, steps), {"decreasing": down}, ()


def _segments(points: Points, *, most: int, least_points: int) -> Result:
    few, flags = _binned(points)
    lines = segmented(few.u, few.y, few.w, most=most, least_points=least_points)
    breaks = [float(np.exp(few.u[start])) for start in lines.starts[1:]]
    used = {"segments": len(lines.starts), "breaks": breaks, "bic": lines.bic}
    return lines.predict, used, flags


def _paper(
    points: Points,
    *,
    s_factor: float,
    k: int,
    window: int,
    min_se: float,
    x_power: float,
    decreasing: bool | None,
) -> Result:
    from scipy.interpolate import UnivariateSpline

    x, y = points.raw
    w = scatter_weights(y, window, min_se)
    if x_power > 0:
        by_x = (x / x[0]) ** -x_power
        w = w * by_x / by_x.mean()
        w = w / w.mean()
    degrees: tuple[Literal[1, 2, 3, 4, 5], ...] = (1, 2, 3, 4, 5)
    if k not in degrees:
        raise SuiteError(
            "the spline cannot have this degree",
            expected="k from 1 to 5",
            found=f"k={k}",
            hint="k=3 is a cubic spline",
        )
    degree = degrees[min(k, len(points.x) - 1) - 1]
    curve = UnivariateSpline(np.log(x), y, w=w, s=s_factor * len(x), k=degree)
    down = falls(y) if decreasing is None else decreasing
    total = np.bincount(np.searchsorted(points.x, x), weights=w).astype(float)
    steps = isotonic(np.asarray(curve(points.u)), total, decreasing=down)
    return _between(points.u, steps), {"decreasing": down, "k": degree}, ()


def scatter_weights(y: NDArray[np.float64], window: int, min_se: float) -> NDArray[np.float64]:
    """Weights (n,) of mean 1: inverse squares of the standard error in a window about each point.

    The window holds `window` // 2 points before and the rest after; near the ends it is cut off,
    and where fewer than half of it are left the median stands in.
    """
    n = len(y)
    i = np.arange(n)
    low = np.maximum(i - window // 2, 0)
    high = np.minimum(i + (window + 1) // 2, n)
    count = high - low
    centred = y - y.mean()
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    squares = np.concatenate([[0.0], np.cumsum(centred**2)])
    mean = (sums[high] - sums[low]) / count
    spread = np.maximum((squares[high] - squares[low]) - count * mean**2, 0.0)
    enough = count >= max(min(max(3, window // 2), n), 2)
    # Divided by n - 1 twice, as pandas did when that code was written.
    se = np.sqrt(spread) / np.maximum(count - 1, 1)
    se = np.where(enough, se, np.median(se[enough]))
    w = 1.0 / np.maximum(se, min_se) ** 2
    return np.asarray(w / w.mean())


_METHODS: dict[str, tuple[Callable[..., Result], dict[str, Any]]] = {
    "spline": (_spline, {}),
    "isotonic": (_isotonic, {"decreasing": None}),
    "segments": (_segments, {"most": 8, "least_points": 5}),
    "paper": (
        _paper,
        {
            "s_factor": 1.0,
            "k": 5,
            "window": 200,
            "min_se": 1e-6,
            "x_power": 0.0,
            "decreasing": None,
        },
    ),
}


# What options have to be: least whole numbers, limits of others.
_WHOLE = {"segments": {"most": 1, "least_points": 2}, "paper": {"window": 2, "k": 1}}
_REAL: dict[str, dict[str, dict[str, float]]] = {
    "paper": {"s_factor": {"least": 0.0}, "min_se": {"above": 0.0}, "x_power": {"least": 0.0}}
}


def distinct_points(x: ArrayLike, y: ArrayLike) -> Points:
    """Points sorted by x, those of equal x averaged; DataError as `smooth` says."""
    if np.size(x) != np.size(y):
        raise DataError(
            "x and y differ in length",
            expected="one y for each x",
            found=f"{np.size(x)} and {np.size(y)}",
            hint="smooth one curve at a time",
        )
    raw = np.stack([_numbers(name, v) for name, v in (("x", x), ("y", y))])
    bad = ~np.isfinite(raw).all(0) | ~(raw[0] > 0)
    if bad.any():
        first = raw[:, bad][:, 0]
        raise DataError(
            f"{int(bad.sum())} of {raw.shape[1]} points cannot be smoothed in log x",
            expected="finite values, x above 0",
            found=f"x={first[0]:g}, y={first[1]:g}",
            hint="leave out step 0 and points without a measurement",
        )
    raw = raw[:, np.argsort(raw[0], kind="stable")]
    distinct, which, counts = np.unique(raw[0], return_inverse=True, return_counts=True)
    if len(distinct) < 2:
        raise DataError(
            "there is no curve to smooth",
            expected="2 or more distinct x",
            found=str(len(distinct)),
            hint="select more points",
        )
    means = np.bincount(which, weights=raw[1]) / counts
    return Points(distinct, np.log(distinct), means, counts.astype(float), raw)


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    if isinstance(values, np.ma.MaskedArray):
        values = unmasked(values)
    try:
        return np.asarray(values, dtype=float).reshape(-1)
    except (TypeError, ValueError):
        raise DataError(
            f"{name} is no list of numbers",
            expected="numbers",
            found=repr(values)[:60],
            hint="convert the column, or leave words out",
        ) from None


def _binned(points: Points) -> tuple[Points, tuple[str, ...]]:
    """The points, or their means in bins of log x if there are too many."""
    if len(points.x) <= MOST:
        return points, ()
    edges = np.linspace(points.u[0], points.u[-1], MOST + 1)
    which = np.clip(np.searchsorted(edges, points.u, side="right") - 1, 0, MOST - 1)
    w = np.bincount(which, weights=points.w, minlength=MOST).astype(float)
    held = w > 0
    u, y = (
        np.bincount(which, weights=points.w * v, minlength=MOST)[held] / w[held]
        for v in (points.u, points.y)
    )
    return Points(np.exp(u), u, y, w[held], points.raw), ("binned",)


def _line(points: Points) -> Result:
    u = points.u - np.average(points.u, weights=points.w)
    level = float(np.average(points.y, weights=points.w))
    slope = float((points.w * u * points.y).sum() / (points.w * u * u).sum())
    centre = points.u[0] - u[0]
    return lambda at: np.asarray(level + slope * (at - centre)), {"slope": slope}, ("few_points",)


def _between(u: NDArray[np.float64], y: NDArray[np.float64]) -> Predictor:
    return lambda at: np.interp(at, u, y)
