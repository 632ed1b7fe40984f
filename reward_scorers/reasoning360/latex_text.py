r"""LaTeX as plain text, as the converter renders it that the reference uses (pylatexenc 2).

The rules that matter to short answers: `\frac{a}{b}` is a/b without brackets, `\sqrt{a}` is a root
sign and (a), also with an index; groups lose their braces; known symbols are Unicode characters
(latex_symbols.json); other commands vanish and leave their arguments, so that `\dfrac{1}{2}`, were
it not replaced before, would be 12 and `x \lt 3` is x 3; `\mbox` vanishes with its argument; a
matrix is [ 1 2; 3 4 ].
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Final

_TOKEN = re.compile(
    r"\\(?P<environment>begin|end)\s*\{(?P<name>[^{}\\]*)\}"
    r"|\\(?P<word>[A-Za-z]+)(?P<space>\s*)"
    r"|\\(?P<mark>.)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_MAX_DEPTH: Final = 100
_SYMBOLS: Final[dict[str, str]] = json.loads(
    Path(__file__).with_name("latex_symbols.json").read_text(encoding="utf-8")
)
_MARKS: Final = {" ": " ", ",": " ", ";": " ", ":": " ", "-": "\u00ad"} | {
    mark: mark for mark in "{}$%&#_"
}
_ACCENTS: Final = {
    "vec": "\u20d7", "hat": "\u0302", "bar": "\u0305", "tilde": "\u0303", "dot": "\u0307",
    "ddot": "\u0308", "not": "\u0338",
}  # fmt: skip
_DROPPED: Final = {"mbox": 1, "hspace": 1, "label": 1}  # with as many arguments
_ALPHABETS: Final = {"mathbf": "BOLD", "mathbb": "DOUBLE-STRUCK", "mathcal": "SCRIPT"}
_MATRICES: Final = frozenset(("pmatrix", "bmatrix", "smallmatrix", "array"))
_CELL, _ROW = "\ue000", "\ue001"  # ends of a matrix's cells and rows, while it is read
_PAIRS: Final = (("``", "\u201c"), ("''", "\u201d"), ("---", "\u2014"), ("--", "\u2013"))


class Unreadable(Exception):  # noqa: N818 - no error: the reference keeps such a text as it is
    """A text that the converter gives up on."""


def latex_to_text(latex: str) -> str:
    """LaTeX as text.

    Raises:
        Unreadable: a root without an argument, or nested too deep.
    """
    for plain, typeset in _PAIRS:
        latex = latex.replace(plain, typeset)
    return _Reader(latex).until(frozenset(), 0)


class _Reader:
    """Reads tokens one after the other; each is read once."""

    def __init__(self, latex: str) -> None:
        self.tokens = list(_TOKEN.finditer(latex))
        self.at = 0
        self.cell, self.row = "   ", "\n"  # what & and \\ become

    def until(self, ends: frozenset[str], depth: int) -> str:
        """The text up to a token of `ends`, which is passed over, or to the end."""
        if depth > _MAX_DEPTH:
            raise Unreadable
        parts: list[str] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            if token["other"] in ends or (token["environment"] == "end" and "\\end" in ends):
                break
            parts.append(self._rendered(token, depth))
        return "".join(parts)

    def _rendered(self, token: re.Match[str], depth: int) -> str:
        if token["word"]:
            return self._command(token["word"], depth)
        if token["environment"]:
            return self._environment(token, depth)
        if token["mark"]:
            return self.row if token["mark"] == "\\" else _MARKS.get(token["mark"], "")
        other: str = token["other"]
        if other == "&":
            return self.cell
        if other == "{":
            return self.until(frozenset("}"), depth + 1)
        return {"}": "", "~": "\u00a0", "\\": ""}.get(other, other)

    def _command(self, name: str, depth: int) -> str:
        if name == "frac":
            above, below = self._argument(depth), self._argument(depth)
            return "%s/%s" if above is None or below is None else f"{above}/{below}"
        if name == "sqrt":
            self._option()
            inside = self._argument(depth)
            if inside is None:
                raise Unreadable
            return f"\u221a({inside})"
        if name in _ACCENTS:
            letters = self._argument(depth) or " "
            return "".join(unicodedata.normalize("NFC", mark + _ACCENTS[name]) for mark in letters)
        if name in _DROPPED:
            self._argument(depth)
            return ""
        if name in _ALPHABETS:
            return "".join(_styled(mark, _ALPHABETS[name]) for mark in self._argument(depth) or "")
        return _SYMBOLS.get(name, "")

    def _argument(self, depth: int) -> str | None:
        """A group, or the next token; None at the end."""
        while self.at < len(self.tokens) and (self.tokens[self.at]["other"] or "x").isspace():
            self.at += 1
        if self.at == len(self.tokens):
            return None
        token = self.tokens[self.at]
        if token["other"] == "}":
            return ""
        self.at += 1
        if token["word"]:  # a command that is an argument takes none itself
            return "%s/%s" if token["word"] == "frac" else _SYMBOLS.get(token["word"], "")
        return self._rendered(token, depth + 1)

    def _option(self) -> None:
        start = self.at
        while self.at < len(self.tokens) and (self.tokens[self.at]["other"] or "x").isspace():
            self.at += 1
        if self.at < len(self.tokens) and self.tokens[self.at]["other"] == "[":
            self.until(frozenset("]"), 1)
        else:
            self.at = start

    def _environment(self, token: re.Match[str], depth: int) -> str:
        if token["environment"] == "end":
            return ""
        if token["name"] == "array":
            self._argument(depth)
        outer = self.cell, self.row
        if token["name"] in _MATRICES:
            self.cell, self.row = _CELL, _ROW
        inside = self.until(frozenset(("\\end",)), depth + 1)
        self.cell, self.row = outer
        if token["name"] not in _MATRICES:
            return inside
        rows = [[cell.strip() for cell in row.split(_CELL)] for row in inside.split(_ROW)]
        width = max(len(cell) for row in rows for cell in row)
        return f"[ {'; '.join(' '.join(cell.rjust(width) for cell in row) for row in rows)} ]"


def _styled(mark: str, alphabet: str) -> str:
    case = "CAPITAL" if mark.isupper() else "SMALL"
    for name in (f"MATHEMATICAL {alphabet} {case} {mark.upper()}",
                 f"{alphabet} {case} {mark.upper()}"):  # fmt: skip
        try:
            return unicodedata.lookup(name)
        except (KeyError, UnicodeError):  # no such letter; a lone surrogate has no name
            continue
    return mark
