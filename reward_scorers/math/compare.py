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
    POINTS,
    NoValue,
    Number,
    Point,
    approximate,
    evaluate,
    symbols,
)
from reward_scorers.math.tree import Node, kinds_of
from reward_scorers.math.units import canonical_unit
from reward_scorers.math.values import CLOSE, INFTY, MINUS_INFTY, close, same_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_MATCHED: Final = 60  # items that are matched one by one; more must be numbers
_MOST_SIGNS: Final = 3  # plus-minus signs that are written out
_FLIPPED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}
_LISTS: Final = frozenset(["list", "set"])


def same(gold: Node, answer: Node) -> bool | None:
    """Whether two answers are the same.

    Symmetric, but for what only one of them has: a unit, a percent sign, a name in front ("x = 5")
    may be absent in the other.
    """
    if gold == answer:
        return True
    gold, answer = _simplified(gold), _simplified(answer)
    if gold.kind == answer.kind == "equation":
        return _same_equation(gold, answer)
    if "equation" in (gold.kind, answer.kind):
        return _same_as_value(gold, answer)
    if gold.kind == answer.kind == "inequality":
        return _same_inequality(gold, answer)
    if "inequality" in (gold.kind, answer.kind):
        gold, answer = _interval(gold) or gold, _interval(answer) or answer
        if "inequality" in (gold.kind, answer.kind):
            return False
    return _same_unnamed(gold, answer)


def _same_unnamed(gold: Node, answer: Node) -> bool | None:
    if gold.kind == "unit" or answer.kind == "unit":
        return _same_with_units(gold, answer)
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
    if "based" in kinds:  # 204_5 and 204: the question names the base
        other = answer if gold.kind == "based" else gold
        digits = gold.args[0] if gold.kind == "based" else answer.args[0]
        return other.kind == "number" and other.args == (Fraction(digits), None)
    if kinds == {"text", "symbol"}:
        return _words(gold) == _words(answer)
    # A product of matrices may be a matrix, and what is left of a set a union.
    for kind in ("matrix", "operation"):
        if kind in kinds and all(kind in kinds_of(one) for one in (gold, answer)):
            return None
    return False


# Answers with a name or a relation in front.


def _simplified(node: Node) -> Node:
    """The tree as it is compared: relations told apart, plus-minus written out."""
    if node.kind == "relation":
        return _told_apart(node)
    if node.kind == "list":
        items: list[Node] = []
        for item in node.args:
            items.extend(_written_out(item))
        return Node("list", tuple(items))
    if node.kind == "set":
        return Node("set", tuple(one for item in node.args for one in _written_out(item)))
    if node.kind in ("add", "pm", "mul", "div", "unit", "pow"):
        values = _written_out(node)
        return Node("list", tuple(values)) if len(values) > 1 else node
    return node


def _told_apart(node: Node) -> Node:
    """A relation as an equation (name, value), an inequality, a set, a ratio, or a value."""
    operators, nodes = node.args
    if operators[0] == "in" and len(operators) == 1:
        return _simplified(nodes[1])
    if any(one in _FLIPPED for one in operators):
        return Node("inequality", (operators, nodes))
    sides: list[list[Node]] = [[nodes[0]]]
    about: list[bool] = []
    for operator, one in zip(operators, nodes[1:], strict=True):
        if operator == ":":
            sides[-1].append(one)
        else:
            about.append(operator == "~")
            sides.append([one])
    values = [side[0] if len(side) == 1 else Node("ratio", tuple(side)) for side in sides]
    if len(values) == 1:
        return values[0]
    exact = values[: about.index(True) + 1] if True in about else values
    if len(exact) == 1 and not _is_name(exact[0]):
        return _simplified(exact[0])  # \sqrt{2} \approx 1.41
    if len(exact) == 1:  # x \approx 1.41
        exact = [exact[0], values[1]]
    if _is_name(exact[0]) or len(exact) == 2:
        if len(exact) == 2 and not symbols(Node("list", tuple(exact))):
            return _simplified(exact[1])  # 2 + 3 = 5
        return Node("equation", (exact[0], exact[-1]))
    return _simplified(exact[-1])


