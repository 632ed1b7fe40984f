"""Numbers as text: rounded to what their error allows, sizes as 0.5B, powers of ten set apart."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal, NamedTuple

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
_NOISE = 1e-10  # relative distance that arithmetic leaves between equal numbers
MISSING = "\N{EN DASH}"
Style = Literal["text", "latex"]
_INFINITY: dict[Style, str] = {"text": "∞", "latex": r"\infty"}


class Rounded(NamedTuple):
    """A value and the distances to the ends of its interval, as a rule cut at the same decimal.

    `minus` and `plus` are equal strings for a symmetric interval and None where there is none.
    `exponent` is the power of ten, a multiple of three, that was taken out of all of them.
    """

    value: str
    minus: str | None
    plus: str | None
    exponent: int


def round_to_error(
    value: float,
    lo: float | None = None,
    hi: float | None = None,
    *,
    exponent: int | None = None,
) -> Rounded:
    """Round a value to two significant digits of the smaller side of its interval [lo, hi].

    A side more than a hundred times the smaller one is rounded to two digits of its own.
    Without a usable interval (absent, not finite, of no width, or beside the value) the value
    keeps four significant digits. `exponent` fixes the power of ten taken out, as for a column of
    a table; by default it is taken out of values of 1e5 and above or below 1e-3.
    """
    sides = _sides(value, lo, hi)
    if exponent is None:
        exponent = common_exponent([value, float(min(sides))] if sides else [value])
    scale = Decimal(1).scaleb(exponent)
    number = Decimal(repr(float(value))) / scale
    if sides is None:
        return Rounded(_fixed(number, _decimals(number, 4)), None, None, exponent)
    minus, plus = (side / scale for side in sides)
    smaller = min(side for side in (minus, plus) if side > 0)
    decimals = _decimals(smaller, 2)
    texts = [
        _fixed(side, decimals if side <= 100 * smaller else min(_decimals(side, 2), decimals))
        for side in (minus, plus)
    ]
    return Rounded(_fixed(number, decimals), texts[0], texts[1], exponent)


def format_value(
    value: float | None,
    lo: float | None = None,
    hi: float | None = None,
    *,
    style: Style = "text",
    exponent: int | None = None,
) -> str:
    """Write a value with its interval: `0.1330 ± 0.0032`, or `0.133 +0.020 -0.015`.

    An interval without an upper end is written `0.156 +∞ -0.085`, one whose lower end is 0 with the
    value itself below: `5.00 +2.00 -5.00`. One whose ends are NaN was withheld, and the text says
    so: `0.1330 (no interval)`. One that does not contain the
    value, as resampling can give, is written as its ends: `5.000 [4.00, 4.50]`. A power of ten
    fixed by `exponent` is not written, since the head of its column says it.
    """
    if value is None or not math.isfinite(value):
        return "--" if style == "latex" else MISSING
    lo, hi = (_snapped(end, value) for end in (lo, hi))
    rounded = round_to_error(value, *_closed(value, lo, hi), exponent=exponent)
    if lo is not None and hi is not None and lo <= value <= hi and lo < hi:
        if hi == math.inf:
            rounded = rounded._replace(plus=_INFINITY[style], minus=rounded.minus or "0")
        if lo == -math.inf:
            rounded = rounded._replace(minus=_INFINITY[style], plus=rounded.plus or "0")
    shown_exponent = rounded.exponent if exponent is None else 0
    text = _LAYOUTS[style](rounded, shown_exponent)
    if is_withheld(lo, hi):
        text += " (no interval)"
    if _is_beside(value, lo, hi):
        assert lo is not None
        assert hi is not None
        ends = [_end(end, style, rounded.exponent) for end in (lo, hi)]
        text += f" [{', '.join(ends)}]"
    return text


def is_withheld(lo: float | None, hi: float | None) -> bool:
    """Whether an interval was asked for and cannot be given."""
    return lo is not None and hi is not None and math.isnan(lo) and math.isnan(hi)


def common_exponent(values: list[float]) -> int:
    """Power of ten, a multiple of three, to take out of a column whose largest value is given."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    if largest == 0.0 or 1e-3 <= largest < 1e5:
        return 0
    return 3 * math.floor(math.log10(largest) / 3)


def size_label(N: float) -> str:
    """Parameters as people say them: 5e8 -> 0.5B, 7.2e10 -> 72B, 1.6e7 -> 16M."""
    for suffix, unit in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        # Half a billion is 0.5B in the literature, not 500M.
        if unit / 2 <= N:
            return f"{N / unit:.3g}{suffix}"
    return f"{N:.3g}"


