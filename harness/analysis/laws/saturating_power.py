"""L = E + A x^-b: a power above a floor, for each curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.law import Parameter, register
from harness.analysis.laws.powers import PowerSum, PowerSumLaw, Term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.laws.formula import Scale


@register("saturating_power", version=1)
class SaturatingPower(PowerSumLaw):
    """A floor E, which least squares may place below 0, and a power that falls towards it.

    Identifiability: unless the curve has bent visibly, E trades against b, and the profile of
    either is flat up to the bound of the search.
    """

    formula: ClassVar = "L = E_i + A_i x^-b_i"
    source: ClassVar = "Hestness et al. 2017, arXiv 1712.00409"
    projection: ClassVar = "starts: E and A by non-negative least squares on a grid of b"
    identifiability: ClassVar = "needs three different x and a visible bend: else E and b trade"
    per_curve: ClassVar = (
        Parameter("E", "of L", "limit of L for unbounded x"),
        Parameter("A", "of L * x^b", "L - E at x = 1"),
        Parameter("b", "1", "exponent of x"),
    )
    asymptotes: ClassVar = ("E",)
    powers: ClassVar = PowerSum((Term(1, 2, of_size=False),), floor=0)

    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Coordinates to the parameters in `per_curve`."""
        import numpy as np

        E, a, b = z
        return E * scale.y_ref, np.exp(a + b * np.log(scale.x_ref)), b

    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """The parameters in `per_curve` to coordinates."""
        import numpy as np

        E, A, b = params
        return E / scale.y_ref, np.log(A) - b * np.log(scale.x_ref), b
