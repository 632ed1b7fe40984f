"""Whether what a program wrote is the expected output.

Lines are compared without white space at their ends, and empty lines around the output do not
count. Of a line that differs, tokens are compared: equal ones; "yes" and "no" without case; and
numbers, where the expected one is written with a decimal point or an exponent, within 1e-6 of it,
absolute or relative, as judges of contests do. Integers have to be the same: 1e18 and 1e18 + 1
differ.
"""

from __future__ import annotations

import math
import re
from typing import Final

TOLERANCE: Final = 1e-6
_DECIMAL = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_WORDS: Final = frozenset({"yes", "no"})


def same_output(found: str, expected: str) -> bool:
    """Whether an output is the expected one, by the rules above."""
    ours, theirs = _lines(found), _lines(expected)
    return len(ours) == len(theirs) and all(
        one == other or _same_line(one, other) for one, other in zip(ours, theirs, strict=True)
    )


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    start = 0
    while start < len(lines) and not lines[start]:
        start += 1
    return lines[start:]


def _same_line(found: str, expected: str) -> bool:
    ours, theirs = found.split(), expected.split()
    return len(ours) == len(theirs) and all(map(_same_token, ours, theirs))


def _same_token(found: str, expected: str) -> bool:
    if found == expected:
        return True
    if expected.lower() in _WORDS:
        return found.lower() == expected.lower()
    if _INTEGER.fullmatch(expected) or not _DECIMAL.fullmatch(expected):
        return False
    if not _DECIMAL.fullmatch(found):
        return False
    ours, theirs = float(found), float(expected)
    return math.isfinite(ours) and math.isclose(ours, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
