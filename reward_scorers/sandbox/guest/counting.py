"""Test code whose assertions are counted, so that a program that passes some has that share.

Nothing is run here: the process that scores compiles a test once, for all programs that it meets.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .names import COUNTER, FILE

if TYPE_CHECKING:
    import types


def counted(source: str) -> tuple[types.CodeType, int]:
    """Compile test code that counts each assertion and goes on behind one that fails.

    Assertions inside `try` and `with` are left alone: what they raise may be wanted there.

    Returns:
        The code, and how many assertions its text has.

    Raises:
        SyntaxError
    """
    tree = ast.parse(source, FILE)
    count = _count_in(tree.body)
    return compile(tree, FILE, "exec", dont_inherit=True), count


def _count_in(body: list[ast.stmt]) -> int:
    # Statements only: walking all expressions would take longer than running most tests.
    count = 0
    for place, node in enumerate(body):
        if isinstance(node, ast.Assert):
            body[place] = _counting(node)
            count += 1
        elif not isinstance(node, _LEFT_ALONE):
            for name in ("body", "orelse"):
                count += _count_in(getattr(node, name, []))
    return count


_LEFT_ALONE = (ast.Try, ast.With, ast.AsyncWith, ast.Expr, ast.Assign)


def _counting(node: ast.Assert) -> ast.With:
    place = {
        name: getattr(node, name)
        for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")
    }
    counter = ast.Name(id=COUNTER, ctx=ast.Load(), **place)
    return ast.With(items=[ast.withitem(context_expr=counter)], body=[node], **place)
