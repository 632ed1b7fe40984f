"""Sums, products and multiples of matrices, entry by entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reward_scorers.math.tree import Node, kinds_of, negative, product, sum_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_NODES: Final = 2_000  # of a product
_MOST_ENTRIES: Final = 100  # of a matrix that is computed with


def computed(node: Node) -> Node | None:
    """The matrix that a tree means; None if it means none, or computing it would take long."""
    if node.kind == "matrix":
        return node
    if "matrix" not in kinds_of(node):
        return None
    if node.kind == "neg":
        return _each(computed(node.args[0]), negative)
    if node.kind == "add":
        return _sum([computed(part) for part in node.args])
    if node.kind == "mul":
        return _product(node.args)
    if node.kind == "div" and "matrix" not in kinds_of(node.args[1]):
        return _each(computed(node.args[0]), lambda entry: Node("div", (entry, node.args[1])))
    return None


def _each(matrix: Node | None, change: object) -> Node | None:
    if matrix is None or not callable(change):
        return None
    return Node("matrix", tuple(tuple(change(entry) for entry in row) for row in matrix.args))


def _sum(matrices: Sequence[Node | None]) -> Node | None:
    rows = [matrix.args for matrix in matrices if matrix is not None]
    if len(rows) < len(matrices) or len({tuple(map(len, one)) for one in rows}) > 1:
        return None
    return Node(
        "matrix",
        tuple(
            tuple(sum_of(list(entries)) for entries in zip(*row, strict=True))
            for row in zip(*rows, strict=True)
        ),
    )


def _product(factors: Sequence[Node]) -> Node | None:
    scalars = [factor for factor in factors if "matrix" not in kinds_of(factor)]
    found: Node | None = None
    for factor in factors:
        if "matrix" in kinds_of(factor):
            matrix = computed(factor)
            found = matrix if found is None else _times(found, matrix)
            # Every product repeats entries of the one before: without a bound they double.
            if found is None or sum(1 for _ in kinds_of(found)) > _MOST_NODES:
                return None
    for scalar in scalars:
        found = _each(found, lambda entry, scalar=scalar: product(scalar, entry))
    return found


def _times(left: Node, right: Node | None) -> Node | None:
    if right is None or any(len(row) != len(right.args) for row in left.args):
        return None
    if len(left.args) * len(right.args) * len(right.args[0]) > _MOST_ENTRIES:
        return None
    columns = list(zip(*right.args, strict=True))
    return Node(
        "matrix",
        tuple(
            tuple(
                sum_of([product(a, b) for a, b in zip(row, column, strict=True)])
                for column in columns
            )
            for row in left.args
        ),
    )
