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
from typing import Final

from reward_scorers.text import Span, boxes

_LINKS = re.compile(
    r"(?:[\s$,;.*&]|\\(?:quad|qquad|[,;:!()\[\] ]|\\)|\\(?:text|mbox|textbf)\s?\{\s*(?:and|or|,)*\s*\}"
    r"|\band\b|\bor\b)*"
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
    r"(?<![\w.])[-\u2212]?[$\u20ac\u00a3]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d)/\d+|(?<=\d))(?:\s?%)?(?![\w])"
)
_PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}\s+[A-Za-z]{2,}\s+[A-Za-z]{2,}")
_REACH: Final = 400  # characters behind a statement that can belong to it
_SHORT: Final = 300  # characters of a text that may be an answer as a whole
_TAIL: Final = 20_000  # characters at the end in which formulas and numbers are looked for


def answers(text: str) -> tuple[list[str], str]:
    """What may be the answer, the likeliest first, and how it was found.

    Several readings are given only for several boxes; an empty list means that there is none.
    """
    found = boxes(text)
    if found:
        return _boxed(text, found), "the last box"
    stated = None
    for stated in _STATED.finditer(text):
        pass
    if stated is not None:
        said = _statement(text[stated.end() : stated.end() + _REACH])
        if said:
            return [said], "what the text states as its answer"
    whole = text.strip()
    if 0 < len(whole) <= _SHORT and "\n\n" not in whole and not _PROSE.search(whole):
        formula = _last_formula(whole)
        outside = _FORMULA.sub("", whole) if formula else whole
        if formula is None or not re.search(r"[A-Za-z]{2,}", outside):
            return [whole], "the whole text"
    tail = text[-_TAIL:]
    formula = _last_formula(tail)
    if formula is not None:
        return [formula], "the last formula"
    number = None
    for number in _NUMBER.finditer(tail):
        pass
    if number is not None:
        return [number[0]], "the last number"
    return [], "no answer is stated" if whole else "an empty text"


def _boxed(text: str, found: list[Span]) -> list[str]:
    closed = [box for box in found if box.closed] or found
    run = [closed[-1]]
    loose = [closed[-1]]
    for box in reversed(closed[:-1]):
        gap = text[box.end : loose[0].start]
        if len(gap) > _LONGEST_GAP or not _LINK_WORD.search(gap) or "\n\n" in gap:
            break
        if len(run) == len(loose) and _LINKS.fullmatch(gap):
            run.insert(0, box)
        loose.insert(0, box)
    joined = ", ".join(box.content.strip() for box in run)
    if len(loose) > len(run):
        # "1 papers and 2 bins": a list where the reference is one, else the last box counts.
        return [joined, ", ".join(box.content.strip() for box in loose)]
    return [joined]


def _statement(said: str) -> str:
    """The answer at the beginning of what follows a statement."""
    said = said.lstrip(" \t*_:\n")
    if not said:
        return ""
    formula = _FORMULA.search(said.partition("\n\n")[0])
    line = re.split(r"\n|\.\s|\.$", said, maxsplit=1)[0].strip(" *_")
    if formula is not None and formula.start() < max(len(line), 1) + 2:
        return _content(formula)
    if _PROSE.search(line):
        number = _NUMBER.search(line)
        return number[0] if number else line
    return line


def _last_formula(text: str) -> str | None:
    formula = None
    for formula in _FORMULA.finditer(text):
        pass
    return None if formula is None else _content(formula)


def _content(formula: re.Match[str]) -> str:
    return (formula[formula.lastgroup or 0] or "").strip()
