"""postopenai with B0(N) and C0(N) that fall with N towards a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from harness.analysis.laws.formula import FormulaLaw, Points, Scale
from harness.analysis.laws.law import Parameter, get_law, register
from harness.analysis.laws.postopenai import FAR, HIGHEST, LOWEST, offset_bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

N_REF = 1e9  # stated, not fitted: B0 N_ref^p_B and C0 N_ref^p_C are all that the data know of it
_EXPONENTS = (0.5, 1.5)
_SHARES = (0.2, 0.8)


@register("postopenai_nref", version=1)
class PostOpenAINRef(FormulaLaw):
    """N_ref is fixed at 1e9 parameters: any other value gives the same curves with other B0, C0.

    Identifiability: very poor, nine parameters for curves that are nearly lines. Compare
    predictions of two fits, never these parameters.
    """

    formula: ClassVar = (
        "L = [(N0/N)^beta + B0(N)/(C + C0(N))]^alpha, B0(N) = B_max + B0 (1e9/N)^p_B, "
        "C0(N) = C_max + C0 (1e9/N)^p_C"
    )
    source: ClassVar = "Tan et al., the authors' code, postopenai with N_ref, here fixed at 1e9"
    projection: ClassVar = "starts: those of postopenai, with B0 and C0 split in shares"
    identifiability: ClassVar = "very poor: compare predictions, never parameters"
    shared: ClassVar = (
        Parameter("N0", "parameters", "size at which the first term is 1"),
        Parameter("beta", "1", "exponent of size"),
        Parameter("alpha", "1", "exponent of the sum"),
        Parameter("B_max", "of x", "B0(N) of an unboundedly large model"),
        Parameter("B0", "of x", "B0(N) - B_max at N = 1e9"),
        Parameter("p_B", "1", "exponent with which B0(N) falls"),
        Parameter("C_max", "of x", "C0(N) of an unboundedly large model"),
        Parameter("C0", "of x", "C0(N) - C_max at N = 1e9"),
        Parameter("p_C", "1", "exponent with which C0(N) falls"),
    )
    per_curve: ClassVar = ()
    min_curves: ClassVar = 3
    takes_log_x: ClassVar = False

    def bounds(self, at: Points) -> tuple[Sequence[float], Sequence[float]]:
        """Exponents, and offsets by the range of the data."""
        low, high = offset_bounds(at)
        lower = (-FAR, LOWEST, LOWEST, -FAR, -FAR, 0.0, low, low, 0.0)
        return lower, (FAR, HIGHEST, HIGHEST, FAR, FAR, HIGHEST, high, high, HIGHEST)

    def value(self, z: Sequence[NDArray[Any]], at: Points) -> NDArray[Any]:
        """L."""
        import numpy as np

        a, beta, alpha, b_max, b, p_B, c_max, c, p_C = z
        above = np.exp(b_max) + np.exp(b - p_B * at.v)
        below = at.x / at.scale.x_ref + np.exp(c_max) + np.exp(c - p_C * at.v)
        return np.asarray(np.exp(alpha * np.log(np.exp(a - beta * at.v) + above / below)))

    def starts(self, at: Points) -> NDArray[Any]:
        """Those of postopenai, each with its B0 and C0 split between limit and fall."""
        import itertools

        import numpy as np

        simple = get_law("postopenai")
        assert isinstance(simple, FormulaLaw)
        found = []
        for a, beta, alpha, b, c in simple.starts(at)[::3]:
            for share, p in itertools.product(_SHARES, _EXPONENTS):
                both = np.log(share), np.log(1.0 - share)
                found.append(
                    [a, beta, alpha, b + both[1], b + both[0], p, c + both[1], c + both[0], p]
                )
        return np.array(found)

    def published(self, z: Sequence[NDArray[Any]], scale: Scale) -> Sequence[NDArray[Any]]:
        """Coordinates to the parameters in `shared`."""
        import numpy as np

        a, beta, alpha, b_max, b, p_B, c_max, c, p_C = z
        away, x = np.log(scale.N_ref / N_REF), scale.x_ref
        N0 = scale.N_ref * np.exp(a / beta)
        B0, C0 = x * np.exp(b + p_B * away), x * np.exp(c + p_C * away)
        return N0, beta, alpha, x * np.exp(b_max), B0, p_B, x * np.exp(c_max), C0, p_C

    def coordinates(self, params: Sequence[Any], scale: Scale) -> Sequence[Any]:
        """The parameters in `shared` to coordinates."""
        import numpy as np

        N0, beta, alpha, B_max, B0, p_B, C_max, C0, p_C = params
        away, x = np.log(scale.N_ref / N_REF), scale.x_ref
        b_max, b = np.log(B_max / x), np.log(B0 / x) - p_B * away
        c_max, c = np.log(C_max / x), np.log(C0 / x) - p_C * away
        return beta * np.log(N0 / scale.N_ref), beta, alpha, b_max, b, p_B, c_max, c, p_C
