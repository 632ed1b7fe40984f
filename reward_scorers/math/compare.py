"""Whether two trees are the same answer. None where that cannot be told from them.

The kind of an answer decides how it is compared: numbers and expressions by value, points and
intervals in order and with their brackets, lists and sets in any order, matrices entry by entry,
equations up to a factor, inequalities as intervals, words as words.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.math.evaluate import (
    ALL_POINTS,
    NoValue,
    Number,
    Point,
    approximate,
    evaluate,
    inexact,
    symbols,
)
from reward_scorers.math.matrices import computed
from reward_scorers.math.shapes import (
    FLIPPED,
    interval_of,
    is_name,
    is_sought,
    simplified,
    turned,
    variable_of,
)
from reward_scorers.math.tree import Node, is_inequality
from reward_scorers.math.units import same_units
from reward_scorers.math.values import CLOSE, INFTY, MINUS_INFTY, close, same_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_MATCHED: Final = 60  # items that are matched one by one; more must be numbers
_PRECISELY: Final = 1e-30
_ENOUGH_POINTS: Final = 3
_LISTS: Final = frozenset(["list", "set"])


def same(gold: Node, answer: Node) -> bool | None:
    """Whether two answers are the same.

    Symmetric, but for what only one of them has: a unit, a percent sign, a name in front ("x = 5")
    may be absent in the other.
    """
    if gold == answer:
        return True
    gold, answer = simplified(gold), simplified(answer)
    if gold.kind == answer.kind == "equation":
        return _same_equation(gold, answer)
    if "equation" in (gold.kind, answer.kind):
        return _same_as_value(gold, answer)
    if gold.kind == answer.kind == "inequality":
        return _same_inequality(gold, answer)
    if "inequality" in (gold.kind, answer.kind):
        gold, answer = interval_of(gold) or gold, interval_of(answer) or answer
        if "inequality" in (gold.kind, answer.kind):
            return False
    return _same_unnamed(gold, answer)


def _same_unnamed(gold: Node, answer: Node) -> bool | None:
    if "remark" in (gold.kind, answer.kind):
        return _same_remarks(gold, answer)
    if gold.kind == "unit" or answer.kind == "unit":
        return _same_with_units(gold, answer)
    if gold.kind == "union" and answer.kind == "list" and all(map(is_inequality, answer.args)):
        return _unordered(gold.args, answer.args)  # x < 2, x > 3
    if gold.kind in _LISTS or answer.kind in _LISTS:
        return _same_lists(gold, answer)
    if "union" in (gold.kind, answer.kind):
        return _unordered(_parts(gold, "union"), _parts(answer, "union"))
    handler = _BY_KIND.get(gold.kind)
    if gold.kind == answer.kind and handler is not None:
        return handler(gold, answer)
    if handler is not None or answer.kind in _BY_KIND:
        return _same_mixed(gold, answer)
    return same_values(gold, answer)


def _same_mixed(gold: Node, answer: Node) -> bool | None:
    """Two kinds of answers, at least one of which is no expression."""
    kinds = {gold.kind, answer.kind}
    if gold.kind == "based":  # 204_5 and 204: the question names the base
        return answer.kind == "number" and answer.args == (Fraction(gold.args[0]), None)
    if kinds == {"text", "symbol"}:
        return _words(gold) == _words(answer)
    if kinds == {"matrix", "group"}:
        matrix, vector = (gold, answer) if gold.kind == "matrix" else (answer, gold)
        entries = [one for row in matrix.args for one in row]
        is_vector = 1 in (len(matrix.args), len(matrix.args[0]))
        return is_vector and vector.args[0] == "(" and _ordered(entries, vector.args[2])
    if "matrix" in kinds:
        return _same_computed(gold, answer)
    return False


def _same_equation(gold: Node, answer: Node) -> bool | None:
    name, other = gold.args[0], answer.args[0]
    if is_name(name) and is_name(other) and (name == other or _renamed(name, other)):
        found = same(gold.args[1], answer.args[1])
        # y = ... is solved for y: no factor can make two such answers the same.
        solved = symbols(name).isdisjoint(symbols(gold.args[1]) | symbols(answer.args[1]))
        if found or solved:
            return found
    return _proportional(_difference(gold), _difference(answer)) is not None


def _renamed(one: Node, other: Node) -> bool:
    """Whether two names are the same function of another variable: f(x) and f(n)."""
    if one.kind == other.kind == "call":
        return bool(one.args[0] == other.args[0])
    if one.kind == other.kind == "mul":
        variables = all(
            len(node.args) == 2 and node.args[1].kind == "symbol" for node in (one, other)
        )
        return variables and one.args[0] == other.args[0]
    bare, applied = (one, other) if one.kind == "symbol" else (other, one)
    if bare.kind == "symbol" and applied.kind == "mul" and len(applied.args) == 2:
        return bool(applied.args[0] == bare)  # y and y(t)
    return False


def _same_as_value(gold: Node, answer: Node) -> bool | None:
    """An equation against what is none: "x = 5" and 5, "(p, q) = (3, 2)" and (3, 2)."""
    equation, other = (gold, answer) if gold.kind == "equation" else (answer, gold)
    named = is_sought if equation is answer else is_name
    if not named(equation.args[0]):
        return False
    value = equation.args[1]
    return same(value, other) if equation is gold else same(other, value)


def _difference(relation: Node) -> Node:
    left, right = relation.args[-1] if relation.kind == "inequality" else relation.args
    return Node("add", (left, Node("neg", (right,))))


def _proportional(one: Node, other: Node) -> Number | None:
    """The constant factor between two expressions; None if there is none.

    Both are computed precisely: at some points a term can be far smaller than the others.
    """
    factor: Number | None = None
    agreed = 0
    for number in range(ALL_POINTS):
        point = Point(number, precise=True)
        try:
            first, second = (inexact(evaluate(node, point), point) for node in (one, other))
        except NoValue:
            continue
        if first == 0 or second == 0:
            if first != second:
                return None
            continue
        ratio = first / second
        if factor is not None and abs(ratio - factor) > _PRECISELY * abs(factor):
            return None
        factor = ratio
        agreed += 1
    return factor if agreed >= _ENOUGH_POINTS else None


def _same_inequality(gold: Node, answer: Node) -> bool | None:
    intervals = interval_of(gold), interval_of(answer)
    if intervals[0] is not None and intervals[1] is not None:
        if variable_of(gold) != variable_of(answer):
            return False
        return same(intervals[0], intervals[1])
    if len(gold.args[1]) == len(answer.args[1]) == 2:
        factor = _proportional(_difference(gold), _difference(answer))
        if factor is None or factor.imag != 0:
            return False
        (operator,), (other,) = gold.args[0], answer.args[0]
        return bool(operator == (other if factor.real > 0 else FLIPPED[other]))
    for operators, nodes in (answer.args, turned(answer)):
        if gold.args[0] == operators and len(gold.args[1]) == len(nodes):
            found = [same(a, b) for a, b in zip(gold.args[1], nodes, strict=True)]
            if all(found):
                return True
    return False


def _same_remarks(gold: Node, answer: Node) -> bool | None:
    """1 if n is odd: what is said about a value counts."""
    if gold.kind != answer.kind or not same_units(gold.args[1], answer.args[1]):
        return False
    return same(gold.args[0], answer.args[0])


def _same_with_units(gold: Node, answer: Node) -> bool | None:
    (one, unit), (other, other_unit) = _peeled(gold), _peeled(answer)
    if unit and other_unit and not same_units(unit, other_unit):
        return False
    found = same(one, other)
    if not found and "deg" in (unit, other_unit) and not (unit and other_unit):
        return same_values(gold, answer)  # 45 degrees and pi/4
    return found


def _peeled(node: Node) -> tuple[Node, str]:
    return (node.args[0], node.args[1]) if node.kind == "unit" else (node, "")


def _parts(node: Node, kind: str) -> tuple[Any, ...]:
    return node.args if node.kind == kind else (node,)


def _same_lists(gold: Node, answer: Node) -> bool | None:
    kinds = {gold.kind, answer.kind}
    if "group" in kinds and "list" in kinds:
        listed, brackets = (gold, answer) if gold.kind == "list" else (answer, gold)
        return _same_point(listed.args, brackets)
    if kinds & {"group", "union", "text", "matrix", "ratio"} and not kinds <= _LISTS:
        return len(kinds & _LISTS) == 1 and _single(gold, answer)
    items = list(gold.args) if gold.kind in _LISTS else [gold]
    others = list(answer.args) if answer.kind in _LISTS else [answer]
    if len(items) != len(others):
        if any(item.kind == "list" for item in (*items, *others)):
            return _ordered(_flat(items), _flat(others))
        if "set" in kinds or all(one.kind == "group" for one in (*items, *others)):
            items, others = list(dict.fromkeys(items)), list(dict.fromkeys(others))
    if bool(_names(items)) != bool(_names(others)):
        return _ordered(items, others)  # a = 1, b = 2 has an order
    return _unordered(items, others)


def _names(items: Sequence[Node]) -> list[Node] | None:
    """The names of items that all have one, each another; None if they do not."""
    told = [simplified(item) for item in items]
    names = [one.args[0] for one in told if one.kind == "equation"]
    return names if len(names) == len(set(names)) == len(told) > 1 else None


def _same_point(items: Sequence[Node], point: Node) -> bool | None:
    """1, 2 or x = 1, y = 2 for the point (1, 2)."""
    if point.args[:2] != ("(", ")") or INFTY in point.args[2] or MINUS_INFTY in point.args[2]:
        return False
    if any(simplified(item).kind == "equation" for item in items):
        names = _names(items)
        if names is None or names != sorted(names):
            return False
    return _ordered(items, point.args[2])


def _flat(items: Sequence[Node]) -> list[Node]:
    """p = 5, q = 2; p = 7, q = 2 without its semicolon."""
    return [one for item in items for one in (item.args if item.kind == "list" else (item,))]


def _single(gold: Node, answer: Node) -> bool:
    """Whether a set of one is compared with what is in it."""
    for several, one in ((gold, answer), (answer, gold)):
        if several.kind == "set" and len(several.args) == 1:
            return bool(same(several.args[0], one))
    return False


def _ordered(items: Sequence[Node], others: Sequence[Node]) -> bool | None:
    if len(items) != len(others):
        return False
    undecided = False
    for one, other in zip(items, others, strict=True):
        found = same(one, other)
        if found is False:
            return False
        undecided |= found is None
    return None if undecided else True


def _unordered(items: Sequence[Node], others: Sequence[Node]) -> bool | None:
    if len(items) != len(others):
        return False
    found = _as_numbers(items, others)
    if found is not None:
        return found
    if len(items) > _MOST_MATCHED:
        return _ordered(items, others)
    left = list(others)
    undecided = False
    for one in items:
        for place, other in enumerate(left):
            found = same(one, other)
            if found:
                del left[place]
                break
            undecided |= found is None
        else:
            return None if undecided else False
    return True


def _as_numbers(items: Sequence[Node], others: Sequence[Node]) -> bool | None:
    """Whether two lists of rational numbers hold the same ones; None if they hold anything else."""
    if not all(one.kind == "number" for one in (*items, *others)):
        return None
    return sorted(one.args[0] for one in items) == sorted(one.args[0] for one in others)


def _same_group(gold: Node, answer: Node) -> bool | None:
    if gold.args[:2] != answer.args[:2]:
        return False
    return _ordered(gold.args[2], answer.args[2])


def _same_matrix(gold: Node, answer: Node) -> bool | None:
    if [len(row) for row in gold.args] != [len(row) for row in answer.args]:
        return False
    return _ordered(
        [one for row in gold.args for one in row], [a for row in answer.args for a in row]
    )


def _same_ratio(gold: Node, answer: Node) -> bool | None:
    """2 : 4 and 1 : 2 are the same; 12 : 30 and 6 : 15 may be times and are not."""
    if any(_may_be_minutes(node.args[-1]) for node in (gold, answer)):
        return _ordered(gold.args, answer.args)
    values = []
    for node in (gold, answer):
        try:
            values.append([approximate(evaluate(part, Point())) for part in node.args])
        except NoValue:
            return _ordered(gold.args, answer.args)
    if len(values[0]) != len(values[1]) or any(value == 0 for side in values for value in side):
        return _ordered(gold.args, answer.args)
    factors = [a / b for a, b in zip(*values, strict=True)]
    return all(close(factor, factors[0], CLOSE) for factor in factors)


def _may_be_minutes(node: Node) -> bool:
    return node.kind == "number" and (node.args[0] == 0 or 10 <= node.args[0] < 60)


def _same_congruence(gold: Node, answer: Node) -> bool | None:
    """x = -1 mod 3 and x = 2 mod 3 are the same."""
    if not same(gold.args[1], answer.args[1]):
        return False
    one, other = simplified(gold.args[0]), simplified(answer.args[0])
    if one.kind == other.kind == "equation" and one.args[0] == other.args[0]:
        one, other = one.args[1], other.args[1]
    try:
        values = [evaluate(node, Point()) for node in (one, other, gold.args[1])]
    except NoValue:
        return same(one, other)
    if values[2] == 0 or not all(isinstance(value, Fraction) for value in values):
        return same(one, other)
    return bool((values[0] - values[1]) % values[2] == 0)


def _same_computed(gold: Node, answer: Node) -> bool | None:
    """Matrices that are written as sums, products and multiples of others."""
    one, other = computed(gold), computed(answer)
    if one is None or other is None:
        return False
    return _same_matrix(one, other)


def _same_cases(gold: Node, answer: Node) -> bool | None:
    if [len(row) for row in gold.args] != [len(row) for row in answer.args]:
        return False
    return _unordered(
        [Node("group", ("", "", row)) for row in gold.args],
        [Node("group", ("", "", row)) for row in answer.args],
    )


def _same_text(gold: Node, answer: Node) -> bool | None:
    return _words(gold) == _words(answer)


def _words(node: Node) -> str:
    """Words without case, punctuation, articles and spaces; a single letter keeps its case."""
    told = str(node.args[0])
    if len(told) == 1:
        return told
    words = re.findall(r"[^\W_]+", told.lower())
    return "".join(word for word in words if word not in ("a", "an", "the")) or told


_BY_KIND: Final[dict[str, Callable[[Node, Node], bool | None]]] = {
    "group": _same_group,
    "matrix": _same_matrix,
    "ratio": _same_ratio,
    "text": _same_text,
    "based": lambda gold, answer: bool(gold.args == answer.args),
    "cases": _same_cases,
    "congruence": _same_congruence,
    "mapping": lambda gold, answer: (
        gold.args[0] == answer.args[0] and _ordered(gold.args[1], answer.args[1])
    ),
    "such that": lambda gold, answer: _ordered(gold.args, answer.args),
    "operation": lambda gold, answer: (
        gold.args[0] == answer.args[0] and _ordered(gold.args[1:], answer.args[1:])
    ),
}
