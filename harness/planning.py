"""What a verdict would take: seeds for 80% power at each margin, and what they cost.

A margin is set by whoever writes the golden file, before the run; none is made up here. Where there
is none, the reason is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import pipeline
from harness.collect import labels_of
from harness.data.table import matches, read_rows
from harness.fitting import concerns
from harness.quantities import SEED, summary_name
from harness.spec.expression import compile_expression
from harness.verdict.intervals import binomial
from harness.verdict.power import least_margin, seeds_needed
from harness.verdict.statistical import golden_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.spec.grid import Cell
    from harness.spec.measures import Analysis, Summary
    from harness.steps import Locked
    from harness.verdict.entry import Entry

_Curve = tuple[str, int]  # id of a cell, number of the record of `curves: for`
_FLOPS = "flops"  # the field of metrics.jsonl that counts them, whatever a suite calls its column


@dataclass(frozen=True)
class Need:
    """Seeds that one golden entry takes, and their cost; or why none can be told.

    Attributes:
        entry, group, label, unit: as in the golden file.
        margin: largest difference that is still the same result; None if the entry sets none.
        sd: standard deviation between seeds, as the source prints it or as its questions imply.
        least_margin: what a margin has to exceed for any number of seeds to have 80% power.
        seeds: how many give 80% power; None if no number does, or it cannot be said.
        reason: why there is no number of seeds; empty if there is one.
        cells: cells of the tier that one seed of the number needs.
        cost_s: seconds of all of them; None where the budget does not say what a cell takes.
        flops: FLOPs of all of them, from the last point of their curves: as the store has it, or,
            before a run, the published curve that is replayed; None where neither has.
    """

    entry: str
    group: str
    label: str
    unit: str
    margin: float | None
    sd: float | None
    least_margin: float | None
    seeds: int | None
    reason: str
    cells: int
    cost_s: float | None
    flops: float | None


def needs(locked: Locked) -> list[Need]:
    """One row for each golden entry of the tier, in the file's order; none without a golden file.

    Raises:
        DataError: a published curve is not as the suite says.
    """
    golden = pipeline.golden(locked.loaded)
    if golden is None:
        return []
    level = locked.loaded.tier.level
    if all(entry.margin is None for entry in golden.entries):
        return [_without_margin(entry, level) for entry in golden.entries]
    collected = pipeline.collect(locked)
    flops = {result.cell.id: _last_flops(locked, result.rows) for result in collected.results}
    suite = locked.loaded.suite
    assert suite.curves is not None
    labels: dict[_Curve, Mapping[str, object]] = {}
    for cell in pipeline.cells(locked, None):
        if flops.get(cell.id) is None:
            flops[cell.id] = _published_flops(locked, cell)
        labels |= {(cell.id, i): one for i, one in enumerate(labels_of(cell, suite.curves))}
    cell_s = locked.loaded.tier.budget.cell_s
    rows = []
    for entry in golden.entries:
        if entry.margin is None:
            rows.append(_without_margin(entry, level))
            continue
        cells = _one_seed(_cells_of(entry.quantity, labels, suite.summaries, suite.analyses))
        seeds, reason, sd, least = _seeds(entry)
        used = [flops.get(cell) for cell in cells]
        one_seed = math.fsum(c for c in used if c is not None) if cells and all(used) else None
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


def _without_margin(entry: Entry, level: str) -> Need:
    return Need(
        entry=entry.id,
        group=entry.group,
        label=entry.label,
        unit=entry.unit,
        margin=None,
        sd=entry.sd,
        least_margin=None,
        seeds=None,
        reason=f"{NO_MARGIN}: {_why_no_margin(entry, level)}",
        cells=0,
        cost_s=None,
        flops=None,
    )


NO_MARGIN = "no margin"
_NO_SPREAD = "the source prints no spread between runs, so that no number of seeds can be told"


def _why_no_margin(entry: Entry, level: str) -> str:
    """Why an entry without a margin asks for no seeds."""
    if entry.between is not None:
        return f"the claimed range is one by itself, half its width; {_NO_SPREAD}"
    if level == "R1":
        return "stored responses are scored again, which gives one number whatever the seed"
    if entry.kind in _COMPUTED:
        return _COMPUTED[entry.kind]
    if entry.input_rounding is not None:
        return "computed from other printed numbers, digit by digit: no seed moves it"
    if entry.quantity.startswith(("fit/", "extrapolation/")):
        return (
            f"level {level} fits the published points again and compares digits: no seed moves "
            f"it; {_NO_SPREAD}"
        )
    if entry.sd is not None:
        return "the source prints a spread between runs, but the golden file sets none"
    return _NO_SPREAD


_COMPUTED = {
    "refit": "computed from the published points, digit by digit: no seed moves it",
    "transcribed": "read off the figure that is replayed, digit by digit: no seed moves it",
    "recorded": "written down from a run of this harness: a guard against drift",
}


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


def _published_flops(locked: Locked, cell: Cell) -> float | None:
    """What the last point of the published curve has cost that a cell replays; None without one.

    Raises:
        DataError: the file lacks a column, or holds text in the place of a number.
    """
    settings = cell.document["settings"]
    curve = settings.get("curve") if isinstance(settings, dict) else None
    if cell.document["engine"] != "replay" or curve is None:
        return None
    column, step = (curve["columns"].get(name) for name in (_FLOPS, "step"))
    declared = locked.loaded.suite.data.get(curve["data"])
    if column is None or declared is None or not declared.in_suite:
        return None
    path = locked.loaded.suite.root / declared.path
    select = curve["select"]
    rows = read_rows(path.read_bytes(), str(path), [column, step, *select])
    chosen = [row for row in rows if matches(row, select)]
    last = max(chosen, key=lambda row: row.number(step), default=None)
    return None if last is None else float(last.number(column))


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
