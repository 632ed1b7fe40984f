"""What a verdict would take: seeds for 80% power at each margin, and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import pipeline
from harness.collect import labels_of
from harness.fitting import concerns
from harness.quantities import SEED, summary_name
from harness.spec.expression import compile_expression
from harness.verdict.intervals import binomial
from harness.verdict.power import least_margin, seeds_needed
from harness.verdict.statistical import golden_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.spec.suite import Analysis, Summary
    from harness.steps import Locked
    from harness.verdict.entry import Entry

_Curve = tuple[str, int]  # id of a cell, number of the record of `curves: for`
_FLOPS = "flops"  # the field of metrics.jsonl that counts them, whatever a suite calls its column


@dataclass(frozen=True)
class Need:
    """Seeds that one golden entry takes, and their cost.

    Attributes:
        entry, group, label, unit: as in the golden file.
        margin: largest difference that is still the same result.
        sd: standard deviation between seeds, as the source prints it or as its questions imply.
        least_margin: what a margin has to exceed for any number of seeds to have 80% power.
        seeds: how many give 80% power; None if no number does, or it cannot be said.
        reason: why there is no number of seeds; empty if there is one.
        cells: cells of the tier that one seed of the number needs.
        cost_s: seconds of all of them; None where the budget does not say what a cell takes.
        flops: FLOPs of all of them, from the last point of their curves; None where the store
            lacks one of them.
    """

    entry: str
    group: str
    label: str
    unit: str
    margin: float
    sd: float | None
    least_margin: float | None
    seeds: int | None
    reason: str
    cells: int
    cost_s: float | None
    flops: float | None


def needs(locked: Locked) -> list[Need]:
    """One row for each golden entry of the tier that has a margin, in the file's order."""
    golden = pipeline.golden(locked.loaded)
    entries = [entry for entry in golden.entries if entry.margin is not None] if golden else []
    if not entries:
        return []
    collected = pipeline.collect(locked)
    flops = {result.cell.id: _last_flops(locked, result.rows) for result in collected.results}
    suite = locked.loaded.suite
    assert suite.curves is not None
    labels = {
        (cell.id, number): one
        for cell in pipeline.cells(locked, None)
        for number, one in enumerate(labels_of(cell, suite.curves))
    }
    cell_s = locked.loaded.tier.budget.cell_s
    rows = []
    for entry in entries:
        cells = _one_seed(_cells_of(entry.quantity, labels, suite.summaries, suite.analyses))
        seeds, reason, sd, least = _seeds(entry)
        used = [flops.get(cell) for cell in cells]
        one_seed = math.fsum(c for c in used if c is not None) if cells and all(used) else None
        assert entry.margin is not None
        rows.append(
            Need(
                entry=entry.id,
                group=entry.group,
                label=entry.label,
                unit=entry.unit,
                margin=entry.margin,
                sd=sd,
                least_margin=least,
                seeds=seeds,
                reason=reason,
                cells=len(cells),
                cost_s=None
                if None in (seeds, cell_s)
                else _times(seeds, len(cells) * (cell_s or 0)),
                flops=None if one_seed is None else _times(seeds, one_seed),
            )
        )
    return rows


def _times(seeds: int | None, one: float) -> float | None:
    return None if seeds is None else seeds * one


def _seeds(entry: Entry) -> tuple[int | None, str, float | None, float | None]:
    """Seeds needed, why there is no number, the standard deviation behind it, the least margin."""
    assert entry.margin is not None
    sd, step = entry.sd or 0.0, 0.0
    if entry.questions is not None:
        share = entry.value * entry.scale
        by_questions = binomial(share, entry.questions, entry.runs or 1)
        sd = max(sd, math.sqrt(float(by_questions)) / entry.scale)
        step = 1.0 / entry.questions / entry.scale
    golden = golden_error(entry, None, None)
    if golden is None or not sd:
        return None, "unknown: the entry has neither sd and runs nor questions", None, None
    least = least_margin(golden)
    seeds = seeds_needed(sd, golden, entry.margin, step)
    if seeds is None:
        return None, "never: the margin lies below the golden's own uncertainty", sd, least
    return seeds, "", sd, least


def _cells_of(
    quantity: str,
    labels: Mapping[_Curve, Mapping[str, object]],
    summaries: Sequence[Summary],
    analyses: Sequence[Analysis],
) -> dict[_Curve, Mapping[str, object]]:
    """The curves, with their labels, that a quantity is made of."""
    for summary in summaries:
        if not f"{quantity}/".startswith(f"summary/{summary.name}/"):
            continue
        keep = compile_expression(summary.where) if summary.where is not None else None
        return {
            curve: of
            for curve, of in labels.items()
            if (keep is None or keep(of))
            and summary_name(summary, [of[name] for name in summary.by]) == quantity
        }
    for analysis in analyses:
        if f"/{analysis.name}/" in quantity:
            return {curve: of for curve, of in labels.items() if concerns(analysis, of)}
    return {}


def _one_seed(curves: Mapping[_Curve, Mapping[str, object]]) -> list[str]:
    """The cells of these curves; of cells that differ in their seed only, one."""
    different = {
        tuple((name, value) for name, value in labels.items() if name != SEED): cell
        for (cell, _), labels in curves.items()
    }
    return list(dict.fromkeys(different.values()))


def _last_flops(locked: Locked, rows: Sequence[Mapping[str, object]]) -> float | None:
    """What the last point of a cell's curve has cost; None where curves do not count FLOPs."""
    curves = locked.loaded.suite.curves
    column = (
        next((n for n, field in curves.columns.items() if field == _FLOPS), None)
        if curves
        else None
    )
    found = rows[-1].get(column) if rows and column is not None else None
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else None
