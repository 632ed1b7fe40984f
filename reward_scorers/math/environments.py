r"""Reading what stands between \begin{...} and \end{...}: matrices, systems and cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reward_scorers.math.tokens import MARK, Token, Unreadable
from reward_scorers.math.tree import Node, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from reward_scorers.math.stream import TokenStream

_MATRICES: Final = frozenset(
    {"pmatrix", "bmatrix", "matrix", "vmatrix", "Bmatrix", "Vmatrix", "smallmatrix", "array"}
)
_ALIGNED: Final = frozenset({"aligned", "align", "align*", "gathered", "split"})
_ROW: Final = r"\\"


def read_environment(stream: TokenStream, cell: Callable[[], Node]) -> Node:
    r"""The matrix, the list of equations or the cases of an environment whose \begin was read.

    Raises:
        Unreadable: another environment, or one that does not end.
    """
    name = _name(stream)
    if name == "array" and stream.value() == "{":
        while stream.take().value != "}":
            pass
    elif name not in _MATRICES | _ALIGNED | {"cases"}:
        raise Unreadable(f"does not know the environment {name!r}")
    rows = _rows(stream, cell, aligned=name in _ALIGNED)
    if _name(stream) != name:
        raise Unreadable("an environment that ends as another one")
    if name in _MATRICES:
        matrix = Node("matrix", rows)
        return Node("call", ("det", (matrix,), None)) if name in ("vmatrix", "Vmatrix") else matrix
    if all(len(row) == 1 for row in rows):
        return listed([row[0] for row in rows])
    return Node("cases", rows)


def _name(stream: TokenStream) -> str:
    stream.expect("{")
    name = stream.take().value
    while stream.value() != "}":
        name += stream.take().value
    stream.take()
    return name


def _rows(
    stream: TokenStream, cell: Callable[[], Node], *, aligned: bool
) -> tuple[tuple[Node, ...], ...]:
    """The rows up to and with the end; `aligned` if & says only where lines are aligned."""
    if aligned:
        stream.tokens[stream.place :] = [
            token
            for token in stream.tokens[stream.place :]
            if token != Token(MARK, "&", token.spaced)
        ]
    rows: list[tuple[Node, ...]] = []
    while not stream.skip("end"):
        if stream.skip("hline", _ROW):
            continue
        row = [cell()]
        while stream.skip("&"):
            row.append(cell())
        stream.skip(",", ";")
        rows.append(tuple(row))
        if stream.value() not in (_ROW, "end"):
            raise Unreadable("a row that does not end")
    if not rows:
        raise Unreadable("an environment without rows")
    return tuple(rows)
