"""Whether a data file holds what the suite declares; that its bytes are the same, the lock says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.data.table import read_rows
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
    columns = [*declared.columns, *declared.unique, *declared.numeric]
    for row in read_rows(_content(path), str(path), columns):
        count += 1
        numbers = {column: row.number(column) for column in declared.numeric}
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


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise DataError("not a file", where=str(path))
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError("no such data file", where=str(path)) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from None
