"""Whether the difference of two plain expressions is zero: the reference's one symbolic step.

The reference lets sympy parse (and thereby evaluate) the text and simplify the difference. Here, a
small parser reads what its checks let through: numbers, + - * / ^ !, brackets, square roots, pi,
ln, and names; 2x, 2(x) and x(y) are products, and a name of several letters is the product of its
letters. Nothing is evaluated as a program. The value is exact as long as it is rational; at four
points, it must be zero. A power or factorial too large to write down is not zero, where the
reference stops after ten seconds.
"""

from __future__ import annotations

import keyword
import math
import re
from fractions import Fraction
from functools import cache
from typing import Any, Final

_TOKEN = re.compile(r"(\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?)|([^\W\d]\w*)|(\*\*|[-+*/^()!])")
_PIECE = re.compile(r"\d+|[^\W\d]")
_MAX_LENGTH: Final = 1000
_MAX_DEPTH: Final = 50
_MAX_BITS: Final = 20_000
_FRACTIONS = "-7/3 11/5 5/7 -13/4 17/11 3/8 -9/10 -21/13 19/6 -2/9"
_VALUES: Final = tuple(map(Fraction, _FRACTIONS.split()))
_POINTS: Final = 4
_FUNCTIONS: Final = ("sqrt", "ln")

_DIGITS: Final = 40  # of values that are not rational
_NOISE: Final = 1e-30

Number = Any  # a Fraction, or mpmath's mpf or mpc


class Unreadable(Exception):  # noqa: N818 - no error: such an expression is equal to nothing
    """No expression, or one whose value cannot be told."""


def equal(gold: str, answer: str) -> bool:
    """Whether `(gold) - (answer)` is zero."""
    text = f"({gold})-({answer})"
    if len(text) > _MAX_LENGTH:
        return False
    try:
        tokens = _tokens(text)
        names = sorted({token for token in tokens if token[0].isalpha()} - {"pi", *_FUNCTIONS})
        return all(_is_zero(_Reader(tokens, point)) for point in _points(names))
    except (Unreadable, ArithmeticError, ValueError, RecursionError):
        return False


def _points(names: list[str]) -> list[dict[str, Fraction]]:
    """Values for the names: some positive, some negative, no two the same at one point."""
    if len(names) > len(_VALUES) - _POINTS:
        raise Unreadable
    return [
        dict(zip(names, _VALUES[2 * start :] + _VALUES, strict=False))
        for start in range(_POINTS if names else 1)
    ]


def _is_zero(reader: _Reader) -> bool:
    value = reader.whole()
    if isinstance(value, Fraction):
        return value == 0
    return bool(abs(value) <= _NOISE * reader.largest)


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    for token in _TOKEN.finditer(text):
        if text[at : token.start()].strip():
            raise Unreadable
        at = token.end()
        number, name, mark = token.groups()
        if name:
            found.extend(_pieces(name))
        elif number and re.fullmatch(r"0\d+", number) and number.strip("0"):
            raise Unreadable  # no number in Python
        else:
            found.append("^" if mark == "**" else token[0])
    if text[at:].strip():
        raise Unreadable
    return found


def _pieces(name: str) -> list[str]:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise Unreadable
    if name in ("pi", *_FUNCTIONS) or "_" in name:
        return [name]
    return _PIECE.findall(name)


class _Reader:
    """Evaluates tokens at one point: sums of products of signs and powers, as Python binds them."""

    def __init__(self, tokens: list[str], point: dict[str, Fraction]) -> None:
        self.tokens = [*tokens, ""]
        self.point = point
        self.at = 0
        self.depth = 0
        self.largest: Number = 0  # of all values on the way: a sum is exact to some digits of it

    def whole(self) -> Number:
        value = self.sum()
        if self.here:
            raise Unreadable
        return value

    @property
    def here(self) -> str:
        return self.tokens[self.at]

    def taken(self, *marks: str) -> str:
        """The mark that stands here, if it is one of these, and goes on; else ""."""
        here = self.here
        if here and here in marks:
            self.at += 1
            return here
        return ""

    def noted(self, value: Number) -> Number:
        if isinstance(value, Fraction):
            if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MAX_BITS:
                raise Unreadable
        elif not _mp().isfinite(value):
            raise Unreadable
        else:
            self.largest = max(self.largest, abs(value))
        return value

    def sum(self) -> Number:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Unreadable
        value = self.product()
        while mark := self.taken("+", "-"):
            other = self.product()
            self.noted(other)
            value, other = _alike(value, other)
            value = self.noted(value + other if mark == "+" else value - other)
        self.depth -= 1
        return value

    def product(self) -> Number:
        value = self.signed()
        while True:
            if mark := self.taken("*", "/"):
                value, other = _alike(value, self.signed())
                value = value * other if mark == "*" else value / other
            elif self.here == "(" or self.here[:1].isalnum() or self.here[:1] == ".":
                value, other = _alike(value, self.power())
                value = value * other
            else:
                return value
            self.noted(value)

    def signed(self) -> Number:
        minus = False
        while mark := self.taken("+", "-"):
            minus ^= mark == "-"
        value = self.power()
        return -value if minus else value

    def power(self) -> Number:
        base = self.atom()
        while self.taken("!"):
            base = _factorial(base)
        if not self.taken("^"):
            return base
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Unreadable
        exponent = self.signed()
        self.depth -= 1
        return self.noted(_power(base, exponent))

    def atom(self) -> Number:
        here = self.here
        self.at += 1
        if here == "(":
            value = self.sum()
            if not self.taken(")"):
                raise Unreadable
            return value
        if here in _FUNCTIONS:
            inside = self.atom()
            return self.noted(_root(inside) if here == "sqrt" else _mp().log(_inexact(inside)))
        if here == "pi":
            return +_mp().pi
        if here[:1].isdigit() or here[:1] == ".":
            return _number(here)
        if here in self.point:
            return self.point[here]
        raise Unreadable


@cache
def _mp() -> Any:
    """An arithmetic of our own, so that nobody's precision moves."""
    from mpmath.ctx_mp import MPContext

    context = MPContext()
    context.dps = _DIGITS
    return context


def _inexact(value: Number) -> Number:
    if isinstance(value, Fraction):
        return _mp().mpf(value.numerator) / value.denominator
    return value


def _alike(first: Number, second: Number) -> tuple[Number, Number]:
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        return first, second
    return _inexact(first), _inexact(second)


def _number(token: str) -> Fraction:
    digits, _, exponent = token.partition("e")
    if len(digits) > 400 or len(exponent) > 4:
        raise Unreadable
    return Fraction(token)


def _root(value: Number) -> Number:
    if isinstance(value, Fraction) and value >= 0:
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above**2 == value.numerator and below**2 == value.denominator:
            return Fraction(above, below)
    return _mp().sqrt(_inexact(value))


def _factorial(value: Number) -> Fraction:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= 1000:
        raise Unreadable
    return Fraction(math.factorial(value.numerator))


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits * abs(exponent) > _MAX_BITS:
            raise Unreadable
        return Fraction(base**exponent.numerator)
    if abs(exponent) > _MAX_BITS:
        raise Unreadable
    return _mp().power(_inexact(base), _inexact(exponent))
