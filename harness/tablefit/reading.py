"""Tables of one's own, read by columns: CSV, Parquet or standard input, with the line of each row.

Only the columns that a fit needs must be in order; a table may hold whatever else it likes.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis import Curves
from harness.errors import DataError
from harness.spec.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

STDIN = "-"
_MISSING = frozenset({"", "na", "nan", "n/a", "null", "none"})
_SHOWN = 60
_OTHER_MARKS = (";", "\t", "|")


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a table: text or float64 with NaN for a gap. `lines`: (rows,) lines of a file."""

    name: str
    curves: Curves
    lines: NDArray[np.intp]
    unit: str  # what `lines` counts: line of a text file, row of another

    def where(self, mask: NDArray[np.bool_]) -> Table:
        """The rows for which `mask` is true."""
        return Table(self.name, self.curves.where(mask), self.lines[mask], self.unit)

    def at(self, row: int) -> str:
        """`file:line` of a row."""
        return f"{self.name}:{self.lines[row]}"


def read_table(source: str, numeric: Collection[str]) -> Table:
    """Read a table.

    Args:
        source: a path; its ending says what it is (.parquet, anything else: CSV). `-` is CSV from
            standard input.
        numeric: columns that must be there and hold numbers, or gaps.

    Raises:
        DataError: it cannot be read, a column is missing, a number is none; with file and line.
    """
    ending = Path(source).suffix.lower()
    return _READERS.get(ending, _read_csv)(source, numeric)


def _read_csv(source: str, numeric: Collection[str]) -> Table:
    name = "standard input" if source == STDIN else source
    reader = csv.reader(io.StringIO(_text(source, name), newline=""), strict=True)
    try:
        header = next(reader, [])
        _require(name, header, numeric)
        rows, lines = [], []
        for row in reader:
            if row:  # a blank line is none
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", where=f"{name}:{reader.line_num}") from None
    if not rows:
        raise DataError("the table has no rows", where=name, expected="a header line and rows")
    wide = next((i for i, row in enumerate(rows) if len(row) != len(header)), None)
    if wide is not None:
        raise DataError(
            "a row of another length than the header",
            where=f"{name}:{lines[wide]}",
            expected=f"{len(header)} fields",
            found=str(len(rows[wide])),
        )
    at = np.array(lines, dtype=np.intp)
    values = {
        column: _column(name, at, column, [row[place] for row in rows], wanted=column in numeric)
        for place, column in enumerate(header)
    }
    return Table(name, Curves(values), at, "line")


def _read_parquet(source: str, numeric: Collection[str]) -> Table:
    try:
        from pyarrow import ArrowException, parquet, types
    except ImportError:
        raise DataError(
            "reading Parquet needs pyarrow, which is not installed",
            where=source,
            hint="pip install pyarrow, or save the table as CSV",
        ) from None
    try:
        table = parquet.read_table(source)
    except (OSError, ArrowException) as error:
        raise DataError(f"cannot be read: {error}", where=source) from None
    _require(source, table.column_names, numeric)
    if not table.num_rows:
        raise DataError("the table has no rows", where=source)
    lines = np.arange(1, table.num_rows + 1)
    values = {}
    for column in table.column_names:
        found = table.column(column)
        if types.is_integer(found.type) or types.is_floating(found.type):
            values[column] = found.to_numpy().astype(np.float64)
        else:
            values[column] = _objects(
                source, lines, column, found.to_pylist(), wanted=column in numeric
            )
    return Table(source, Curves(values), lines, "row")


_READERS: Mapping[str, Callable[[str, Collection[str]], Table]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
ENDINGS = tuple(_READERS)


def _text(source: str, name: str) -> str:
    try:
        content = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}", where=name, hint="check the path"
        ) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError("not UTF-8 text", where=f"{name}:{line}") from None


def _require(name: str, header: Sequence[str], columns: Collection[str]) -> None:
    if not header:
        raise DataError("the table is empty", where=name, expected="a header line and rows")
    twice = [column for column in columns if list(header).count(column) > 1]
    if twice:
        raise DataError(f"column {twice[0]!r} stands twice", where=f"{name}:1")
    missing = [column for column in columns if column not in header]
    if missing:
        near = nearest(missing[0], header)
        hint = "name columns with --x, --y and --group; --one-curve needs no group"
        if near:
            hint = f"did you mean {near[0]!r}?"
        other = [mark for mark in _OTHER_MARKS if len(header) == 1 and mark in header[0]]
        if other:
            hint = f"fields are separated by {other[0]!r} here: save the table with commas"
        raise DataError(
            f"the table has no column {missing[0]!r}",
            where=f"{name}:1",
            expected="one of " + ", ".join(header),
            found=missing[0],
            hint=hint,
        )


def _column(
    name: str, lines: NDArray[np.intp], column: str, texts: list[str], *, wanted: bool
) -> NDArray[Any]:
    """Numbers with NaN for gaps; text where one is none and none is wanted."""
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        values: list[Any] = [math.nan if _is_gap(text) else text for text in texts]
    return _objects(name, lines, column, values, wanted=wanted)


def _objects(
    name: str, lines: NDArray[np.intp], column: str, values: list[Any], *, wanted: bool
) -> NDArray[Any]:
    numbers = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            numbers[row] = math.nan if value is None else float(value)
        except (TypeError, ValueError):
            if not wanted:
                text = np.empty(len(values), dtype=object)
                text[:] = ["" if one is None or one != one else str(one) for one in values]
                return text
            raise DataError(
                f"{column} is not a number",
                where=f"{name}:{lines[row]}",
                expected=f"a number in column {column!r}",
                found=repr(value)[:_SHOWN],
                hint="correct the value, or name a column of numbers; of a group in words, fit "
                "one with --where and --one-curve",
            ) from None
    return numbers


def _is_gap(text: str) -> bool:
    return text.strip().lower() in _MISSING
