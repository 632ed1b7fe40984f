"""Rows of curves that an expression keeps, for analyses, figures and tables of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.spec.expression import compile_expression

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis import Curves


def select(curves: Curves, expression: str) -> NDArray[np.bool_]:
    """For each row, whether the expression holds on its columns: shape (rows,).

    The expression is asked once for each distinct combination of the values that it may name, so
    that a long table of few labels is quick.

    Raises:
        SuiteError: a name in the expression is no column.
    """
    keep = compile_expression(expression, curves.names)
    # A name that only stands inside another word is one column too many, and costs no more.
    text = "".join(expression.split())
    named = [name for name in curves.names if name in text]
    code = np.zeros(len(curves), dtype=np.intp)
    for name in named:
        level, member = np.unique(curves[name], return_inverse=True)
        # Codes stay below the square of the rows: the distinct ones are counted anew each time.
        _, code = np.unique(code * len(level) + member.reshape(-1), return_inverse=True)
    _, first = np.unique(code, return_index=True)
    columns = {name: curves[name][first].tolist() for name in named}
    held = [keep({name: columns[name][row] for name in named}) for row in range(len(first))]
    return np.array(held, dtype=np.bool_)[code]
