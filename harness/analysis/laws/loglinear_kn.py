"""log10 L = -k(N) log10 X + E0_i, k(N) = K_max / (1 + N0/N): slopes saturate with size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws import saturation
from harness.analysis.laws.law import Parameter, SharedSlopeLaw, register

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@register("loglinear_kn", version=1)
class LogLinearKN(SharedSlopeLaw):
    """Slope shared through K_max and N0, E0 free for every curve.

    Identifiability: two sizes determine K_max and N0 without a degree of freedom; unless
    sizes well above N0 are in the data, only K_max/N0 is known. E0 of a size that was not
    fitted is unknown, so the law alone predicts none: it needs that curve's own points.
    """

    formula: ClassVar = "log10 L = -K_max / (1 + N0/N) log10 X + E0_i"
    source: ClassVar = "Tan et al., arXiv 2509.25300v4, k(N) = K_max/(1 + N0/N), Table 6"
    projection: ClassVar = "every E0 for given slopes; K_max is linear in log10 L; N0 on a grid"
    identifiability: ClassVar = "needs sizes on both sides of N0; else only K_max/N0 is known"
    shared: ClassVar = (
        Parameter("K_max", "1", "slope of an unboundedly large model"),
        Parameter("N0", "parameters", "size at which the slope is K_max/2"),
    )
    per_curve: ClassVar = (Parameter("E0", "log10 of L", "log10 L at X = 1"),)
    min_curves: ClassVar = 2
    midpoints: ClassVar = ("N0",)

    def bounds(self, N: NDArray[Any], N_ref: float) -> tuple[Sequence[float], Sequence[float]]:
        """Shares between those of the smallest and the largest size, far out."""
        low, high = saturation.share_bounds(N, N_ref)
        return (-math.inf, low), (math.inf, high)

    def slope(self, z: NDArray[Any], N: NDArray[Any], N_ref: float) -> NDArray[Any]:
        """K_max / (1 + N0/N)."""
        return saturation.value(z[..., 0], z[..., 1], N, N_ref)

    def published(self, z: NDArray[Any], N_ref: float) -> list[NDArray[Any]]:
        """Height and share, to the parameters in `shared`."""
        return saturation.published(z[..., 0], z[..., 1], N_ref)

    def coordinates(self, params: Mapping[str, float], N_ref: float) -> list[float]:
        """The parameters in `shared`, to height and share."""
        return saturation.coordinates(params["K_max"], params["N0"], N_ref)
