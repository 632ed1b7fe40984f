"""One law on one table: the rows, the fit, its uncertainty, its rivals; what a person should know.

Everything is what `harness.analysis` gives; here rows are chosen and errors get their lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis import (
    Curves,
    clipped_end,
    compare_laws,
    fit,
    held_out,
    profile_likelihood,
    resample,
)
from harness.analysis.curves import ONE_CURVE
from harness.analysis.draws import CROSSED, SCHEMES
from harness.analysis.laws import get_law
from harness.errors import DataError, HarnessError
from harness.report.numbers import value_label
from harness.selection import select
from harness.spec.nearest import nearest
from harness.tablefit.answers import advice, are_answers, averaged, refuse_as_runs
from harness.tablefit.reading import STDIN, Table, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis import Extrapolation, Fit, ProfileInterval, Resample, Rival

_FEWEST_TO_DRAW = 5  # curves: fewer give no interval
_MOST_TO_DRAW = 100_000  # points, where nobody asked for it


@dataclass(frozen=True)
class Wish:
    """What is asked of a table.

    source: path, or `-` for standard input. group: None for a table of one curve. where: over
    columns. skip_gaps: leave rows without x or y out instead of refusing them. options: what
    `harness.analysis.fit` is told besides. resample_by: what is drawn, "none", or None for curves
    where there are enough of them. rivals: laws for comparison. profiles: shared parameters whose
    profile likelihood is wanted.
    """

    source: str
    law: str
    x: str
    y: str
    group: str | None
    where: str | None = None
    skip_gaps: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    resample_by: str | None = None
    n: int = 1000
    seed: int = 0
    rivals: Sequence[str] = ()
    profiles: Sequence[str] = ()


@dataclass(frozen=True)
class TableFit:
    """What came of it. used: the rows of the window. clipped: those that `drop_last` took from it.

    notes: sentences on the data and on what was done.
    """

    fit: Fit
    used: Curves
    clipped: Curves
    resample: Resample | None
    held_out: Sequence[Extrapolation]
    rivals: Sequence[Rival]
    profiles: Sequence[ProfileInterval]
    notes: Sequence[str]


def fit_table(wish: Wish) -> TableFit:
    """Read, choose rows, fit.

    Raises:
        SuiteError: an unknown law, option or name in `where`.
        DataError: rows that the law cannot be fitted to, with file and line where there is one.
    """
    for law in (wish.law, *wish.rivals):
        get_law(law)  # an unknown one is told before a long table is read
    refuse_as_runs(wish.options.get("run"))
    rows = rows_of(wish)
    group = wish.group or ONE_CURVE
    _refuse_unknown_draw(wish, rows)
    _refuse_mixed(wish, rows)
    table, notes = rows, []
    if wish.resample_by in CROSSED:
        table = averaged(rows, str(wish.resample_by), _point(wish), wish.y)
        notes.append(
            f"{len(rows.lines):,} rows are averaged over {wish.resample_by} to "
            f"{len(table.lines):,} points"
        )
    notes += _notes(wish, table)
    try:
        found = fit(table.curves, wish.law, x=wish.x, y=wish.y, group=group, **wish.options)
    except DataError as error:
        raise located(error, table, wish) from error
    kept = found.selection.kept(table.curves)
    resampled = _resampled(wish, found, rows, notes)
    return TableFit(
        fit=found,
        used=table.curves.where(kept),
        clipped=clipped_end(found, table.curves),
        resample=resampled,
        held_out=_held_out(found, table, notes),
        rivals=_rivals(wish, found, table, notes),
        profiles=[profile_likelihood(found, table.curves, name) for name in wish.profiles],
        notes=notes,
    )


def _point(wish: Wish) -> list[str]:
    """The columns that tell the points of a law apart."""
    run = wish.options.get("run")
    return [wish.group or ONE_CURVE, wish.x, *([run] if run else [])]


def _held_out(found: Fit, table: Table, notes: list[str]) -> list[Extrapolation]:
    if found.n > _MOST_TO_DRAW:
        notes.append(f"held-out errors are left out above {_MOST_TO_DRAW:,} points")
        return []
    return held_out(found, table.curves)


def _rivals(wish: Wish, found: Fit, table: Table, notes: list[str]) -> list[Rival]:
    """The law asked for and those that could be fitted beside it, the least BIC first."""
    fits = [found]
    for law in dict.fromkeys(wish.rivals):
        if law == wish.law:
            continue
        try:
            fits.append(
                fit(table.curves, law, x=wish.x, y=wish.y, group=found.group, **wish.options)
            )
        except DataError as error:
            notes.append(f"the rival {law} is not fitted: {error.message}")
    return compare_laws(fits, table.curves) if len(fits) > 1 else []


def rows_of(wish: Wish) -> Table:
    """The rows that are to be fitted."""
    numeric = [wish.x, wish.y, *([wish.group] if wish.group else [])]
    table = read_table(wish.source, numeric)
    if wish.where is not None:
        table = table.where(select(table.curves, wish.where))
        if not len(table.curves):
            raise DataError(
                "no row is left",
                where=wish.source,
                expected="rows for which the expression of --where holds",
                found=wish.where,
            )
    for name in numeric:
        table = _without_gaps(wish, table, name)
    if wish.group is None:
        columns = {**table.curves.columns, ONE_CURVE: np.ones(len(table.curves))}
        table = Table(table.name, Curves(columns), table.lines, table.unit)
    return table


def _without_gaps(wish: Wish, table: Table, name: str) -> Table:
    values = table.curves[name]
    measured = np.isfinite(values)
    if measured.all():
        return table
    bad = np.flatnonzero(~measured)
    if wish.skip_gaps and len(bad) == len(values):
        raise DataError(
            f"--skip-gaps leaves no row: {name} is a gap in all {len(values)}",
            where=wish.source,
            expected=f"a finite number in column {name!r}",
            found="gaps only",
            hint="name the column that holds measurements",
        )
    if not wish.skip_gaps:
        raise DataError(
            f"{name} is not a finite number in {len(bad)} of {len(values)} rows",
            where=table.at(int(bad[0])),
            expected=f"a finite number in column {name!r}",
            found="a gap" if math.isnan(values[bad[0]]) else f"{values[bad[0]]}",
            hint=None
            if len(bad) == len(values)
            else "--skip-gaps leaves such rows out, --where chooses rows",
        )
    return table.where(measured)


def _refuse_mixed(wish: Wish, table: Table) -> None:
    """A column of words that changes within a curve tells curves apart that are taken for one."""
    told = {wish.group, wish.options.get("run"), wish.resample_by}
    words = [
        name
        for name in table.curves.names
        if table.curves[name].dtype == object and name not in told
    ]
    if wish.resample_by in CROSSED:
        words = [name for name in words if not _follows(table, name, str(wish.resample_by))]
    if not words:
        return
    group = table.curves[wish.group or ONE_CURVE]
    for name in words:
        level, code = np.unique(table.curves[name], return_inverse=True)
        for value in np.unique(group):
            present = np.unique(code[group == value])
            # A word of its own in every row is a remark, and says nothing of curves.
            if 1 < len(present) < max((group == value).sum() / 2, 2.5):
                raise DataError(
                    f"rows that differ in {name!r} would be taken for one curve",
                    where=wish.source,
                    expected=f"one curve for each {wish.group or 'table'}",
                    found=", ".join(str(level[one]) for one in present[:4]),
                    hint=f"choose one with --where '{name} == \"{level[present[0]]}\"', "
                    f"or say --run {name} if they are runs of one curve",
                )


def _follows(table: Table, name: str, column: str) -> bool:
    """Whether `column` says what stands in `name`, as a question does its subject."""
    pairs = set(zip(table.curves[column], table.curves[name], strict=True))
    return len(pairs) == len(set(table.curves[column]))


def _notes(wish: Wish, table: Table) -> list[str]:
    notes = []
    x, y = table.curves[wish.x], table.curves[wish.y]
    above = np.flatnonzero(y > 1)
    if len(above):
        notes.append(
            f"{wish.y} is above 1 in {len(above):,} rows (first at {table.unit} "
            f"{table.lines[above[0]]}): it is taken as a loss, not as an error rate"
        )
    if are_answers(table, _point(wish), wish.y):
        notes.append(f"{wish.y} holds single answers, 0 or 1: {advice(table)}")
        return notes
    group = table.curves[wish.group or ONE_CURVE]
    order = np.lexsort((x, group))
    repeated = int(((np.diff(group[order]) == 0) & (np.diff(x[order]) == 0)).sum())
    if repeated and wish.options.get("run") is None:
        notes.append(
            f"{repeated:,} rows repeat a value of {wish.x} within their curve; if they are runs, "
            "name the column that tells them apart with --run"
        )
    return notes


def located(error: DataError, table: Table, wish: Wish) -> DataError:
    """The error with the file, and with the line of the first value that it can be about."""
    where = wish.source if wish.source != STDIN else table.name
    for name in (wish.x, wish.y):
        bad = np.flatnonzero(~(table.curves[name] > 0))
        if len(bad) and error.message.startswith(name):
            where = table.at(int(bad[0]))
    hint = error.hint
    if error.message.startswith(f"{wish.y} is not positive"):
        if are_answers(table, _point(wish), wish.y):
            # Leaving the 0s out would leave nothing but wrong answers.
            hint = advice(table)
        elif wish.resample_by in CROSSED:
            hint = "fit a law that takes a mean of 0, e.g. --law saturating_power"
    if hint is not None:
        hint = hint.replace("`where`", "--where")
    return DataError(
        error.message, where=where, expected=error.expected, found=error.found, hint=hint
    )


def _refuse_unknown_draw(wish: Wish, table: Table) -> None:
    by = wish.resample_by
    if by is None or by == "none" or by in SCHEMES or by in table.curves.names:
        return
    near = nearest(by, [*SCHEMES, *table.curves.names])
    raise DataError(
        f"there is nothing named {by!r} to draw",
        expected="curve, block, none or a column: " + ", ".join(table.curves.names),
        found=by,
        hint=f"did you mean {near[0]!r}?" if near else None,
    )


def _resampled(wish: Wish, found: Fit, table: Table, notes: list[str]) -> Resample | None:
    by = wish.resample_by
    if by == "none":
        return None
    if by is None:
        if not found.params or len(found.r2_by_curve) < _FEWEST_TO_DRAW:
            notes.append(
                "intervals are two least-squares standard errors, which take the points of a curve "
                "for independent and so understate: --resample block draws stretches of curves"
            )
            return None
        if found.n > _MOST_TO_DRAW:
            notes.append(
                f"not resampled, since more than {_MOST_TO_DRAW:,} points take minutes: "
                "--resample curve does it all the same"
            )
            return None
        by = "curve"
    options: dict[str, Any] = {} if by == "curve" else {"by": by}
    try:
        return resample(found, table.curves, n=wish.n, seed=wish.seed, **options)
    except HarnessError as error:
        if wish.resample_by is not None:
            raise
        notes.append(f"not resampled: {error.message}")
        return None


def told_group(found: Fit, value: float) -> str:
    """A curve as the table calls it."""
    return "all" if found.group == ONE_CURVE else value_label(found.group, value)
