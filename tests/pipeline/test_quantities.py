"""Names of quantities: goldens refer to them, so no two values may share one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.collect import CellResult, at, summarise
from harness.errors import DataError, SuiteError
from harness.quantities import label_text
from harness.spec.grid import Cell
from harness.spec.suite import Summary

SIZES = st.one_of(
    st.floats(1e3, 1e13), st.integers(10**3, 10**13), st.sampled_from([5e8, 1.5e9, 494032768])
)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("N", 5e8, "0.5B"),
        ("N", 1.5e9, "1.5B"),
        ("N", 72e9, "72B"),
        ("N", 400_000, "400K"),
        ("N", 494_032_768, "494032768"),
        ("tau", 25, "25"),
        ("tau", 0.1, "0.1"),
        ("source", "base", "base"),
    ],
)
def test_labels_read_as_the_literature_writes_them(name: str, value: object, text: str) -> None:
    assert label_text(name, value) == text


@given(SIZES, SIZES)
def test_two_sizes_never_share_a_name(a: float, b: float) -> None:
    # Values closer than the rounding of a product are one size.
    if not math.isclose(a, b, rel_tol=1e-11):
        assert label_text("N", a) != label_text("N", b)


def result(source: str, losses: list[float]) -> CellResult:
    cell = Cell(id=source * 64, values={}, document={})
    rows = [{"source": source, "ErrRate": loss} for loss in losses]
    return CellResult(cell, {"source": source}, rows, {"best": {"holdout.ErrRate": min(losses)}})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"field": "ErrRate", "take": "last"}, 0.7),
        ({"field": "ErrRate", "take": "first"}, 0.9),
        ({"field": "ErrRate", "take": "min"}, 0.6),
        ({"field": "ErrRate", "take": "max"}, 0.9),
        ({"field": "best.holdout.ErrRate", "complement": True}, 0.4),
    ],
)
def test_summaries(settings: dict, expected: float) -> None:
    summary = Summary(name="s", by=("source",), **settings)
    assert summarise(summary, [result("a", [0.9, 0.6, 0.7])]) == {("a",): pytest.approx(expected)}


def test_a_summary_must_tell_its_cells_apart() -> None:
    summary = Summary(name="s", field="ErrRate", take="last")
    with pytest.raises(SuiteError, match="several cells"):
        summarise(summary, [result("a", [0.9]), result("b", [0.8])])


def test_a_field_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(DataError, match="cell 1, a: no field 'c'"):
        at({"a": {"b": 1}}, "a.c", "cell 1")
    assert at({"a": {"b.c": 1}}, "a.b.c", "cell 1") == 1