def _is_name(node: Node) -> bool:
    """Whether a node only names what is sought: x, f(x), |AB|, AB, (p, q), A : B, NO/BO."""
    if node.kind == "symbol":
        return True
    if node.kind == "constant":
        return node.args[0] in ("e", "i")
    if node.kind == "call":
        return len(node.args[0]) == 1 or (node.args[0] == "abs" and _is_name(node.args[1][0]))
    if node.kind in ("mul", "ratio", "div", "list"):
        return len(node.args) <= 4 and all(_is_name(part) for part in node.args)
    if node.kind == "group":
        return all(_is_name(part) for part in node.args[2])
    return node.kind == "text"


def _same_equation(gold: Node, answer: Node) -> bool | None:
    if _is_name(gold.args[0]) and _is_name(answer.args[0]):
        named = gold.args[0] == answer.args[0] or _renamed(gold.args[0], answer.args[0])
        if named:
            found = same(gold.args[1], answer.args[1])
            if found:
                return True
    left, right = _difference(gold), _difference(answer)
    return _proportional(left, right) is not None


def _renamed(one: Node, other: Node) -> bool:
    """Whether two names are the same function of another variable: f(x) and f(n)."""
    if one.kind == other.kind == "call":
        return bool(one.args[0] == other.args[0])
    if one.kind == other.kind == "mul":
        return len(one.args) == len(other.args) == 2 and one.args[0] == other.args[0]
    return False


def _same_as_value(gold: Node, answer: Node) -> bool | None:
    """An equation against what is none: "x = 5" and 5, "(p, q) = (3, 2)" and (3, 2)."""
    equation, other = (gold, answer) if gold.kind == "equation" else (answer, gold)
    if not _is_name(equation.args[0]):
        return False
    value = equation.args[1]
    return same(value, other) if equation is gold else same(other, value)


def _difference(relation: Node) -> Node:
    left, right = relation.args[-1] if relation.kind == "inequality" else relation.args
    return Node("add", (left, Node("neg", (right,))))


def _proportional(one: Node, other: Node) -> Number | None:
    """The constant factor between two expressions; None if there is none."""
    factor: Number | None = None
    for number in range(POINTS):
        point = Point(number)
        try:
            first, second = (approximate(evaluate(node, point)) for node in (one, other))
        except NoValue:
            return None
        if abs(second) < 1e-12 or abs(first) < 1e-12:
            return None
        ratio = first / second
        if factor is not None and not close(ratio, factor, CLOSE):
            return None
        factor = ratio
    return factor


def _same_inequality(gold: Node, answer: Node) -> bool | None:
    intervals = _interval(gold), _interval(answer)
    if intervals[0] is not None and intervals[1] is not None:
        if _variable(gold) != _variable(answer):
            return False
        return same(intervals[0], intervals[1])
    if len(gold.args[1]) == len(answer.args[1]) == 2:
        factor = _proportional(_difference(gold), _difference(answer))
        if factor is None or abs(complex(factor).imag) > CLOSE:
            return False
        (operator,), (other,) = gold.args[0], answer.args[0]
        return bool(operator == (other if complex(factor).real > 0 else _FLIPPED[other]))
    for operators, nodes in (answer.args, _reversed(answer)):
        if gold.args[0] == operators and len(gold.args[1]) == len(nodes):
            found = [same(a, b) for a, b in zip(gold.args[1], nodes, strict=True)]
            if all(found):
                return True
    return False


def _reversed(inequality: Node) -> tuple[Any, Any]:
    operators, nodes = inequality.args
    return tuple(_FLIPPED.get(one, one) for one in reversed(operators)), tuple(reversed(nodes))


def _variable(inequality: Node) -> Node | None:
    """The part that an inequality bounds; None if there is no such part."""
    _, nodes = inequality.args
    if len(nodes) == 3:
        return nodes[1] if symbols(nodes[1]) else None
    named = [one for one in nodes if _is_name(one)]
    return named[0] if len(named) == 1 else None


