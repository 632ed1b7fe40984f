"""A law as another package would offer it."""

from harness.analysis.laws import Law, Parameter, register


@register("line_of_another_package", version=3)
class OtherLine(Law):
    """Every curve its own line, under another name."""

    formula = "log10 L = -k_i log10 X + E0_i"
    source = "none"
    identifiability = "as loglinear"
    per_curve = (
        Parameter("k", "1", "slope"),
        Parameter("E0", "log10 of L", "log10 L at X = 1"),
    )
