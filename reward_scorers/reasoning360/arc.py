"""Scorer `reasoning360/arc`: one output grid, as arcagi.py of the reference.

The example row is that of `reward_scorers.logic.arc`. In the last <answer>, what stands from the
first "[[" to the next "]]" is a Python literal; "..." in it is read as -1. Cells are cut to ints,
so that 1.9 and True are 1, and "1" is 1 as well. Line ends are taken out first, spaces are not: a
grid in JSON with indents has no "[[" and is not read. What is not read is taken for the grid [[0]],
which is right where the reference answer is [[0]].

Known to differ: cells that are tuples, and ints of more than 63 bits, in a grid of one cell.
"""

from __future__ import annotations

import math
from typing import Any

from reward_scorers.errors import GroundTruthError
from reward_scorers.logic.arc import reference_grids
from reward_scorers.reasoning360.tags import last_answer
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.text import shown
from reward_scorers.values import python_literal

_UNREAD = [[0]]


@register("reasoning360/arc", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the grid in the last <answer> is the reference.

    Args:
        text: what the model wrote.
        truth: the grid, as lists, arrays or JSON; the reference knows no second test.
        context: nothing of it is used.

    Raises:
        GroundTruthError: `truth` is not one grid of digits.
    """
    grids = reference_grids(truth)
    if len(grids) != 1:
        raise GroundTruthError(f"expected one grid under this policy, found {len(grids)}")
    wanted = [[int(cell) for cell in row] for row in grids[0]]
    spelt, rows = _rows(text)
    cells = _ints(rows)
    # Both grids are laid over the larger number of rows and columns; a cell of one alone is wrong.
    acc = cells == wanted and (len(rows), len(rows[0])) == (len(wanted), len(wanted[0]))
    if spelt is None:
        return verdict(acc=acc, pred=None, reason="no grid in <answer>: taken for [[0]]")
    return verdict(acc=acc, pred=shown(spelt), reason="<answer>")


def _rows(text: str) -> tuple[str | None, list[list[Any]]]:
    said = last_answer(text, over_lines=True)
    if said is None:
        return None, _UNREAD
    line = said.replace("\n", "").replace("...", "-1")
    start = line.find("[[")
    end = line.find("]]", start)
    if start < 0 or end < 0:
        return None, _UNREAD
    try:
        spelt = line[start : end + 2]
        value = python_literal(spelt)
    except ValueError:
        return None, _UNREAD
    return (spelt, value) if all(isinstance(row, list) for row in value) else (None, _UNREAD)


def _ints(rows: list[list[Any]]) -> list[list[int]]:
    """The cells as numpy's `astype(int)` makes them of an array, [[0]] where it cannot."""
    cells = [cell for row in rows for cell in row]
    if len({len(row) for row in rows}) != 1:
        return [[0]]
    try:
        if any(isinstance(cell, str) for cell in cells):
            rows = [[str(cell) for cell in row] for row in rows]  # one text makes texts of all
        return [[_int(cell) for cell in row] for row in rows]
    except (TypeError, ValueError):
        return [[0]]


def _int(cell: Any) -> int:
    if isinstance(cell, float) and not math.isfinite(cell):
        return -1  # some huge number: not a cell of any reference
    if not isinstance(cell, str | int | float):
        raise TypeError("not a number")
    return int(cell)
