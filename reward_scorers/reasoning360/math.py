r"""Scorer `reasoning360/math`: the last box, or the whole text, against the reference.

Three comparisons, the first that agrees decides:
1. strings without sizes, spaces and units on the right (`mathd`);
2. strings without further units, percent and dollar signs, in lower case and as plain text
   (`latex_text`); then, part by part of a tuple, whether the difference is zero (`expressions`).
   Two fractions of digits must be the same string, an integer must meet the same integer, and more
   than two letters, `^{`, `^(` or an exponent of two digits stop this comparison;
3. unless \pi occurs, numbers that differ by 1e-4 of their size or by a factor of 100 (`tolerant`).

So 120006 is 120000, 500 is 5, 52_9 is 52_8, `5 \text{ or } 8` is 5, and -1\frac{1}{2} is -0.5;
6.2832 is not 2\pi, 2/4 is not 1/2, and 2, 1 is not 1, 2. Reasoning before the last </think> does
not count.

Row: data_source math__math, truth "\frac{1}{2}", text "So it is \boxed{0.5}."
Source of the rule: verl/utils/reward_score/naive_dapo.py and prime_math/ of
github.com/LLM360/Reasoning360 at commit 13158341d2a0dfe5f3bb80e7126ff21de0d16676, run in the main
thread of a process (in another thread, its alarms raise).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.reasoning360 import expressions, mathd, tolerant
from reward_scorers.reasoning360.latex_text import Unreadable, latex_to_text
from reward_scorers.reasoning360.math_dapo import reference
from reward_scorers.registry import Outcome, register, verdict
from reward_scorers.text import shown

if TYPE_CHECKING:
    from reward_scorers.registry import Context

# A longer text without a box is no answer; the reference compares it at length.
MAX_LENGTH: Final = 20_000

_ONLY_TEXT = re.compile(r"^\\text\{(.+?)\}$")
_BEFORE_UNITS: Final = (
    ("\\%", "%"), ("\\$", "$"), ("$", ""), ("%", ""), (" or ", " , "), (" and ", " , "),
    ("million", "*10^6"), ("billion", "*10^9"), ("trillion", "*10^12"),
)  # fmt: skip
_UNIT_NAMES: Final = (
    "degree cm centimeter meter mile second minute hour day week month year foot feet inch yard "
    "liter"
)
_UNITS: Final = tuple(
    re.compile(rf"{unit}(?:es)?s? *(?:\^[0-9]+)?") for unit in _UNIT_NAMES.split()
)
_DEGREES = re.compile(r"\^ *\\circ")
_SMALL_SPACE = re.compile(r",\\! *")
_MINUS = re.compile(r"- *")
_MIXED = re.compile(r"([0-9]) +([0-9])")
_THOUSANDS = re.compile(r"(\d),(\d\d\d)($|\D)")
_FRACTION = re.compile(r"^-?[0-9]+.?/0*[1-9][0-9]*.?$")
_MARKS: Final = {
    "\u221a": "sqrt", "\u03c0": "pi", "\u221e": "inf", "\u222a": "U", "\u00b7": "*", "\u00d7": "*"
}  # fmt: skip
_BRACKETS: Final = "()[]"
_TOO_HARD = re.compile(r"\^[{(]|\^[0-9]+\^|\^[0-9][0-9]+")


@register("reasoning360/math", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if one of the three comparisons agrees, else 0.

    Raises:
        GroundTruthError: the reference is neither a string nor a number, or it is empty.
    """
    gold = reference(truth)
    said = text.rpartition("</think>")[2]
    boxed = last_box(said)
    pred = boxed or said
    if not boxed and len(pred) > MAX_LENGTH:
        return verdict(acc=False, pred=None, reason="a long text without a box")
    how = "the last box" if boxed else "the whole text"
    acc, by = _compared(pred[: MAX_LENGTH + len(gold)], gold)
    return verdict(acc=acc, pred=shown(pred) if pred.strip() else None, reason=f"{how}: {by}")


