"""From finished cells to one table of curves: reads metrics.jsonl and result.json, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis import Curves
from harness.errors import DataError, SuiteError
from harness.run.record import METRICS_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.run.store import Store
    from harness.spec.grid import Cell
    from harness.spec.suite import CurveTable, Summary


@dataclass(frozen=True)
class CellResult:
    """One finished cell: its labels, its rows of the curve table, its result.json."""

    cell: Cell
    labels: Mapping[str, object]
    rows: Sequence[Mapping[str, object]]
    result: Mapping[str, object]


def read_cells(store: Store, cells: Iterable[Cell], table: CurveTable) -> list[CellResult]:
    """Read finished cells; every file's sha256 is checked before it is believed.

    Raises:
        InfrastructureError: a file of a finished cell is damaged.
        DataError: a cell has no such field, or its lines are not JSON objects.
    """
    results = []
    for cell in cells:
        stored = store.load(cell.id)
        labels = labels_of(cell, table)
        rows = []
        for number, step in enumerate(stored.metrics, 1):
            where = f"{store.folder(cell.id) / METRICS_FILE}:{number}"
            columns = {name: at(step, path, where) for name, path in table.columns.items()}
            rows.append({**labels, **columns})
        results.append(CellResult(cell, labels, rows, stored.result))
    return results


def labels_of(cell: Cell, table: CurveTable) -> dict[str, object]:
    """The columns of the curve table that are the same in all rows of a cell.

    Raises:
        DataError: the cell's values have no such field.
    """
    where = f"cell {cell.id[:12]}"
    return {column: at(cell.values, path, where) for column, path in table.labels.items()}


def curve_table(results: Sequence[CellResult]) -> Curves:
    """All rows of all cells, cell after cell, in the order of their steps."""
    return Curves.from_rows(row for result in results for row in result.rows)


def summarise(summary: Summary, results: Sequence[CellResult]) -> dict[tuple[object, ...], float]:
    """One number for each combination of the labels in `summary.by`.

    Raises:
        SuiteError: two cells share a combination, so that `by` does not tell them apart.
    """
    numbers: dict[tuple[object, ...], float] = {}
    for result in results:
        key = tuple(at(result.labels, name, f"summary {summary.name}") for name in summary.by)
        if key in numbers:
            raise SuiteError(
                f"summary {summary.name!r} finds several cells for {key}",
                expected="labels in `by` that tell all cells apart",
                found=", ".join(summary.by) or "no labels",
                hint="add the label in which these cells differ",
            )
        value = _taken(summary, result)
        numbers[key] = 1.0 - value if summary.complement else value
    return numbers


_TAKE: dict[str, Callable[[Sequence[float]], float]] = {
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "min": min,
    "max": max,
}


def _taken(summary: Summary, result: CellResult) -> float:
    where = f"cell {result.cell.id[:12]}"
    if summary.take is None:
        return _number(at(result.result, summary.field, where), where, summary.field)
    column = [_number(at(row, summary.field, where), where, summary.field) for row in result.rows]
    if not column:
        raise DataError(f"no points of {summary.field}", where=where)
    return _TAKE[summary.take](column)


def _number(value: object, where: str, field: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise DataError(f"{field} is not a number", where=where, found=repr(value))
    return float(value)


def at(mapping: Mapping[str, object], path: str, where: str) -> object:
    """The value under a dotted path; a key may hold dots itself (`evals` -> `holdout.ErrRate`).

    Raises:
        DataError: nothing stands there; names what does.
    """
    if path in mapping:
        return mapping[path]
    head, dot, rest = path.partition(".")
    inner = mapping.get(head)
    if dot and isinstance(inner, dict):
        return at(inner, rest, f"{where}, {head}")
    raise DataError(
        f"no field {path!r}",
        where=where,
        expected="one of " + ", ".join(map(str, mapping)),
        hint="correct `curves` or `summaries` in suite.yaml",
    )
