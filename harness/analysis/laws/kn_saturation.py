"""k(N) = K_max/(1 + N0/N), fitted to slopes themselves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws import saturation
from harness.analysis.laws.formula import FormulaLaw, Points, Scale
from harness.analysis.laws.law import Parameter, register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.laws.formula import Exact


@register("kn_saturation", version=1)
class KNSaturation(FormulaLaw):
    """One saturating curve through points (N, k); x is N, y the slope.

    The slopes are those of free fits, `loglinear`, whose errors differ from size to size: the
    fit weighs them all the same, so `loglinear_kn` on the points themselves uses the data better.
    """

    formula: ClassVar = "k = K_max / (1 + N0/x)"
    source: ClassVar = "Tan et al., arXiv 2509.25300v4, k(N) = K_max/(1 + N0/N)"
    projection: ClassVar = "starts: K_max by least squares on a grid of N0"
    identifiability: ClassVar = "needs sizes on both sides of N0; else only K_max/N0 is known"
    shared: ClassVar = (
        Parameter("K_max", "of y", "slope of an unboundedly large model"),
        Parameter("N0", "of x", "size at which the slope is K_max/2"),
    )
    per_curve: ClassVar = ()
    midpoints: ClassVar = ("N0",)

    def bounds(self, at: Points) -> tuple[Sequence[float], Sequence[float]]:
        """Shares between those of the smallest and the largest size, far out."""
        low, high = saturation.share_bounds(at.x, at.scale.x_ref)
        return (-math.inf, low), (math.inf, high)

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """The slope."""
        height, share = z
        return height / (1.0 + share * (at.scale.x_ref / at.x - 1.0))

    def derivatives(self, z: Sequence[NDArray[Any]], at: Points) -> Exact:
        """Exact ones."""
        height, share = z
        t = at.scale.x_ref / at.x - 1.0
        one = 1.0 / (1.0 + share * t)
        by_share = -t * one * one
        second = {(0, 1): by_share, (1, 1): -2.0 * height * t * one * by_share}
        return height * one, [one, height * by_share], second

    def starts(self, at: Points) -> NDArray[Any]:
        """A grid of shares."""
        import numpy as np

        low, high = saturation.share_bounds(at.x, at.scale.x_ref)
        found = []
        for step in np.linspace(0.0, 1.0, 13):
            share = low * (1.0 - step) + high * step
            shape = 1.0 / (1.0 + share * (at.scale.x_ref / at.x - 1.0))
            found.append([(at.w * shape * at.y).sum() / (at.w * shape * shape).sum(), share])
        return np.array(found)

    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Height and share, to the parameters in `shared`."""
        return saturation.published(z[0], z[1], scale.x_ref)

    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """The parameters in `shared`, to height and share."""
        return saturation.coordinates(params[0], params[1], scale.x_ref)
