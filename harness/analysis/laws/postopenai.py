"""L = [(N0/N)^beta + B0/(C + C0)]^alpha: of size and compute, B0 and C0 the same for all N."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.formula import FormulaLaw, Points, Scale
from harness.analysis.laws.law import Parameter, register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FAR = 60.0  # logarithms of terms are sought between -60 and 60
NEAR_0 = math.log(1e-6)  # C0 is sought from this share of the lowest C
LOWEST, HIGHEST = 0.01, 10.0  # exponents
_OUTER = (0.1, 0.2, 0.4, 1.0)
_INNER = (0.4, 1.0, 2.0)
_OFFSETS = (1e-3, 0.1, 1.0, 10.0)


def offset_bounds(at: Points) -> tuple[float, float]:
    """Lowest and highest ln(C0/x_ref)."""
    x = at.x[at.x > 0] / at.scale.x_ref
    return math.log(float(x.min())) + NEAR_0, math.log(float(x.max())) - NEAR_0


@register("postopenai", version=1)
class PostOpenAI(FormulaLaw):
    """The `fixed` form: B0 and C0 the same for all N.

    Identifiability: poor. alpha trades against beta and N0, B0 against C0 and alpha. Compare
    predictions of two fits, never these parameters.
    """

    formula: ClassVar = "L = [(N0/N)^beta + B0/(C + C0)]^alpha"
    source: ClassVar = "Tan et al., the authors' code, postopenai, B0 and C0 the same for all N"
    projection: ClassVar = "starts: N0^beta and B0 by least squares in L^(1/alpha) on a grid"
    identifiability: ClassVar = "poor: compare predictions, never parameters"
    shared: ClassVar = (
        Parameter("N0", "parameters", "size at which the first term is 1"),
        Parameter("beta", "1", "exponent of size"),
        Parameter("alpha", "1", "exponent of the sum"),
        Parameter("B0", "of x", "height of the term in compute, times C + C0"),
        Parameter("C0", "of x", "compute before the first step"),
    )
    per_curve: ClassVar = ()
    min_curves: ClassVar = 2
    takes_log_x: ClassVar = False

    def bounds(self, at: Points) -> tuple[Sequence[float], Sequence[float]]:
        """Exponents, and C0 by the range of the data."""
        low, high = offset_bounds(at)
        return (-FAR, LOWEST, LOWEST, -FAR, low), (FAR, HIGHEST, HIGHEST, FAR, high)

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """L."""
        import numpy as np

        a, beta, alpha, b, c = z
        later = np.exp(b) / (at.x / at.scale.x_ref + np.exp(c))
        return np.asarray(np.exp(alpha * np.log(np.exp(a - beta * at.v) + later)))

    def starts(self, at: Points) -> NDArray[Any]:
        """A grid of alpha, beta and C0."""
        import itertools

        import numpy as np
        from scipy.optimize import nnls

        y = np.maximum(at.y / at.scale.y_ref, 1e-3)
        found = []
        for alpha, beta, offset in itertools.product(_OUTER, _INNER, _OFFSETS):
            v = y ** (1.0 / alpha)
            # Errors of L count L^(1/alpha - 1)/alpha times in what is fitted here.
            root = np.sqrt(at.w) * alpha * y / v
            columns = [np.exp(-beta * at.v), 1.0 / (at.x / at.scale.x_ref + offset)]
            table = np.stack(columns, axis=1) * root[:, None]
            lengths = np.linalg.norm(table, axis=0)
            heights = nnls(table / lengths, v * root)[0] / lengths
            unit = np.log(at.scale.y_ref) / alpha
            a, b = np.log(np.maximum(heights, 1e-4 * heights.max() + 1e-300)) + unit
            found.append([a, beta, alpha, b, np.log(offset)])
        return np.array(found)

    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Coordinates to the parameters in `shared`."""
        import numpy as np

        a, beta, alpha, b, c = z
        N0 = scale.N_ref * np.exp(a / beta)
        return N0, beta, alpha, scale.x_ref * np.exp(b), scale.x_ref * np.exp(c)

    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """The parameters in `shared` to coordinates."""
        import numpy as np

        N0, beta, alpha, B0, C0 = params
        a = beta * np.log(N0 / scale.N_ref)
        return a, beta, alpha, np.log(B0 / scale.x_ref), np.log(C0 / scale.x_ref)
