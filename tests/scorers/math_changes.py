r"""Rules that change a reference answer and its value with it: wrong answers by construction.

Each rule reads the shape of the reference and yields its own name and an answer.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.scorers.math_rewrites import (
    ANGLE,
    BASE,
    BRACKETED,
    INTERVALS,
    PI,
    RADICAL,
    WORD,
    Rewrites,
    is_list,
    terminating,
    value,
)

if TYPE_CHECKING:
    from fractions import Fraction


def _wrong_numbers(gold: str) -> Rewrites:
    number = value(gold)
    if number is None:
        return
    sign, a, b = "-" * (number < 0), abs(number.numerator), number.denominator
    if number:
        yield "sign", (f"-{gold}" if number > 0 else gold.lstrip("-"))
        yield "times 10", written(number * 10)
        yield "times 100", written(number * 100)
        yield "by 100", written(number / 100)
        yield "relative 1e-5", f"{sign}{nearly(abs(number))}"
    if b == 1 and number:
        yield "pi", f"{gold}\\pi"
    if b == 1:
        yield "off by one", str(number + 1)
        yield "off by one", str(number - 1)
        yield "off by a thousandth", f"{sign}{a}.001"
        if a >= 10:
            digits = str(a)
            yield "digits swapped", f"{sign}{digits[:-2]}{digits[-1]}{digits[-2]}"
            yield "a digit dropped", f"{sign}{digits[:-1]}"
            yield "a digit doubled", f"{sign}{digits}{digits[-1]}"
        yield "a root of it", f"\\sqrt{{{a + 2}}}" if a != 2 else "\\sqrt{5}"
        yield "an element more", f"{gold}, {a + 3}"
        yield "either", f"{gold} \\text{{ or }} {a + 3}"
        return
    yield "numerator and denominator swapped", f"{sign}\\frac{{{b}}}{{{a}}}"
    yield "numerator off by one", f"{sign}\\frac{{{a + 1}}}{{{b}}}"
    yield "denominator off by one", f"{sign}\\frac{{{a}}}{{{b + 1}}}"
    yield "slash lost", f"{sign}{a}{b}"


def nearly(number: Fraction) -> str:
    """A positive number times 1.00001, with ten significant digits."""
    return f"{Decimal(f'{float(number) * 1.00001:.10g}'):f}"


def written(number: Fraction) -> str:
    """A number as an integer, a decimal if it ends, else a fraction."""
    sign, size = "-" * (number < 0), abs(number)
    if size.denominator == 1:
        return f"{sign}{size.numerator}"
    ends = terminating(size)
    return sign + (ends or f"\\frac{{{size.numerator}}}{{{size.denominator}}}")


def _wrong_shapes(gold: str) -> Rewrites:
    if value(gold) is not None:
        return
    for place, found in enumerate(re.finditer(r"(?<![\d._^\\])\d+(?![\d.]|\\circ)", gold)):
        if "begin" in gold[max(0, found.start() - 8) : found.start()] or place > 4:
            continue
        changed = str(int(found[0]) + 1)
        yield "one number off by one", gold[: found.start()] + changed + gold[found.end() :]
    if "\\sqrt" in gold:
        dotted = re.sub(r"(?<=\d)\s*\\sqrt\{?(\d+)\}?", r" \\cdot \1", gold)
        yield "root dropped", re.sub(r"\\sqrt\{?(\d+)\}?", r"\1", dotted)
    if "\\pi" in gold and gold != "\\pi" and "pi}" not in gold and "pi^" not in gold:
        yield "pi dropped", re.sub(r"\s*\\pi", "", gold)
    if (found := re.search(r"\^(\d)", gold)) and "mbox" not in gold:
        yield "exponent", f"{gold[: found.start()]}^{int(found[1]) + 1}{gold[found.end() :]}"
    if found := re.search(r" ?([-+]) ?(?=\d|[a-z]|\\sqrt)(?!.*\\begin)", gold[1:]):
        at = found.start(1) + 1
        yield "a sign inside", gold[:at] + ("+" if found[1] == "-" else "-") + gold[at + 1 :]


def _wrong_lists(gold: str) -> Rewrites:
    if found := BRACKETED.fullmatch(gold):
        parts = [part.strip() for part in found[2].split(",")]
        if len(set(parts)) > 1 and "(" not in found[2]:
            yield "swapped", f"{found[1]}{', '.join(reversed(parts))}{found[3]}"
            yield "a part missing", f"{found[1]}{', '.join(parts[:-1])}{found[3]}"
            yield "a part more", f"{found[1]}{found[2]}, 1{found[3]}"
    if gold in INTERVALS:
        yield "another bracket", _bracket(gold)
    if is_list(gold):
        yield "an element missing", gold.rpartition(",")[0]
        yield "an element more", f"{gold}, 11"


def _wrong_marks(gold: str) -> Rewrites:
    if found := ANGLE.fullmatch(gold):
        yield "off by one", f"{int(found[1]) + 1}^\\circ"
        yield "times 100", f"{found[1]}00^\\circ"
        yield "digits swapped", f"{found[1][:-2]}{found[1][-1]}{found[1][-2]}^\\circ"
    if found := BASE.fullmatch(gold):
        yield "another base", f"{found[1]}_{{{int(found[2]) + 1}}}"
        yield "the base lost", f"{found[1]}{found[2]}"
    if found := WORD.fullmatch(gold):
        other = chr(ord(found[1]) + 1) if len(found[1]) == 1 else "none of them"
        yield "another text", f"\\text{{{other}}}"
        yield "a text about it", f"\\text{{not {found[1]}}}"
    if RADICAL.fullmatch(gold) or PI.fullmatch(gold) or gold == "\\pi":
        yield "sign", f"-{gold}" if not gold.startswith("-") else gold[1:]
        yield "times 10", f"10 \\cdot {gold}"
        yield "times 100", f"100 \\cdot {gold}"
        yield "by 100", f"\\frac{{{gold}}}{{100}}"


def _bracket(gold: str) -> str:
    """The interval with the first bracket changed that stands beside a finite end."""
    at = min(found.start() for found in re.finditer(r"[(\[](?!-\\)|(?<!infty)[)\]]", gold))
    return gold[:at] + {"(": "[", "[": "(", ")": "]", "]": ")"}[gold[at]] + gold[at + 1 :]


WRONG = (_wrong_numbers, _wrong_shapes, _wrong_lists, _wrong_marks)
