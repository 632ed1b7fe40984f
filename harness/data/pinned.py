"""Whether a data file holds what the suite declares; that its bytes are the same, the lock says."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final, Protocol

from harness.errors import DataError
from harness.spec.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


_SHOWN: Final = 60


class Declared(Protocol):
    """What a suite says of a data set."""

    @property
    def path(self) -> str:
        """Relative to the suite's folder."""

    @property
    def columns(self) -> Sequence[str]:
        """Columns that must be there."""

    @property
    def unique(self) -> Sequence[str]:
        """Columns that together name a row."""

    @property
    def numeric(self) -> Sequence[str]:
        """Columns of finite numbers."""


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    fields: dict[str, str]


def check_table(root: Path, declared: Declared) -> int:
    """Check a CSV file against its declaration; files of other kinds are not looked into.

    Returns:
        The number of rows, header not counted; 0 for a file of another kind.

    Raises:
        DataError: the file is missing, empty, not UTF-8 or not a table; a declared column is
            missing; a numeric field is empty, not a number, NaN or infinite; two rows share what
            the suite calls unique. `where` is `file:line`.
    """
    path = root / declared.path
    if path.suffix != ".csv":
        return 0
    first: dict[tuple[object, ...], str] = {}
    count = 0
    for row in _rows(path, [*declared.columns, *declared.unique, *declared.numeric]):
        count += 1
        numbers = {column: _number(row, column) for column in declared.numeric}
        if declared.unique:
            key = tuple(numbers.get(column, row.fields[column]) for column in declared.unique)
            if key in first:
                raise DataError(
                    "two rows with the same " + ", ".join(declared.unique),
                    where=row.where,
                    expected="one row for each of them",
                    found=", ".join(row.fields[column] for column in declared.unique)
                    + f", as in {first[key]}",
                )
            first[key] = row.where
    if not count:
        raise DataError("a table without rows", where=f"{path}:1")
    return count


def _rows(path: Path, columns: Sequence[str]) -> Iterator[_Row]:
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            _check_header(header, columns, f"{path}:1")
            for cells in reader:
                # A quoted field may hold line breaks; the reader then stands on the last line.
                line = reader.line_num
                if len(cells) != len(header):
                    raise DataError(
                        "a row of another length than the header",
                        where=f"{path}:{line}",
                        expected=f"{len(header)} fields",
                        found=str(len(cells)),
                    )
                yield _Row(f"{path}:{line}", dict(zip(header, cells, strict=True)))
    except FileNotFoundError:
        raise DataError("no such data file", where=str(path)) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise DataError("not UTF-8", where=f"{path}:{_undecodable_line(path)}") from None
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", where=f"{path}:{line + 1}") from None


def _check_header(header: list[str], columns: Sequence[str], where: str) -> None:
    if not header:
        raise DataError("an empty file", where=where, expected="a header line")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError("a column stands twice", where=where, found=", ".join(repeated))
    missing = [column for column in dict.fromkeys(columns) if column not in header]
    if missing:
        near = nearest(missing[0], header)
        raise DataError(
            "missing column" + ("s " if len(missing) > 1 else " ") + ", ".join(missing),
            where=where,
            expected=", ".join(dict.fromkeys(columns)),
            found=", ".join(header),
            hint=f"is `{near[0]}` the column `{missing[0]}`?" if near else None,
        )


def _number(row: _Row, column: str) -> float:
    text = row.fields[column]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    # float() also takes underscores and the digits of other scripts, which no CSV reader would.
    if not isfinite(value) or "_" in text or not text.isascii():
        raise DataError(
            f"column {column} holds no finite number",
            where=row.where,
            expected="a finite decimal number",
            found=f'"{text[:_SHOWN]}"' if text else "an empty field",
        )
    return value


def _undecodable_line(path: Path) -> int:
    raw = path.read_bytes()
    try:
        raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return raw.count(b"\n", 0, error.start) + 1
    return 1
