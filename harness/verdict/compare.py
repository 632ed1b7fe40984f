"""Level R0: numbers found again from published points, compared as numbers.

A fit of the same points by the same protocol has one optimum, so what may differ is the last
printed digit and how far from the optimum the published optimiser stopped. Near the optimum
F(theta)/F(theta_best) - 1 = eps holds on an ellipsoid whose half-width in parameter j is
SE_j sqrt(eps (n - p)), with SE_j the least-squares standard error; the tolerance is that plus half
a unit of the last printed digit. Nothing statistical enters: at R0 there is no new sample.

SE grows without bound where the data do not determine a parameter, and a tolerance that grows with
it would pass anything. So the slack is capped, and a parameter that the fit's certificate doubts is
inconclusive whatever its value.
"""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.verdict.entry import half_unit
from harness.verdict.model import Comparison, Quantity, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.verdict.entry import Entry, Point
    from harness.verdict.golden import Golden

# Room for the rounding of the comparison itself, so that .1355 found against .135 printed sits on
# the edge of half a unit rather than a bit beside it.
_ROUNDING = 1e-9

# The slack counts up to this many half units of the last printed digit.
_MOST_SLACK = 10.0


@dataclass(frozen=True)
class _Judged:
    found: float | None
    difference: float | None
    tolerance: float | None
    tolerance_reason: str
    verdict: Verdict
    reason: str


def compare_r0(
    golden: Golden,
    quantities: Mapping[str, Quantity],
    objective_ratio: Callable[[str, Point], float],
) -> list[Comparison]:
    """Judge every golden entry; the order is the golden file's.

    Args:
        golden: entries with their digits, units and declarations.
        quantities: what the run found, by name.
        objective_ratio: F(found)/F(published) - 1 of a fit, by the name of its quantity
            (`fit/NAME/objective`) and the published parameters.
    """
    comparisons = []
    for entry in golden.entries:
        quantity = quantities.get(entry.quantity)
        if quantity is None:
            judged = _unused(entry)
        elif quantity.missing is not None or quantity.value is None:
            judged = _without_value(quantity)
        elif entry.at is not None:
            judged = _objective(entry.at, quantity, golden, objective_ratio)
        else:
            judged = _number(entry, quantity, golden.objective_slack)
        if entry.declared is not None and judged.found is not None:
            judged = _declared(entry, judged)
        comparisons.append(_comparison(entry, judged))
    return comparisons


def unjudged(
    golden: Golden | None, quantities: Mapping[str, Quantity], patterns: Sequence[str]
) -> dict[str, float]:
    """Quantities that the suite wants judged and that no golden entry names."""
    covered = {entry.quantity for entry in golden.entries} if golden else set()
    return {
        name: quantity.value
        for name, quantity in quantities.items()
        if name not in covered
        and quantity.value is not None
        and math.isfinite(quantity.value)
        and quantity.missing is None
        and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }


def _number(entry: Entry, quantity: Quantity, objective_slack: float) -> _Judged:
    assert quantity.value is not None
    found = quantity.value / entry.scale
    low, high = entry.ends
    # Of a claimed range what counts is how far outside it the number lies.
    outside = max(low - found, found - high, 0.0)
    difference = found - entry.value if low == high else found - min(max(found, low), high)
    half_width, tolerance, why = _tolerance(entry, quantity, objective_slack)
    if not math.isfinite(found):
        reason = "what the run found is not a finite number"
        return _Judged(found, None, tolerance, why, Verdict.INCONCLUSIVE, reason)
    if quantity.doubt is not None:
        reason = f"the data do not determine it: {quantity.doubt}"
        return _Judged(found, difference, tolerance, why, Verdict.INCONCLUSIVE, reason)
    if outside <= half_width + _ROUNDING * abs(entry.value):
        return _Judged(found, difference, tolerance, why, Verdict.REPRODUCED, "")
    if outside <= tolerance:
        reason = "other digits than printed, within what the optimiser's stopping rule leaves open"
        return _Judged(found, difference, tolerance, why, Verdict.DRIFTED, reason)
    times = outside / tolerance if tolerance else math.inf
    reason = f"differs by {times:.3g} times the tolerance"
    if low != high:
        reason = f"outside the claimed range, by {outside:.3g}"
    return _Judged(found, difference, tolerance, why, Verdict.NOT_REPRODUCED, reason)


