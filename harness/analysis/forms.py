"""A law on the points of one window, as the estimator moves it: coordinates z (..., M).

Coordinates stand in the order: shared, then each per-curve one for all G curves. A formula sees
them one by one, shared ones as (..., 1) and per-curve ones gathered as (..., n).
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from harness.analysis.laws import FormulaLaw, Points, Scale, SharedSlopeLaw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis.laws import Law
    from harness.analysis.laws.formula import Exact
    from harness.analysis.window import Window

    Values = Mapping[str, Any]


class Form(Protocol):
    """What the estimator asks of a law.

    shared, own: number of coordinates of either kind; local = shared + own. lower, upper:
    (local,). names: parameters of `published`, shared then per-curve.
    """

    shared: int
    own: int
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    scale: Scale

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """f (..., n) for local coordinates that each broadcast against (..., n)."""

    def derivatives(self, z: Sequence[NDArray[Any]], at: Points) -> Exact | None:
        """f with exact derivatives, or None."""

    def published(self, z: NDArray[Any]) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Shared parameters (...,) and per-curve ones (..., G) of coordinates (..., M)."""

    def coordinates(self, params: Values, by_curve: Values) -> NDArray[Any]:
        """The inverse of `published`: (..., M) of shared (...,) and per-curve (..., G)."""

    def only(self, i: int, window: Window) -> Form:
        """The form of curve i, alone on `window`, in the same coordinates."""


def form_of(law: Law, window: Window) -> Form:
    """The form of `law` on `window`."""
    if isinstance(law, FormulaLaw):
        return FormulaForm(law, window)
    return LineForm(law, window)


def scale_of(window: Window) -> Scale:
    """What coordinates are relative to on `window`."""
    return Scale(
        N_ref=_middle(window.N),
        x_ref=_middle(window.x),
        y_ref=float(np.sqrt((window.w * window.L**2).sum())) or 1.0,
    )


def _middle(values: NDArray[np.float64]) -> float:
    """The geometric mean of those above 0; 1 if there is none."""
    positive = values[values > 0]
    return float(np.exp(np.log(positive).mean())) if len(positive) else 1.0


@np.errstate(divide="ignore", invalid="ignore")  # a law that takes no logarithm sees any x, N
def points_of(window: Window, scale: Scale, part: slice | None = None) -> Points:
    """The points of `window`, or a part of them."""
    part = part or slice(None)
    x, curve = window.x[part], window.curve[part]
    N = window.N[curve]
    return Points(
        x=x,
        N=N,
        u=np.log(x / scale.x_ref),
        v=np.log(N / scale.N_ref),
        y=window.L[part],
        w=window.w[part],
        curve=curve,
        sizes=window.N,
        scale=scale,
    )


def evaluate(
    law: FormulaLaw,
    params: Mapping[str, float],
    by_curve: Values,
    x: NDArray[np.float64],
    N: NDArray[np.float64],
) -> NDArray[np.float64]:
    """f at x, N of one shape, for published parameters; per-curve ones have that shape too."""
    scale = Scale(N_ref=_middle(N), x_ref=_middle(x), y_ref=1.0)
    values = [np.asarray(params[one.name]) for one in law.shared]
    values += [np.asarray(by_curve[one.name]) for one in law.per_curve]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        at = Points(
            x=x,
            N=N,
            u=np.log(x / scale.x_ref),
            v=np.log(N / scale.N_ref),
            y=np.zeros(0),
            w=np.zeros(0),
            curve=np.zeros(x.shape, dtype=np.intp),
            sizes=N,
            scale=scale,
        )
        value = law.value(law.coordinates(values, scale), at)
    return np.asarray(np.broadcast_to(value, x.shape), dtype=np.float64)


