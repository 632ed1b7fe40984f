"""What the scorer of mathematics keeps on every input: no exception, symmetry, spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from reward_scorers import GroundTruthError, compute_score
from reward_scorers.math import answer
from reward_scorers.math.evaluate import NoValue, Point, evaluate
from reward_scorers.math.parser import parse
from reward_scorers.math.tokens import Unreadable
from reward_scorers.math.tree import KINDS, kinds_of
from reward_scorers.registry import Context

if TYPE_CHECKING:
    from fractions import Fraction

PIECES = [
    *("\\frac{", "\\sqrt[", "\\sqrt{", "\\boxed{", "\\left(", "\\right]", "\\{", "\\}", "{", "}"),
    *("(", ")", "[", "]", "|", "^", "_", "!", "%", "'", "\\%", "$", "\\(", "\\]", "&", "\\\\"),
    *("\\begin{pmatrix}", "\\end{pmatrix}", "\\text{", "\\circ", "\\pm", "\\cup", "\\in", "\\le"),
    *("\\pi", "\\infty", "\\sin", "\\log_", "\\binom", "\\sum", "\\int", "\\approx", "\\prime"),
    *("1", "2.5", "12,345", "0", "x", "y", "e", "i", "f(", "or", "and", "cm", "word", "\u00b2"),
    *("+", "-", "*", "/", "=", "<", ">=", ":", ",", ";", ".", " ", "\n", "\u221a", "\ud800", "\0"),
]
latex = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
anything = st.one_of(latex, st.text(max_size=200))

numbers = st.one_of(
    st.integers(-999, 999).map(str),
    st.tuples(st.integers(-99, 99), st.integers(1, 99)).map(
        lambda q: rf"\frac{{{q[0]}}}{{{q[1]}}}"
    ),
    st.decimals(-99, 99, places=2).map(str),
    st.sampled_from(["\\pi", "\\sqrt{2}", "e", "3\\sqrt{5}", "\\frac{\\pi}{4}", "\\ln 2"]),
)


def combined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(parts, parts)
    return st.one_of(
        pair.map(lambda p: f"{p[0]} + ({p[1]})"),
        pair.map(lambda p: f"({p[0]}) \\cdot ({p[1]})"),
        pair.map(lambda p: f"\\frac{{{p[0]}}}{{{p[1]}}}"),
        parts.map(lambda p: f"({p})^2"),
        parts.map(lambda p: f"\\sqrt{{{p}}}"),
    )


expressions = st.recursive(st.one_of(numbers, st.sampled_from("xyab")), combined, max_leaves=6)
answers = st.one_of(
    expressions,
    st.tuples(expressions, expressions).map(lambda p: f"({p[0]}, {p[1]}]"),
    st.tuples(expressions, expressions, expressions).map(", ".join),
    st.tuples(expressions, expressions).map(lambda p: f"\\{{{p[0]}, {p[1]}\\}}"),
    expressions.map(lambda p: f"x = {p}"),
    expressions.map(lambda p: f"x \\le {p}"),
)


@pytest.fixture(autouse=True)
def _no_computer_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer.symbolic, "same", lambda gold, other, deadline: False)


def equal(gold: str, other: str) -> bool:
    return answer.equal(gold, other, Context()) is not None


@given(text=anything, gold=anything)
@example(text="\\boxed{9^{9^{9^9}}}", gold="10^{10^{10}}")
@example(text="1/" * 3000 + "1", gold="1/" * 3000 + "2")
@example(text="\\boxed{" + "(" * 5000, gold="(" * 5000)
@example(text="\\log_{1} 5", gold="\\log_0 5")
@example(text="0^{-1}", gold="\\frac{1}{0}")
@example(text="2^{5000}", gold="\\sqrt{2}")
@example(text="2^{5000}x", gold="2^{5000} + x")
@example(text="3^{4000} : \\pi", gold="\\pi : 3^{4000}")
@example(text="1." + "3" * 3999, gold="\\sqrt{2}")
@example(text="\\sqrt[0]{2}", gold="\\binom{-1}{2}")
def test_no_text_raises(text: str, gold: str) -> None:
    try:
        found = compute_score("math__any", text, gold)
    except GroundTruthError:
        return
    assert found["score"] in (0.0, 1.0)


@given(latex)
def test_what_is_read_has_a_value_or_says_that_it_has_none(text: str) -> None:
    try:
        tree = parse(text)
    except Unreadable:
        return
    assert KINDS.keys() >= set(kinds_of(tree))
    for point in (Point(), Point(4), Point(0, 10), Point(0, None, precise=True)):
        try:
            evaluate(tree, point)
        except NoValue:
            continue


@given(answers)
def test_every_answer_is_itself(text: str) -> None:
    assert equal(text, text)
    assert equal(text, f" {text}. ")


@given(answers, answers)
def test_equality_is_symmetric(one: str, other: str) -> None:
    assert equal(one, other) == equal(other, one)


@given(answers, answers)
def test_spacing_and_size_change_nothing(one: str, other: str) -> None:
    spaced = other.replace("(", "\\left( ").replace(")", " \\right)").replace("+", " \\, + ")
    assert equal(one, spaced) == equal(one, other)
    assert equal(spaced, one) == equal(other, one)


@given(expressions, expressions)
def test_terms_and_factors_commute(one: str, other: str) -> None:
    assume(_has_value(f"({one}) + ({other})"))
    assert equal(f"({one}) + ({other})", f"({other}) + ({one})")
    assert equal(f"({one})({other})", f"({other}) ({one})")


@given(st.fractions(), st.fractions())
def test_rational_numbers_are_compared_exactly(one: Fraction, other: Fraction) -> None:
    written = rf"\frac{{{other.numerator}}}{{{other.denominator}}}"
    assert equal(f"{one.numerator}/{one.denominator}", written) == (one == other)


@given(st.integers(-(10**30), 10**30), st.integers(-50, 50).filter(bool))
def test_integers_that_differ_are_not_equal(number: int, step: int) -> None:
    assert not equal(str(number), str(number + step))
    assert equal(f"{number:,}", str(number))


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=6), st.randoms())
def test_lists_have_no_order_and_points_have_one(items: list[int], rng: object) -> None:
    shuffled = items[:]
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    listed, other = (", ".join(map(str, one)) for one in (items, shuffled))
    assert equal(listed, other)
    assert equal(f"({listed})", f"({other})") == (items == shuffled)


def _has_value(text: str) -> bool:
    try:
        evaluate(parse(text), Point())
    except (NoValue, Unreadable):
        return False
    return True
