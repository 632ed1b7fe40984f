"""Scorer `reasoning360/multiple_choice`: sources without a box, odd texts, long ones."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_scorers import compute_score
from reward_scorers.reasoning360.multiple_choice import score
from reward_scorers.registry import Context
from tests.scorers.patience import no_endless_work

NO_BOX = "stem__gpqa_diamond_no_box_198"


# As gpqa.py of the reference scores them.
@pytest.mark.parametrize(
    ("text", "truth", "pred", "right"),
    [
        ("Answer: B", "B", "B", 1.0),
        ("answer\t: $B$", "B", "B", 1.0),
        ("Answer: b", "B", "b", 0.0),
        ("Answer: A\nNo. Answer: B", "B", "A", 0.0),
        ("Answer: Because", "B", "B", 1.0),
        ("Answer: E", "E", None, 0.0),
        ("Answer:\nB", "B", None, 0.0),
        ("**Answer:** B", "B", None, 0.0),
        ("\\boxed{B}", "B", None, 0.0),
        ("<think>Answer: B</think> Answer: C", "B", "B", 1.0),
    ],
)
def test_sources_without_a_box(text: str, truth: str, pred: str | None, right: float) -> None:
    found = score(text, truth, Context(data_source=NO_BOX))
    assert (found["pred"], found["score"]) == (pred, right)


def test_the_name_of_the_source_decides_for_gpqa_alone() -> None:
    for source, right in (
        (NO_BOX, 1.0),
        ("stem__gpqa_diamond_198", 0.0),
        ("stem__supergpqa_no_box", 0.0),
    ):
        found = compute_score(source, "Answer: B", "B", compat="reasoning360")
        assert found["score"] == right


@settings(deadline=None)
@given(text=st.text(st.characters()), source=st.sampled_from((NO_BOX, "stem__supergpqa")))
def test_no_text_is_too_odd(text: str, source: str) -> None:
    assert score(text, "A", Context(data_source=source))["score"] in (0.0, 1.0)


@pytest.mark.parametrize(
    "piece",
    ["\\boxed{", "{", "Final Answer:", "Final Answer:<<", "<\n", "answer  ", "answer: ", "</s>"],
)
def test_a_million_characters(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    with no_endless_work():
        for source in (NO_BOX, "stem__supergpqa"):
            score(text, "B", Context(data_source=source))
