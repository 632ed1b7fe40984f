"""Scorer `multiple_choice`: the cases are data; add one to multiple_choice.json."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_scorers import scorer
from reward_scorers.stem.multiple_choice import extract, score

CASES = json.loads(Path(__file__).with_name("multiple_choice.json").read_text(encoding="utf-8"))
STORED = Path(__file__).parents[3] / "shared" / "data" / "published" / "star"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict) -> None:
    found = score(case["text"], case["gold"], case.get("options"))
    assert found["pred"] == case["pred"], found["reason"]
    assert found["score"] == case["score"]
    assert found["acc"] is bool(case["score"])


def test_it_is_registered() -> None:
    assert scorer("multiple_choice").score is score


@pytest.mark.parametrize("gold", ["", "BC", "4", "K", "true"])
def test_a_wrong_reference_is_an_error_and_no_score(gold: str) -> None:
    with pytest.raises(ValueError, match="right answer"):
        score("Answer: B", gold)


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    found = score(text, "A")
    assert found["score"] in (0.0, 1.0)
    assert (found["pred"] is None) <= (found["score"] == 0.0)


@given(before=st.text(), letter=st.sampled_from("ABCDEFGHIJ"))
def test_what_stands_before_the_last_line_does_not_count(before: str, letter: str) -> None:
    assert score(f"{before}\nAnswer: {letter}", letter)["score"] == 1.0


@pytest.mark.parametrize(
    "piece",
    [
        "Answer:",
        "answer: (((((((((((((((((",
        "\\boxed{",
        "\\boxed{\\text{",
        "*" * 64,
        " ",
        "Answer: A man, ",
    ],
)
def test_a_million_characters_that_lead_nowhere(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    assert score(text, "B")["pred"] is None
    assert score(f"{text}\nAnswer: B\n", "B")["score"] == 1.0


def test_the_stored_responses_score_as_their_authors_scored_them() -> None:
    if not STORED.is_dir():
        pytest.skip(f"the stored responses are not at {STORED}")
    with (STORED / "generate_128.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (STORED / "star_mmlu128_scores.csv").open(newline="", encoding="utf-8") as file:
        told = {row["indices"]: row for row in csv.DictReader(file)}
    # The file holds no right answers, only what the model was taken to answer and its score.
    found = {row["indices"]: extract(row["raw_responses"])[0] for row in rows}
    other = {one for one, row in told.items() if found[one] != (row["extracted"] or None)}
    # Question 429 says "the best answer**: Based on", of which its authors took the B, and ends
    # with "Answer: A". They score it 0, so B is wrong; whether A is right the file does not tell.
    assert other == {"429"}
    assert (found["429"], told["429"]["extracted"], told["429"]["scores"]) == ("A", "B", "0.0")
    right = {row["indices"]: row["answers"] for row in rows if float(row["scores"])}
    assert len(right) == 84
    scores = [
        score(row["raw_responses"], right[row["indices"]])["score"]
        for row in rows
        if row["indices"] in right
    ]
    assert scores == [1.0] * 84
