"""Where in a text the answer stands.

In this order, the first that there is:

1. the last box; a run of boxes with nothing but "and", "or" and commas between them is a list;
2. what the text states last: behind "####", "final answer is", "the answer is", "Answer:";
3. the whole text, if it is an answer without a sentence around it;
4. the last formula between dollar signs or LaTeX brackets;
5. the last number.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from reward_scorers.text import Span, boxes, joined_boxes

_LINKS = re.compile(
    r"(?:[\s$,;.*&]|\\(?:quad|qquad|[,;:!()\[\] ]|\\)"
    r"|\\(?:text|mbox|textbf)\s?\{\s*(?:and|or|,)*\s*\}|\band\b|\bor\b)*"
)
_LINK_WORD = re.compile(r"[,;]|\b(?:and|or)\b")
_LONGEST_GAP: Final = 32

_STATED = re.compile(
    r"####"
    r"|\b(?:final\s{1,3}answer|answers?)\b[*_\s]{0,4}(?:(?:is|are)\b|:|\uff1a)(?:\s{0,3}:)?"
    r"|(?:^|\n)\s{0,8}A:",
    re.IGNORECASE,
)
_FORMULA = re.compile(
    r"\$\$(?P<display>(?:[^$\\]|\\.)+?)\$\$"
    r"|(?<!\\)\$(?P<inline>(?:[^$\\\n]|\\.)+?)(?<!\\)\$"
    r"|\\\((?P<round>(?:[^\\]|\\[^)(])+?)\\\)"
    r"|\\\[(?P<square>(?:[^\\]|\\[^\]\[])+?)\\\]",
    re.DOTALL,
)
_NUMBER = re.compile(
    r"(?<![\w.])[-\u2212]?[$\u20ac\u00a3]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d)/\d+|(?<=\d))(?:\s?%)?(?:(?!\w)|(?=(?:[ckm]?m|k?g)(?![a-z])))"
)
_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z'\u2019]{2,}")
_IS = re.compile(r"\b(?:is|are|equals?|be)\b[:\s]")
_CHOICE = re.compile(r"\(?([A-J])\)?(?:[.:;]|,(?!\s*\(?[A-J]\b)|\s*$)")
# What makes of a number behind it, or before it, another answer, or none.
_HEDGE = re.compile(
    r"[^$\n]{0,60}?\b(?:not|either|or|maybe|perhaps|possibly|probably|anything|less|more|greater|least"
    r"|most|close|about|around|approximately|between)\b[^$\n]{0,60}\$",
    re.IGNORECASE,
)
_MORE = re.compile(r"\s{0,3},?\s{0,3}(?:or|and|thousand|million|billion|trillion)\b", re.IGNORECASE)
_BOXED_STATEMENT = re.compile(
    r"\s{0,9}(?:\\text[a-z]{0,2}\s?\{\s{0,9})?(?:the\s{1,9})?(?:final\s{1,9})?answer\s{0,9}(?:is|:)"
    r"[\s:]{0,9}\}?",
    re.IGNORECASE,
)
_END_OF_STATEMENT = re.compile(r"\n|\.\s|\.$|,\s(?=(?:since|because|as|so|which|where|but)\b)")
_REACH: Final = 400  # characters behind a statement that can belong to it
_SHORT: Final = 300  # characters of a text that may be an answer as a whole
_TAIL: Final = 20_000  # characters at the end in which formulas and numbers are looked for


def answers(text: str) -> tuple[list[str], str]:
    """What may be the answer, the likeliest first, and how it was found.

    Several readings are given only for several boxes; an empty list means that there is none.
    """
    if "\\\\boxed" in text:
        text = text.replace("\\\\boxed", "\\boxed")  # as JSON escapes it
    found = boxes(text)
    if found:
        return _boxed(text, found), "the last box"
    said = stated(text)
    if said:
        return [said], "what the text states as its answer"
    whole = text.strip()
    if 0 < len(whole) <= _SHORT and "\n\n" not in whole and not is_sentence(whole):
        formula = _last_formula(whole)
        outside = _FORMULA.sub("", whole) if formula else whole
        if formula is None or not re.search(r"[A-Za-z]{2,}", outside):
            return [whole], "the whole text"
    tail = text[-_TAIL:]
    formula = _last_formula(tail)
    if formula is not None:
        return [formula], "the last formula"
    number = _last_number(tail)
    if number is not None:
        return [number], "the last number"
    return [], "no answer is stated" if whole else "an empty text"


def stated(text: str) -> str:
    """The answer that a text states last; "" if it states none."""
    statement = _last(_STATED, text)
    if statement is None:
        return ""
    return _statement(text[statement.end() : statement.end() + _REACH])


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last match of a pattern; matches are not kept, so that their number costs no memory."""
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def _boxed(text: str, found: list[Span]) -> list[str]:
    run, _ = joined_boxes(text)
    readings = [_joined(run)]
    closed = [box for box in found if box.closed] or found
    first = len(closed) - 1
    while first and _are_near(text, closed[first - 1], closed[first]):
        first -= 1
    if len(closed) - first > len(run):
        # "1 papers and 2 bins": a list where the reference is one, else the last box counts.
        readings.append(_joined([box.content for box in closed[first:]]))
    return readings


