"""The tree of an answer, and how its nodes are made."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reward_scorers.math.tokens import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_DIGITS: Final = 4_000  # CPython refuses to read longer ones


class Node(NamedTuple):
    """A part of an answer."""

    kind: str
    args: tuple[Any, ...]


KINDS: Final = {
    "number": "(value: Fraction, decimals: int | None); None where no point is written",
    "symbol": "(name,)",
    "constant": "(name,): pi, e, i, infty, emptyset",
    "add": "nodes",
    "mul": "nodes",
    "div": "(above, below)",
    "neg": "(node,)",
    "pm": "(left or None, right, 1 or -1)",
    "pow": "(base, exponent)",
    "root": "(degree, radicand)",
    "call": "(name, argument nodes, subscript or None)",
    "factorial": "(node,)",
    "percent": "(node,)",
    "unit": "(node, words): a value and its unit, or what was counted",
    "remark": "(node, words): a value and what is said about it",
    "congruence": "(node, modulus)",
    "such that": "(element, condition): a set by its condition",
    "cases": "rows of nodes: values and when they hold",
    "based": "(digits, base): an integer in another base",
    "list": "nodes: separated by commas, not bracketed",
    "group": "(opening, closing, nodes): a point, a vector or an interval",
    "set": "nodes",
    "union": "nodes",
    "operation": "(name, left, right): of sets",
    "relation": "(operators, nodes)",
    "matrix": "rows of nodes",
    "text": "(words,)",
}


def number(digits: str) -> Node:
    """The node of a number as it is written: 12, 1.50, .5, 1e-3."""
    if len(digits) > _MAX_DIGITS:
        raise Unreadable("a number of too many digits")
    mantissa, _, exponent = digits.lower().partition("e")
    whole, point, decimals = mantissa.partition(".")
    value = Fraction(int(whole + decimals or "0"), 10 ** len(decimals))
    if exponent:
        if abs(int(exponent)) + len(digits) > _MAX_DIGITS:
            raise Unreadable("a number of too many digits")
        value *= Fraction(10) ** int(exponent)
    return Node("number", (value, len(decimals) if point and not exponent else None))


def negative(node: Node) -> Node:
    """The node with the other sign."""
    if node.kind == "number":
        return Node("number", (-node.args[0], node.args[1]))
    if node.kind == "unit":
        return Node("unit", (negative(node.args[0]), node.args[1]))
    return Node("neg", (node,))


def sum_of(terms: list[Node]) -> Node:
    """The sum of terms; one term is itself."""
    return terms[0] if len(terms) == 1 else Node("add", tuple(terms))


def product(left: Node, right: Node) -> Node:
    """The product of two nodes, without nested products; a unit is that of the whole."""
    if right.kind == "unit":  # 3 \sqrt{2} cm: the unit is that of the whole
        return Node("unit", (product(left, right.args[0]), right.args[1]))
    parts = left.args if left.kind == "mul" else (left,)
    return Node("mul", (*parts, right))


def listed(items: list[Node]) -> Node:
    """A list; one item is itself."""
    return items[0] if len(items) == 1 else Node("list", tuple(items))


def is_inequality(node: Node) -> bool:
    """Whether a node orders things."""
    return node.kind == "relation" and not {"<", ">", "<=", ">="}.isdisjoint(node.args[0])


def items_of(node: Node) -> tuple[Node, ...]:
    """The items of a list; another node is one item."""
    return node.args if node.kind == "list" else (node,)


def is_proper_fraction(node: Node) -> bool:
    """Whether a node is a fraction of two natural numbers, the first the smaller one."""
    if node.kind != "div":
        return False
    above, below = node.args
    if above.kind != "number" or below.kind != "number":
        return False
    return above.args[1] is None and below.args[1] is None and 0 < above.args[0] < below.args[0]


def is_minus_one(node: Node) -> bool:
    """Whether a node is the number -1."""
    return node.kind == "number" and node.args[0] == -1


def name_of(node: Node) -> str:
    """A short node as a part of a name: the 1 of x_1, the (n+1) of a_{n+1}."""
    if node.kind == "number":
        return str(node.args[0])
    if node.kind in ("symbol", "constant", "text"):
        return str(node.args[0])
    parts = [name_of(part) for part in node.args if isinstance(part, Node)]
    if node.kind == "mul":
        return "".join(parts)
    return f"({node.kind} {' '.join(sorted(parts) if node.kind == 'add' else parts)})"


def kinds_of(node: Any) -> Iterator[str]:
    """The kinds of all nodes in a tree."""
    if isinstance(node, Node):
        yield node.kind
    if isinstance(node, tuple):
        for part in node:
            yield from kinds_of(part)
