"""log10 L = -k_i log10 X + E0_i: every curve its own line."""

from __future__ import annotations

from typing import ClassVar

from harness.analysis.laws.law import Law, Parameter, register


@register("loglinear", version=1)
class LogLinear(Law):
    """k and E0 free for every curve. Source: Tan et al., arXiv 2509.25300v4.

    Identifiability: with two points of different X on each curve. Says nothing of an N that
    was not fitted.
    """

    formula: ClassVar = "log10 L = -k_i log10 X + E0_i"
    source: ClassVar = "Tan et al., arXiv 2509.25300v4, free slopes"
    projection: ClassVar = "E0 by least squares for each k (ordinary least squares in log10)"
    identifiability: ClassVar = "needs two different X on each curve; k and E0 are correlated"
    per_curve: ClassVar = (
        Parameter("k", "1", "fall of log10 L per decade of X"),
        Parameter("E0", "log10 of L", "log10 L at X = 1"),
    )