class FormulaForm:
    """A law that is a formula."""

    def __init__(self, law: FormulaLaw, window: Window) -> None:
        self.law: FormulaLaw = law
        self.shared, self.own = len(law.shared), len(law.per_curve)
        self.scale = scale_of(window)
        self.G = len(window.N)
        low, high = law.bounds(points_of(window, self.scale))
        self.lower, self.upper = np.array(low, dtype=float), np.array(high, dtype=float)

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """As `Form`."""
        return self.law.value(z, at)

    def derivatives(self, z: Sequence[NDArray[Any]], at: Points) -> Exact | None:
        """As `Form`."""
        return self.law.derivatives(z, at)

    def published(self, z: NDArray[Any]) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """As `Form`."""
        P, G = self.shared, self.G
        local = [z[..., j, None] for j in range(P)]
        local += [z[..., P + q * G : P + (q + 1) * G] for q in range(self.own)]
        values = self.law.published(local, self.scale)
        shared = {one.name: v[..., 0] for one, v in zip(self.law.shared, values, strict=False)}
        own = {
            one.name: v for one, v in zip(self.law.per_curve, values[self.shared :], strict=True)
        }
        return shared, own

    def coordinates(self, params: Values, by_curve: Values) -> NDArray[Any]:
        """As `Form`."""
        values = [np.asarray(params[one.name])[..., None] for one in self.law.shared]
        values += [np.asarray(by_curve[one.name]) for one in self.law.per_curve]
        z = self.law.coordinates(values, self.scale)
        return np.concatenate(_level(z), axis=-1)

    def only(self, i: int, window: Window) -> Form:
        """As `Form`; the scale stays that of all curves."""
        one = copy(self)
        one.G = 1
        return one


def _level(z: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Arrays whose leading axes agree, the last left as it is."""
    lead = np.broadcast_shapes(*(one.shape[:-1] for one in z))
    return [np.broadcast_to(one, (*lead, one.shape[-1])) for one in z]


class LineForm:
    """A law of straight lines in logarithms: its own coordinates, and c, the line's level at the
    centre of the curve, where E0 is free; k as well where that is free.
    """

    def __init__(self, law: Law, window: Window) -> None:
        self.law = law
        self.scale = scale_of(window)
        self.sizes, self.centre = window.N, window.centre
        self.G = len(window.N)
        self.N_ref = float(np.exp(np.log(window.N).mean()))
        self.own = len(law.per_curve)
        self.shared = 0
        low, high = np.zeros(0), np.zeros(0)
        if isinstance(law, SharedSlopeLaw):
            low, high = map(np.array, law.bounds(window.N, self.N_ref))
            self.shared = len(low)
        self.lower = np.concatenate([low, np.full(self.own, -np.inf)])
        self.upper = np.concatenate([high, np.full(self.own, np.inf)])

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """As `Form`."""
        centred = np.log10(at.x) - self.centre[at.curve]
        if self.shared:
            shared = np.concatenate(np.broadcast_arrays(*z[: self.shared]), axis=-1)
            k, level = self._lines(shared)
            k = k[..., at.curve]
        else:
            k, level = z[0], None
        c = z[-1] if level is None else level[..., at.curve]
        return np.asarray(np.exp(np.log(10.0) * (c - k * centred)))

    def derivatives(self, z: Sequence[NDArray[Any]], at: Points) -> Exact | None:
        """As `Form`."""
        return None

    def published(self, z: NDArray[Any]) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """As `Form`; k and E0 of every curve, whether or not they are shared."""
        P, G = self.shared, self.G
        if not isinstance(self.law, SharedSlopeLaw):
            k, c = z[..., :G], z[..., G:]
            return {}, {"k": k, "E0": c + k * self.centre}
        values = self.law.published(z[..., :P], self.N_ref)
        k, level = self._lines(z[..., :P])
        c = z[..., P:] if level is None else level
        shared = {one.name: v for one, v in zip(self.law.shared, values, strict=True)}
        return shared, {"k": k, "E0": c + k * self.centre}

    def coordinates(self, params: Values, by_curve: Values) -> NDArray[Any]:
        """As `Form`; a k or E0 that is shared is not looked at."""
        if not isinstance(self.law, SharedSlopeLaw):
            k, E0 = np.asarray(by_curve["k"]), np.asarray(by_curve["E0"])
            return np.concatenate([k, E0 - k * self.centre], axis=-1)
        values: Any = params
        shared = np.stack(np.broadcast_arrays(*self.law.coordinates(values, self.N_ref)), axis=-1)
        if self.law.shares_intercept:
            return shared
        k, _ = self._lines(shared)
        c = np.asarray(by_curve["E0"]) - k * self.centre
        return np.concatenate([np.broadcast_to(shared, (*c.shape[:-1], self.shared)), c], axis=-1)

    def only(self, i: int, window: Window) -> Form:
        """As `Form`."""
        one = copy(self)
        one.G, one.sizes, one.centre = 1, window.N, self.centre[i : i + 1]
        return one

    def _lines(self, shared: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """k and, where it is shared, the level at each curve's centre: (..., G)."""
        law = self.law
        assert isinstance(law, SharedSlopeLaw)
        k = law.slope(shared, self.sizes, self.N_ref)
        if not law.shares_intercept:
            return k, None
        return k, law.intercept(shared, self.sizes, self.N_ref) - k * self.centre
