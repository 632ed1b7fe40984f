from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cell.evaluate.tables import domain_table
from harness.errors import DataError


def line(step: int, overall: float, **domains: float) -> dict[str, Any]:
    evals = {f"heldout.{name}.pass_at_1": value for name, value in domains.items()}
    return {"step": step, "reward": 0.5, "evals": {"heldout.pass_at_1": overall, **evals}}


LINES = [
    line(0, 0.2, math=0.1, logic=0.4),
    {"step": 1, "reward": 0.3, "evals": {}},
    line(10, 0.5, math=0.3, logic=0.7),
    line(20, 0.6, math=0.5, logic=0.7),
]


def test_before_is_the_first_evaluation_and_after_the_last() -> None:
    math_row, logic, overall = domain_table(LINES, {"math": 100, "logic": 50})
    assert (math_row["domain"], math_row["before"], math_row["after"]) == ("math", 0.1, 0.5)
    assert (logic["domain"], logic["before"], logic["after"]) == ("logic", 0.4, 0.7)
    assert (overall["domain"], overall["n"], overall["after"]) == ("all", 150, 0.6)


@given(p=st.floats(0, 1), q=st.floats(0, 1), n=st.integers(1, 10**6))
def test_errors_are_the_binomials(p: float, q: float, n: int) -> None:
    lines = [
        {"step": step, "evals": {"heldout.pass_at_1": value}} for step, value in ((0, p), (5, q))
    ]
    (row,) = domain_table(lines, {"math": n})
    assert row["domain"] == "math"
    assert row["se_before"] == pytest.approx(math.sqrt(p * (1 - p) / n))
    assert row["se_after"] == pytest.approx(math.sqrt(q * (1 - q) / n))
    assert row["change"] == pytest.approx(q - p)
    variance = (p * (1 - p) + q * (1 - q)) / n
    assert row["se_change"] == pytest.approx(math.sqrt(variance), abs=1e-12)


def test_lines_are_taken_by_step() -> None:
    sizes = {"math": 100, "logic": 50}
    assert domain_table(LINES[::-1], sizes) == domain_table(LINES, sizes)


@pytest.mark.parametrize(
    ("lines", "responses", "message"),
    [
        ([], {"math": 10}, "without two evaluations"),
        (LINES[:2], {"math": 10}, "without two evaluations"),
        (LINES, {"math": 10, "stem": 10}, "heldout.stem.pass_at_1 is no share"),
        (LINES, {"math": 10, "logic": 0}, "no responses of domain 'logic'"),
        (
            [{"step": s, "evals": {"heldout.pass_at_1": v}} for s, v in ((0, 0.5), (1, 1.5))],
            {"math": 10},
            "is no share",
        ),
        (
            [{"step": s, "evals": {"heldout.pass_at_1": math.nan}} for s in (0, 1)],
            {"math": 10},
            "is no share",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(
    lines: list[dict[str, Any]], responses: dict[str, int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        domain_table(lines, responses)
