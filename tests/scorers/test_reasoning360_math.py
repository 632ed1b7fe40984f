"""The reference's scorers of mathematics on any text; their cases are compared by test_cases.py."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reward_scorers.reasoning360.expressions import equal
from reward_scorers.reasoning360.latex_text import Unreadable, latex_to_text
from reward_scorers.registry import Context, scorer
from tests.scorers.patience import no_endless_work

SCORERS = ("reasoning360/math", "reasoning360/math_dapo", "reasoning360/gsm8k")
_PIECES = (
    r"\frac \sqrt { } ( ) [ ] 1 2 12 0 . , + - * / ^ _ = ! % $ x y \pi \text{ \left \right \\ & # "
    r"e \begin{pmatrix} \end{pmatrix} sqrt pi ln million cm Answer: #### \boxed{ </think>"
)
PIECES = st.sampled_from(_PIECES.split())
LATEX = st.lists(PIECES, max_size=40).map("".join) | st.lists(PIECES, max_size=20).map(" ".join)
ANY = st.text(max_size=200) | st.text(st.characters(codec=None), max_size=50) | LATEX
LONG = 1_000_000


@settings(deadline=None)  # the first root imports mpmath
@given(text=ANY, truth=ANY, frame=st.sampled_from(("%s", "\\boxed{%s}", "Answer: %s", "#### %s")))
def test_any_text_is_scored(text: str, truth: str, frame: str) -> None:
    assume(truth.strip())
    for name in SCORERS:
        found = scorer(name).score(frame.replace("%s", text), truth, Context())
        assert found["score"] == float(found["acc"])


@settings(deadline=None)
@given(latex=LATEX)
def test_a_reference_is_right_in_its_own_box(latex: str) -> None:
    balanced = latex.replace("{", "").replace("}", "").replace("\\boxed", "")
    if balanced.strip() and "</think>" not in balanced:
        text = f"\\boxed{{{balanced.strip()}}}"
        assert scorer("reasoning360/math").score(text, balanced.strip())["acc"]


@given(latex=LATEX)
def test_latex_becomes_text_or_is_refused(latex: str) -> None:
    with suppress(Unreadable):
        assert isinstance(latex_to_text(latex), str)


@settings(deadline=None)
@given(one=LATEX, other=LATEX)
def test_expressions_are_equal_both_ways(one: str, other: str) -> None:
    assert equal(one, other) == equal(other, one)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sqrt(8)", "2*sqrt(2)", True),
        ("2x(x+1)", "2x^2+2x", True),
        ("xy", "y*x", True),
        ("sqrt(x^2)", "x", False),
        ("1.4142135623730951", "sqrt(2)", False),
        ("9^9^9^9", "9^9^9^9", False),  # too large to tell
        ("10000000!", "1", False),
        ("1/0", "1/0", False),
        ("ln(0)", "ln(0)", False),
        ("x=1", "x=1", False),
        ("__import__", "__import__", False),
        ("import os", "import os", False),
    ],
)
def test_expressions(one: str, other: str, same: bool) -> None:
    assert equal(one, other) is same


@pytest.mark.parametrize(
    "text",
    [
        "(" * LONG,
        "\\boxed{" * (LONG // 7),
        "\\boxed{" + "{" * LONG,
        "\\boxed{" + "9" * LONG + "}",
        "\\boxed{" + "\\frac{" * (LONG // 6) + "}" * (LONG // 6) + "}",
        "\\boxed{" + "1," * (LONG // 2) + "}",
        "\\boxed{" + "1 " * (LONG // 2) + "}",
        "\\boxed{" + "$" * LONG + "}",
        "\\boxed{9^9^9^9}",
        "\\boxed{10000000!}",
        "Answer:" * (LONG // 7),
        "Answer" + " " * LONG,
        "#### " + "9" * LONG,
        "\x00" * LONG,
        "\ud800" * 1000,
        "cm" + " " * LONG,
        "1" + " " * LONG,
    ],
    ids=lambda text: repr(text[:18]),
)
@pytest.mark.parametrize("name", SCORERS)
def test_long_and_wild_texts_are_scored_in_time(name: str, text: str) -> None:
    limit = sys.getrecursionlimit()
    with no_endless_work():
        assert not scorer(name).score(text, "204", Context())["acc"]
    assert sys.getrecursionlimit() == limit
