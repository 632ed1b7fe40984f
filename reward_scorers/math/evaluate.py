"""The value of a tree: exact where it is rational, else a floating-point number.

Symbols get values from their names, the same in both answers: two expressions that agree at several
such points are the same one (the test of polynomial identities by Schwartz, J. ACM 27, 1980, and
Zippel, EUROSAM 1979). Every step is bounded: what would grow too large has no value here.
"""

from __future__ import annotations

import cmath
import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from reward_scorers.math.tree import Node

Number = Any  # Fraction, float or complex; mpf or mpc where it is precise

MAX_BITS: Final = 20_000  # of an integer
_MAX_FACTORIAL: Final = 3_000
# At the first points, symbols are small positive numbers; then small negative ones, large natural
# ones, and ones of either sign, which tell absolute values, roots and maxima apart. Roundings take
# all small natural numbers besides.
POINTS: Final = 4
_NEGATIVE: Final = 4
_NATURAL: Final = (5, 6)
ALL_POINTS: Final = 10
ROUNDING_POINTS: Final = ALL_POINTS + 60
DIGITS: Final = 80  # of the precise values


class NoValue(ArithmeticError):  # noqa: N818 - it says what the tree has
    """The tree has no value: it is undefined there, too large, or no number at all."""


class TooLarge(NoValue):
    """The tree's value would take too long or too much memory to compute."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where expressions are evaluated.

    Args:
        number: which point, below `ROUNDING_POINTS`.
        log: the base of a logarithm that is written without one; None for the natural one.
        precise: whether to count with `DIGITS` digits.
    """

    number: int = 0
    log: int | None = None
    precise: bool = False


def evaluate(node: Node, point: Point) -> Number:
    """The value of a tree at a point.

    Raises:
        NoValue: see there.
    """
    try:
        value = _value(node, point)
    except OverflowError as error:
        raise TooLarge(str(error)) from None
    except (ZeroDivisionError, ValueError, TypeError) as error:
        raise NoValue(str(error)) from None
    if isinstance(value, (float, complex)) and not cmath.isfinite(value):
        raise TooLarge("not finite")
    return value


def approximate(value: Number) -> complex:
    """A value as a complex floating-point number.

    Raises:
        TooLarge: it has none.
    """
    try:
        found = complex(value)
    except OverflowError as error:
        raise TooLarge(str(error)) from None
    if not cmath.isfinite(found):
        raise TooLarge("not finite")
    return found


def symbols(node: Node) -> frozenset[str]:
    """The names of all symbols in a tree, and of functions that have no fixed meaning."""
    found: set[str] = set()
    stack: list[Any] = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, tuple) and one and not isinstance(one[0], str):
            stack.extend(one)
        elif isinstance(one, tuple) and len(one) == 2 and isinstance(one[1], tuple):
            kind, args = one
            if kind == "symbol" or (kind == "call" and args[0] not in _CALLS):
                found.add(args[0])
            stack.extend(arg for arg in args if isinstance(arg, tuple))
    return frozenset(found)


def _value(node: Node, point: Point) -> Number:
    handler = _HANDLERS.get(node.kind)
    if handler is None:
        raise NoValue(f"a {node.kind} is no number")
    return handler(node.args, point)


def _number(args: tuple[Any, ...], _: Point) -> Number:
    return args[0]


def _symbol(args: tuple[Any, ...], point: Point) -> Number:
    return _at(args[0], point.number)


@lru_cache(maxsize=4096)
def _at(name: str, number: int) -> Fraction:
    """The value of a symbol: of few digits, so that high powers of it have not too many."""
    digest = hashlib.blake2b(f"{name}/{number}".encode("utf-8", "replace"), digest_size=4).digest()
    drawn = int.from_bytes(digest, "big")
    if number < POINTS:
        return Fraction(drawn % 97 + 20, 61)
    if number == _NEGATIVE:
        return -Fraction(drawn % 97 + 20, 61)
    if number in _NATURAL:
        return Fraction(drawn % (151 if number == _NATURAL[0] else 5_003) + 5)
    if number < ALL_POINTS:
        sign = 1 if (drawn >> 16) % 2 else -1
        return sign * Fraction(drawn % 601 + 17, 2 if number == ALL_POINTS - 1 else 1)
    return Fraction(number - ALL_POINTS + 1)


