r"""Rules that rewrite a reference answer and keep its value: right answers by construction.

Each rule reads the shape of the reference and yields its own name and an answer. Rewrites that no
rule makes stand in math_by_hand.json; each was checked with sympy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

Rewrites = Iterator[tuple[str, str]]  # the rule's name, and the answer

FRACTION = re.compile(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}")
ONLY_FRACTION = re.compile(r"(-?)\\[dt]?frac\s*(?:\{(\d+)\}|(\d))\s*(?:\{(\d+)\}|(\d))")
RADICAL = re.compile(r"(-?)(\d*)\s*\\sqrt\{?(\d+)\}?")
PI = re.compile(r"(-?\d+)\s*\\pi")
BRACKETED = re.compile(r"(?:\\left\s*)?([(\[])(.+,.+?)(?:\\right\s*)?([)\]])")
ANGLE = re.compile(r"(-?\d+)\^\\circ")
UNIT = re.compile(r"(\\\$)?([\d.,\\!]+)\s*(\\(?:mbox|text)\{ ?[a-z]+\}(?:\^2)?)?")
WORD = re.compile(r"\\text\{\(?(\w+)\)?\}")
LIST = re.compile(r"-?\d+(, ?-?\d+)+")
BASE = re.compile(r"(\d+)_\{?(\d)\}?")
TERMS = re.compile(r"[-+]?[^-+]+")
SUM = re.compile(r"(?!.*\\(?:frac|pm|begin|text|in|infty|cup))[^,=()\[\]]+")

_BY_HAND = json.loads(Path(__file__).with_name("math_by_hand.json").read_text(encoding="utf-8"))
INTERVALS: dict[str, list[str]] = _BY_HAND["intervals"]  # intervals for certain, not points
OTHER: dict[str, list[str]] = _BY_HAND["other"]


def value(text: str) -> Fraction | None:
    r"""The number that a text is: 12, -1.5, 10,\!080, a/b, \frac{a}{b}, 1\frac45; else None."""
    plain = squeezed(text)
    if re.fullmatch(r"-?(\d+|\d{1,3}(,\d{3})+|\d*\.\d+)", plain):
        return Fraction(plain.replace(",", ""))
    if found := re.fullmatch(r"(-?)(\d*)\\frac(\{\d+\}|\d)(\{\d+\}|\d)", plain):
        sign, whole, above, below = found.groups()
        part = Fraction(int(above.strip("{}")), int(below.strip("{}"))) + int(whole or 0)
        return -part if sign else part
    if found := re.fullmatch(r"(-?\d+)/(\d+)", plain):
        return Fraction(int(found[1]), int(found[2]))
    return None


def squeezed(text: str) -> str:
    """A text without spacing and sizes, for comparing two as strings."""
    plain = re.sub(r"\\left|\\right|\\[!,;: ]|\s|~", "", text)
    return re.sub(r"\\[dt]frac", r"\\frac", plain).replace("{,}", ",")


def _spelling(gold: str) -> Rewrites:
    yield "exact", gold
    yield "spacing", f"\\, {gold}\\;"
    if "\\text" not in gold and "\\mbox" not in gold and "," not in gold:
        yield "spacing", gold.replace("+", " +\\, ").replace("\\frac", " \\frac")
    if "\\frac" in gold:
        yield "dfrac", gold.replace("\\frac", "\\dfrac")
        yield "tfrac", gold.replace("\\dfrac", "\\frac").replace("\\frac", "\\tfrac")
        yield "frac without braces", re.sub(r"\\frac\{(\d)\}\{(\d)\}", r"\\frac\1\2", gold)
    if re.search(r"\\sqrt\{\d\}", gold):
        yield "sqrt without braces", re.sub(r"\\sqrt\{(\d)\}", r"\\sqrt\1", gold)
    if re.search(r"\^\d", gold) and "mbox" not in gold:
        yield "braces of an exponent", re.sub(r"\^(\d+)", r"^{\1}", gold)
    if found := BRACKETED.fullmatch(gold):
        yield "left and right", f"\\left{found[1]} {found[2]} \\right{found[3]}"
        yield "left and right dropped", f"{found[1]}{found[2].strip()}{found[3]}"
        yield "spacing", f"{found[1]}{found[2].replace(',', ', ')}{found[3]}"
    if gold.startswith("\\begin{pmatrix}"):
        yield "bmatrix", gold.replace("pmatrix", "bmatrix")
        yield "fractions in a matrix", re.sub(r"(\d+)/(\d+)", r"\\frac{\1}{\2}", gold)


def _numbers(gold: str) -> Rewrites:
    number = value(gold)
    if number is None:
        return
    sign, a, b = "-" * (number < 0), abs(number.numerator), number.denominator
    yield "unreduced fraction", f"{sign}\\frac{{{2 * a}}}{{{2 * b}}}"
    yield "unreduced fraction", f"{sign}{3 * a}/{3 * b}"
    yield "prefix", f"x = {gold}"
    if b == 1:
        yield "decimals of an integer", f"{sign}{a}.0"
        yield "unit", f"{gold}\\text{{ cm}}"
        if a >= 1000:
            yield "thousands", f"{sign}{a:,}"
            yield "thousands", f"{sign}{a:,}".replace(",", "{,}")
            yield "thousands", f"{sign}{a:,}".replace(",", ",\\!")
            yield "thousands", f"{sign}{a}"
        return
    yield "slash", f"{sign}{a}/{b}"
    yield "fraction", f"{sign}\\frac{{{a}}}{{{b}}}"
    yield "sign inside", f"\\frac{{{sign}{a}}}{{{b}}}"
    if a > b:
        yield "mixed number", f"{sign}{a // b}\\frac{{{a % b}}}{{{b}}}"
    if decimal := terminating(abs(number)):
        yield "decimal", sign + decimal
        yield "decimal", sign + decimal + "0"
        if decimal.startswith("0"):
            yield "decimal without its zero", sign + decimal[1:]


def terminating(number: Fraction) -> str:
    """A fraction as a decimal of at most nine digits, "" where it has none."""
    for digits in range(1, 10):
        scaled = number * 10**digits
        if scaled.denominator == 1:
            whole, part = divmod(scaled.numerator, 10**digits)
            return f"{whole}.{part:0{digits}d}"
    return ""


def _shapes(gold: str) -> Rewrites:
    if found := RADICAL.fullmatch(gold):
        sign, factor, root = found[1], int(found[2] or 1), int(found[3])
        yield "under one root", f"{sign}\\sqrt{{{factor**2 * root}}}"
        yield "factor out of the root", f"{sign}\\frac{{\\sqrt{{{4 * factor**2 * root}}}}}{{2}}"
        yield "denominator of a root", f"{sign}\\frac{{{factor * root}}}{{\\sqrt{{{root}}}}}"
        yield "product in another order", f"{sign}\\sqrt{{{root}}} \\cdot {factor}"
    if found := PI.fullmatch(gold):
        yield "product in another order", f"\\pi \\cdot {found[1]}"
        yield "explicit product", f"{found[1]} \\cdot \\pi"
        yield "unreduced fraction", f"\\frac{{{2 * int(found[1])}\\pi}}{{2}}"


def _units(gold: str) -> Rewrites:
    if found := ANGLE.fullmatch(gold):
        yield "degree sign", found[1]
        yield "degree sign", f"{found[1]}^{{\\circ}}"
        yield "degree sign", f"{found[1]}\\text{{ degrees}}"
        yield "degree sign", f"{found[1]}\u00b0"
    if (found := UNIT.fullmatch(gold)) and (found[1] or found[3]):
        plain = re.sub(r",|\\!", "", found[2])
        yield "unit", plain
        yield "unit", f"\\${plain}" if found[1] else f"{plain}{_unit(found[3])}"
    if found := WORD.fullmatch(gold):
        yield "text", found[1]
        yield "text", f"\\text{{{found[1]}}}"
        yield "text", f"\\textbf{{{found[1]}}}"
    if found := BASE.fullmatch(gold):
        yield "base", f"{found[1]}_{{{found[2]}}}"
        yield "base", f"{found[1]}_{found[2]}"


def _orders(gold: str) -> Rewrites:
    if is_list(gold):
        yield "list in another order", ", ".join(reversed(re.split(", ?", gold)))
        yield "list as a set", f"\\{{{gold}\\}}"
    elif SUM.fullmatch(gold) and len(terms := TERMS.findall(gold.replace(" ", ""))) > 1:
        first = terms[0] if terms[0][0] in "+-" else f"+{terms[0]}"
        turned = "".join([*terms[1:], first]).removeprefix("+")
        yield "sum in another order", turned
        yield "sum in another order", turned.replace("+", " + ").replace("-", " - ").strip()


def is_list(gold: str) -> bool:
    """Whether a reference is a list of integers; 58,500 is one number."""
    return LIST.fullmatch(gold) is not None and value(gold) is None


def _unit(marked: str) -> str:
    r"""`\mbox{ cm}^2` and `\text{cm}^2` as `\text{ cm}^2`."""
    name, _, power = marked.partition("{")[2].partition("}")
    return f"\\text{{ {name.strip()}}}{power}"


def _known(gold: str) -> Rewrites:
    for answer in INTERVALS.get(gold, ()):
        yield "interval", answer
    for answer in OTHER.get(gold, ()):
        yield "by hand", answer


RIGHT = (_spelling, _numbers, _shapes, _units, _orders, _known)