def _tolerance(
    entry: Entry, quantity: Quantity, objective_slack: float
) -> tuple[float, float, str]:
    """Half-width within which a number is reproduced, the whole tolerance, and what it is made of.

    The ends of a claimed range are not rounded numbers, so that it has no half digit.
    """
    if entry.rtol is not None:
        half_width = entry.rtol * abs(entry.value)
        return half_width, half_width, f"{entry.rtol:g} relative"
    slack = quantity.slack * math.sqrt(objective_slack) / entry.scale
    slack = min(slack, _MOST_SLACK * entry.half_unit)
    half_width, told = 0.0, "the claimed range"
    if entry.between is None:
        half_width, told = entry.half_unit, f"½ digit {entry.half_unit:g}"
    if entry.input_rounding is not None:
        half_width += entry.input_rounding
        told += f" + rounding of the printed inputs {entry.input_rounding:g}"
    tolerance = half_width + slack
    if slack > 0:
        told += f" + SE·√(ε(n-p)) {slack:.2g}"
    return half_width if entry.between is None else tolerance, tolerance, told


def _objective(
    at: Point,
    quantity: Quantity,
    golden: Golden,
    objective_ratio: Callable[[str, Point], float],
) -> _Judged:
    ratio = objective_ratio(quantity.name, at)
    slack = golden.objective_slack
    why = f"ε = {slack:g}: {golden.objective_slack_reason}"
    if abs(ratio) <= slack:
        return _Judged(ratio, ratio, slack, why, Verdict.REPRODUCED, "")
    reason = (
        "our optimum is worse than the published parameters"
        if ratio > 0
        else "the published parameters are not at the optimum of these points"
    )
    return _Judged(ratio, ratio, slack, why, Verdict.NOT_REPRODUCED, reason)


def _declared(entry: Entry, judged: _Judged) -> _Judged:
    """A declared entry: inconclusive if the run finds what the declaration expects it to find."""
    declared = entry.declared
    assert declared is not None
    assert judged.found is not None
    expected = float(declared.instead)
    width = half_unit(declared.instead) + _ROUNDING * abs(expected)
    slack = (judged.tolerance or 0.0) - entry.half_unit
    if abs(judged.found - expected) <= width + max(slack, 0.0):
        verdict, reason = Verdict.INCONCLUSIVE, f"declared {declared.kind}: {declared.reason}"
    elif judged.verdict is Verdict.NOT_REPRODUCED:
        verdict = Verdict.NOT_REPRODUCED
        reason = (
            f"declared {declared.kind}, but the run finds neither the printed {entry.shown} "
            f"nor the expected {declared.instead}"
        )
    else:
        verdict = Verdict.NOT_REPRODUCED
        reason = (
            f"declared {declared.kind}, but the run finds the printed number and not the expected "
            f"{declared.instead}: check the declaration"
        )
    return _Judged(
        judged.found, judged.difference, judged.tolerance, judged.tolerance_reason, verdict, reason
    )


def _without_value(quantity: Quantity) -> _Judged:
    found = None
    reason = quantity.missing or "the run has no value for it"
    return _Judged(found, None, None, "", Verdict.INCONCLUSIVE, reason)


def _unused(entry: Entry) -> _Judged:
    reason = f"unused golden entry: this suite computes no quantity {entry.quantity!r}"
    return _Judged(None, None, None, "", Verdict.NOT_REPRODUCED, reason)


def _comparison(entry: Entry, judged: _Judged) -> Comparison:
    return Comparison(
        entry=entry.id,
        group=entry.group,
        quantity=entry.quantity,
        label=entry.label,
        unit=entry.unit,
        published=entry.shown,
        found=judged.found,
        difference=judged.difference,
        tolerance=judged.tolerance,
        tolerance_reason=judged.tolerance_reason,
        verdict=judged.verdict,
        reason=judged.reason,
        declared=entry.declared.kind if entry.declared else None,
        kind=entry.kind.value,
        source=f"{entry.source}, {entry.place}",
    )
