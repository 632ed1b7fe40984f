"""Reading curves: what a table may hold, and what the refusal says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis import Curves
from harness.errors import DataError

GOOD = "source,N,step,ErrRate\nbase,5e8,1,0.9\nbase,5e8,2,0.8\nbase,7e9,1,0.7\n"


def write(tmp_path, text):
    path = tmp_path / "curves.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(tmp_path, text, **options):
    return Curves.from_csv(write(tmp_path, text), **options)


def test_reads_numbers_and_text(tmp_path):
    curves = read(tmp_path, GOOD, unique=("source", "N", "step"))
    assert curves.names == ("source", "N", "step", "ErrRate")
    assert len(curves) == 3
    assert curves["N"].dtype == np.float64
    assert list(curves["source"]) == ["base"] * 3


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (GOOD.replace("0.8", "nan"), 3, "finite"),
        (GOOD.replace("0.8", "inf"), 3, "finite"),
        (GOOD.replace("0.8", ""), 3, "finite"),
        (GOOD.replace("0.8", "high"), 3, "'high'"),
        (GOOD.replace("base,5e8,2", "base,5e8,1"), 3, "first on line 2"),
        (GOOD.replace("base,5e8,2,0.8", "base,5e8,2"), 3, "3 values"),
        (GOOD.replace("ErrRate", "err"), 1, "'ErrRate' is missing"),
        (GOOD.replace("ErrRate", "N"), 1, "twice"),
        ("source,N,step,ErrRate\n", 1, "empty"),
        ("", 1, "empty"),
    ],
)
def test_refuses_with_file_and_line(tmp_path, text, line, says):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text, required=("ErrRate",), unique=("source", "N", "step"))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'curves.csv'}:{line}:")
    assert says in message
    for part in ("expected:", "found:", "next:"):
        assert part in message


@pytest.mark.parametrize("text", [b"N\xff,step\n1,2\n", b'N,step\n"1,2\n'])
def test_refuses_what_is_no_csv(tmp_path, text):
    with pytest.raises(DataError, match="not a CSV file"):
        read(tmp_path, text)


def test_refuses_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        Curves.from_csv(tmp_path / "none.csv")


def test_text_in_a_column_declared_numeric(tmp_path):
    with pytest.raises(DataError, match="source is not a finite number"):
        read(tmp_path, GOOD, numeric=("source", "N"))


def test_groups_are_sorted_and_keep_row_order():
    rows = [
        {"N": n, "seed": s, "v": i} for i, (n, s) in enumerate([(2, 1), (1, 1), (2, 0), (1, 1)])
    ]
    groups = Curves.from_rows(rows).groups(["N", "seed"])
    assert [key for key, _ in groups] == [(1.0, 1.0), (2.0, 0.0), (2.0, 1.0)]
    assert list(groups[0][1]["v"]) == [1.0, 3.0]


def test_rows_hold_missing_measurements():
    curves = Curves.from_rows([{"step": 1, "L": 0.5}, {"step": 2, "L": None}])
    assert math.isnan(curves["L"][1])


@pytest.mark.parametrize("rows", [[], [{"a": 1}, {"b": 1}]])
def test_rows_must_agree(rows):
    with pytest.raises(DataError):
        Curves.from_rows(rows)


def test_unknown_column_names_those_there_are():
    with pytest.raises(DataError, match="one of N, step"):
        Curves.from_rows([{"N": 1, "step": 1}])["steps"]


def test_columns_cannot_be_changed():
    curves = Curves.from_rows([{"N": 1.0}])
    with pytest.raises(ValueError, match="read-only"):
        curves["N"][0] = 2.0


@pytest.mark.parametrize("mask", [[True], [1, 0], [True, False, True]])
def test_a_mask_fits_the_rows(mask):
    with pytest.raises(DataError, match="mask"):
        Curves.from_rows([{"N": 1}, {"N": 2}]).where(mask)
