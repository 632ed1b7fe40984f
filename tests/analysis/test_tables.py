"""Tables of other libraries as curves: the same fit, gaps told, smoothed points refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from harness.analysis import Curves, fit
from harness.errors import DataError
from tests.analysis.support import levels, planted

CURVES = planted(0.13, 13e9, levels(0.13, 13e9), noise=0.01)
COLUMNS = {**CURVES.columns, "source": np.array(["base"] * len(CURVES), dtype=object)}


def write(tmp_path):
    path = tmp_path / "curves.csv"
    rows = [
        ",".join(COLUMNS),
        *(",".join(map(str, row)) for row in zip(*COLUMNS.values(), strict=True)),
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def table(library, columns):
    module = pytest.importorskip(library)
    plain = {name: list(values) for name, values in columns.items()}
    return module.table(plain) if library == "pyarrow" else module.DataFrame(plain)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_table_of_another_library_gives_the_same_fit(library):
    assert fit(table(library, COLUMNS)) == fit(CURVES)
    assert list(Curves.of(table(library, COLUMNS))["source"]) == list(COLUMNS["source"])


def test_mappings_paths_and_curves_give_the_same_fit(tmp_path):
    expected = fit(CURVES)
    path = write(tmp_path)
    for one in (COLUMNS, {n: list(v) for n, v in COLUMNS.items()}, path, str(path), CURVES):
        assert fit(one) == expected


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_missing_values_are_told_with_their_number(library):
    holes = {**COLUMNS, "ErrRate": [None, *COLUMNS["ErrRate"][1:]]}
    with pytest.raises(DataError, match="ErrRate is not finite in 1 of 140 rows"):
        fit(table(library, holes))


def test_a_nullable_column_of_pandas():
    pandas = pytest.importorskip("pandas")
    column = pandas.array([1, None, 3], dtype="Int64")
    found = Curves.of(pandas.DataFrame({"step": column}))["step"]
    assert found[[0, 2]].tolist() == [1.0, 3.0]
    assert np.isnan(found[1])


def test_dates_are_no_numbers():
    with pytest.raises(DataError, match="when is not a column of numbers"):
        Curves.of({"when": np.array(["2026-01-01"], dtype="datetime64[D]")})


@pytest.mark.parametrize("other", [7, None, [1, 2], object()])
def test_what_is_no_table_is_refused(other):
    with pytest.raises(DataError, match="no table") as caught:
        fit(other)
    assert caught.value.hint


@pytest.mark.parametrize(
    "columns", [{"a": [[1, 2], [3]]}, {"a": np.ones((2, 2))}, {"a": 3.0}, {"a": [1, {}]}]
)
def test_columns_hold_one_value_per_row(columns):
    with pytest.raises(DataError, match="a is not a column"):
        Curves.of(columns)


def test_two_columns_of_one_name():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.ones((2, 2)), columns=["N", "N"])
    with pytest.raises(DataError, match="'N' comes twice"):
        Curves.of(frame)


class Smooth(np.ndarray):
    """An array that says of itself what `harness.analysis.smooth` gives."""

    smoothed = True


def test_smoothed_points_are_refused_wherever_they_come_in():
    smooth = np.array(COLUMNS["ErrRate"], dtype=float).view(Smooth)
    for one in ({**COLUMNS, "ErrRate": smooth}, {**COLUMNS, "ErrRate": smooth[::1]}):
        with pytest.raises(DataError, match="smoothed points"):
            fit(one)
        with pytest.raises(DataError, match="smoothed points"):
            Curves(one)

    class Whole:
        smoothed = True

    with pytest.raises(DataError, match="smoothed points"):
        fit(Whole())


def test_single_answers_are_to_be_averaged_not_left_out():
    rng = np.random.default_rng(0)
    answers = {
        "N": np.repeat([1.0, 2.0], 200),
        "C": np.tile(np.repeat([1.0, 2.0, 4.0, 8.0], 50), 2),
        "ErrRate": rng.integers(0, 2, 400),
    }
    with pytest.raises(DataError, match="ErrRate is not positive") as caught:
        fit(answers)
    assert "mean_over" in caught.value.hint
    assert "leave" not in caught.value.hint


def test_a_parquet_file_gives_the_same_fit(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "curves.parquet"
    parquet.write_table(table("pyarrow", COLUMNS), path)
    assert fit(path) == fit(str(path)) == fit(CURVES)


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_a_parquet_file_that_is_none_or_cannot_be_read(tmp_path, monkeypatch, content):
    pytest.importorskip("pyarrow")
    path = tmp_path / "curves.parquet"
    for there in (False, True):
        if there:
            path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read") as caught:
            fit(path)
        assert caught.value.where == str(path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="needs pyarrow"):
        fit(path)
