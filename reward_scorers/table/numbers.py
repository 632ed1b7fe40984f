"""Numbers as tables and answers state them, and when one meets another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from reward_scorers.math.units import is_remark

# What stands behind a number and multiplies it, if it is not the unit of the whole table.
FACTORS: Final = {
    "%": Fraction(1, 100),
    "percent": Fraction(1, 100),
    "per cent": Fraction(1, 100),
    "percentage point": Fraction(1, 100),
    "percentage points": Fraction(1, 100),
    "thousand": Fraction(10**3),
    "million": Fraction(10**6),
    "billion": Fraction(10**9),
    "trillion": Fraction(10**12),
}
LONGEST: Final = 200  # characters; a longer text is no number
STATED: Final = 4  # a gold answer with more decimals is the result of a computation ...
SIGNIFICANT: Final = 4  # ... of which an answer has to give so many digits
_UP_TO_LAST: Final = Fraction(10) ** (SIGNIFICANT - 1)
_EXACT: Final = 15  # digits that a double holds for certain; more of them are noise

_CURRENCY = r"(?:usd?|eur|gbp|[\u20ac\u00a3\u00a5])?"
_DIGITS = r"(\d{1,3}(?:,\d{3}){1,12}|\d{1,40})?(?:\.(\d{0,40}))?(?:e([-+]?\d{1,2}))?"
_FACTOR = "|".join(sorted(FACTORS, key=len, reverse=True))
# Words behind a number that are no unit: they make a range or a choice of it.
_UNIT = r"(?!(?:or|and|to|over|above|below|under|out|of)\b)[a-z\u00b0][a-z \u00b0./'()-]{0,80}"
# Words behind a number that scale it or offer another one, beside those of `is_remark`.
_CHANGES = re.compile(
    r"\b(?:k|mn|mln|mio|bn|bln|tn|trn|lakhs?|lacs?|crores?|hundreds?|dozens?|vs|versus|else|instead"
    r"|rather|perhaps|probably|i\.?e)\b"
)
_NUMBER = re.compile(
    rf"(?:about |approximately |approx\. ?|\u2248 ?)?"
    rf"([-+]?) ?{_CURRENCY} ?([-+]?){_DIGITS} ?(?:({_FACTOR})(?![a-z]))?(?: ({_UNIT}))?"
)
_RATIO = re.compile(r"([-+]?\d{1,18}) ?/ ?(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is stated.

    Args:
        value: with its factor multiplied in, if it is read so.
        place: the value of its last digit: 0.01 for 3.14; 0 for a ratio, which is exact.
        decimals: how many are stated, whatever the factor; 0 or less for an integer.
        factor: what a percent sign or a word like "million" may multiply it by; 1 without one.
    """

    value: Fraction
    place: Fraction
    decimals: int = 0
    factor: Fraction = Fraction(1)

    def times_factor(self) -> Number:
        """The number that is meant if the factor is no unit."""
        return Number(self.value * self.factor, self.place * self.factor, self.decimals)


def read_number(cell: str, *, gold: bool = False) -> Number | None:
    """The number that a cell is as a whole; None if it is none.

    The words of a unit may stand behind the number of an answer, not of a gold answer: "55 and
    over" and "14.02 nr" are texts. Words that change the number ("5 k", "5 is wrong") are no unit,
    but "5 times" is 5. Only an answer may be a ratio: "2010/11" is a season.
    """
    plain = " ".join(cell[: LONGEST + 1].replace("\\approx", "\u2248").casefold().split())
    plain = plain.strip("*`\"' ").rstrip(".")
    if len(plain) > LONGEST:
        return None
    without_marks = plain.replace("$", "").strip()
    if not gold and (ratio := _RATIO.fullmatch(without_marks)):
        return (
            Number(Fraction(int(ratio[1]), int(ratio[2])), Fraction(0)) if int(ratio[2]) else None
        )
    found = _NUMBER.fullmatch(without_marks)
    if found is None or not (found[3] or found[4]) or (found[1] and found[2]):
        return None
    return None if found[7] and (gold or _changed(found[7])) else _number(found)


def _changed(words: str) -> bool:
    """Whether words behind a number change it, instead of naming what was counted."""
    return words != "times" and (is_remark(words) or bool(_CHANGES.search(words)))


def _number(found: re.Match[str]) -> Number:
    whole, decimals = (found[3] or "").replace(",", ""), found[4] or ""
    places = len(decimals) - int(found[5] or 0)
    value = Fraction(int(whole + decimals)) / Fraction(10) ** places
    if decimals and len((whole + decimals).strip("0")) > _EXACT:
        value, places = _rounded(value)
    return Number(
        value=-value if "-" in (found[1], found[2]) else value,
        place=Fraction(10) ** -places,
        decimals=places,
        factor=FACTORS[found[6]] if found[6] else Fraction(1),
    )


def _rounded(value: Fraction) -> tuple[Fraction, int]:
    """A value to 12 significant digits, and the number of its decimals: 0.0930...01 is 0.093."""
    mantissa, _, exponent = f"{float(value):.11e}".partition("e")
    digits = mantissa.replace(".", "").rstrip("0") or "0"
    places = len(digits) - 1 - int(exponent)
    return Fraction(int(digits)) / Fraction(10) ** places, places


def meets(answer: Number, gold: Number) -> bool:
    """Whether an answer is right, in one of the readings that a factor on one side leaves open."""
    if _rounds(answer.times_factor(), gold.times_factor()):
        return True
    one_sided = (answer.factor == 1) != (gold.factor == 1)
    return (one_sided or answer.factor == gold.factor) and _rounds(answer, gold)


def _rounds(answer: Number, gold: Number) -> bool:
    if answer.value == gold.value:
        return True
    if gold.decimals <= 0 or answer.place > _coarsest(gold, answer):
        return False
    return abs(answer.value - gold.value) <= max(answer.place, gold.place) / 2


def _coarsest(gold: Number, answer: Number) -> Fraction:
    """The largest value of a last digit that still states a gold answer.

    The leading digit is looked for in the larger one: 1.000 states 0.99999.
    """
    size = max(abs(gold.value), abs(answer.value))
    if gold.decimals <= STATED or size == 0:
        return gold.place
    leading = Fraction(1)
    while leading > size:
        leading /= 10
    while leading * 10 <= size:
        leading *= 10
    return min(Fraction(1), max(gold.place, leading / _UP_TO_LAST))
