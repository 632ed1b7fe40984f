"""L = E + (A/N)^alpha + (B/x)^beta: a floor and a power each of size and of x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.law import Parameter, register
from harness.analysis.laws.powers import PowerSum, PowerSumLaw, Term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.laws.formula import Scale


@register("powlaw", version=1)
class PowLaw(PowerSumLaw):
    """The formula of `chinchilla` with other parameters, and a floor that may be negative.

    Identifiability: A is a size and B an x at which a term is 1, which the data hardly ever
    reach: both are extrapolations along their exponents, and correlated with them.
    """

    formula: ClassVar = "L = E + (A/N)^alpha + (B/x)^beta"
    source: ClassVar = "Tan et al., the authors' code, powlaw"
    projection: ClassVar = "starts: E and both heights by non-negative least squares on a grid"
    identifiability: ClassVar = "A and B are correlated with their exponents; E as in chinchilla"
    shared: ClassVar = (
        Parameter("E", "of L", "loss of an unboundedly large model at unbounded x"),
        Parameter("A", "parameters", "size at which the term in size is 1"),
        Parameter("B", "of x", "x at which the term in x is 1"),
        Parameter("alpha", "1", "exponent of size"),
        Parameter("beta", "1", "exponent of x"),
    )
    per_curve: ClassVar = ()
    min_curves: ClassVar = 2
    asymptotes: ClassVar = ("E",)
    powers: ClassVar = PowerSum((Term(1, 3, of_size=True), Term(2, 4, of_size=False)), floor=0)

    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Coordinates to the parameters in `shared`."""
        import numpy as np

        E, a, b, alpha, beta = z
        A, B = scale.N_ref * np.exp(a / alpha), scale.x_ref * np.exp(b / beta)
        return E * scale.y_ref, A, B, alpha, beta

    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """The parameters in `shared` to coordinates."""
        import numpy as np

        E, A, B, alpha, beta = params
        a, b = alpha * np.log(A / scale.N_ref), beta * np.log(B / scale.x_ref)
        return E / scale.y_ref, a, b, alpha, beta
