"""Laws that are any analytic formula of x and N, with shared and per-curve parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.law import Law

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Exact = tuple["NDArray[Any]", "list[Any]", "Mapping[tuple[int, int], Any]"]
"""f (..., n), its derivatives by each coordinate, its second derivatives by pairs i <= j that
are not 0 everywhere; all broadcast against (..., n)."""


@dataclass(frozen=True)
class Scale:
    """What coordinates are relative to: geometric means of N and of x, a typical |y|."""

    N_ref: float
    x_ref: float
    y_ref: float


@dataclass(frozen=True, eq=False)
class Points:
    """Where a formula is evaluated: n points on G curves.

    x, N, u = ln(x/x_ref), v = ln(N/N_ref): (n,). y, w: (n,) observations and weights, only for
    `starts`. curve: (n,) index of the curve of each point. sizes: (G,) N of each curve.
    """

    x: NDArray[Any]
    N: NDArray[Any]
    u: NDArray[Any]
    v: NDArray[Any]
    y: NDArray[Any]
    w: NDArray[Any]
    curve: NDArray[Any]
    sizes: NDArray[Any]
    scale: Scale


class FormulaLaw(Law, ABC):
    """A law y = f(x, N) by any analytic formula.

    The fit moves in coordinates of the law's own choice, in which the problem is well scaled:
    first one for each parameter of `shared`, then one for each of `per_curve`, in their order.
    `value` must be analytic in them (no abs, max or conditions on a value), since derivatives
    are complex steps unless `derivatives` gives them.

    takes_log_x: whether x has to be above 0. asymptotes: parameters that a share must keep
    between 0 and 1. midpoints: parameters in units of x that should lie among the data.
    """

    takes_log_x: ClassVar[bool] = True
    asymptotes: ClassVar[tuple[str, ...]] = ()
    midpoints: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def bounds(self, at: Points) -> tuple[Sequence[float], Sequence[float]]:
        """Lowest and highest value of each coordinate, shared and then per curve."""

    @abstractmethod
    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """f at the points: (..., n) for coordinates that each broadcast against (..., n)."""

    def derivatives(self, z: Sequence[NDArray[Any]], at: Points) -> Exact | None:
        """f with exact derivatives; None lets the fit differentiate `value` by itself."""
        return None

    @abstractmethod
    def starts(self, at: Points) -> NDArray[Any]:
        """Where searches start, (S, P + Q G): shared, then each per-curve one for all curves."""

    @abstractmethod
    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Coordinates to the parameters of `shared` and `per_curve`, elementwise."""

    @abstractmethod
    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """The inverse of `published`."""
