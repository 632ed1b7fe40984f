r"""Scorer `reasoning360/table`: answers to table__* as Reasoning360 scores them.

The rules of github.com/LLM360/Reasoning360, verl/utils/reward_score/tablereason.py with math.py and
prime_math/grader.py (commit 13158341d2a0dfe5f3bb80e7126ff21de0d16676), written anew with what they
get wrong:

- Numbers within 0.1% are equal, and so are those that are 100 times as large or small.
- An answer is evaluated as arithmetic, the ground truth is not: "2010-11" is 1999 and 4:11.64 a
  quotient, so that even the right season or time scores 0, while "5 or 8" is 5.
- Cells of a list are paired by the order of their texts.
- \text{...} of an answer stays, so that \boxed{\text{italy}} is not italy.

The reference evaluates what a model wrote as Python. Here it is parsed, and only numbers with
operators between them are evaluated, within bounds: names, calls, comparisons and quoted numbers
are texts. Its symbolic comparison never succeeds, because it uses a decorator as a context manager
and swallows the exception; it has no place here. Where the reference raises an exception on account
of a text, this scores 0.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.reasoning360.arithmetic import evaluated
from reward_scorers.reasoning360.mathd import equal_texts
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.text import shown

TOLERANCE: Final = 1e-3  # relative

# Thousands, percent, currency, ratios and the backslashes of LaTeX, as arithmetic.
_ARITHMETIC: Final = ((",", ""), ("%", " / 100"), ("$", ""), (":", "/"), ("\\", ""))
_AS_MONEY = re.compile(r"\$\d+(?:\.\d+)?")
_AS_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\\?%\n?")
_DOUBLE_TEXT = re.compile(r"\\\\text\{([^}]*)\}")


@register("reasoning360/table", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 or 0 as the reference does.

    Args:
        text: what the model wrote, reasoning included.
        truth: a number or a text, "a|b|c" for several cells.
        context: not used.

    Raises:
        GroundTruthError: the truth is missing.
    """
    gold = "" if truth is None else str(truth).lower()
    if not gold.strip():
        raise GroundTruthError(f'expected a number, a text or "a|b|c"; found {truth!r}')
    said = text.lower().rpartition("</think>")[2]
    box, readable = _last_box(said)
    if not readable:
        return verdict(acc=False, pred=None, reason="a box that the reference fails on")
    if box is None:
        answer, how = said, "no box: the whole text"
    else:
        answer, how = _DOUBLE_TEXT.sub(r"\1", box).replace("\\\\", ""), "the last box"
    right = _equal_lists(answer, gold) if "|" in gold else _equal_cells(answer, gold)
    return verdict(acc=right, pred=shown(answer), reason=how)


def _last_box(said: str) -> tuple[str | None, bool]:
    r"""The content of the last box, None if there is none, and whether the reference can read it.

    `\boxed ` with a space behind it anywhere counts before all others, and reaches to the next $.
    """
    if "\\boxed " in said:
        return said.rpartition("\\boxed ")[2].partition("$")[0], True
    start = said.rfind("\\boxed")
    if start < 0:
        start = said.rfind("\\fbox")
    if start < 0:
        return None, True
    depth = 0
    for brace in re.finditer("[{}]", said[start:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0 and brace[0] == "}":
            whole = said[start : start + brace.end()]
            return whole[len("\\boxed{") : -1], whole.startswith("\\boxed{")
    return None, True


def _equal_lists(answer: str, gold: str) -> bool:
    golds = sorted(cell.strip() for cell in gold.split("|"))
    cells = sorted(cell.strip() for cell in answer.split("|"))
    return len(golds) == len(cells) and all(map(_equal_cells, cells, golds))


def _equal_cells(answer: str, gold: str) -> bool:
    arithmetic = answer
    for old, new in _ARITHMETIC:
        arithmetic = arithmetic.replace(old, new)
    value = evaluated(arithmetic)
    if value is None:
        return equal_texts(answer, gold)
    try:
        return _equal_numbers(value, _bare(gold))
    except (ValueError, OverflowError):  # of _bare: the reference then compares the texts
        return equal_texts(answer, gold)


def _bare(gold: str) -> str:
    """A ground truth without its dollar or percent sign, or without the base of a number."""
    if _AS_MONEY.match(gold):
        return gold[1:]
    if percent := _AS_PERCENT.fullmatch(gold):
        return percent[1]
    if "_" in gold:
        return str(int(float(gold.partition("_")[0])))
    return gold


def _equal_numbers(value: float, gold: str) -> bool:
    try:
        number = float(gold.replace("{,}", "") if "{,}" in gold else gold.replace(",", ""))
    except ValueError:
        return re.sub(r"[{}()]", "", gold.strip()) == str(value)
    return any(
        math.isclose(meant, value, rel_tol=TOLERANCE)
        for meant in (number / 100, number, number * 100)
    )
