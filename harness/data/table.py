"""CSV files read strictly, each field with the line where it stands; standard library only."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

# float() also takes underscores, `nan` and the digits of other scripts, which no CSV reader would.
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST_INTEGER = 1000
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: `where` is `file:line`."""

    where: str
    fields: Mapping[str, str]

    def number(self, column: str) -> int | float:
        """The exact value of a numeric field; integers stay integers.

        Raises:
            DataError: no number, NaN or infinite.
        """
        text = self.fields[column]
        value = _parse(text)
        if value is None:
            raise DataError(
                f"column {column} holds no finite number",
                where=self.where,
                expected="a finite decimal number",
                found=f'"{text[:_SHOWN]}"' if text else "an empty field",
                hint="correct the value, or remove the row",
            )
        return value


def matches(row: Row, select: Mapping[str, object]) -> bool:
    """Whether every selected column has the wanted text, or equals the wanted number.

    Raises:
        DataError: a number is wanted of a field that holds none.
    """
    return all(
        row.fields[column] == wanted if isinstance(wanted, str) else row.number(column) == wanted
        for column, wanted in select.items()
    )


def read_rows(content: bytes, path: str, columns: Collection[str]) -> Iterator[Row]:
    """The rows of a CSV file in UTF-8 with one header line.

    Args:
        content: the file's bytes.
        path: its name in messages.
        columns: those that must be there.

    Raises:
        DataError: empty, not UTF-8, not CSV, a missing or repeated column, a row of another length
            than the header; `where` is `file:line`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError("not UTF-8 text", where=f"{path}:{line}") from None
    # newline="" leaves line breaks inside quoted fields to the csv module.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_header(header, columns, f"{path}:1")
        for fields in reader:
            # A quoted field may hold line breaks; the reader then stands on the last line.
            where = f"{path}:{reader.line_num}"
            if len(fields) != len(header):
                raise DataError(
                    "a row of another length than the header",
                    where=where,
                    expected=f"{len(header)} fields",
                    found=str(len(fields)),
                    hint="restore the row",
                )
            yield Row(where, dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", where=f"{path}:{reader.line_num}") from None


def _check_header(header: list[str], columns: Collection[str], where: str) -> None:
    if not header:
        raise DataError("an empty file", where=where, expected="a header line")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError("a column stands twice", where=where, found=", ".join(repeated))
    missing = [column for column in dict.fromkeys(columns) if column not in header]
    if missing:
        from harness.spec.nearest import nearest

        near = nearest(missing[0], header)
        raise DataError(
            "missing column" + ("s " if len(missing) > 1 else " ") + ", ".join(missing),
            where=where,
            expected=", ".join(dict.fromkeys(columns)),
            found=", ".join(header),
            hint=f"is `{near[0]}` the column `{missing[0]}`?" if near else None,
        )


def _parse(text: str) -> int | float | None:
    if not _DECIMAL.fullmatch(text):
        return None
    if text.lstrip("+-").isdigit():
        return int(text) if len(text) < _LONGEST_INTEGER else None
    value = float(text)
    return value if isfinite(value) else None
