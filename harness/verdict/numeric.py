"""Numbers found again from the same material, compared as numbers: the rule of level R0.

A fit of the same points by the same protocol has one optimum, so what may differ is the last
printed digit and how far from the optimum the published optimiser stopped. Near the optimum
F(theta)/F(theta_best) - 1 = eps holds on an ellipsoid whose half-width in parameter j is
SE_j sqrt(eps (n - p)), with SE_j the least-squares standard error; the tolerance is that plus half
a unit of the last printed digit. Nothing statistical enters: there is no new sample.

SE grows without bound where the data do not determine a parameter, and a tolerance that grows with
it would pass anything. So the slack is capped, and a parameter that the fit's certificate doubts is
inconclusive whatever its value.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.verdict.model import Verdict
from harness.verdict.outcome import ROUNDING, Judged

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.verdict.entry import Entry, Point
    from harness.verdict.golden import Golden
    from harness.verdict.model import Quantity

# The slack counts up to this many half units of the last printed digit.
_MOST_SLACK = 10.0


def judge_number(entry: Entry, quantity: Quantity, objective_slack: float) -> Judged:
    """Judge a number, or a claimed range, by its tolerance."""
    assert quantity.value is not None
    found = quantity.value / entry.scale
    low, high = entry.ends
    # Of a claimed range what counts is how far outside it the number lies.
    outside = max(low - found, found - high, 0.0)
    difference = found - entry.value if low == high else found - min(max(found, low), high)
    half_width, tolerance, why = _tolerance(entry, quantity, objective_slack)
    if not math.isfinite(found):
        reason = "what the run found is not a finite number"
        return Judged(found, None, tolerance, why, Verdict.INCONCLUSIVE, reason)
    if quantity.doubt is not None:
        reason = f"the data do not determine it: {quantity.doubt}"
        return Judged(found, difference, tolerance, why, Verdict.INCONCLUSIVE, reason)
    if outside <= half_width + ROUNDING * abs(entry.value):
        return Judged(found, difference, tolerance, why, Verdict.REPRODUCED, "")
    if outside <= tolerance:
        reason = "other digits than printed, within what the optimiser's stopping rule leaves open"
        return Judged(found, difference, tolerance, why, Verdict.DRIFTED, reason)
    times = outside / tolerance if tolerance else math.inf
    reason = f"differs by {times:.3g} times the tolerance"
    if low != high:
        reason = f"outside the claimed range, by {outside:.3g}"
    return Judged(found, difference, tolerance, why, Verdict.NOT_REPRODUCED, reason)


def _tolerance(
    entry: Entry, quantity: Quantity, objective_slack: float
) -> tuple[float, float, str]:
    """Half-width within which a number is reproduced, the whole tolerance, and what it is made of.

    The ends of a claimed range are not rounded numbers, so that it has no half digit.
    """
    if entry.tolerance is not None:
        told = f"tolerance {entry.tolerance:g}: {entry.tolerance_reason}"
        return entry.tolerance, entry.tolerance, told
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


def judge_objective(
    at: Point,
    quantity: Quantity,
    golden: Golden,
    objective_ratio: Callable[[str, Point], float],
) -> Judged:
    """Judge published parameters by the fit's own objective at them."""
    ratio = objective_ratio(quantity.name, at)
    slack = golden.objective_slack
    why = f"ε = {slack:g}: {golden.objective_slack_reason}"
    if abs(ratio) <= slack:
        return Judged(ratio, ratio, slack, why, Verdict.REPRODUCED, "")
    reason = (
        "our optimum is worse than the published parameters"
        if ratio > 0
        else "the published parameters are not at the optimum of these points"
    )
    return Judged(ratio, ratio, slack, why, Verdict.NOT_REPRODUCED, reason)
