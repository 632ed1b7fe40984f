r"""The string comparison with which the reference's scorer of mathematics begins.

It is that of the Hendrycks MATH release as PRM800K passes it on. Both answers lose line breaks,
`\!`, sizes, degrees, `\$`, `\%`, a unit in `\text{ ...}` on the right and spaces; short fractions
and roots get braces; "k = 5" is 5, and 0.5 alone is 1/2. An answer that breaks a rule half-way (a
`\sqrt` at the very end, two units) stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

_ONLY_TEXT = re.compile(r"^\\text\{(.+?)\}$")
_SLASH = re.compile(r"-?(?:0|[1-9]\d*)/-?(?:0|[1-9]\d*)", re.ASCII)
_MAX_DIGITS: Final = 4300  # CPython refuses to read longer integers, so the reference keeps them

# Removed or replaced in this order.
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


class _HalfWay(Exception):  # noqa: N818 - no error: the answer is kept as it is
    """A rule does not know how to go on."""


def normalised(answer: str) -> str:
    """An answer as the first comparison takes it."""
    answer = answer.strip()
    if found := _ONLY_TEXT.search(answer):
        answer = found[1].strip()
    try:
        return _stripped(answer)
    except _HalfWay:
        return answer


def equal_texts(one: str, other: str) -> bool:
    """Whether two answers are the same by the same rules as the table scorer calls them.

    It unwraps no \\text{...}, and compares answers as they stand where a rule fails on either.
    """
    try:
        return _stripped(one) == _stripped(other)
    except _HalfWay:
        return one == other


def _stripped(answer: str) -> str:
    for old, new in _MARKS:
        answer = answer.replace(old, new)
    value, *units = answer.split("\\text{ ")
    if len(units) > 1:
        raise _HalfWay
    value = value.replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.")
    if value.startswith("."):
        value = f"0{value}"
    name, *rest = value.split("=")
    if len(rest) == 1 and len(name) <= 2:
        value = rest[0]
    value = _with_braces(_roots(value).replace(" ", ""))
    if value == "0.5":
        return "\\frac{1}{2}"
    if len(value) <= _MAX_DIGITS and _SLASH.fullmatch(value) and "-0" not in value:
        above, _, below = value.partition("/")
        return f"\\frac{{{above}}}{{{below}}}"
    return value


def _roots(value: str) -> str:
    r"""\sqrt3 as \sqrt{3}."""
    first, *others = value.split("\\sqrt")
    if "" in others:
        raise _HalfWay
    return first + "".join(
        f"\\sqrt{part}" if part[0] == "{" else f"\\sqrt{{{part[0]}}}{part[1:]}" for part in others
    )


def _with_braces(value: str) -> str:
    r"""\frac12 as \frac{1}{2}, \frac1{72} as \frac{1}{72}; as it is if one lacks a denominator."""
    first, *others = value.split("\\frac")
    done = [first]
    for part in others:
        if not part:
            raise _HalfWay
        if part[0] == "{":
            done.append(f"\\frac{part}")
        elif len(part) < 2:
            return value
        elif part[1] == "{":
            done.append(f"\\frac{{{part[0]}}}{part[1:]}")
        else:
            done.append(f"\\frac{{{part[0]}}}{{{part[1]}}}{part[2:]}")
    return "".join(done)