def _constant(args: tuple[Any, ...], point: Point) -> Number:
    name = args[0]
    if name == "i":
        return 1j if not point.precise else _precise().mpc(0, 1)
    if name == "pi":
        return math.pi if not point.precise else +_precise().pi
    if name == "e":
        return math.e if not point.precise else +_precise().e
    raise NoValue(f"{name} is no number")


def _add(args: tuple[Any, ...], point: Point) -> Number:
    total = _value(args[0], point)
    for part in args[1:]:
        total = _bounded(_both(total, _value(part, point), point, lambda a, b: a + b))
    return total


def _mul(args: tuple[Any, ...], point: Point) -> Number:
    total = _value(args[0], point)
    for part in args[1:]:
        total = _bounded(_both(total, _value(part, point), point, lambda a, b: a * b))
    return total


def _div(args: tuple[Any, ...], point: Point) -> Number:
    above, below = (_value(part, point) for part in args)
    return _bounded(_both(above, below, point, lambda a, b: a / b))


def _neg(args: tuple[Any, ...], point: Point) -> Number:
    return -_value(args[0], point)


def _pow(args: tuple[Any, ...], point: Point) -> Number:
    base, exponent = args[0], _value(args[1], point)
    if base.kind == "constant" and base.args[0] == "e":
        return _call_one("exp", exponent, point)
    return _power(_value(base, point), exponent, point)


def _power(base: Number, exponent: Number, point: Point) -> Number:
    if isinstance(exponent, Fraction) and isinstance(base, Fraction):
        if exponent.denominator == 1:
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if base in (0, 1, -1) or bits * abs(exponent) <= MAX_BITS:
                return base**exponent.numerator
            raise TooLarge("too large")
        exact = _exact_root(base, exponent.denominator)
        if exact is not None:
            return _power(exact, Fraction(exponent.numerator), point)
    if point.precise:
        lib = _precise()
        return lib.power(inexact(base, point), inexact(exponent, point))
    base, exponent = inexact(base, point), inexact(exponent, point)
    if isinstance(base, float) and isinstance(exponent, float) and (base > 0 or exponent % 1 == 0):
        return base**exponent
    return complex(base) ** complex(exponent)


def _root(args: tuple[Any, ...], point: Point) -> Number:
    degree, radicand = (_value(part, point) for part in args)
    if not isinstance(degree, Fraction) or degree == 0:
        raise NoValue("a root of no rational degree")
    negative = degree.denominator == 1 and degree.numerator % 2 == 1 and _is_negative(radicand)
    root = _power(-radicand if negative else radicand, 1 / degree, point)
    return -root if negative else root


def _is_negative(value: Number) -> bool:
    return isinstance(value, (Fraction, float)) and value < 0


def _exact_root(value: Fraction, degree: int) -> Fraction | None:
    """The rational root of a rational number; None if it has none."""
    if value < 0 or degree > 64 or value.numerator.bit_length() > 1024:
        return None
    above, below = (_whole_root(part, degree) for part in (value.numerator, value.denominator))
    return None if above is None or below is None else Fraction(above, below)


def _whole_root(value: int, degree: int) -> int | None:
    if degree == 2:
        root = math.isqrt(value)
    else:
        try:
            root = round(value ** (1 / degree))
        except OverflowError:
            return None
    return root if root**degree == value else None


def _call(args: tuple[Any, ...], point: Point) -> Number:
    name, arguments, below = args
    if name in ("log", "lg"):
        above = _call_one("ln", _value(arguments[0], point), point)
        if below is not None:
            base = _call_one("ln", _value(below, point), point)
        elif name == "lg" or point.log is not None:
            base = _call_one("ln", Fraction(point.log or 10), point)
        else:
            return above
        return _both(above, base, point, lambda a, b: a / b)
    values = [_value(one, point) for one in arguments]
    if name in _CALLS:
        if below is not None:
            raise NoValue("a subscript of a function")
        handler = _EXACT_CALLS.get(name)
        if handler is not None:
            return handler(values)
        if len(values) != 1:
            raise NoValue(f"{name} of several numbers")
        return _call_one(name, values[0], point)
    # A function that only the question defines: a value from its name and its arguments' values.
    told = "/".join(f"{approximate(value):.15g}" for value in values)
    return _at(f"{name}({told})", point.number)