def _interval(inequality: Node) -> Node | None:
    """The interval that an inequality says; None if it says none."""
    if inequality.kind != "inequality":
        return inequality
    variable = _variable(inequality)
    operators, nodes = inequality.args
    if variable is None or not {"<", "<=", ">", ">="}.issuperset(operators):
        return None
    if nodes[0] is variable or operators[0] in (">", ">="):
        if len(nodes) == 2 and nodes[0] is variable:
            operators, nodes = _reversed(inequality)
            if operators[0] in (">", ">="):  # x < b
                return _group("(", MINUS_INFTY, nodes[0], operators[0])
            return _group_from(nodes[0], operators[0])
        operators, nodes = _reversed(inequality)
    if len(nodes) == 2:  # a < x, or x > a turned round
        if nodes[0] is variable:
            return _group("(", MINUS_INFTY, nodes[1], operators[0])
        return _group_from(nodes[0], operators[0])
    if operators[0] not in ("<", "<=") or operators[1] not in ("<", "<="):
        return None
    opening = "[" if operators[0] == "<=" else "("
    return _group(opening, nodes[0], nodes[2], operators[1])


def _group(opening: str, low: Node, high: Node, operator: str) -> Node:
    closing = "]" if operator in ("<=", ">=") else ")"
    return Node("group", (opening, closing, (low, high)))


def _group_from(low: Node, operator: str) -> Node:
    opening = "[" if operator in ("<=", ">=") else "("
    return Node("group", (opening, ")", (low, INFTY)))


# Units, lists, sets, brackets.


def _same_with_units(gold: Node, answer: Node) -> bool | None:
    (one, unit), (other, other_unit) = _peeled(gold), _peeled(answer)
    if unit and other_unit:
        named, other_named = canonical_unit(unit), canonical_unit(other_unit)
        if named and other_named and named != other_named:
            return False
    return same(one, other)


def _peeled(node: Node) -> tuple[Node, str]:
    return (node.args[0], node.args[1]) if node.kind == "unit" else (node, "")


def _parts(node: Node, kind: str) -> tuple[Any, ...]:
    return node.args if node.kind == kind else (node,)


def _same_lists(gold: Node, answer: Node) -> bool | None:
    kinds = {gold.kind, answer.kind}
    if "group" in kinds and "list" in kinds:
        listed, brackets = (gold, answer) if gold.kind == "list" else (answer, gold)
        return _ordered(listed.args, brackets.args[2])
    if kinds & {"group", "union", "text", "matrix", "ratio"} and not kinds <= _LISTS:
        return len(kinds & _LISTS) == 1 and _single(gold, answer)
    items = list(gold.args) if gold.kind in _LISTS else [gold]
    others = list(answer.args) if answer.kind in _LISTS else [answer]
    if len(items) != len(others):
        items, others = _flat(items), _flat(others)
        if "set" in kinds or all(one.kind == "group" for one in (*items, *others)):
            items, others = list(dict.fromkeys(items)), list(dict.fromkeys(others))
    return _unordered(items, others)


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
    """2 : 4 and 1 : 2 are the same, 12 : 00 and 1 : 00 are not."""
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
    "operation": lambda gold, answer: (
        gold.args[0] == answer.args[0] and _ordered(gold.args[1:], answer.args[1:])
    ),
}


# Plus-minus.


def _written_out(node: Node) -> list[Node]:
    """A node with plus-minus as the two nodes that it means; a node without as itself."""
    count = _count_signs(node)
    if not 0 < count <= _MOST_SIGNS:
        return [node]
    found: list[Node] = []
    for plus in (1, -1):
        one = _with_sign(node, plus)
        if one not in found:
            found.append(one)
    return found


def _count_signs(node: Any) -> int:
    if not isinstance(node, tuple):
        return 0
    own = 1 if isinstance(node, Node) and node.kind == "pm" else 0
    return own + sum(_count_signs(part) for part in node)


def _with_sign(node: Any, plus: int) -> Any:
    if not isinstance(node, tuple):
        return node
    if isinstance(node, Node) and node.kind == "pm":
        left, right, sign = node.args
        term = _with_sign(right, plus)
        signed = term if sign * plus > 0 else Node("neg", (term,))
        return signed if left is None else Node("add", (_with_sign(left, plus), signed))
    parts = [_with_sign(part, plus) for part in node]
    return Node(*parts) if isinstance(node, Node) else tuple(parts)