def last_box(text: str) -> str | None:
    r"""What the last \boxed holds (\fbox if there is none); None where it is not closed."""
    start = text.rfind("\\boxed")
    if start < 0:
        start = text.rfind("\\fbox")
    if start < 0:
        return None
    depth, opened = 0, -1
    for brace in re.finditer(r"[{}]", text[start:]):
        if brace[0] == "{":
            depth += 1
            opened = brace.start() if opened < 0 else opened
        else:
            depth -= 1
            if depth == 0:
                return text[start:][opened + 1 : brace.start()].strip() if opened >= 0 else None
    return None


def _compared(answer: str, gold: str) -> tuple[bool, str]:
    if mathd.normalised(gold) == mathd.normalised(answer):
        return True, "the same string"
    if _same_plain(normalised(answer), normalised(gold)):
        return True, "the same in plain text"
    if "\\pi" in answer or "\\pi" in gold:
        return False, "not the same"
    try:
        same = tolerant.equal(answer, gold)
    except (ValueError, OverflowError):
        same = False
    return same, "the same with a tolerance" if same else "not the same"


def _same_plain(answer: str, gold: str) -> bool:
    if answer == gold:
        return True
    if not answer:
        return False
    parts, others = split_tuple(gold), split_tuple(answer)
    if len(parts) != len(others) or not parts:
        return False
    if len(parts) > 1 and (gold[0] != answer[0] or gold[-1] != answer[-1]):
        return False
    return all(map(_same_part, parts, others))


def _same_part(gold: str, answer: str) -> bool:
    if _FRACTION.search(gold) and _FRACTION.search(answer):
        return gold == answer
    if (_integer(gold) is None) != (_integer(answer) is None):
        return False
    return _is_simple(f"({gold})-({answer})") and expressions.equal(gold, answer)


def _is_simple(difference: str) -> bool:
    letters = {mark for mark in re.sub("sqrt|frac", "", difference) if mark.isalpha()}
    return len(letters) <= 2 and _TOO_HARD.search(difference) is None


def normalised(answer: str) -> str:
    """An answer in plain text, as the second comparison takes it."""
    if found := _ONLY_TEXT.search(answer):
        answer = found[1]
    for old, new in _BEFORE_UNITS:
        answer = answer.replace(old, new)
    for unit in (*_UNITS, _DEGREES):
        answer = unit.sub("", answer)
    if answer[:1] == "{" and answer[-1:] == "}":
        answer = answer[1:-1]
    answer = _SMALL_SPACE.sub("", answer)
    number = _rounded(answer)
    if number is not None:
        answer = str(number)
    if "\\" in answer:
        answer = _plain(answer)
    answer = _MIXED.sub(r"\1+\2", _MINUS.sub("-", answer)).lower()
    number = _integer(answer)
    return answer if number is None else str(number)


def _plain(latex: str) -> str:
    short = latex.replace("\\tfrac", "\\frac").replace("\\dfrac", "\\frac")
    try:
        text = latex_to_text(short.replace("\\frac", " \\frac"))
    except Unreadable:
        return latex
    for mark, word in _MARKS.items():
        text = text.replace(mark, word)
    return text.strip()


def _rounded(text: str) -> int | None:
    """The integer that a number is but for 1e-7."""
    try:
        number = float(text)
        nearest = round(number)
    except (ValueError, OverflowError):
        return None
    return nearest if abs(number - nearest) <= 1e-7 else None


def _integer(text: str) -> int | None:
    text = _without_thousands(text)
    if _rounded(text) is None:
        return None
    try:
        return int(float(text.replace(",", "")))
    except (ValueError, OverflowError):
        return None


def _without_thousands(text: str) -> str:
    """1,234 as 1234; the third of three groups keeps its comma, as in the reference."""
    while (shorter := _THOUSANDS.sub(r"\1\2\3", text)) != text:
        text = shorter
    return text


def split_tuple(text: str) -> list[str]:
    """The parts of (a, b] and the like; anything else is one part, an empty text none."""
    text = _without_thousands(text)
    inside = text[1:-1]
    if (
        len(text) > 2
        and text[0] in _BRACKETS
        and text[-1] in _BRACKETS
        and not any(mark in inside for mark in _BRACKETS)
    ):
        return [part.strip() for part in inside.split(",")]
    return [text] if text else []