def value_label(group: str, value: object) -> str:
    """A value of the column that tells curves apart: sizes as 0.5B, other numbers as they are."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    return size_label(value) if group == "N" else f"{value:g}"


def significant(value: float | None, digits: int = 4) -> str:
    """A number for reading: plain where it is short, with an exponent where it is not."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if -4 <= exponent < 6:
        return _true_minus(f"{value:.{max(digits - 1 - exponent, 0)}f}")
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    return _true_minus(f"{mantissa}e{int(power)}")


def share(value: float | None, digits: int = 1) -> str:
    """A relative error as a percentage; a dash where it has no value, as about a point at 0."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.{digits}%}"


def signed(value: float | None, digits: int = 2) -> str:
    """A difference: always with its sign."""
    text = significant(value, digits)
    return f"+{text}" if value is not None and value > 0 else text


def at_resolution(value: float | None, printed: str) -> str:
    """A found value with two more decimals than the published one was printed with.

    Two more show on which side of the last printed digit it falls, without pretending to more.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if Decimal(printed) == 0:  # has no digits to go by
        return significant(value, 2)
    exponent = Decimal(printed).as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent > 0:  # as 2.36677e+11: its digits stand before the point
        return significant(value, len(Decimal(printed).as_tuple().digits) + 2)
    return _true_minus(_fixed(Decimal(repr(float(value))), max(-exponent, 0) + 2))


def superscript(exponent: int) -> str:
    """The power of ten as text: 9 -> 10⁹."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _text_layout(rounded: Rounded, exponent: int) -> str:
    text = _true_minus(rounded.value)
    if rounded.plus is not None:
        same = rounded.plus == rounded.minus
        text += f" ± {rounded.plus}" if same else f" +{rounded.plus} {MINUS}{rounded.minus}"
    if not exponent:
        return text
    body = f"({text})" if rounded.plus is not None else text
    return f"{body} {TIMES} {superscript(exponent)}"


def _latex_layout(rounded: Rounded, exponent: int) -> str:
    text = rounded.value
    if rounded.plus is not None:
        same = rounded.plus == rounded.minus
        text += rf" \pm {rounded.plus}" if same else f"^{{+{rounded.plus}}}_{{-{rounded.minus}}}"
    if exponent:
        body = f"({text})" if rounded.plus is not None else text
        text = rf"{body} \times 10^{{{exponent}}}"
    return f"${text}$"


_LAYOUTS = {"text": _text_layout, "latex": _latex_layout}


def _is_beside(value: float, lo: float | None, hi: float | None) -> bool:
    return lo is not None and hi is not None and lo < hi and not lo <= value <= hi


def _snapped(end: float | None, value: float) -> float | None:
    """The value for an end that is it but for its last bits: they must not set the digits shown."""
    return value if end is not None and math.isclose(end, value, rel_tol=_NOISE) else end


def _closed(value: float, lo: float | None, hi: float | None) -> tuple[float | None, float | None]:
    """The interval with an open end as far from the value as the other one, for rounding."""
    if lo is None or hi is None:
        return lo, hi
    return (
        2 * value - hi if lo == -math.inf else lo,
        2 * value - lo if hi == math.inf else hi,
    )


def _end(end: float, style: Style, exponent: int) -> str:
    if math.isfinite(end):
        return _LAYOUTS[style](round_to_error(end, exponent=exponent), 0)
    text = ("-" if end < 0 else "") + _INFINITY[style]
    return f"${text}$" if style == "latex" else _true_minus(text)


def _sides(value: float, lo: float | None, hi: float | None) -> tuple[Decimal, Decimal] | None:
    if lo is None or hi is None or not (math.isfinite(lo) and math.isfinite(hi)):
        return None
    if not lo <= value <= hi or lo == hi:
        return None
    # Through the shortest decimal text, so that 0.133 +- 0.003 has sides of 0.003 exactly.
    exact = Decimal(repr(float(value)))
    minus, plus = exact - Decimal(repr(float(lo))), Decimal(repr(float(hi))) - exact
    return minus, plus


def _decimals(number: Decimal, digits: int) -> int:
    """Decimals that leave `number` that many significant digits after the carry of rounding."""
    if number == 0:
        return digits - 1
    decimals = digits - 1 - number.adjusted()
    rounded = number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
    return digits - 1 - rounded.adjusted()


def _fixed(number: Decimal, decimals: int) -> str:
    """Fixed-point text; digits left of the decimal point are rounded too if decimals < 0."""
    rounded = number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
    return f"{rounded + 0:.{max(decimals, 0)}f}"


def _true_minus(text: str) -> str:
    return text.replace("-", MINUS)
