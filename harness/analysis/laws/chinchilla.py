"""L = E + A N^-alpha + B D^-beta: a floor and a power each of size and of data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.law import Parameter, register
from harness.analysis.laws.powers import PowerSum, PowerSumLaw, Term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.laws.formula import Scale


@register("chinchilla", version=1)
class Chinchilla(PowerSumLaw):
    """x is D; coordinates are log E, log A, alpha, log B, beta, as in the source.

    The source minimises the Huber loss with delta 1e-3 on ln L. On log10 L, which is what the
    space log10 takes, that is delta = 1e-3/ln 10 = 4.3429e-4.
    """

    formula: ClassVar = "L = E + A N^-alpha + B D^-beta"
    source: ClassVar = "Hoffmann et al. 2022, arXiv 2203.15556, eq. 10 and appendix D.3"
    projection: ClassVar = "starts: E, A, B by non-negative least squares on a grid of exponents"
    identifiability: ClassVar = (
        "needs N and D that vary apart; E is known only if terms have fallen near it"
    )
    shared: ClassVar = (
        Parameter("E", "of L", "loss of an unboundedly large model on unbounded data"),
        Parameter("A", "of L * parameters^alpha", "height of the term in size"),
        Parameter("alpha", "1", "exponent of size"),
        Parameter("B", "of L * x^beta", "height of the term in data"),
        Parameter("beta", "1", "exponent of data"),
    )
    per_curve: ClassVar = ()
    min_curves: ClassVar = 2
    asymptotes: ClassVar = ("E",)
    powers: ClassVar = PowerSum(
        (Term(1, 2, of_size=True), Term(3, 4, of_size=False)), floor=0, log_floor=True
    )

    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Coordinates to the parameters in `shared`."""
        import numpy as np

        e, a, alpha, b, beta = z
        E = scale.y_ref * np.exp(e)
        A = np.exp(a + alpha * np.log(scale.N_ref))
        B = np.exp(b + beta * np.log(scale.x_ref))
        return E, A, alpha, B, beta

    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """The parameters in `shared` to coordinates."""
        import numpy as np

        E, A, alpha, B, beta = params
        a = np.log(A) - alpha * np.log(scale.N_ref)
        b = np.log(B) - beta * np.log(scale.x_ref)
        return np.log(E / scale.y_ref), a, alpha, b, beta
