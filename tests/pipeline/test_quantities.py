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
from harness.spec.measures import Summary

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


def result(source: str, losses: list[float], seed: int = 0) -> CellResult:
    cell = Cell(id=source * 64, values={}, document={})
    labels = {"source": source, "seed": seed}
    rows = [{**labels, "ErrRate": loss, "start": 1.0} for loss in losses]
    return CellResult(cell, labels, rows, {"best": {"holdout.ErrRate": min(losses)}})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"field": "ErrRate", "take": "last"}, 0.7),
        ({"field": "ErrRate", "take": "first"}, 0.9),
        ({"field": "ErrRate", "take": "min"}, 0.6),
        ({"field": "ErrRate", "take": "max"}, 0.9),
        ({"field": "ErrRate", "take": "mean"}, 2.2 / 3),
        ({"field": "ErrRate", "take": "mean", "last": 2}, 0.65),
        ({"field": "ErrRate", "take": "max", "last": 2}, 0.7),
        ({"field": "ErrRate", "take": "mean", "last": 9}, 2.2 / 3),
        ({"field": "best.holdout.ErrRate", "complement": True}, 0.4),
        ({"field": "start", "minus": "ErrRate", "take": "last"}, 0.3),
    ],
)
def test_summaries(settings: dict, expected: float) -> None:
    summary = Summary(name="s", by=("source",), **settings)
    # The last step was not measured.
    found = summarise(summary, [result("a", [0.9, 0.6, 0.7, math.nan])])
    assert found == {("a",): pytest.approx(expected)}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"reduce": "mean"}, {("a",): 0.7, ("b",): 0.5}),
        ({"reduce": "sum"}, {("a",): 1.4, ("b",): 0.5}),
        ({"reduce": "mean", "complement": True}, {("a",): 0.3, ("b",): 0.5}),
        ({"where": "seed == 1"}, {("a",): 0.6}),
        ({"where": "seed == 2"}, {}),
    ],
)
def test_cells_that_are_not_told_apart(settings: dict, expected: dict) -> None:
    summary = Summary(name="s", field="ErrRate", take="last", by=("source",), **settings)
    results = [result("a", [0.8]), result("a", [0.6], seed=1), result("b", [0.5])]
    assert summarise(summary, results) == pytest.approx(expected)


def test_a_summary_of_what_was_never_measured_is_an_error() -> None:
    summary = Summary(name="s", field="ErrRate", take="mean")
    with pytest.raises(DataError, match="no points of ErrRate"):
        summarise(summary, [result("a", [math.nan])])


def test_a_summary_must_tell_its_cells_apart() -> None:
    summary = Summary(name="s", field="ErrRate", take="last")
    with pytest.raises(SuiteError, match="several cells"):
        summarise(summary, [result("a", [0.9]), result("b", [0.8])])


def test_a_field_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(DataError, match="cell 1, a: no field 'c'"):
        at({"a": {"b": 1}}, "a.c", "cell 1")
    assert at({"a": {"b.c": 1}}, "a.b.c", "cell 1") == 1