def _call_one(name: str, value: Number, point: Point) -> Number:
    if value == 0 and name in ("sin", "tan", "arcsin", "arctan", "sinh", "tanh"):
        return Fraction(0)
    if name in ("exp", "cos", "cosh", "sec") and value == 0:
        return Fraction(1)
    if name == "ln" and value == 1:
        return Fraction(0)
    floating = inexact(value, point)
    if name in _RECIPROCALS:
        return 1 / _call_one(_RECIPROCALS[name], value, point)
    if name == "arccot":
        return (_constant(("pi",), point) / 2) - _call_one("arctan", value, point)
    spelling = _SPELLINGS.get(name, name)
    if point.precise:
        return getattr(_precise(), {"log": "ln"}.get(spelling, spelling))(floating)
    if isinstance(floating, float):
        try:
            return float(getattr(math, spelling)(floating))
        except ValueError:  # outside the real domain
            pass
    return complex(getattr(cmath, spelling)(floating))


def _absolute(values: list[Number]) -> Number:
    (value,) = values
    return abs(value)


def _floor(values: list[Number]) -> Number:
    return Fraction(math.floor(_real(values[0])))


def _ceil(values: list[Number]) -> Number:
    return Fraction(math.ceil(_real(values[0])))


def _binomial(values: list[Number]) -> Number:
    above, below = (_natural(value) for value in values)
    if above > _MAX_FACTORIAL:
        raise TooLarge("too large")
    return Fraction(math.comb(above, below))


def _gcd(values: list[Number]) -> Number:
    return Fraction(math.gcd(*(_natural(value) for value in values)))


def _lcm(values: list[Number]) -> Number:
    return _bounded(Fraction(math.lcm(*(_natural(value) for value in values))))


def _factorial(args: tuple[Any, ...], point: Point) -> Number:
    value = _natural(_value(args[0], point))
    if value > _MAX_FACTORIAL:
        raise TooLarge("too large")
    return Fraction(math.factorial(value))


def _natural(value: Number) -> int:
    if not isinstance(value, Fraction) or value.denominator != 1 or value < 0:
        raise NoValue("not a natural number")
    return value.numerator


def _real(value: Number) -> Number:
    if isinstance(value, complex):
        raise NoValue("not real")
    return value


def _unit(args: tuple[Any, ...], point: Point) -> Number:
    if args[1] != "deg":
        raise NoValue("a unit is no number")
    degree = _both(_constant(("pi",), point), Fraction(180), point, lambda a, b: a / b)
    return _both(_value(args[0], point), degree, point, lambda a, b: a * b)


def _percent(args: tuple[Any, ...], point: Point) -> Number:
    return _value(args[0], point) / 100


def _both(a: Number, b: Number, point: Point, operation: Callable[[Any, Any], Any]) -> Number:
    if isinstance(a, Fraction) != isinstance(b, Fraction):
        a, b = inexact(a, point), inexact(b, point)
    return operation(a, b)


def inexact(value: Number, point: Point) -> Number:
    """A value as a floating-point number, a precise one where the point is precise."""
    if not isinstance(value, Fraction):
        return value
    if point.precise:
        lib = _precise()
        return lib.mpf(value.numerator) / lib.mpf(value.denominator)
    return value.numerator / value.denominator


def _bounded(value: Number) -> Number:
    if (
        isinstance(value, Fraction)
        and max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS
    ):
        raise TooLarge("too large")
    return value


@lru_cache(maxsize=1)
def _precise() -> Any:
    """mpmath, with digits of its own."""
    from mpmath import MPContext

    context = MPContext()
    context.dps = DIGITS
    return context


_RECIPROCALS: Final = {"cot": "tan", "sec": "cos", "csc": "sin"}
_SPELLINGS: Final = {
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip
_EXACT_CALLS: Final[dict[str, Callable[[list[Number]], Number]]] = {
    "abs": _absolute,
    "floor": _floor,
    "ceil": _ceil,
    "binom": _binomial,
    "gcd": _gcd,
    "lcm": _lcm,
    "max": lambda values: max(map(_real, values)),
    "min": lambda values: min(map(_real, values)),
}
_CALLS: Final = (
    {
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "arccot",
        "sinh",
        "cosh",
    }
    | {"tanh", "ln", "log", "lg", "exp", "arcsinh", "arccosh", "arctanh"}
    | _EXACT_CALLS.keys()
)
_HANDLERS: Final[dict[str, Callable[[tuple[Any, ...], Point], Number]]] = {
    "number": _number,
    "symbol": _symbol,
    "constant": _constant,
    "add": _add,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "pow": _pow,
    "root": _root,
    "call": _call,
    "factorial": _factorial,
    "percent": _percent,
    "unit": _unit,
}
