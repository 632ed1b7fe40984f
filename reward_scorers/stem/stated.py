r"""Where a text states an answer: "Answer:" in the languages of multilingual MMLU, and \boxed{.

Stated is what stands behind the word and its colon, or in the box. Running text ("the answer is
B") states nothing. All quantifiers are bounded, so that the time grows linearly with the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from reward_scorers.text import boxes

# The languages of MMMLU (huggingface.co/datasets/openai/MMMLU) and what their models write before
# a colon; a word may be followed by one of the adjectives ("Respuesta final:").
_SPACED: Final = (
    "answer",  # English
    "antwort",  # German
    "respuesta",  # Spanish
    "r(?:[e\u00e9]|e\u0301)ponse",  # French, also decomposed
    "risposta",  # Italian
    "resposta",  # Portuguese
    "jawaban",  # Indonesian
    "jibu",  # Swahili
    "(?:[i\u00ec]|i\u0300)d(?:[a\u00e1]|a\u0301)h(?:[u\u00f9]|u\u0300)n",  # Yoruba
    "(?:\u0627\u0644)?[\u0625\u0627]\u062c\u0627\u0628\u0629",  # Arabic: (al-)ijaba
    "(?:\u0627\u0644)?\u062c\u0648\u0627\u0628",  # Arabic: (al-)jawab
    "\u0989\u09a4\u09cd\u09a4\u09b0",  # Bengali: uttor
    "\u0909\u0924\u094d\u0924\u0930",  # Hindi: uttar
)
_ADJECTIVES: Final = (
    "finale?|definitiva|correct[ae]|correta|corretta|akhir|benar|sahihi|la mwisho|"
    "(?:\u0627\u0644\u0646\u0647\u0627\u0626\u064a|\u0627\u0644\u0635\u062d\u064a\u062d)\u0629?|"
    "\u0647\u064a|\u0647\u0648"  # Arabic: final, right, is
)
# Chinese and Japanese da, da'an, kotae, kaito; Korean dap, jeongdap, dapbyeon. No space precedes.
_UNSPACED: Final = (
    "\u7b54[\u6848\u3048\u590d\u8986]?[\u662f\u4e3a\u70ba\u306f]?|\ub2f5[\ubcc0\uc548]?\uc740?"
)
_COLON: Final = "[:\uff1a\u0983\u0903]"  # also full-width; Bengali and Hindi use their visarga

BEGINNING = re.compile(
    rf"(?:(?<![^\W_])(?:{'|'.join(_SPACED)})(?:[ ](?:{_ADJECTIVES})){{0,2}}|(?:{_UNSPACED}))"
    rf"[*_`\"']{{0,4}}[ \t\u00a0\u202f]{{0,4}}{_COLON}"
    r"|\\(?:boxed|fbox)[ ]{0,2}\{",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A place at which a text states an answer.

    `mark` is the word or the box that says so, `start` is where the answer begins, and `content` is
    the answer: all of a box, or the rest of a word's line, of the next one if that is blank.
    """

    mark: str
    start: int
    content: str


def statements(text: str) -> list[Statement]:
    """All statements of a text, in their order. Their contents do not overlap."""
    marks = list(BEGINNING.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    has_box = any(mark[0].startswith("\\") for mark in marks)
    boxed = {box.start: box.content for box in boxes(text)} if has_box else {}
    found = []
    for mark, end in zip(marks, ends, strict=True):
        name = mark[0].strip("\\{ ")
        start = mark.end()
        if mark[0].startswith("\\"):
            content = boxed.get(mark.start(), "")
            if inner := BEGINNING.match(content):  # \boxed{Answer: 0.36g}
                start, content = start + inner.end(), content[inner.end() :]
        else:
            content = _line(text[start:end])
        found.append(Statement(name, start, content))
    return found


def _line(rest: str) -> str:
    """The first line that holds a letter or a sign other than emphasis, with what precedes it."""
    blank = len(rest) - len(rest.lstrip(" \t\n*_`"))
    end = rest.find("\n", blank)
    return rest if end < 0 else rest[:end]
