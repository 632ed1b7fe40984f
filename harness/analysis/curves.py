"""Learning curves as named NumPy columns, read strictly: a doubtful table is refused."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.tables import (
    columns_of,
    is_parquet,
    parquet_columns,
    refuse_smoothed,
    unmasked,
)
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

ONE_CURVE = "curve"  # the group of a table that is one curve; no table needs to hold it


@dataclass(frozen=True, eq=False)
class Curves:
    """Rows of one or more learning curves.

    `columns` maps a name to an array; all have one length. Numbers are float64, everything
    else is text in an object array. Units are the column's own: `N` parameters, `step`
    optimiser steps, `D` samples, `C` FLOPs, `ErrRate` a share between 0 and 1.

    Raises DataError if the columns differ in length, or one holds smoothed points.
    """

    columns: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        for name, values in self.columns.items():
            refuse_smoothed(name, values)
        columns = {name: _column(values) for name, values in self.columns.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                "columns differ in length",
                expected="one value per row in every column",
                found=", ".join(f"{name}: {n}" for name, n in lengths.items()),
                hint="give every row every column",
            )
        object.__setattr__(self, "columns", MappingProxyType(columns))

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Column `name`; DataError naming the columns there are if it is not one of them.

        Where the curves have no column `curve`, that name puts all rows in one.
        """
        try:
            return self.columns[name]
        except KeyError:
            if name == ONE_CURVE:
                return np.ones(len(self))
            raise DataError(
                f"the curves have no column {name!r}",
                expected="one of " + ", ".join(self.columns),
                found=name,
                hint="name one of these columns, or add it to the suite's `curves`",
            ) from None

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in the order of the source."""
        return tuple(self.columns)

    def where(self, mask: ArrayLike) -> Curves:
        """The rows where `mask` (one boolean per row) is true."""
        keep = np.asarray(mask)
        if keep.dtype != np.bool_ or keep.shape != (len(self),):
            raise DataError(
                "a row mask must hold one boolean per row",
                expected=f"{len(self)} booleans",
                found=f"shape {keep.shape}, dtype {keep.dtype}",
                hint="compare a column with a value, e.g. curves['N'] <= 32e9",
            )
        return Curves({name: values[keep] for name, values in self.columns.items()})

    def groups(self, by: Sequence[str]) -> list[tuple[tuple[Any, ...], Curves]]:
        """Split by the distinct values of the columns `by`, sorted by those values.

        Returns (key, rows) pairs; a key holds one float or str per name in `by`.
        """
        if not len(self):
            return []
        codes = np.empty((len(self), len(by)), dtype=np.intp)
        levels: list[NDArray[Any]] = []
        for j, name in enumerate(by):
            level, codes[:, j] = np.unique(self[name], return_inverse=True)
            levels.append(level)
        keys, member = np.unique(codes, axis=0, return_inverse=True)
        member = member.reshape(-1)
        named = [
            tuple(
                levels[j][code].item() if levels[j].dtype != object else levels[j][code]
                for j, code in enumerate(key)
            )
            for key in keys
        ]
        return [(key, self.where(member == i)) for i, key in enumerate(named)]

    @classmethod
    def of(cls, table: Any) -> Curves:
        """Curves from any table: Curves, a pandas or polars DataFrame, a pyarrow Table, a mapping
        of columns, or the path of a CSV file or, with pyarrow, of a Parquet one (.parquet).

        Raises DataError for anything else, and for smoothed points: a smoothed curve has lost
        the scatter by which a fit is judged.
        """
        if isinstance(table, Curves):
            return table
        refuse_smoothed("the table", table)
        if isinstance(table, str | Path):
            return cls(parquet_columns(table)) if is_parquet(table) else cls.from_csv(table)
        return cls(columns_of(table))

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Curves:
        """Columns from mappings that all have the same keys.

        A column whose values are all numbers (or None: not measured, becomes NaN) is float64;
        any other is text. Raises DataError if there are no rows or if keys differ.
        """
        table = list(rows)
        if not table:
            raise DataError(
                "there are no rows",
                expected="at least one row",
                found="none",
                hint="check the selection (`where`) that led here",
            )
        names = list(table[0])
        for i, row in enumerate(table):
            if set(row) != set(names):
                raise DataError(
                    f"row {i} has other columns than row 0",
                    expected=", ".join(names),
                    found=", ".join(row),
                    hint="give every row every column; None says not measured",
                )
        return cls({name: _column([row[name] for row in table]) for name in names})

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        required: Sequence[str] = (),
        numeric: Sequence[str] | None = None,
        unique: Sequence[str] = (),
    ) -> Curves:
        """Read a UTF-8 CSV file with one header line.

        `required` columns must be there. `numeric` columns must hold finite numbers in every
        row; None takes the columns whose first value reads as a number. The values of the
        columns `unique`, taken together, must not repeat: ("source", "N", "step") refuses a
        step that one curve holds twice.

        Raises DataError with file and line for: a missing, empty or undecodable file, a
        repeated or missing column, a row of the wrong width, a value that is not a finite
        number, a repeated key.
        """
        file = Path(path)
        header, rows = _read_table(file)
        missing = [name for name in (*required, *(numeric or ()), *unique) if name not in header]
        if missing:
            raise DataError(
                f"column {missing[0]!r} is missing",
                where=f"{file}:1",
                expected=", ".join(dict.fromkeys((*required, *(numeric or ()), *unique))),
                found=", ".join(header),
                hint="restore the column, or correct the names in the suite's `data`",
            )
        lines = [line for line, _ in rows]
        columns: dict[str, NDArray[Any]] = {}
        for j, name in enumerate(header):
            texts = [row[j] for _, row in rows]
            is_number = name in numeric if numeric is not None else _reads_as_number(texts[0])
            columns[name] = _numbers(file, lines, name, texts) if is_number else _column(texts)
        _check_unique(file, lines, columns, unique)
        return cls(columns)


def _column(values: Iterable[Any] | NDArray[Any]) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        values = unmasked(values)
    array = values if isinstance(values, np.ndarray) else None
    if array is None or array.dtype == object:
        items = list(values)
        if any(isinstance(v, str) for v in items):
            array = np.empty(len(items), dtype=object)
            array[:] = [str(v) for v in items]
        else:
            array = np.array([math.nan if v is None else v for v in items], dtype=np.float64)
    elif array.dtype.kind in "US":
        array = array.astype(object)
    else:
        array = array.astype(np.float64)
    array.flags.writeable = False
    return array


def _read_table(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            table = [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}",
            where=str(file),
            expected="a CSV file",
            hint="check the path in the suite's `data`",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"is not a CSV file in UTF-8: {error}",
            where=str(file),
            expected="UTF-8 text, comma-separated, one header line",
            hint="export the table again",
        ) from error
    if len(table) < 2:
        raise DataError(
            "the table is empty",
            where=f"{file}:1",
            expected="a header line and at least one row",
            found=f"{len(table)} line(s)",
            hint="restore the file; `harness lock` names its sha256",
        )
    header = table[0][1]
    repeated = [name for i, name in enumerate(header) if name in header[:i]]
    if repeated:
        raise DataError(
            f"column {repeated[0]!r} stands twice in the header",
            where=f"{file}:1",
            expected="every column once",
            found=", ".join(header),
            hint="rename or remove one of them",
        )
    for line, row in table[1:]:
        if len(row) != len(header):
            raise DataError(
                "the row is not as wide as the header",
                where=f"{file}:{line}",
                expected=f"{len(header)} values",
                found=f"{len(row)} values",
                hint="restore the row",
            )
    return header, table[1:]


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(file: Path, lines: list[int], name: str, texts: list[str]) -> NDArray[np.float64]:
    try:
        values = np.array(texts, dtype=np.float64)
    except ValueError:
        values = np.array([float(t) if _reads_as_number(t) else math.nan for t in texts])
    finite = np.isfinite(values)
    if not finite.all():
        i = int(np.argmin(finite))
        raise DataError(
            f"{name} is not a finite number",
            where=f"{file}:{lines[i]}",
            expected=f"a finite number in column {name!r}",
            found=repr(texts[i]),
            hint="correct the value, or remove the row",
        )
    return values


def _check_unique(
    file: Path, lines: list[int], columns: Mapping[str, NDArray[Any]], unique: Sequence[str]
) -> None:
    if not unique:
        return
    first: dict[tuple[Any, ...], int] = {}
    for line, key in zip(lines, zip(*(columns[name] for name in unique), strict=True), strict=True):
        if key in first:
            raise DataError(
                f"the same {', '.join(unique)} stands on two lines",
                where=f"{file}:{line}",
                expected="every combination once",
                found=", ".join(f"{n}={v}" for n, v in zip(unique, key, strict=True))
                + f", first on line {first[key]}",
                hint="remove one of the two rows",
            )
        first[key] = line
