"""Tables with a row for each answer: averaged over questions first, drawn by question after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.analysis import mean_over
from harness.analysis.draws import CROSSED
from harness.errors import DataError
from harness.tablefit.reading import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

QUESTION = CROSSED[0]


def averaged(table: Table, column: str, by: Sequence[str], y: str) -> Table:
    """A row for each combination of `by` (group, x and, if there is one, run): the mean of y.

    `lines` are those of the first row of each.
    """
    group, x, *run = by
    points = mean_over(table.curves, column, group=group, x=x, y=y, run=run[0] if run else None)
    first: dict[tuple[object, ...], int] = {}
    for key, line in zip(_keys(table, by), table.lines, strict=True):
        first.setdefault(key, int(line))
    keys = zip(*(points[name] for name in by), strict=True)
    lines = np.array([first[key] for key in keys], dtype=np.intp)
    return Table(table.name, points, lines, table.unit)


def are_answers(table: Table, by: Sequence[str], y: str) -> bool:
    """Whether y is 0 or 1 in every row and rows repeat a combination of `by`."""
    if not np.isin(table.curves[y], (0.0, 1.0)).all():
        return False
    return len(set(_keys(table, by))) < len(table.lines)


def advice(table: Table) -> str:
    """What to do with single answers."""
    if QUESTION in table.curves.names:
        return f"--resample {QUESTION} averages over questions first, and draws questions"
    return (
        f"call the column that tells questions apart {QUESTION!r} and say --resample {QUESTION}, "
        "or average over questions first: harness.analysis.mean_over"
    )


def refuse_as_runs(run: str | None) -> None:
    """Refuse `--run question`.

    Raises:
        DataError: questions are named as runs.
    """
    if run in CROSSED:
        raise DataError(
            f"a {run} is no run of a curve",
            expected="a column whose values each hold a whole curve, such as seed",
            found=f"--run {run}",
            hint=f"--resample {run} averages over questions first, and draws questions",
        )


def _keys(table: Table, by: Sequence[str]) -> list[tuple[object, ...]]:
    return list(zip(*(table.curves[name] for name in by), strict=True))
