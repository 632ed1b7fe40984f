"""What becomes of one golden entry: the judgement, declarations, and the line of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.verdict.entry import half_unit
from harness.verdict.model import Comparison, Verdict

if TYPE_CHECKING:
    from harness.verdict.entry import Entry
    from harness.verdict.model import Quantity, Statistics

# Room for the rounding of the comparison itself, so that .1355 found against .135 printed sits on
# the edge of half a unit rather than a bit beside it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Judged:
    """A verdict on one entry, in the entry's unit, before it becomes a line of the table."""

    found: float | None
    difference: float | None
    tolerance: float | None
    tolerance_reason: str
    verdict: Verdict
    reason: str
    statistics: Statistics | None = None
    reported_only: bool = False


def held_to_declaration(entry: Entry, judged: Judged) -> Judged:
    """A declared entry: inconclusive if the run finds what the declaration expects it to find."""
    declared = entry.declared
    assert declared is not None
    assert judged.found is not None
    expected = float(declared.instead)
    width = half_unit(declared.instead) + ROUNDING * abs(expected)
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
    return replace(judged, verdict=verdict, reason=reason)


def without_value(quantity: Quantity) -> Judged:
    """A quantity that the run could not have, with why."""
    reason = quantity.missing or "the run has no value for it"
    return Judged(None, None, None, "", Verdict.INCONCLUSIVE, reason)


def unused(entry: Entry) -> Judged:
    """A golden entry that names nothing: a mistake, and no success."""
    reason = f"unused golden entry: this suite computes no quantity {entry.quantity!r}"
    return Judged(None, None, None, "", Verdict.NOT_REPRODUCED, reason)


def comparison(entry: Entry, judged: Judged) -> Comparison:
    """The line of the verdict table."""
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
        statistics=judged.statistics,
        reported_only=judged.reported_only,
    )
