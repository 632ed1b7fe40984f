"""Whether two numbers, or two expressions, have the same value."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from reward_scorers.math.evaluate import (
    ALL_POINTS,
    POINTS,
    ROUNDING_POINTS,
    NoValue,
    Number,
    Point,
    TooLarge,
    approximate,
    evaluate,
    inexact,
    symbols,
)
from reward_scorers.math.tree import Node, kinds_of

# A decimal stands for a number with more digits if it shows at least so many significant ones, all
# right: .333333 for 1/3. Fewer are another number: .33 is not 1/3.
ROUNDED_DIGITS: Final = 6

CLOSE: Final = 1e-9  # relative; what is close in floating point is compared again precisely
_PRECISELY_CLOSE: Final = 1e-70
_TINY: Final = 1e-6  # below this, floating point may have lost everything in a difference
_NOTHING: Final = 1e-70
_WORDED: Final = frozenset({"text", "remark", "cases", "such that", "congruence"})
INFTY: Final = Node("constant", ("infty",))
MINUS_INFTY: Final = Node("neg", (INFTY,))


def same_values(gold: Node, answer: Node) -> bool | None:
    """Whether two expressions have the same value; None where they have none here."""
    if not _WORDED.isdisjoint((*kinds_of(gold), *kinds_of(answer))):
        return False  # 5 is not "not 5"
    if (gold.kind == "percent") != (answer.kind == "percent"):
        # 28% is .28, and 28 where the question asks for percent.
        bare = [one.args[0] if one.kind == "percent" else one for one in (gold, answer)]
        if _same_expressions(*bare):
            return True
    return _same_expressions(gold, answer)


def _same_expressions(gold: Node, answer: Node) -> bool | None:
    if gold == answer:
        return True
    found = _agree(gold, answer, None)
    if not found and (_has_log(gold) or _has_log(answer)):
        return _agree(gold, answer, 10) or found
    return found


def _agree(gold: Node, answer: Node, log: int | None) -> bool | None:
    names = symbols(gold) | symbols(answer)
    if not names:
        return _agree_as_numbers(gold, answer, log)
    agreed: list[int] = []
    rounded = _has_rounding(gold) or _has_rounding(answer)
    for number in range(ROUNDING_POINTS if rounded else ALL_POINTS):
        try:
            one, other = (evaluate(node, Point(number, log)) for node in (gold, answer))
        except TooLarge:
            if number < POINTS:
                return False  # only the same text is the same
            continue
        except NoValue:
            continue
        if number >= POINTS and (isinstance(one, complex) or isinstance(other, complex)):
            continue  # outside the reals, branches of roots and logarithms are a matter of taste
        if not _close_at(gold, answer, one, other, Point(number, log, precise=True)):
            return False
        agreed.append(number)
    if len(agreed) < POINTS:
        return None
    ends = (Point(number, log, precise=True) for number in (agreed[0], agreed[-1]))
    return all(_precisely_same(gold, answer, point) for point in ends)


def _close_at(gold: Node, answer: Node, one: Number, other: Number, precise: Point) -> bool:
    """Whether two values at a point are the same; tiny ones are computed again, precisely."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    try:
        one, other = approximate(one), approximate(other)
    except TooLarge:
        return _precisely_same(gold, answer, precise)
    scale = max(abs(one), abs(other))
    if abs(one - other) <= CLOSE * scale:
        return True
    return scale <= _TINY and _precisely_same(gold, answer, precise)


def _precisely_same(gold: Node, answer: Node, point: Point) -> bool:
    try:
        one, other = (inexact(evaluate(node, point), point) for node in (gold, answer))
    except NoValue:
        return False
    scale = max(abs(one), abs(other))
    return bool(scale < _NOTHING or abs(one - other) <= _PRECISELY_CLOSE * scale)


def _agree_as_numbers(gold: Node, answer: Node, log: int | None) -> bool | None:
    infinite = _infinity(gold), _infinity(answer)
    if any(infinite):
        return infinite[0] == infinite[1]
    try:
        one, other = (evaluate(node, Point(0, log)) for node in (gold, answer))
    except TooLarge:
        return False  # only the same text is the same
    except NoValue:
        return None
    decimal = _decimal(gold), _decimal(answer)
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        if one == other:
            return True
        return _rounds(decimal[0], one, other) or _rounds(decimal[1], other, one)
    if decimal[0] is not None or decimal[1] is not None:
        return _rounds(decimal[0], one, other) or _rounds(decimal[1], other, one)
    precise = Point(0, log, precise=True)
    return _close_at(gold, answer, one, other, precise) and _precisely_same(gold, answer, precise)


def _infinity(node: Node) -> int:
    """The sign of an infinite node, 0 of another."""
    if node == INFTY:
        return 1
    return -1 if node == MINUS_INFTY else 0


def _decimal(node: Node) -> int | None:
    """How many decimals a node shows, if it is a number written with a point."""
    while node.kind in ("neg", "percent"):
        node = node.args[0]
    return node.args[1] if node.kind == "number" else None


def _rounds(decimals: int | None, shown: Number, value: Number) -> bool:
    """Whether `shown`, of so many decimals, is `value` rounded to them, with enough digits."""
    if decimals is None or isinstance(shown, complex) or isinstance(value, complex):
        return False
    if abs(shown) * 10**decimals < 10 ** (ROUNDED_DIGITS - 1):
        return False
    # A floating-point value is itself off by some 1e-16 of its size.
    slack = Fraction(0) if isinstance(value, Fraction) else abs(Fraction(value)) / 10**15
    return bool(abs(shown - Fraction(value)) <= Fraction(1, 2 * 10**decimals) + slack)


def _has_rounding(node: Any) -> bool:
    if not isinstance(node, tuple):
        return False
    if isinstance(node, Node) and node.kind == "call" and node.args[0] in ("floor", "ceil"):
        return True
    return any(_has_rounding(part) for part in node)


def _has_log(node: Any) -> bool:
    if not isinstance(node, tuple):
        return False
    if isinstance(node, Node) and node.kind == "call" and node.args[0] == "log":
        return node.args[2] is None
    return any(_has_log(part) for part in node)


def close(one: Number, other: Number, tolerance: float) -> bool:
    """Whether two values differ by no more than a share of the larger one."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    try:
        one, other = approximate(one), approximate(other)
    except TooLarge:
        return False
    return bool(abs(one - other) <= tolerance * max(abs(one), abs(other)))
