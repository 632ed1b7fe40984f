"""Scorer `zebra`: whether the table that solves a zebra puzzle is right, cell by cell.

A row of the Guru data (arXiv 2506.14965) asks: "Output the grid in the form of a dictionary with
keys as header containing a list of the attributes and rows denoting each row of the final grid.
Please return the final answer in <answer> </answer> tags, for example <answer> {"header":
["Position", "Nationality", "Job"], "rows": [["1", "british", "plumber"], ["2", "polish",
"carpenter"]]} </answer>." Its reference is such a dictionary, its lists as arrays.

The rule: the last <answer> holds the table, as JSON, as a Python literal or in Markdown, fenced or
not; without an <answer>, the last fenced block that holds one does, else the text. Columns go by
their names and rows by their position, in any order. Names and cells are compared as text, without
regard to case and surrounding spaces. All cells must be right, and no row or column be too many.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register
from reward_scorers.text import answer_part, fenced_blocks, last_tag, shown
from reward_scorers.values import read, truth_value

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER = re.compile("\"header\"|'header'")
_RULE: Final = frozenset(" \t|:-")  # what the line under the names of a Markdown table is made of
_EMPHASIS: Final = " \t*_`"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of lower-case cells: the names of its columns, and its rows."""

    header: list[str]
    rows: list[list[str]]

    def cells(self, key: str) -> dict[tuple[str, str], str]:
        """(cell of column `key`, column) -> cell, for the columns other than `key`.

        What a table says twice, it does not say: of two rows of one key, or two columns of one
        name, none counts. Neither does a row that is longer or shorter than the header.
        """
        columns = Counter(self.header)
        if columns[key] != 1:
            return {}
        at = self.header.index(key)
        whole = [row for row in self.rows if len(row) == len(self.header)]
        keys = Counter(row[at] for row in whole)
        return {
            (row[at], name): cell
            for row in whole
            if keys[row[at]] == 1
            for name, cell in zip(self.header, row, strict=True)
            if name != key and columns[name] == 1
        }


@register("zebra", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the table is the reference's; `fraction` is the share of cells that are right.

    Positions, the first column, are given, so they count for nothing. Rows and columns too many
    lower the share: it is of as many cells as the larger number of rows and of columns give. With
    `context.partial`, the score is the fraction.

    Args:
        text: what the model wrote.
        truth: {"header": names, "rows": lists of cells}, the positions first; or as JSON.
        context: only `partial` is used.

    Raises:
        GroundTruthError: `truth` is no such table.
    """
    wanted = reference_table(truth)
    found, reason = _table(answer_part(text))
    fraction = _share(found, wanted) if found is not None else 0.0
    return Outcome(
        score=fraction if context is not None and context.partial else float(fraction == 1),
        acc=fraction == 1,
        pred=None if found is None else shown(f"{found.header}: {found.rows[:100]}"),
        reason=reason,
        fraction=fraction,
    )


def reference_table(truth: Any) -> Table:
    """The table of a reference.

    Raises:
        GroundTruthError: it is none, or a column or a position comes twice, or a row is not whole.
    """
    value = truth_value(truth)
    table = _from_value(value)
    if table is not None and table.rows and len(table.header) > 1:
        cells = table.cells(table.header[0])
        if len(cells) == len(table.rows) * (len(table.header) - 1):
            return table
    raise GroundTruthError(
        'expected {"header": ["Position", ...], "rows": [["1", ...], ...]} as reference, every '
        f"position and column once and every row whole, found {value!r:.200}"
    )


def _share(found: Table, wanted: Table) -> float:
    key = wanted.header[0]
    said = found.cells(key)
    right = sum(said.get(place) == cell for place, cell in wanted.cells(key).items())
    rows = max(len(found.rows), len(wanted.rows))
    return right / (rows * (max(len(found.header), len(wanted.header)) - 1))


def _table(said: str) -> tuple[Table | None, str]:
    tagged = last_tag(said)
    part, where = (said, "the text") if tagged is None else (tagged, "<answer>")
    for block in reversed(fenced_blocks(part)):
        if (table := _from_text(block.content)) is not None:
            return table, f"a fenced block in {where}"
    table = _from_text(part)
    return table, f"{where}" if table is not None else f"no table in {where}"


def _from_text(part: str) -> Table | None:
    keys = [key.start() for key in _HEADER.finditer(part)]
    start = part.rfind("{", 0, keys[-1]) if keys else -1
    end = part.find("}", start)
    if 0 <= start < end:
        try:
            table = _from_value(read(part[start : end + 1]))
        except ValueError:
            table = None
        if table is not None:
            return table
    return _from_markdown(part)


def _from_value(value: Any) -> Table | None:
    if not isinstance(value, dict):
        return None
    header, rows = value.get("header"), value.get("rows")
    if not _are_cells(header) or not isinstance(rows, list | tuple):
        return None
    if not all(_are_cells(row) for row in rows):
        return None
    return Table([_cell(name) for name in header], [[_cell(one) for one in row] for row in rows])


def _are_cells(row: Any) -> TypeGuard[Sequence[str | int]]:
    return isinstance(row, list | tuple) and all(
        isinstance(cell, str) or type(cell) is int for cell in row
    )


def _cell(value: str | int) -> str:
    # Python refuses to spell ints of thousands of digits, and no cell is one.
    if isinstance(value, int) and value.bit_length() > 64:
        return "a huge number"
    return str(value).strip().casefold()


def _from_markdown(part: str) -> Table | None:
    """The last table in Markdown: lines of cells between bars, the second one a rule."""
    lines = [line.strip() for line in part.split("\n")]
    for at in range(len(lines) - 1, 0, -1):
        if "|" in lines[at] and "|" in lines[at - 1] and _is_rule(lines[at]):
            rows = []
            for line in lines[at + 1 :]:
                if "|" not in line:
                    break
                rows.append(_between_bars(line))
            return Table(_between_bars(lines[at - 1]), rows)
    return None


def _is_rule(line: str) -> bool:
    return "-" in line and _RULE.issuperset(line)


def _between_bars(line: str) -> list[str]:
    cells = line.removeprefix("|").removesuffix("|").split("|")
    return [_cell(cell.strip(_EMPHASIS)) for cell in cells]
