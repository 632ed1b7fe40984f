r"""When two answers are equal as texts of LaTeX, by the rules that the MATH data set came with.

The rules are those of hendrycks/math (math_equivalence.py) as Reasoning360 has them in
verl/utils/reward_score/math.py, written anew with their accidents: \text{ is a unit only with a
space behind it, "0.5" alone becomes a fraction, and a text that the rules fail on is compared as it
stands.
"""

from __future__ import annotations

import re
from typing import Final

_MARKS: Final = (
    ("\n", ""),
    ("\\!", ""),
    ("\\\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    ("\\left", ""),
    ("\\right", ""),
    ("^{\\circ}", ""),
    ("^\\circ", ""),
    ("\\$", ""),
)
_UNIT: Final = "\\text{ "
_RATIO = re.compile(r"(-?(?:0|[1-9][0-9]*))/(-?(?:0|[1-9][0-9]*))")


class _CannotNormaliseError(Exception):
    """The rules of the reference fail on this text."""


def equal_texts(one: str, other: str) -> bool:
    """Whether two answers have the same normal form."""
    try:
        return _normal(one) == _normal(other)
    except _CannotNormaliseError:
        return one == other


def _normal(text: str) -> str:
    for mark, instead in _MARKS:
        text = text.replace(mark, instead)
    text = _without_unit(text).replace("\\%", "")
    text = text.replace(" .", " 0.").replace("{.", "{0.")
    if text.startswith("."):
        text = f"0{text}"
    name, equals, value = text.partition("=")
    if equals and "=" not in value and len(name) <= 2:
        text = value
    text = _with_braced_fractions(_with_braced_roots(text).replace(" ", ""))
    if text == "0.5":
        text = "\\frac{1}{2}"
    ratio = _RATIO.fullmatch(text)
    if ratio and "-0" not in ratio.groups():
        return f"\\frac{{{ratio[1]}}}{{{ratio[2]}}}"
    return text


def _without_unit(text: str) -> str:
    before, found, behind = text.partition(_UNIT)
    if found and _UNIT in behind:
        raise _CannotNormaliseError
    return before


def _with_braced_roots(text: str) -> str:
    first, *others = text.split("\\sqrt")
    if "" in others:
        raise _CannotNormaliseError
    braced = (part if part[0] == "{" else f"{{{part[0]}}}{part[1:]}" for part in others)
    return "\\sqrt".join((first, *braced))


def _with_braced_fractions(text: str) -> str:
    first, *others = text.split("\\frac")
    parts = [first]
    for part in others:
        if not part:
            raise _CannotNormaliseError
        if part[0] == "{":
            parts.append(part)
        elif len(part) < 2:
            return text
        elif part[1] == "{":
            parts.append(f"{{{part[0]}}}{part[1:]}")
        else:
            parts.append(f"{{{part[0]}}}{{{part[1]}}}{part[2:]}")
    return "\\frac".join(parts)