def _are_near(text: str, one: Span, other: Span) -> bool:
    gap = text[one.end : min(other.start, one.end + _LONGEST_GAP + 1)]
    return len(gap) <= _LONGEST_GAP and "\n\n" not in gap and bool(_LINK_WORD.search(gap))


def _joined(contents: list[str]) -> str:
    """Boxes as a list; what is said twice is said once."""
    return ", ".join(dict.fromkeys(map(_unstated, contents)))


def _unstated(content: str) -> str:
    """What a box holds without "Answer:" in front."""
    statement = _BOXED_STATEMENT.match(content)
    return content[statement.end() if statement else 0 :].strip()


def _statement(said: str) -> str:
    """The answer in what follows a statement: its beginning, or what a sentence there ends in."""
    said = said.lstrip(" \t*_:\n")
    paragraph = said.partition("\n\n")[0]
    formula = _FORMULA.match(paragraph)
    if formula is not None:
        return _joined_formulas(paragraph, formula)
    if _HEDGE.match(paragraph):
        return paragraph.partition("\n")[0]  # no answer, but what is said
    line = _END_OF_STATEMENT.split(said, maxsplit=1)[0].strip(" *_")
    choice = _CHOICE.match(line)
    if choice is not None:
        return choice[1]
    if not is_sentence(_FORMULA.sub("", line), words=3):
        formula = _FORMULA.search(paragraph[: len(line) + 8])
        return line if formula is None else _content(formula)
    tail = line
    for verb in _IS.finditer(line):
        tail = line[verb.end() :]
    return _last_formula(tail) or _last_number(tail) or tail.strip()


def _joined_formulas(text: str, formula: re.Match[str]) -> str:
    """A formula and those that "and", "or" and commas join to it."""
    contents = [_content(formula)]
    while True:
        link = _LINKS.match(text, formula.end())
        following = _FORMULA.match(text, link.end() if link else formula.end())
        if following is None and _MORE.match(text, formula.end()):
            return text[: formula.end() + _LONGEST_GAP]  # 5 or maybe 7, 5 million
        if following is None or not _LINK_WORD.search(text[formula.end() : following.start()]):
            return ", ".join(contents)
        contents.append(_content(following))
        formula = following


def is_sentence(text: str, words: int = 4) -> bool:
    """Whether a text has words around what may be its answer."""
    return len(_WORD.findall(text)) >= words


def _last_formula(text: str) -> str | None:
    formula = _last(_FORMULA, text)
    return None if formula is None else _content(formula)


def _content(formula: re.Match[str]) -> str:
    return (formula[formula.lastgroup or 0] or "").strip()


def _last_number(text: str) -> str | None:
    number = _last(_NUMBER, text)
    return None if number is None else number[0]
