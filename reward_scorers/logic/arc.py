r"""Scorer `arc`: whether the output grids of an ARC puzzle are all right, cell by cell.

A row of the Guru data (arXiv 2506.14965, from ARC-AGI, arXiv 1911.01547, and BARC) asks: "What is
the output grid? Please put your answer within <answer> and </answer> tags, your final answer should
be only the output grid (2d array)." Its reference is the grid [[0, 7], [7, 0]], as nested arrays.

The rule: grids are lists of rows in brackets, on one line or printed over several. In the last
<answer> there must be exactly as many as the puzzle has tests; without an <answer>, the last ones
of the text count, fenced or boxed or neither. A cell is one digit: 1.9, "1", true and 01 are wrong.
"""

from __future__ import annotations

import re
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register
from reward_scorers.text import answer_part, last_tag, shown
from reward_scorers.values import truth_value

Grid = list[list[str]]  # cells as they are written

# Possessive quantifiers: what a part has taken it keeps, so that the time is linear.
_ROW: Final = r"\[[^\[\]]*+\]"
_GRID = re.compile(rf"\[\s*+({_ROW}(?:\s*+,\s*+{_ROW})*+)\s*+(?:,\s*+)?\]")
_CELLS = re.compile(r"\[([^\[\]]*+)\]")


@register("arc", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if all test grids are right; `fraction` is the share of right cells of all grids.

    A grid of another shape has no right cell. With `context.partial`, the score is the fraction.

    Args:
        text: what the model wrote.
        truth: the grid, a list of grids, or either as arrays or JSON.
        context: only `partial` is used.

    Raises:
        GroundTruthError: `truth` is no grid of digits.
    """
    wanted = reference_grids(truth)
    found, reason = _grids(answer_part(text), len(wanted))
    right = sum(_right_cells(one, other) for one, other in zip(found, wanted, strict=False))
    fraction = right / sum(len(row) for grid in wanted for row in grid)
    return Outcome(
        score=fraction if context is not None and context.partial else float(fraction == 1),
        acc=fraction == 1,
        pred=shown(", ".join(_spelt(grid) for grid in found)) if found else None,
        reason=reason,
        fraction=fraction,
    )


def reference_grids(truth: Any) -> list[Grid]:
    """The grids of a reference: of one test where it is a grid, else of each test.

    Raises:
        GroundTruthError: it holds none, or a grid that is no rectangle of ints 0 to 9.
    """
    value = truth_value(truth)
    grids = value if _depth(value) == 3 else [value]
    for grid in grids:
        if not _is_grid(grid):
            raise GroundTruthError(
                f"expected a grid (rows of ints 0 to 9, equally long) or a list of grids as "
                f"reference, found {grid!r:.200}"
            )
    return [[[str(cell) for cell in row] for row in grid] for grid in grids]


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list) and value and depth < 4:
        value, depth = value[0], depth + 1
    return depth


def _is_grid(grid: Any) -> bool:
    return (
        isinstance(grid, list)
        and all(isinstance(row, list) and row for row in grid)
        and len({len(row) for row in grid}) == 1
        and all(type(cell) is int and 0 <= cell <= 9 for row in grid for cell in row)
    )


def _grids(said: str, tests: int) -> tuple[list[Grid], str]:
    tagged = last_tag(said)
    found = [_cells(grid[1]) for grid in _GRID.finditer(said if tagged is None else tagged)]
    where = "the text" if tagged is None else "<answer>"
    if not found:
        return [], f"no grid in {where}"
    if tagged is None:
        found = found[-tests:]
    if len(found) != tests:
        return [], f"grids in {where}: {len(found)}; tests: {tests}"
    return found, f"the last grids of {where}" if tests > 1 else f"the grid in {where}"


def _cells(rows: str) -> Grid:
    # A comma behind the last cell is allowed, as in Python.
    return [
        [cell.strip() for cell in row[1].rstrip().removesuffix(",").split(",")]
        for row in _CELLS.finditer(rows)
    ]


def _right_cells(grid: Grid, wanted: Grid) -> int:
    if [len(row) for row in grid] != [len(row) for row in wanted]:
        return 0
    pairs = zip(grid, wanted, strict=True)
    return sum(one == other for row, line in pairs for one, other in zip(row, line, strict=True))


def _spelt(grid: Grid) -> str:
    return "[" + ", ".join("[" + ", ".join(row) + "]" for row in grid[:31]) + "]"
