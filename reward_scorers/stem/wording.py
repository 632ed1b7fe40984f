r"""When two short answers have the same wording: case, spacing, articles, punctuation, \text{}.

A key is made of each, and equal keys are equal answers. What could be a value is kept: digits,
signs, LaTeX commands, and the case of symbols ("Co" is no "CO", "mA" no "MA", \Delta no \delta).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Composing characters takes quadratic time in a run of marks, hence this limit in characters.
_LONGEST: Final = 5_000

_PLAIN_SIGNS: Final = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},  # full-width forms of ASCII
    **dict.fromkeys(map(ord, "\u2018\u2019\u02bc"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u300c\u300d"), '"'),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-"),
    ord("\u3002"): ".",
    ord("\u3001"): ",",
}
_WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|mbox|operatorname|boxed|fbox)"
    r" ?\{([^{}]*)\}"
)
# Layout only. "\\ " is a space, "\$" a sign of currency, which the data write or leave out.
_LAYOUT = re.compile(
    r"\\(?:left|right|displaystyle|quad|qquad)(?![A-Za-z])|\\[()\[\],;:! ]|\\?\$|(?<!\\)~"
)
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_FORMULA = re.compile(r"[=+*/^_<>\\{}|%]|\d")
# H_2O, H_{2}O and H2O; x_2 stays, since 2 may be a factor in x2.
_SUBSCRIPT = re.compile(r"([A-Z][a-z]?|\))_(?:\{(\d{1,4})\}|(\d))")
_LONG_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{4,}")
_PUNCTUATION: Final = {**dict.fromkeys(map(ord, '.,;:!?"()[]\u2026`'), " "), ord("'"): ""}
_EMPHASIS = re.compile(r"^\s{0,9}(\*{1,3}|_{1,3})(.{1,4000})\1\s{0,9}$", re.DOTALL)
# Short words, of which the case says nothing; other ones of one or two letters are symbols.
_SHORT_WORDS: Final = frozenset(
    ("As", "At", "By", "If", "In", "Is", "It", "No", "Of", "On", "Or", "To")
)
_ARTICLES: Final = frozenset(("a", "an", "the"))


def key(text: str) -> str:
    """The wording of an answer; two answers are worded alike if their keys are equal.

    Example:
        >>> key("The Krebs cycle.") == key("krebs  cycle"), key("0.36 g") == key("0.36g")
        (True, True)
    """
    if len(text) > _LONGEST:
        return " ".join(text.split())
    text = unicodedata.normalize("NFC", text.translate(_PLAIN_SIGNS))
    for _ in range(3):  # as deep as wrappers are nested in practice
        text = _WRAPPED.sub(r"\1", text)
    text = _LAYOUT.sub(" ", _FRACTION.sub(r"\\frac", text)).replace(r"\%", "%")
    if emphasis := _EMPHASIS.match(text):
        text = emphasis[2]
    return _formula(text) if _FORMULA.search(text) else _prose(text)


def _formula(text: str) -> str:
    text = _SUBSCRIPT.sub(r"\1\2\3", text)
    text = _LONG_WORD.sub(lambda word: word[0].lower(), text)
    return "".join(text.split()).strip("`\"'").rstrip(".,;:")


def _prose(text: str) -> str:
    words = text.translate(_PUNCTUATION).split()
    folded = [word.lower() if len(word) > 2 or word in _SHORT_WORDS else word for word in words]
    kept = [
        word
        for place, word in enumerate(folded)
        # "a cell" has an article; "hepatitis A" and "vitamin a" have none, nor has "a b".
        if not (word in _ARTICLES or (word in ("A", "An") and place == 0))
        or len("".join(folded[place + 1 : place + 2])) < 3
    ]
    return " ".join(kept)
