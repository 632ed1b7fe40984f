"""From finished cells to one table of curves: of metrics.jsonl, result.json and the record."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from harness.analysis import Curves
from harness.errors import DataError, SuiteError
from harness.run.record import METRICS_FILE
from harness.spec.expression import compile_expression
from harness.spec.reference import parse, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.run.store import Store
    from harness.spec.grid import Cell
    from harness.spec.measures import CurveTable, Summary


@dataclass(frozen=True)
class CellResult:
    """One finished cell, or what a record of `curves: for` makes of it.

    Its labels, its rows of the curve table, its result.json, and what its record says of the
    container that it ran in.
    """

    cell: Cell
    labels: Mapping[str, object]
    rows: Sequence[Mapping[str, object]]
    result: Mapping[str, object]
    container: Mapping[str, object] = field(default_factory=dict)


def read_cells(store: Store, cells: Iterable[Cell], table: CurveTable) -> list[CellResult]:
    """Read finished cells; every file's sha256 is checked before it is believed.

    A step at which a column was not measured has NaN there, which no comparison in a `where` lets
    through (`length > 0`); a column that was measured at no step of a cell is a mistake.

    Raises:
        InfrastructureError: a file of a finished cell is damaged.
        DataError: a cell has no such field, or its lines are not JSON objects.
    """
    results = []
    for cell in cells:
        stored = store.load(cell.id)
        file = store.folder(cell.id) / METRICS_FILE
        container = stored.record.provenance.get("container")
        ran_in = container if isinstance(container, dict) else {}
        for labels in labels_of(cell, table):
            columns = {
                name: _column(stored.metrics, _with(labels, path), str(file))
                for name, path in table.columns.items()
            }
            steps = range(len(stored.metrics))
            rows = [{**labels, **{name: columns[name][i] for name in columns}} for i in steps]
            results.append(CellResult(cell, labels, rows, stored.result, ran_in))
    return results


def _column(lines: Sequence[Mapping[str, object]], path: str, file: str) -> list[object]:
    """One column of a cell's lines, NaN where a line lacks it; DataError if all of them do."""
    found = [_look_up(line, path) for line in lines]
    if lines and all(value is _ABSENT for value in found):
        at(max(lines, key=len), path, file)  # raises, and tells the fields of the fullest line
    return [math.nan if value is _ABSENT else value for value in found]


def labels_of(cell: Cell, table: CurveTable) -> list[dict[str, object]]:
    """The columns that are the same in all rows of a curve, for each record of `curves: for`.

    Without records a cell is one curve.

    Raises:
        DataError: the cell's values have no such field.
    """
    where = f"cell {cell.id[:12]}"
    own = {column: at(cell.values, path, where) for column, path in table.labels.items()}
    return [{**own, **record} for record in table.each or ({},)]


def _with(labels: Mapping[str, object], text: str) -> str:
    """The text with the values of the labels that it refers to."""
    return str(resolve(parse(text), labels)) if "$" in text else text


def curve_table(results: Sequence[CellResult]) -> Curves:
    """All rows of all cells, cell after cell, in the order of their steps."""
    return Curves.from_rows(row for result in results for row in result.rows)


def summarise(summary: Summary, results: Sequence[CellResult]) -> dict[tuple[object, ...], float]:
    """One number for each combination of the labels in `summary.by`.

    Raises:
        SuiteError: two cells share a combination, so that `by` does not tell them apart, and
            `reduce` does not say what becomes of them; `where` asks for something else than labels.
        DataError: a cell has no such field, no points of it, or something else than numbers there.
    """
    cells: dict[tuple[object, ...], list[float]] = {}
    for result in _chosen(summary, results):
        key = tuple(at(result.labels, name, f"summary {summary.name}") for name in summary.by)
        cells.setdefault(key, []).append(_value(summary, result))
        if len(cells[key]) > 1 and summary.reduce is None:
            raise SuiteError(
                f"summary {summary.name!r} finds several cells for {key}",
                expected="labels in `by` that tell all cells apart",
                found=", ".join(summary.by) or "no labels",
                hint="add the label in which these cells differ, or `reduce: mean`",
            )
    reduce = _REDUCE[summary.reduce or "sum"]  # one cell is its own sum
    return {key: reduce(values) for key, values in cells.items()}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


_TAKE: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "min": min,
    "max": max,
    "mean": _mean,
}
_REDUCE: Final[dict[str, Callable[[Sequence[float]], float]]] = {"mean": _mean, "sum": math.fsum}


def _chosen(summary: Summary, results: Sequence[CellResult]) -> Sequence[CellResult]:
    if summary.where is None or not results:
        return results
    keep = compile_expression(
        summary.where, list(results[0].labels), where=f"summary {summary.name}"
    )
    return [result for result in results if keep(result.labels)]


def _value(summary: Summary, result: CellResult) -> float:
    value = _taken(summary, summary.field, result)
    if summary.minus is not None:
        value -= _taken(summary, summary.minus, result)
    return 1.0 - value if summary.complement else value


def _taken(summary: Summary, field: str, result: CellResult) -> float:
    where = f"cell {result.cell.id[:12]}"
    if summary.take is None:
        field = _with(result.labels, field)
        return _number(at(result.result, field, where), where, field)
    column = [_number(at(row, field, where), where, field) for row in result.rows]
    measured = [value for value in column if not math.isnan(value)]
    if not measured:
        raise DataError(f"no points of {field}", where=where)
    return _TAKE[summary.take](measured[-(summary.last or 0) :])


def _number(value: object, where: str, field: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise DataError(f"{field} is not a number", where=where, found=repr(value))
    return float(value)


def at(mapping: Mapping[str, object], path: str, where: str) -> object:
    """The value under a dotted path; a key may hold dots itself (`evals` -> `holdout.ErrRate`).

    Raises:
        DataError: nothing stands there; names what does.
    """
    found = _look_up(mapping, path)
    if found is not _ABSENT:
        return found
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


_ABSENT: Final = object()


def _look_up(mapping: Mapping[str, object], path: str) -> object:
    """As `at`, but `_ABSENT` where nothing stands."""
    if path in mapping:
        return mapping[path]
    head, dot, rest = path.partition(".")
    inner = mapping.get(head)
    return _look_up(inner, rest) if dot and isinstance(inner, dict) else _ABSENT
