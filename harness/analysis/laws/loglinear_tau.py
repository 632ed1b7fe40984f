"""log10 L = -k(tau) log10 X + E0(tau): a line for each degree of data reuse."""

from __future__ import annotations

from typing import ClassVar

from harness.analysis.laws.law import Law, Parameter, register


@register("loglinear_tau", version=1)
class LogLinearTau(Law):
    """`loglinear` for curves that are told apart by tau: fit it with group="tau".

    Identifiability: with two points of different X on each curve. No formula says how k and E0
    depend on tau, so nothing is said of a tau that was not fitted.
    """

    formula: ClassVar = "log10 L = -k(tau) log10 X + E0(tau)"
    source: ClassVar = "Tan et al., arXiv 2509.25300v4, data reuse: a line for each tau"
    projection: ClassVar = "E0 by least squares for each k (ordinary least squares in log10)"
    identifiability: ClassVar = "needs two different X for each tau; k and E0 are correlated"
    per_curve: ClassVar = (
        Parameter("k", "1", "fall of log10 L per decade of X"),
        Parameter("E0", "log10 of L", "log10 L at X = 1"),
    )
