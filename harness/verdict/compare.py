"""Golden entries held against what a run found: each level of reproduction by its own rule.

| level | an entry with a margin | an entry without |
|---|---|---|
| R0 | as a number | as a number |
| R1 | statistically | as a number: stored material, scored again, has no sampling in it |
| R2, R3 | statistically | not judged: a margin is set before a run, or not at all |
"""

from __future__ import annotations

import fnmatch
import math
from typing import TYPE_CHECKING

from harness.verdict.bands import judge_band
from harness.verdict.model import Level, Verdict
from harness.verdict.numeric import judge_number, judge_objective
from harness.verdict.outcome import Judged, comparison, held_to_declaration, unused, without_value
from harness.verdict.statistical import judge_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.verdict.bands import Predict
    from harness.verdict.entry import Entry, Point
    from harness.verdict.golden import Golden
    from harness.verdict.model import Comparison, Quantity

    Rule = Callable[[Entry, Quantity, Golden], Judged]

_RULES: dict[Level, Rule] = {}


def level(*levels: Level) -> Callable[[Rule], Rule]:
    """Register the rule of one or more levels."""

    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(levels, rule))
        return rule

    return register


@level(Level.R0)
def _as_number(entry: Entry, quantity: Quantity, golden: Golden) -> Judged:
    return judge_number(entry, quantity, golden.objective_slack)


@level(Level.R1)
def _as_number_or_sample(entry: Entry, quantity: Quantity, golden: Golden) -> Judged:
    if entry.margin is None:
        return _as_number(entry, quantity, golden)
    return judge_sample(entry, quantity, family=_family(golden))


@level(Level.R2, Level.R3)
def _as_sample(entry: Entry, quantity: Quantity, golden: Golden) -> Judged:
    banded = any(quantity.name.startswith(f"fit/{band.fit}/") for band in golden.bands)
    if banded and entry.margin is None and quantity.value is not None:
        found = quantity.value / entry.scale
        reason = "a parameter, reported only: its fit is judged by what it predicts"
        return Judged(
            found,
            found - entry.value,
            None,
            "",
            Verdict.INCONCLUSIVE,
            reason,
            reported_only=True,
        )
    if entry.margin is None and entry.tolerance is not None:
        return _as_number(entry, quantity, golden)  # a count, which no seed moves
    return judge_sample(entry, quantity, family=_family(golden))


def _family(golden: Golden) -> int:
    """How many statistical comparisons give the verdict."""
    margins = sum(one.margin is not None or one.between is not None for one in golden.entries)
    return max(1, margins + len(golden.bands))


def compare(
    golden: Golden,
    quantities: Mapping[str, Quantity],
    objective_ratio: Callable[[str, Point], float],
    predict: Predict,
) -> list[Comparison]:
    """Judge every golden entry, then every band; the order is the golden file's.

    Args:
        golden: entries with their digits, units and declarations; its level chooses the rule.
        quantities: what the run found, by name.
        objective_ratio: F(found)/F(published) - 1 of a fit, by the name of its quantity
            (`fit/NAME/objective`) and the published parameters.
        predict: what a fit of the run predicts on a grid.
    """
    comparisons = []
    for entry in golden.entries:
        judged = _judged(entry, quantities.get(entry.quantity), golden, objective_ratio)
        if entry.declared is not None and judged.found is not None:
            judged = held_to_declaration(entry, judged)
        comparisons.append(comparison(entry, judged))
    family = _family(golden)
    comparisons.extend(
        judge_band(band, predict, golden.level, family=family) for band in golden.bands
    )
    return comparisons


def _judged(
    entry: Entry,
    quantity: Quantity | None,
    golden: Golden,
    objective_ratio: Callable[[str, Point], float],
) -> Judged:
    if quantity is None:
        return unused(entry)
    if quantity.missing is not None or quantity.value is None:
        return without_value(quantity)
    if entry.at is not None and golden.level in (Level.R0, Level.R1):
        return judge_objective(entry.at, quantity, golden, objective_ratio)
    return _RULES[golden.level](entry, quantity, golden)


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
