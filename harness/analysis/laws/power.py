"""L = A x^-beta: one power for each curve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.law import Parameter, register
from harness.analysis.laws.powers import PowerSum, PowerSumLaw, Term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.laws.formula import Points, Scale


@register("power", version=1)
class Power(PowerSumLaw):
    """A straight line in logarithms: in the space log10, ordinary least squares.

    The same curves as `loglinear`, told by other parameters: beta = k, A = 10^E0. R2 is that of
    L, not of log L, whatever the space.
    """

    formula: ClassVar = "L = A_i x^-beta_i"
    source: ClassVar = "Hestness et al. 2017, arXiv 1712.00409, without the floor"
    projection: ClassVar = "one start: ordinary least squares in logarithms"
    identifiability: ClassVar = "needs two different x on each curve; A is the value at x = 1"
    per_curve: ClassVar = (
        Parameter("A", "of L * x^beta", "L at x = 1"),
        Parameter("beta", "1", "fall of ln L with ln x"),
    )
    powers: ClassVar = PowerSum((Term(0, 1, of_size=False),), exponents=(-math.inf, math.inf))

    def starts(self, at: Points) -> NDArray[Any]:
        """The least-squares line in logarithms, and the flat one."""
        return self.powers.log_starts(at)

    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Coordinates to the parameters in `per_curve`."""
        import numpy as np

        a, beta = z
        return np.exp(a + beta * np.log(scale.x_ref)), beta

    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """The parameters in `per_curve` to coordinates."""
        import numpy as np

        A, beta = params
        return np.log(A) - beta * np.log(scale.x_ref), beta
