"""What an answer is, before it is compared: a value, an equation, a set, an interval, a list.

The tree tells how an answer is written. Here "x > 5" becomes an interval, "x \\in S" the set S,
"1 \\pm 2" a list of two, "2 + 3 = 5" the number 5 and "x = 5" an equation with a name in front.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from reward_scorers.math.evaluate import NoValue, Point, approximate, evaluate, symbols
from reward_scorers.math.tree import Node
from reward_scorers.math.units import is_remark
from reward_scorers.math.values import INFTY, MINUS_INFTY, close, same_values

_MOST_SIGNS: Final = 3  # plus-minus signs that are written out
FLIPPED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}
_CHAINED: Final = frozenset({"=", "~", ":", *FLIPPED})
_ROUGHLY: Final = 0.05  # how far behind an "about" sign a number may be from what it stands for
_REALS: Final = Node("symbol", ("set R",))
_ALL_REALS: Final = Node("group", ("(", ")", (MINUS_INFTY, INFTY)))
_NAMED_SETS: Final = {
    _REALS: _ALL_REALS,
    Node("constant", ("emptyset",)): Node("set", ()),
}
_WORDED_SETS: Final = {
    "all real numbers": _ALL_REALS,
    "all reals": _ALL_REALS,
    "no solution": Node("set", ()),
    "no solutions": Node("set", ()),
    "none": Node("set", ()),
}


def simplified(node: Node) -> Node:
    """The tree as it is compared: relations told apart, plus-minus written out."""
    if node.kind == "relation":
        return _told_apart(node)
    if node.kind == "text" and node.args[0].lower() in _WORDED_SETS:
        return _WORDED_SETS[node.args[0].lower()]
    if node in _NAMED_SETS:
        return _NAMED_SETS[node]
    if node.kind == "such that":
        return _by_condition(node)
    if node.kind == "operation":
        return _without(node)
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
    if operators == ("in",) and nodes[0].kind == "symbol":
        return simplified(nodes[1])
    if not _CHAINED.issuperset(operators):
        return Node("mapping", (operators, nodes))
    if any(one in FLIPPED for one in operators):
        return Node("inequality", (operators, nodes))
    values, about = _sides(operators, nodes)
    if len(values) == 1:
        return values[0]
    if not any(symbols(value) for value in values):
        return _chain(values, about) or Node("mapping", (operators, nodes))
    exact = values[: about.index(True) + 1] if True in about else values
    if len(exact) == 1:  # \\sqrt{x} \\approx ..., x \\approx 1.41
        return (
            Node("equation", (exact[0], values[1])) if is_name(exact[0]) else simplified(exact[0])
        )
    if len(exact) == 2 and is_name(exact[1]) and not symbols(exact[0]):
        exact.reverse()  # 5 = x
    if is_name(exact[0]) or len(exact) == 2:  # x = 2 + 3 = 5: the last side counts
        return Node("equation", (exact[0], exact[-1]))
    return simplified(exact[-1])


def _sides(operators: tuple[str, ...], nodes: tuple[Node, ...]) -> tuple[list[Node], list[bool]]:
    """The sides of a chain, ratios in one piece, and whether "about" stands behind each."""
    sides: list[list[Node]] = [[nodes[0]]]
    about: list[bool] = []
    for operator, one in zip(operators, nodes[1:], strict=True):
        if operator == ":":
            sides[-1].append(one)
        else:
            about.append(operator == "~")
            sides.append([one])
    return [side[0] if len(side) == 1 else Node("ratio", tuple(side)) for side in sides], about


def _chain(values: list[Node], about: list[bool]) -> Node | None:
    """The value of 2 + 3 = 5, of \\sqrt{2} \\approx 1.41; None where the chain does not hold."""
    for left, right, roughly in zip(values, values[1:], about, strict=False):
        if not (same_values(left, right) or (roughly and _roughly_same(left, right))):
            return None
    return simplified(values[about.index(True)] if True in about else values[-1])


def _roughly_same(one: Node, other: Node) -> bool:
    try:
        value, approximation = (approximate(evaluate(node, Point())) for node in (one, other))
    except NoValue:
        return False
    return close(value, approximation, _ROUGHLY)


def is_name(node: Node) -> bool:
    """Whether a node only names what is sought: x, f(x), |AB|, AB, (p, q), A : B, NO/BO."""
    if node.kind == "symbol":
        return True
    if node.kind == "call":
        return len(node.args[0]) == 1 or (node.args[0] == "abs" and _is_segment(node.args[1][0]))
    if node.kind == "mul" and node.args[0].kind == "symbol" and len(node.args) == 2:
        name = node.args[0].args[0]  # P(X = 2)
        return is_name(node.args[1]) or (name.isupper() and node.args[1].kind != "number")
    if node.kind == "div":
        return all(_is_segment(part) for part in node.args)
    if node.kind in ("mul", "ratio", "list"):
        return len(node.args) <= 4 and all(is_name(part) for part in node.args)
    if node.kind == "group":
        return all(is_name(part) for part in node.args[2])
    return node.kind == "text" and len(node.args[0].split()) <= 3 and not is_remark(node.args[0])


def is_sought(node: Node) -> bool:
    """Whether a node is a combination of unknowns whose value a question asks for: m + n."""
    if node.kind == "add":
        return all(_is_term(part) for part in node.args)
    if node.kind == "div":
        return all(_is_term(part) for part in node.args)
    if node.kind == "call" and node.args[0] != "abs":
        return bool(symbols(node))
    return is_name(node)


def _is_term(node: Node) -> bool:
    """Whether a node is a multiple or a power of unknowns."""
    if node.kind in ("neg", "pow"):
        return _is_term(node.args[0])
    if node.kind == "mul":
        return any(part.kind == "symbol" for part in node.args) and all(
            part.kind in ("symbol", "number", "pow") for part in node.args
        )
    return node.kind == "symbol"


def _is_segment(node: Node) -> bool:
    """Whether a node names a segment by its ends: AB."""
    parts = node.args if node.kind == "mul" else (node,)
    return all(part.kind == "symbol" and part.args[0].isupper() for part in parts)


def turned(inequality: Node) -> tuple[Any, Any]:
    """An inequality read from right to left."""
    operators, nodes = inequality.args
    return tuple(FLIPPED.get(one, one) for one in reversed(operators)), tuple(reversed(nodes))


def variable_of(inequality: Node) -> Node | None:
    """The part that an inequality bounds; None if there is no such part."""
    _, nodes = inequality.args
    if len(nodes) == 3:
        return nodes[1] if symbols(nodes[1]) else None
    named = [one for one in nodes if is_name(one)]
    return named[0] if len(named) == 1 else None


def interval_of(inequality: Node) -> Node | None:
    """The interval that an inequality says; None if it says none."""
    if inequality.kind != "inequality":
        return inequality
    variable = variable_of(inequality)
    operators, nodes = inequality.args
    if variable is not None and operators == ("!=",):
        return _all_but(nodes[1] if nodes[0] is variable else nodes[0])
    if variable is None or not {"<", "<=", ">", ">="}.issuperset(operators):
        return None
    if nodes[0] is variable or operators[0] in (">", ">="):
        if len(nodes) == 2 and nodes[0] is variable:
            operators, nodes = turned(inequality)
            if operators[0] in (">", ">="):  # x < b
                return _group("(", MINUS_INFTY, nodes[0], operators[0])
            return _group_from(nodes[0], operators[0])
        operators, nodes = turned(inequality)
    if len(nodes) == 2:  # a < x, or x > a turned round
        if nodes[0] is variable:
            return _group("(", MINUS_INFTY, nodes[1], operators[0])
        return _group_from(nodes[0], operators[0])
    if operators[0] not in ("<", "<=") or operators[1] not in ("<", "<="):
        return None
    opening = "[" if operators[0] == "<=" else "("
    return _group(opening, nodes[0], nodes[2], operators[1])


def _all_but(*points: Node) -> Node:
    """The real numbers without some, which stand in their order."""
    ends = [MINUS_INFTY, *points, INFTY]
    parts = [_group("(", low, high, "<") for low, high in pairwise(ends)]
    return Node("union", tuple(parts))


def _without(node: Node) -> Node:
    """The real numbers without a set of one as two intervals; another operation as it is."""
    name, left, right = node.args
    if name in ("setminus", "backslash") and left == _REALS and right.kind == "set":
        return _all_but(*right.args) if len(right.args) == 1 else node
    return node


def _by_condition(node: Node) -> Node:
    """A set by a condition on one variable as that condition; another as it is."""
    element, condition = node.args
    if condition.kind == "relation" and element.kind in ("symbol", "relation"):
        return simplified(condition)
    return node


def _group(opening: str, low: Node, high: Node, operator: str) -> Node:
    closing = "]" if operator in ("<=", ">=") else ")"
    return Node("group", (opening, closing, (low, high)))


def _group_from(low: Node, operator: str) -> Node:
    opening = "[" if operator in ("<=", ">=") else "("
    return Node("group", (opening, ")", (low, INFTY)))


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
