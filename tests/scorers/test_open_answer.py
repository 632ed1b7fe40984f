"""Scorer `stem`: what holds for every text, and who asks the judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_scorers import compute_score, scorer
from reward_scorers.registry import Context
from reward_scorers.stem.open_answer import score
from reward_scorers.stem.wording import key
from tests.scorers.patience import no_endless_work

if TYPE_CHECKING:
    from reward_scorers.deadline import Deadline

COLLEGE = Path(__file__).parents[3] / "shared" / "data" / "math_eval_sets" / "college_math.jsonl"


class Judge:
    """Says what it was told to, and remembers what it was asked."""

    def __init__(self, says: bool | None) -> None:
        self.says = says
        self.asked: list[dict[str, Any]] = []

    def __call__(
        self, *, question: str, answer: str, reference: str, deadline: Deadline
    ) -> bool | None:
        assert deadline.remaining() > 0
        self.asked.append({"question": question, "answer": answer, "reference": reference})
        return self.says


@pytest.mark.parametrize(
    ("says", "right", "reason"),
    [(True, 1.0, "says same"), (False, 0.0, "says different"), (None, 0.0, "no verdict")],
)
def test_a_judge_is_asked_about_a_miss(says: bool | None, right: float, reason: str) -> None:
    judge = Judge(says)
    extra = {"question": "Which process?"}
    found = compute_score("stem_web", "\\boxed{TCA cycle}", "Krebs cycle", extra, judge=judge)
    assert (found["score"], found["acc"]) == (right, bool(right))
    assert reason in found["reason"]
    asked = {"question": "Which process?", "answer": "TCA cycle", "reference": "Krebs cycle"}
    assert judge.asked == [asked]


def test_a_judge_is_asked_once_where_scorer_math_has_looked_too() -> None:
    judge = Judge(says=False)
    assert compute_score("stem__web", "\\boxed{6}", "5", judge=judge)["score"] == 0
    assert len(judge.asked) == 1


@pytest.mark.parametrize(
    ("text", "truth"),
    [("\\boxed{Krebs cycle}", "the Krebs cycle"), ("\\boxed{0.5}", "1/2"), ("", "5"), ("5", "5")],
)
def test_a_judge_is_not_asked_about_a_hit_nor_where_nothing_is_stated(text, truth) -> None:
    judge = Judge(says=True)
    score(text, truth, Context(judge=judge))
    assert judge.asked == []


def test_without_a_judge_the_reason_says_so() -> None:
    assert "no judge was asked" in score("\\boxed{TCA cycle}", "Krebs cycle")["reason"]


def test_it_is_registered() -> None:
    assert scorer("stem").score is score


@settings(deadline=None)  # the first step of computer algebra starts a worker
@given(text=st.text(st.characters()), truth=st.text(st.characters(), min_size=1))
def test_no_text_is_too_odd(text: str, truth: str) -> None:
    for said in (text, f"\\boxed{{{text}}}", f"Answer: {text}"):
        assert score(said, f"x{truth}")["score"] in (0.0, 1.0)


@given(st.text())
def test_an_answer_is_worded_like_itself(text: str) -> None:
    assert key(f"  {text}\n") == key(text)
    assert key(f"\\text{{{text}}}") == key(text) or "{" in text or "}" in text or "\\" in text


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=3), min_size=1).map(" ".join))
def test_case_articles_and_a_period_do_not_count(words: str) -> None:
    assert score(f"\\boxed{{The {words.upper()}.}}", words)["score"] == 1


@pytest.mark.parametrize(
    "piece",
    ["\\boxed{", "\\boxed{x}", "{", "Answer: ", "\u0301\u0316", "9", "x ", "\\text{a}", "\x00"],
)
@pytest.mark.parametrize("truth", ["5", "Krebs cycle", "\\frac{1}{2}"])
def test_a_million_characters(piece: str, truth: str) -> None:
    text = piece * (1_000_000 // len(piece))
    with no_endless_work():
        for said in (text, f"\\boxed{{{text}}}", f"Answer: {text}"):
            assert score(said, truth)["score"] == 0


def test_answers_of_college_books_are_equal_to_themselves() -> None:
    if not COLLEGE.is_file():
        pytest.skip(f"no answers of college books at {COLLEGE}")
    rows = [json.loads(line) for line in COLLEGE.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        gold = row["answer"]
        assert score(f"So it is \\boxed{{{gold}}}.", gold)["score"] == 1, gold
        assert score("", gold)["score"] == 0
