"""L = (C0 N^r / C)^k(N), k(N) = K_max/(1 + N0/N): lines whose level follows from N by a power."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws import saturation
from harness.analysis.laws.law import Parameter, SharedSlopeLaw, register

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@register("powlawmul", version=1)
class PowLawMul(SharedSlopeLaw):
    """A straight line in logarithms with E0 = k(N) (log10 C0 + r log10 N), so nothing is free.

    Coordinates: the slope h at N_ref, the share of N0, h (log10 C0 + r log10 N_ref), h r. The
    law is linear in all but the share.
    """

    formula: ClassVar = "log10 L = -k(N) (log10 X - log10 C0 - r log10 N), k(N) = K_max/(1 + N0/N)"
    source: ClassVar = "Tan et al., the authors' code, powlawmul"
    projection: ClassVar = "K_max, C0 and r are linear in log10 L; N0 on a grid"
    identifiability: ClassVar = "as loglinear_kn; C0 is the x of a model of one parameter: far away"
    shared: ClassVar = (
        Parameter("K_max", "1", "slope of an unboundedly large model"),
        Parameter("N0", "parameters", "size at which the slope is K_max/2"),
        Parameter("C0", "of X / parameters^r", "X at which a model of one parameter has L = 1"),
        Parameter("r", "1", "exponent with which the X of L = 1 grows with N"),
    )
    per_curve: ClassVar = ()
    min_curves: ClassVar = 2
    midpoints: ClassVar = ("N0",)
    shares_intercept: ClassVar = True

    def bounds(self, N: NDArray[Any], N_ref: float) -> tuple[Sequence[float], Sequence[float]]:
        """Shares between those of the smallest and the largest size, far out."""
        low, high = saturation.share_bounds(N, N_ref)
        return (-math.inf, low, -math.inf, -math.inf), (math.inf, high, math.inf, math.inf)

    def slope(self, z: NDArray[Any], N: NDArray[Any], N_ref: float) -> NDArray[Any]:
        """K_max / (1 + N0/N)."""
        return saturation.value(z[..., 0], z[..., 1], N, N_ref)

    def intercept(self, z: NDArray[Any], N: NDArray[Any], N_ref: float) -> NDArray[Any]:
        """k(N) (log10 C0 + r log10 N)."""
        import numpy as np

        decades = np.log10(N / N_ref)
        shape = 1.0 + z[..., 1, None] * (N_ref / N - 1.0)
        E0: NDArray[Any] = (z[..., 2, None] + z[..., 3, None] * decades) / shape
        return E0

    def published(self, z: NDArray[Any], N_ref: float) -> list[NDArray[Any]]:
        """Coordinates, to the parameters in `shared`."""
        K_max, N0 = saturation.published(z[..., 0], z[..., 1], N_ref)
        r = z[..., 3] / z[..., 0]
        return [K_max, N0, 10.0 ** (z[..., 2] / z[..., 0] - r * math.log10(N_ref)), r]

    def coordinates(self, params: Mapping[str, float], N_ref: float) -> list[float]:
        """The parameters in `shared`, to coordinates."""
        import numpy as np

        height, share = saturation.coordinates(params["K_max"], params["N0"], N_ref)
        level = np.log10(params["C0"]) + params["r"] * math.log10(N_ref)
        return [height, share, height * level, height * params["r"]]
