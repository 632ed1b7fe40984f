"""loglinear_kn with E0(N) = E0_max / (1 + N1/N): nothing is free, so an unseen N is predicted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws import saturation
from harness.analysis.laws.law import Parameter, SharedSlopeLaw, register

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@register("loglinear_kn_e0", version=1)
class LogLinearKNE0(SharedSlopeLaw):
    """Slope and intercept both follow from N by four shared parameters.

    Identifiability: as loglinear_kn, twice. Where E0 is not monotone in N or changes its
    sign, which it does against D, the form of E0(N) does not hold and N1 runs to a bound.
    """

    formula: ClassVar = "log10 L = -K_max / (1 + N0/N) log10 X + E0_max / (1 + N1/N)"
    source: ClassVar = "Tan et al., the authors' code, E0(N) = E0_max N/(N + N1)"
    projection: ClassVar = "K_max and E0_max are linear in log10 L; N0 and N1 on a grid"
    identifiability: ClassVar = "needs sizes on both sides of N0 and N1, and E0 of one sign"
    shared: ClassVar = (
        Parameter("K_max", "1", "slope of an unboundedly large model"),
        Parameter("N0", "parameters", "size at which the slope is K_max/2"),
        Parameter("E0_max", "log10 of L", "log10 L at X = 1 of an unboundedly large model"),
        Parameter("N1", "parameters", "size at which E0 is E0_max/2"),
    )
    per_curve: ClassVar = ()
    min_curves: ClassVar = 2
    midpoints: ClassVar = ("N0", "N1")
    shares_intercept: ClassVar = True

    def bounds(self, N: NDArray[Any], N_ref: float) -> tuple[Sequence[float], Sequence[float]]:
        """Shares between those of the smallest and the largest size, far out."""
        low, high = saturation.share_bounds(N, N_ref)
        return (-math.inf, low, -math.inf, low), (math.inf, high, math.inf, high)

    def slope(self, z: NDArray[Any], N: NDArray[Any], N_ref: float) -> NDArray[Any]:
        """K_max / (1 + N0/N)."""
        return saturation.value(z[..., 0], z[..., 1], N, N_ref)

    def intercept(self, z: NDArray[Any], N: NDArray[Any], N_ref: float) -> NDArray[Any]:
        """E0_max / (1 + N1/N)."""
        return saturation.value(z[..., 2], z[..., 3], N, N_ref)

    def published(self, z: NDArray[Any], N_ref: float) -> list[NDArray[Any]]:
        """Heights and shares, to the parameters in `shared`."""
        slope = saturation.published(z[..., 0], z[..., 1], N_ref)
        level = saturation.published(z[..., 2], z[..., 3], N_ref)
        return slope + level

    def coordinates(self, params: Mapping[str, float], N_ref: float) -> list[float]:
        """The parameters in `shared`, to heights and shares."""
        slope = saturation.coordinates(params["K_max"], params["N0"], N_ref)
        level = saturation.coordinates(params["E0_max"], params["N1"], N_ref)
        return slope + level
