r"""Scorer `table`: numbers, names and lists of them, read off tables.

Read is the last box, else the line behind the last "answer is" or "Answer:", else the whole text if
it is one short line. The last boxes with "and" between them are a list; with "or" or "/" between
them they are a choice, which is no number.

Texts are compared without regard to case, white space, \text{} and quotation marks around them.
Numbers are compared without thousands commas, currency and the words of a unit behind an answer:

- An integer is compared exactly. 120006 is not 120000, and 12.4 is not 12.
- A decimal fraction is met by what rounds to it: 3.1416 meets 3.14, 3.1 does not.
- A gold answer with more than four decimals was computed: an answer meets it that is its correct
  rounding to at least four significant digits (20.54 for 20.535714).
- Without a percent sign, 12 and 0.12 differ. A percent sign, or "thousand" to "trillion", that only
  one side has may be the unit of the table or a factor: "12%" meets 12 and 0.12, and neither 1200
  nor "12 million". Where both sides have one, their values are compared.

A list "a|b|c" is met by the same cells in any order, each as often.

Rows of the Guru data (Reasoning360, data_preprocess/table/*.py): HiTab (arXiv 2108.06712)
"italy|spain" or "12.0", MultiHiertt (arXiv 2206.01347) "0.14136", FinQA (arXiv 2109.00122) the
float 0.09300000000000001, made of "9.3%".
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.table.numbers import Number, meets, read_number
from reward_scorers.text import answer_part, joined_boxes, shown
from reward_scorers.values import plain

MAX_CELLS: Final = 200
SHORT: Final = 200  # characters of a text that may be an answer as a whole

_STATEMENT = re.compile(r"\banswer[*_]{0,3}[ ]{0,2}(?:is\b|:)[:*_ ]{0,8}", re.IGNORECASE)
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox)[ ]?\{([^{}]{0,1000})\}")
# White space, but not between digits: "1 2" is not 12.
_SPACE = re.compile(r"(?<!\d) | (?!\d)")
_MARKS: Final = "*`\"'$ "
_LATEX: Final = (
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<=\d)\\[,!](?=\d\d\d)|\\!"), ""),
    (re.compile(r"\\(?:mid|vert|\|)(?![a-zA-Z])"), "|"),
    (re.compile(r"\\[dt]?frac\{([^{}]{1,40})\}\{([^{}]{1,40})\}"), r"\1/\2"),
    (re.compile(r"\\[,;: ]|~"), " "),
    (re.compile(r"\\([%$&#_{}])"), r"\1"),
    (re.compile("[\u2010-\u2015\u2212]"), "-"),
    (re.compile("[\u2018\u2019]"), "'"),
    (re.compile("[\u201c\u201d]"), '"'),
)


@register("table", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the answer of `text` has the cells of `truth`, else 0.

    Args:
        text: what the model wrote, of any length.
        truth: a number, a text, a text "a|b|c", or a list of numbers and texts.
        context: not used.

    Raises:
        GroundTruthError: the truth is missing, has an empty cell or more than 200 cells, or is a
            number beyond those of a float.
    """
    golds = [(_form(cell), read_number(cell, gold=True)) for cell in _gold_cells(truth)]
    answer = _answer(answer_part(text))
    if answer is None:
        reason = "no answer is stated" if text.strip() else "an empty text"
        return verdict(acc=False, pred=None, reason=reason)
    cells = [cell for cell in _plain(answer).split("|") if cell.strip()]
    if len(cells) != len(golds):
        reason = f"{len(cells)} cells where {len(golds)} are right"
        return verdict(acc=False, pred=shown(answer), reason=reason)
    given = [(_form(cell), read_number(cell)) for cell in cells]
    fits = [[_equal(gold, cell) for cell in given] for gold in golds]
    right = _all_matched(fits)
    reason = "all cells are right" if right else "another value"
    return verdict(acc=right, pred=shown(answer), reason=reason)


def _gold_cells(truth: Any) -> list[str]:
    value = plain(truth)
    parts = value if isinstance(value, list) else [value]
    cells: list[str] = []
    for part in parts:
        if isinstance(part, str):
            cells += part.split("|")
        elif isinstance(part, int | float) and not isinstance(part, bool) and _stated(part):
            cells.append(repr(part))
        else:
            cells.append("")
    cells = [_plain(cell) for cell in cells]
    if not all(_form(cell) for cell in cells) or not 1 <= len(cells) <= MAX_CELLS:
        raise GroundTruthError(
            f'expected a number, a text or up to {MAX_CELLS} of them as "a|b|c"; '
            f"found {shown(repr(truth) if isinstance(truth, str) else truth)}"
        )
    return cells


def _stated(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the floats
        return False


def _answer(said: str) -> str | None:
    contents, joints = joined_boxes(said)
    if "or" in joints:  # a choice, which is no number
        return " or ".join(contents)
    if contents:
        return "|".join(contents) if "and" in joints else contents[-1]
    statements = list(_STATEMENT.finditer(said))
    if statements:
        stated = said[statements[-1].end() :].lstrip().partition("\n")[0].strip(" *_")
        return stated if 0 < len(stated) <= SHORT else None
    whole = said.strip()
    return whole if 0 < len(whole) <= SHORT and "\n" not in whole else None


def _plain(cell: str) -> str:
    r"""A cell without LaTeX: \text{} dropped, its escapes and spaces as plain characters."""
    for pattern, instead in ((_TEXT, r" \1 "), *_LATEX):
        cell = pattern.sub(instead, cell)
    return cell


def _form(cell: str) -> str:
    """The form in which texts are compared."""
    bare = cell.strip(_MARKS).rstrip(".").strip(_MARKS)
    return _SPACE.sub("", " ".join((bare or cell).casefold().split()))


def _equal(gold: tuple[str, Number | None], cell: tuple[str, Number | None]) -> bool:
    if gold[0] == cell[0]:
        return True
    return gold[1] is not None and cell[1] is not None and meets(cell[1], gold[1])


def _all_matched(fits: list[list[bool]]) -> bool:
    """Whether each row can have a column of its own that fits it (augmenting paths, by Kuhn).

    A greedy choice would depend on the order: 1.04 meets 1.0 and 1.04, 1.01 meets 1.0 only.
    """
    row_of: dict[int, int] = {}
    return all(_augmented(row, fits, row_of, set()) for row in range(len(fits)))


def _augmented(row: int, fits: list[list[bool]], row_of: dict[int, int], seen: set[int]) -> bool:
    for column, fit in enumerate(fits[row]):
        if fit and column not in seen:
            seen.add(column)
            if column not in row_of or _augmented(row_of[column], fits, row_of, seen):
                row_of[column] = row
                return True
    return False
