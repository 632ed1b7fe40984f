"""Level R0: the verdict on one number, on a row, and on golden files that do not fit the run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ExitCode
from harness.verdict.compare import compare, unjudged
from harness.verdict.entry import Declaration, Entry, Kind, Point, half_unit
from harness.verdict.golden import Golden
from harness.verdict.model import (
    EXIT_CODES,
    Comparison,
    Quantity,
    Verdict,
    by_group,
    of_row,
    overall,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.verdict.bands import Predicted

CASES = json.loads((Path(__file__).parent / "cases_r0.json").read_text())


def entry(printed: str | None = "0.135", **changes: object) -> Entry:
    fields = {
        "id": "table/K",
        "group": "Table",
        "label": "K",
        "quantity": "fit/a/K",
        "kind": Kind.PUBLISHED,
        "printed": printed,
        "source": "paper",
        "place": "Table 1",
        "protocol": "all points",
    }
    return Entry.model_validate(fields | changes)


def golden(*entries: Entry) -> Golden:
    return Golden.model_validate(
        {
            "schema": 1,
            "suite": "s",
            "suite_version": 1,
            "tier": "published",
            "level": "R0",
            "objective_slack": 1e-5,
            "objective_slack_reason": "a stopping rule",
            "entries": entries,
        }
    )


def judge(golden: Golden, quantities: dict, objective_ratio: Callable) -> list[Comparison]:
    return compare(golden, quantities, objective_ratio, no_predictions)


def no_predictions(_fit: str, _N: object, _x: object) -> Predicted:
    raise AssertionError("not asked for")


def no_objective(_name: str, _point: Point) -> float:
    raise AssertionError("not asked for")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_verdict_on_one_number(case: dict) -> None:
    declared = case.get("declared")
    if declared:
        declared = Declaration(reason="told in advance, with evidence", **declared)
    one = entry(
        case.get("printed"),
        between=case.get("between"),
        scale=case.get("scale", 1.0),
        rtol=case.get("rtol"),
        tolerance=case.get("tolerance"),
        tolerance_reason="how finely the figure can be read" if "tolerance" in case else None,
        input_rounding=case.get("input_rounding"),
        declared=declared,
    )
    missing = "no cells" if case["found"] is None else None
    quantity = Quantity(
        "fit/a/K", case["found"], slack=case["slack"], missing=missing, doubt=case.get("doubt")
    )
    [judged] = judge(golden(one), {quantity.name: quantity}, no_objective)
    assert judged.verdict.value == case["verdict"], judged.reason
    assert (judged.verdict is Verdict.REPRODUCED) == (judged.reason == "")
    if case["found"] is not None and "printed" in case:
        assert judged.difference == pytest.approx(judged.found - float(case["printed"]))


def test_a_claimed_range_is_shown_as_one() -> None:
    one = entry(None, between=["0.2", "0.4"], scale=2.0)
    for value, difference in [(0.6, 0.0), (0.9, 0.05), (0.3, -0.05)]:
        [judged] = judge(golden(one), {"fit/a/K": Quantity("fit/a/K", value)}, no_objective)
        assert judged.published == "0.2 to 0.4"
        assert judged.difference == pytest.approx(difference)


def test_the_tolerance_says_that_inputs_were_rounded() -> None:
    one = entry("43.29", input_rounding=0.005)
    [judged] = judge(golden(one), {"fit/a/K": Quantity("fit/a/K", 43.299)}, no_objective)
    assert judged.tolerance == pytest.approx(0.01)
    assert "rounding of the printed inputs 0.005" in judged.tolerance_reason


def test_a_declaration_that_the_run_refutes_is_told_as_it_is() -> None:
    one = entry("0.144", declared={"kind": "misprint", "reason": "x" * 20, "instead": "0.155515"})
    reasons = []
    for found in (0.144, 0.2):
        quantity = Quantity("fit/a/K", found)
        [judged] = judge(golden(one), {quantity.name: quantity}, no_objective)
        assert judged.verdict is Verdict.NOT_REPRODUCED
        reasons.append(judged.reason)
    assert "finds the printed number" in reasons[0]
    assert "finds neither" in reasons[1]


def test_unused_golden_entry_fails() -> None:
    [judged] = judge(golden(entry()), {}, no_objective)
    assert judged.verdict is Verdict.NOT_REPRODUCED
    assert "unused golden entry" in judged.reason


def test_a_missing_value_keeps_its_reason() -> None:
    quantity = Quantity("fit/a/K", 0.135, missing="3 of 7 cells were not selected")
    [judged] = judge(golden(entry()), {"fit/a/K": quantity}, no_objective)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason == "3 of 7 cells were not selected"


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (0.0, "reproduced"),
        (-9e-6, "reproduced"),
        (2e-5, "not_reproduced"),
        (-2e-5, "not_reproduced"),
    ],
)
def test_objective_at_published_parameters(ratio: float, verdict: str) -> None:
    one = entry("0", quantity="fit/a/objective", at=Point(params={"K": 0.135}))
    quantity = Quantity("fit/a/objective", 1.5e-4)
    [judged] = judge(golden(one), {quantity.name: quantity}, lambda _n, _p: ratio)
    assert judged.verdict.value == verdict


def _verdicts(*items: tuple[str, str | None]) -> list:
    comparisons = []
    for verdict, declared in items:
        [one] = judge(golden(entry()), {}, no_objective)
        comparisons.append(
            type(one)(**{**vars(one), "verdict": Verdict(verdict), "declared": declared})
        )
    return comparisons


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], "inconclusive"),
        ([("reproduced", None)], "reproduced"),
        ([("reproduced", None), ("drifted", None)], "drifted"),
        ([("reproduced", None), ("inconclusive", None)], "inconclusive"),
        ([("reproduced", None), ("inconclusive", "misprint")], "reproduced"),
        ([("inconclusive", "incomplete_data")], "inconclusive"),
        ([("inconclusive", None), ("not_reproduced", None)], "not_reproduced"),
        ([("reproduced", None), ("not_reproduced", "misprint")], "not_reproduced"),
    ],
)
def test_rows_and_suites_take_the_worst_verdict_that_counts(items: list, expected: str) -> None:
    assert overall(_verdicts(*items)).value == expected


@pytest.mark.parametrize(
    ("items", "row", "suite"),
    [
        ([("transcribed", "reproduced")], "reproduced", "inconclusive"),
        ([("transcribed", "drifted")], "drifted", "inconclusive"),
        ([("transcribed", "not_reproduced")], "not_reproduced", "not_reproduced"),
        ([("transcribed", "reproduced"), ("refit", "reproduced")], "reproduced", "reproduced"),
        ([("transcribed", "drifted"), ("refit", "reproduced")], "drifted", "drifted"),
        (
            [("transcribed", "not_reproduced"), ("published", "reproduced")],
            "not_reproduced",
            "not_reproduced",
        ),
    ],
)
def test_what_a_run_only_replays_is_no_evidence_and_can_fail(
    items: list, row: str, suite: str
) -> None:
    found = [
        replace(one, kind=kind)
        for (kind, _), one in zip(
            items, _verdicts(*((verdict, None) for _, verdict in items)), strict=True
        )
    ]
    assert (of_row(found).value, overall(found).value) == (row, suite)


def test_transcribed_beside_what_is_declared_only_is_inconclusive() -> None:
    one, declared = _verdicts(("reproduced", None), ("inconclusive", "misprint"))
    assert overall([replace(one, kind="transcribed"), declared]) is Verdict.INCONCLUSIVE


def test_exit_codes_follow_the_verdict() -> None:
    assert EXIT_CODES[Verdict.REPRODUCED] is EXIT_CODES[Verdict.DRIFTED] is ExitCode.OK
    assert EXIT_CODES[Verdict.NOT_REPRODUCED] is ExitCode.NOT_REPRODUCED
    assert EXIT_CODES[Verdict.INCONCLUSIVE] is ExitCode.INCONCLUSIVE


def test_rows_keep_the_order_of_the_golden_file() -> None:
    entries = [entry(id=str(i), group=group) for i, group in enumerate("bab")]
    rows = by_group(judge(golden(*entries), {}, no_objective))
    assert [(name, len(row)) for name, row in rows.items()] == [("b", 2), ("a", 1)]


def test_unjudged_names_what_has_no_entry() -> None:
    quantities = {
        name: Quantity(name, value)
        for name, value in [("fit/a/K", 1.0), ("fit/b/K", 2.0), ("fit/b/R2", 3.0)]
    }
    assert unjudged(golden(entry()), quantities, ["fit/*/K"]) == {"fit/b/K": 2.0}
    assert unjudged(None, quantities, ["fit/*"]) == {
        "fit/a/K": 1.0,
        "fit/b/K": 2.0,
        "fit/b/R2": 3.0,
    }


@given(st.integers(0, 10**6), st.integers(0, 6))
def test_half_a_unit_is_what_rounding_can_hide(digits: int, places: int) -> None:
    printed = f"{digits / 10**places:.{places}f}"
    edge = half_unit(printed)
    assert float(f"{float(printed) + 0.98 * edge:.{places}f}") == float(printed)
    assert float(f"{float(printed) + 1.02 * edge:.{places}f}") != float(printed)
