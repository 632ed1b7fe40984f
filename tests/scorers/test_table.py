"""Tables: what holds for every text, number and list of cells."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reward_scorers.reasoning360 import table as reference
from reward_scorers.reasoning360.arithmetic import evaluated
from reward_scorers.table import cells
from tests.scorers.patience import no_endless_work

if TYPE_CHECKING:
    from random import Random

CASES = Path(cells.__file__).with_suffix(".cases.json")
PIECES = st.sampled_from(
    ["\\boxed{", "\\text{", "\\frac{", "\\sqrt", "0.5", "**", "million", " or "]
)
ANY_TEXT = st.text() | st.lists(
    PIECES | st.sampled_from("}|1,%$e-/\\^()_ \n\x00\ud800"), max_size=30
).map("".join)
NUMBERS = st.decimals(min_value=-(10**9), max_value=10**9, places=2)
NAMES = st.from_regex(r"[a-z]{1,8}( [a-z]{1,8})?", fullmatch=True)
LISTS = st.lists(NUMBERS.map(str) | NAMES, min_size=1, max_size=6)


def accepts(answer: object, gold: object) -> bool:
    return cells.score(f"So it is \\boxed{{{answer}}}.", gold)["acc"]


@given(ANY_TEXT, st.sampled_from(["1.5", "italy", "1|2", "2010-11", "\\frac{1}{2}", "a_b"]))
def test_no_text_raises(text: str, gold: str) -> None:
    for module in (cells, reference):
        for said in (text, f"\\boxed{{{text}}}"):
            found = module.score(said, gold)
            assert found["score"] in (0, 1)
            assert len(found["pred"] or "") <= 200


@given(LISTS, st.randoms(use_true_random=False))
def test_a_list_is_right_in_every_order(golds: list[str], order: Random) -> None:
    given_cells = list(golds)
    order.shuffle(given_cells)
    for truth in ("|".join(golds), golds, np.array(golds, dtype=object)):
        assert accepts(" | ".join(given_cells), truth)


@given(LISTS, LISTS, st.randoms(use_true_random=False))
def test_the_order_of_a_list_changes_no_score(
    golds: list[str], given_cells: list[str], order: Random
) -> None:
    before = accepts("|".join(given_cells), "|".join(golds))
    order.shuffle(golds)
    order.shuffle(given_cells)
    assert accepts("|".join(given_cells), "|".join(golds)) == before


@given(LISTS)
def test_a_list_with_a_cell_more_is_wrong(golds: list[str]) -> None:
    assert not accepts("|".join([*golds, golds[0]]), "|".join(golds))
    assert not accepts("|".join(golds), "|".join([*golds, golds[0]]))


@given(NUMBERS)
def test_a_number_is_right_in_every_spelling(number: Decimal) -> None:
    for text in (
        f"{number}",
        f"{number:,}",
        f"${number}$",
        f"\\${number:,}",
        f"{number} years",
        f"{number}\\text{{ years}}",
        f"{number}00",
        f"{number} million",
    ):
        assert accepts(text, str(number)), text


@given(NUMBERS, st.sampled_from([Decimal("0.01"), Decimal(100), Decimal(10), Decimal("0.1")]))
def test_another_order_of_magnitude_is_wrong(number: Decimal, factor: Decimal) -> None:
    assume(abs(number) >= 1)
    assert not accepts(number * factor, str(number))


@given(NUMBERS, st.integers(1, 10**6))
def test_a_last_digit_off_is_wrong(number: Decimal, off: int) -> None:
    assert not accepts(number + off * Decimal("0.01"), str(number))


@given(st.integers(), st.integers())
def test_integers_are_compared_exactly(one: int, other: int) -> None:
    assert accepts(one, str(other)) == (one == other)


@given(st.floats(min_value=1e-4, max_value=1e9))
def test_a_float_is_met_by_its_four_digits(value: float) -> None:
    short = Decimal(f"{value:.3e}")
    computed = len(repr(value).partition(".")[2]) > 4 and "e" not in repr(value) and value < 1000
    if computed:
        assert accepts(f"{short:f}", value)
    assert accepts(repr(value), value)


@pytest.mark.parametrize(
    "text",
    [
        "{" * 100_000,
        "\\boxed{" * 15_000,
        "\\boxed{" + "1|" * 50_000 + "1}",
        "\\boxed{" + "9" * 100_000 + "}",
        "\\boxed{" + "9,999" * 20_000 + "}",
        "\\boxed{" + "\\text{" * 20_000 + "}",
        "\\boxed{" + "\\frac" * 20_000 + "}",
        "\\boxed{" + "(" * 900 + "}",
        "\\boxed{" + "-" * 900 + "1}",
        "\\boxed{" + "9**" * 300 + "9}",
        "\\boxed{9**9**9**9}",
        "the answer is " * 7_000,
        " " * 100_000,
    ],
    ids=lambda text: text[:14],
)
def test_time_stays_small(text: str) -> None:
    with no_endless_work():
        for gold in ("1.5", "italy", "1|2"):
            cells.score(text, gold)
            reference.score(text, gold)


def test_arithmetic_is_that_of_python() -> None:
    cases = {"2*(3+4)": 14, "2**10": 1024, "7//2": 3, "2^3": 1, "1/4": 0.25, "-5": -5, "5 or x": 5}
    assert {text: evaluated(text) for text in cases} == cases
    for text in ("9**9**9", "1/0", "x", "len(1)", "1 if 1 else 2", "08", "(" * 500, ""):
        assert evaluated(text) is None


def test_the_policies_differ_on_the_known_failings_of_the_field() -> None:
    differing = {
        case["name"]
        for case in json.loads(CASES.read_text("utf-8"))
        if case.get("reasoning360", case.get("score")) != case.get("score")
    }
    assert differing >= {"100 times", "an integer close to it", "a choice", "a time"}
