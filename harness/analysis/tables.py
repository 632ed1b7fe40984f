"""Columns of any table: pandas, polars and pyarrow by what they can do, none of them imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def columns_of(table: Any) -> dict[str, NDArray[Any]]:
    """Name -> values of a mapping of arrays, a DataFrame or a pyarrow Table.

    Missing values become NaN. Raises DataError for what is no table, for a name that comes
    twice, a column that is not one value per row, and for dates and complex numbers.
    """
    if hasattr(table, "collect_schema") and not hasattr(table, "to_numpy"):
        raise DataError(
            "this table is lazy: its rows are not there yet",
            expected="a table with its rows",
            found=type(table).__name__,
            hint="collect it first: fit(table.collect(), ...)",
        )
    if isinstance(table, Mapping):
        names = list(table)
    elif hasattr(table, "column_names"):
        names = list(table.column_names)
    elif hasattr(table, "columns") and hasattr(table, "__getitem__"):
        names = list(table.columns)
    else:
        raise DataError(
            "this is no table",
            expected="Curves, a pandas or polars DataFrame, a pyarrow Table, a mapping of columns, "
            "or the path of a CSV or Parquet file",
            found=type(table).__name__,
            hint="e.g. fit({'C': [...], 'ErrRate': [...], 'N': [...]})",
        )
    told = [str(name) for name in names]
    for name in told:
        if told.count(name) > 1:
            raise DataError(
                f"the column {name!r} comes twice",
                expected="every name once",
                found=", ".join(told),
                hint="rename or drop one of them",
            )
    return {text: _values(text, table[name]) for text, name in zip(told, names, strict=True)}


def is_parquet(path: str | Path) -> bool:
    """Whether the ending of a file says Parquet."""
    return Path(path).suffix.lower() == ".parquet"


def parquet_columns(path: str | Path) -> dict[str, NDArray[Any]]:
    """Name -> values of a Parquet file; missing values become NaN.

    Raises DataError where pyarrow is missing or the file cannot be read, and as `columns_of`.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(
            "reading Parquet needs pyarrow, which is not installed",
            where=str(path),
            expected="pyarrow, or a CSV file",
            hint="pip install pyarrow, or save the table as CSV",
        ) from None
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise DataError(
            f"cannot be read: {error}",
            where=str(path),
            expected="a Parquet file",
            hint="check the path, or write the file again",
        ) from None
    if not table.num_rows:
        raise DataError(
            "the table has no rows",
            where=str(path),
            expected="at least one row",
            found="none",
            hint="write the file again",
        )
    return columns_of(table)


def refuse_smoothed(name: str, values: Any) -> None:
    """Raise DataError for values that say of themselves that they were smoothed.

    Smoothing removes the scatter by which a fit is judged, and makes neighbours repeat each other.
    """
    if getattr(values, "smoothed", False) is True:
        raise DataError(
            f"{name} holds smoothed points",
            expected="points as they were measured",
            found=type(values).__name__,
            hint="fit the points themselves; draw the smoothed curve beside the fit",
        )


def _values(name: str, column: Any) -> NDArray[Any]:
    refuse_smoothed(name, column)
    if isinstance(column, np.ma.MaskedArray):
        column = unmasked(column)
    values = column if isinstance(column, np.ndarray) else _to_numpy(column)
    if values.ndim != 1 or values.dtype.kind in "mMcV":
        raise DataError(
            f"{name} is not a column of numbers or text",
            expected="one number or text per row",
            found=f"{values.dtype} of shape {values.shape}",
            hint="convert the column, or leave it out",
        )
    if values.dtype.kind != "O":
        return values
    values = np.array([None if repr(v) == "<NA>" else v for v in values], dtype=object)
    if any(isinstance(v, str) for v in values):
        return values
    try:
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{name} is not a column of numbers or text",
            expected="one number or text per row",
            found=", ".join(sorted({type(v).__name__ for v in values})),
            hint="convert the column, or leave it out",
        ) from None


def unmasked(column: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    """The values of a masked array, NaN (None among words) where they are masked."""
    masked = np.ma.getmaskarray(column)
    if column.dtype.kind in "biuf":
        return np.where(masked, np.nan, np.asarray(column.data, dtype=np.float64))
    found = np.asarray(column.data).astype(object)
    found[masked] = None
    return found


def _to_numpy(column: Any) -> NDArray[Any]:
    if hasattr(column, "to_numpy"):
        return np.asarray(column.to_numpy())
    try:
        return np.asarray(column)
    except ValueError:  # rows of unequal length
        return np.empty((0, 0))
