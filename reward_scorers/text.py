"""Reading answers out of what a model wrote: reasoning, boxes, tags and fenced blocks.

Everything here takes time linear in the text, whatever the text: single scans and bounded patterns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# What chat templates leave behind the end of an answer.
_END_OF_TURN = re.compile(
    r"<\|(?:im_end|endoftext|eot_id|end_of_text|end)\|>|</s>|<\uff5cend|<\|im_start\|>user"
)
_BOX = re.compile(r"\\(?:boxed|fbox)[ \t]{0,4}(\{)?|\\.|[{}]", re.DOTALL)
_NO_BOX: Final = (-1, -1)  # stands for a brace that opens no box
_WORD = re.compile(r"[ \t]{0,4}([^\s$\\{}]{1,64})")
_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*$", re.MULTILINE)
# What may stand between two boxes that are one answer.
_JOINT = re.compile(
    r"(?:[\s$,;.*&/]|\\(?:quad|qquad|lor|[,;:!()\[\] ]|\\)"
    r"|\\(?:text|mbox|textbf)\s?\{\s{0,3}(?:and|or|,)?\s{0,3}\}"
    r"|\b(?:and|or|maybe|perhaps|possibly|also)\b)*",
    re.IGNORECASE,
)
_JOINT_WORD = re.compile(r"[,;/]|\\lor|\b(?:and|or)\b", re.IGNORECASE)
_JOINT_NAMES: Final = {";": ",", "/": "or", "\\lor": "or"}
_LONGEST_JOINT: Final = 64
_END_OF_REASONING: Final = "</think>"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text: what it holds, and where the whole of it, marks included, lies."""

    content: str
    start: int
    end: int
    closed: bool = True  # False where the text ends before the part does


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language in lower case, "" where none is named, and its lines."""

    language: str
    content: str
    closed: bool


def answer_part(text: str) -> str:
    """What a model says after its reasoning: behind the last `</think>`, before an end of turn.

    A text without `</think>` counts as a whole. Line ends become \\n.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    said = text.rpartition(_END_OF_REASONING)[2]
    end = _END_OF_TURN.search(said)
    return said[: end.start()] if end else said


def boxes(text: str) -> list[Span]:
    r"""All outermost \boxed{...} and \fbox{...} in their order, with balanced braces.

    Escaped braces (\{ and \}) do not count. `\boxed 5`, without braces, holds one word. Behind the
    last closed box, one that is never closed holds the rest of the text.
    """
    # Whole from, content from and to, whole to: contents are cut out at the end, once each.
    spans: list[tuple[int, int, int, int]] = []
    open_braces: list[tuple[int, int]] = []
    for token in _BOX.finditer(text):
        mark = token[0]
        if mark == "{":
            open_braces.append(_NO_BOX)
        elif token[1]:
            open_braces.append(token.span())
        elif mark == "}":
            start, inner = open_braces.pop() if open_braces else _NO_BOX
            if start >= 0:
                while spans and spans[-1][0] > start:
                    spans.pop()
                spans.append((start, inner, token.start(), token.end()))
        elif mark.startswith(("\\boxed", "\\fbox")) and (word := _WORD.match(text, token.end())):
            inner, last = word.span(1)
            spans.append((token.start(), inner, inner + len(word[1].rstrip(".")), last))
    found = [Span(text[inner:last], start, end) for start, inner, last, end in spans]
    rest = found[-1].end if found else 0
    for start, inner in open_braces:
        if start >= rest:
            found.append(Span(text[inner:], start, len(text), closed=False))
            break
    return found


def last_box(text: str) -> str | None:
    """The content of the last box that is closed; of one that is not, if there is no other."""
    found = boxes(text)
    closed = [box for box in found if box.closed]
    return (closed or found)[-1].content.strip() if found else None


def joined_boxes(text: str) -> tuple[list[str], frozenset[str]]:
    """The last box and those before it with nothing but "and", "or", "/" and commas between them.

    Returns:
        What they hold, in their order, empty if there is no box; and which of "and", "or" and ","
        joins them. An unclosed box counts only where no closed one is there.
    """
    found = boxes(text)
    run = [box for box in found if box.closed] or found
    first = len(run) - 1
    joints: set[str] = set()
    while first > 0:
        before, behind = run[first - 1].end, run[first].start
        if behind - before > _LONGEST_JOINT or not (
            joint := _JOINT.fullmatch(text, before, behind)
        ):
            break
        if not (words := _JOINT_WORD.findall(joint[0])):
            break
        joints.update(_JOINT_NAMES.get(word.lower(), word.lower()) for word in words)
        first -= 1
    return [box.content.strip() for box in run[max(first, 0) :]], frozenset(joints)


def last_tag(text: str, name: str = "answer") -> str | None:
    """The content of the last `<name>...</name>`; the rest of the text where it is not closed."""
    # Not by text.lower(): that can be longer than the text (U+0130), and would shift the places.
    marks = list(re.finditer(rf"<(/?){re.escape(name)}>", text, re.IGNORECASE))
    end = max((mark.start() for mark in marks if mark[1]), default=len(text))
    opened = max((mark.end() for mark in marks if not mark[1] and mark.start() < end), default=-1)
    if opened < 0:
        return None
    return text[opened:end].strip()


def fenced_blocks(text: str) -> list[Block]:
    """The fenced blocks of a text, in order; the last one may lack its closing fence.

    A fence closes only a block that one of the same character and at most its length has opened; a
    line with a language opens the next block even if the one before was not closed.
    """
    found: list[Block] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[2]:
            found.append(_block(text, opened, fence.start(), closed=False))
            opened = fence
        elif fence[1][0] == opened[1][0] and len(fence[1]) >= len(opened[1]):
            found.append(_block(text, opened, fence.start(), closed=True))
            opened = None
    if opened is not None:
        found.append(_block(text, opened, len(text), closed=False))
    return found


def _block(text: str, opened: re.Match[str], end: int, *, closed: bool) -> Block:
    content = text[opened.end() + 1 : end]
    return Block(language=opened[2].lower(), content=content.rstrip("\n"), closed=closed)


def shown(value: object, length: int = 200) -> str:
    """A value as text of bounded length, for `pred` and messages."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except ValueError:  # an integer that CPython refuses to write down
        text = f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"
