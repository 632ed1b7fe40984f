"""Scorer `multiple_choice`: which option letter a text gives as its answer, if it gives one.

A statement is "Answer: X" or \\boxed{X}, with the letter bold, in parentheses or quotes, or with
its option's text behind it. The last statement counts. A letter is never guessed from running text:
"the answer is B" is none, neither is "Answer: A man ..." (an article) nor "Answer: A or B".

All quantifiers are bounded, so that the time grows linearly with the text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reward_scorers.registry import Outcome, register

if TYPE_CHECKING:
    from collections.abc import Sequence

LETTERS: Final = "ABCDEFGHIJ"  # without options: as many as any public set has
_REACH: Final = 120  # characters behind a statement's beginning that can belong to it

# "Answer:", "**Answer**:", "Final answer :", "answer\uff1a" (full-width colon), "\boxed{".
_BEGINNING = re.compile(
    r"(?<![^\W_])answer[*_`\"']{0,4}[ \t]{0,4}[:\uff1a]|\\boxed[ ]{0,2}\{", re.IGNORECASE
)

_OPENING = r"[\s*_`\"'$(\[{]{0,16}"
_WRAPPED = r"(?:\\(?:boxed|text|textbf|mathrm|mathbf)[ ]{0,2}\{[\s*(]{0,4}){0,3}"
_END_OF_WORD = r"(?![^\W_]|['\u2019])"
_LETTER = re.compile(
    rf"{_OPENING}{_WRAPPED}(?:(?:option|choice)[ ]{{1,4}}[*(]{{0,3}})?([A-Za-z]){_END_OF_WORD}",
    re.IGNORECASE,
)
# What may stand between a letter and the next one of a list of letters.
_NEXT = re.compile(
    r"[\s*_)\]}.]{0,8}(?:,|/|&|\band\b|\bor\b)[\s*_(\[{]{0,8}(?:and\s|or\s)?[(*]{0,2}"
    rf"([A-Za-z]){_END_OF_WORD}",
    re.IGNORECASE,
)
# A letter with a mark behind it, or alone on its line, is a letter; before a word it may be a word.
_MARKED = re.compile(r"[ \t]{0,4}(?:[^\w\s]|[\r\n]|$)|\s{0,8}$")
_SEVERAL: Final = ""


@register("multiple_choice", version=1)
def score(text: str, gold: str, options: Sequence[str] | None = None) -> Outcome:
    """Score 1 if the last answer stated in `text` is the option `gold`, else 0.

    Args:
        text: what the model wrote, of any length.
        gold: the right letter: "C", also as "(C)" or "C.".
        options: the options' texts in their order; only their number is used. Without them, the
            letters A to J are options.

    Raises:
        ValueError: `gold` is no letter of an option.
    """
    letters = LETTERS if options is None else _letters(len(options))
    wanted = gold.strip().strip("().").upper()
    if len(wanted) != 1 or wanted not in letters:
        raise ValueError(f"the right answer {gold!r} is not one of {', '.join(letters)}")
    pred, reason = extract(text, letters)
    right = pred == wanted
    return Outcome(score=float(right), acc=right, pred=pred, reason=reason)


def extract(text: str, letters: str = LETTERS) -> tuple[str | None, str]:
    """The letter that `text` states last, and how it was found; None, and why there is none."""
    for beginning in reversed(list(_BEGINNING.finditer(text))):
        stated = _stated(text[beginning.end() : beginning.end() + _REACH], letters)
        if stated == _SEVERAL:
            return None, "the last answer names several options"
        if stated is not None:
            how = beginning.group().strip().rstrip("{").lstrip("\\")
            return stated, f"the last statement of an answer ({how})"
    return None, "no answer is stated" if text.strip() else "an empty text"


def _stated(rest: str, letters: str) -> str | None:
    found = _LETTER.match(rest)
    if found is None or found[1].upper() not in letters:
        return None
    another = _NEXT.match(rest, found.end())
    if another is not None and another[1].upper() in letters and another[1].isupper():
        return _SEVERAL
    # "B because ..." is an answer; "A man", "I think" and a lower-case letter may be words.
    is_word = found[1] in "AI" or found[1].islower()
    if is_word and not _MARKED.match(rest, found.end()):
        return None
    return found[1].upper()


def _letters(count: int) -> str:
    if not 1 <= count <= 26:
        raise ValueError(f"{count} options cannot be told apart by letters")
    return "".join(chr(ord("A") + place) for place in range(count))
