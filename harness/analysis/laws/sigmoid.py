"""y = R0 + (A - R0)/(1 + (C_mid/C)^B): a reward that rises and saturates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.formula import FormulaLaw, Points, Scale
from harness.analysis.laws.law import Parameter, register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.laws.formula import Exact


_STEEPEST = 300.0  # over the range of ln x, steeper ones are steps between two points
_FLATTEST = 0.05
_BEYOND = 3.0  # C_mid is sought so many ranges of ln x beyond either end
_SLOPES = (1.0, 3.0, 8.0, 20.0, 60.0)
_PLACES = (-0.5, -0.1, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.5)


@register("sigmoid", version=1)
class Sigmoid(FormulaLaw):
    """A sigmoid in ln C for each curve, between R0 and A; y is a reward, not a loss.

    Identifiability: A is known only if the curve has levelled off, R0 only if it starts flat.
    C_mid outside the data says that one of them is an extrapolation.
    """

    formula: ClassVar = "y = R0_i + (A_i - R0_i) / (1 + (C_mid_i/C)^B_i)"
    source: ClassVar = "Khatri et al. 2025, ScaleRL, arXiv 2510.13786, eq. 1"
    projection: ClassVar = "starts: A and R0 by least squares on a grid of B and C_mid"
    identifiability: ClassVar = "needs points on both sides of C_mid, and a visible plateau for A"
    per_curve: ClassVar = (
        Parameter("A", "of y", "limit of y for unbounded C"),
        Parameter("B", "1", "steepness in ln C"),
        Parameter("C_mid", "of x", "C at which half of the rise is done"),
        Parameter("R0", "of y", "limit of y for C towards 0"),
    )
    asymptotes: ClassVar = ("A", "R0")
    midpoints: ClassVar = ("C_mid",)

    def bounds(self, at: Points) -> tuple[Sequence[float], Sequence[float]]:
        """B and C_mid by the range of the data; A and R0 free."""
        low, high = float(at.u.min()), float(at.u.max())
        wide = max(high - low, 1e-6)
        lower = (-math.inf, _FLATTEST / wide, low - _BEYOND * wide, -math.inf)
        return lower, (math.inf, _STEEPEST / wide, high + _BEYOND * wide, math.inf)

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """y."""
        import numpy as np

        A, B, m, R0 = z
        rise = 0.5 * (1.0 + np.tanh(0.5 * B * (at.u - m)))
        return np.asarray(at.scale.y_ref * (R0 + (A - R0) * rise))

    def derivatives(self, z: Sequence[NDArray[Any]], at: Points) -> Exact:
        """Exact ones."""
        import numpy as np

        A, B, m, R0 = z
        y_ref, t = at.scale.y_ref, at.u - m
        rise = 0.5 * (1.0 + np.tanh(0.5 * B * t))
        first = rise * (1.0 - rise)
        second = first * (1.0 - 2.0 * rise)
        height = y_ref * (A - R0)
        by_B, by_m = height * first * t, -height * first * B
        in_B, in_m = y_ref * first * t, -y_ref * first * B
        return (
            y_ref * R0 + height * rise,
            [y_ref * rise, by_B, by_m, y_ref * (1.0 - rise)],
            {
                (0, 1): in_B,
                (0, 2): in_m,
                (1, 1): height * second * t * t,
                (1, 2): -height * (first + second * B * t),
                (1, 3): -in_B,
                (2, 2): height * second * B * B,
                (2, 3): -in_m,
            },
        )

    def starts(self, at: Points) -> NDArray[Any]:
        """A grid of slopes and places."""
        import numpy as np

        low, wide = at.u.min(), max(float(np.ptp(at.u)), 1e-6)
        root = np.sqrt(at.w)
        found = []
        for slope in _SLOPES:
            for place in _PLACES:
                B, m = slope / wide, low + place * wide
                rise = 0.5 * (1.0 + np.tanh(0.5 * B * (at.u - m)))
                table = np.stack([rise, 1.0 - rise], axis=1) * root[:, None]
                A, R0 = np.linalg.lstsq(table, at.y * root, rcond=1e-10)[0] / at.scale.y_ref
                found.append([A, B, m, R0])
        return np.array(found)

    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Coordinates to the parameters in `per_curve`."""
        import numpy as np

        A, B, m, R0 = z
        return A * scale.y_ref, B, scale.x_ref * np.exp(m), R0 * scale.y_ref

    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """The parameters in `per_curve` to coordinates."""
        import numpy as np

        A, B, C_mid, R0 = params
        return A / scale.y_ref, B, np.log(C_mid / scale.x_ref), R0 / scale.y_ref
