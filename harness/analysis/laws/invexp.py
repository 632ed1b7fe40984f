"""L = (S/x)^k_i: powers that all pass through L = 1 at one x."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.formula import FormulaLaw, Points, Scale
from harness.analysis.laws.law import Parameter, register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.laws.formula import Exact


_FAR = 250.0  # S is sought between x_ref e^-250 and x_ref e^250


@register("invexp", version=1)
class InvExp(FormulaLaw):
    """A scale S shared by all curves, a slope k free for each.

    Identifiability: with one curve S and k are a line in logarithms; where slopes differ, S is
    where the lines meet. Nearly equal slopes push S, and k with it, to a bound.
    """

    formula: ClassVar = "L = (S/x)^k_i"
    source: ClassVar = "Tan et al., the authors' code, invexp"
    projection: ClassVar = "starts: every k by least squares in logarithms on a grid of S"
    identifiability: ClassVar = "needs curves whose slopes differ, and S outside their x"
    shared: ClassVar = (Parameter("S", "of x", "x at which L is 1 on every curve"),)
    per_curve: ClassVar = (Parameter("k", "1", "fall of ln L with ln x"),)

    def bounds(self, at: Points) -> tuple[Sequence[float], Sequence[float]]:
        """S far out; k free."""
        return (-_FAR, -math.inf), (_FAR, math.inf)

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """L."""
        import numpy as np

        s, k = z
        return np.asarray(np.exp(k * (s - at.u)))

    def derivatives(self, z: Sequence[NDArray[Any]], at: Points) -> Exact:
        """Exact ones."""
        s, k = z
        t = s - at.u
        f = self.value(z, at)
        second = {(0, 0): k * k * f, (0, 1): (1.0 + k * t) * f, (1, 1): t * t * f}
        return f, [k * f, t * f], second

    def starts(self, at: Points) -> NDArray[Any]:
        """Points where the curves meet, left and right of the data."""
        import numpy as np

        away = np.array([0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
        v = np.log(np.maximum(at.y, 1e-3 * at.scale.y_ref))
        found = []
        for s in (*(at.u.min() - away), *(at.u.max() + away)):
            t = s - at.u
            count = len(at.sizes)
            above = np.bincount(at.curve, at.w * v * t, count)
            found.append([s, *(above / np.bincount(at.curve, at.w * t * t, count))])
        return np.array(found)

    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Coordinates to S and k."""
        import numpy as np

        return scale.x_ref * np.exp(z[0]), z[1]

    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """S and k to coordinates."""
        import numpy as np

        return np.log(params[0] / scale.x_ref), params[1]
