"""Words behind a value: units, scales such as "million", and remarks that change what is said.

A unit is dropped where only one of two answers has one: the question fixes it. Where both have
one, they must be the same, however spelt. A remark ("or more", "if n is odd") is never dropped.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# Each line: one unit in its spellings, which may have a prefix of the metric system where one of
# them begins with a star.
_SPELLINGS: Final = """
*m meter meters metre metres
*s sec secs second seconds
*g gram grams gm
*N newton newtons
*J joule joules
*W watt watts
*V volt volts
*A amp amps ampere amperes
*C coulomb coulombs
*K kelvin kelvins
*T tesla
*F farad farads
*H henry
*Hz hertz
*Pa pascal pascals
*eV
*mol mole moles
*L l liter liters litre litres
*bar
erg ergs
dyn dyne dynes
cal calorie calories
kcal
kWh
min mins minute minutes
h hr hrs hour hours
day days
week weeks
month months
yr yrs year years
in inch inches
ft foot feet
yd yard yards
mi mile miles
lb lbs pound pounds
oz ounce ounces
acre acres
gal gallon gallons
mph
deg degree degrees
degC
degF
rad radian radians
sr
dollar dollars usd USD
cent cents
euro euros
yuan
unit units
"""
_PREFIXES: Final = {
    "": "", "kilo": "k", "centi": "c", "milli": "m", "micro": "u", "nano": "n", "mega": "M",
    "giga": "G", "k": "k", "c": "c", "m": "m", "n": "n", "M": "M", "G": "G", "d": "d",
}  # fmt: skip
_PART: Final = re.compile(r"(?:enth|lfth|nth|ndredth|sandth|illionth|eenth|ieth|dozen)s?$")
_WORD: Final = re.compile(r"[A-Za-z]+|\^?[{(]?-?\d+[})]?|/|[\s*.\u00b7]+|.", re.DOTALL)
_POWERS: Final = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_SCALES: Final = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
# Words that do not name what was counted, but say something else about the number.
_REMARKS: Final = frozenset(
    {
        "or",
        "not",
        "no",
        "and",
        "if",
        "when",
        "unless",
        "except",
        "but",
        "nor",
        "for",
        "where",
        "with",
    }
    | {"times", "squared", "cubed", "factorial", "half", "halves", "third", "thirds", "quarter"}
    | {
        "quarters",
        "fifths",
        "sixths",
        "eighths",
        "tenths",
        "hundredths",
        "dozen",
        "wrong",
        "incorrect",
    }
    | {"negative", "minus", "plus", "below", "above", "more", "fewer", "less", "than", "greater"}
    | {
        "least",
        "most",
        "to",
        "over",
        "does",
        "do",
        "is",
        "are",
        "isn",
        "alternatively",
        "zero",
        "one",
    }
    | {"two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "hundred", "mod"}
    | {
        "doubled",
        "tripled",
        "undefined",
        "impossible",
        "excluded",
        "approximately",
        "eleven",
        "about",
    }
    | {"twelve", "twenty", "thirty", "forty", "fifty", "hundreds", "thousands", "tens", "none"}
    | {"modulo", "base", "percent", "otherwise", "maybe", "possibly", "never", "only", "false"}
)


def _table() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in _SPELLINGS.split("\n"):
        names = line.lstrip("*").split()
        for name in names:
            for prefix, short in _PREFIXES.items() if line.startswith("*") else [("", "")]:
                if not prefix or (len(prefix) > 2) == (len(name) > 3):
                    table.setdefault(prefix + name, short + names[0])
    return table


_UNITS: Final = _table()


def is_unit(word: str) -> bool:
    """Whether a word of two letters or more is a unit."""
    return len(word) > 1 and (word in _UNITS or word.lower() in _UNITS)


@lru_cache(maxsize=1024)
def canonical_unit(words: str) -> str | None:
    """One spelling for the unit that words name, such as "m s^-2"; None if they name none."""
    powers: dict[str, int] = {}
    last = ""
    sign, ahead = 1, 1
    for word in _WORD.findall(words):
        lowered = word.lower()
        if word == "/" or word == "per":
            sign = -1
        elif lowered in _POWERS and not last:
            ahead = _POWERS[lowered]  # square meters
        elif last and (power := _power(lowered)) is not None:
            powers[last] += sign * (power - 1)
        elif word[0].isalpha():
            last = _UNITS.get(word) or _UNITS.get(lowered, "")
            if not last:
                return None
            powers[last] = powers.get(last, 0) + sign * ahead
            ahead = 1
        elif word.strip(" *.\u00b7\n"):
            return None
    named = [f"{unit}^{power}" if power != 1 else unit for unit, power in sorted(powers.items())]
    return " ".join(named) or None


def _power(word: str) -> int | None:
    """The power that a word behind a unit means: squared, ^2, ^{-1}, 2."""
    if word in _POWERS:
        return _POWERS[word]
    digits = re.sub(r"[\^{}()]", "", word)
    return int(digits) if digits.lstrip("-").isdecimal() and len(digits) < 4 else None


def same_units(words: str, others: str) -> bool:
    """Whether the words behind two values name the same thing."""
    unit, other = canonical_unit(words), canonical_unit(others)
    if unit is None and other is None:
        return _plain(words) == _plain(others)
    return unit == other


def _plain(words: str) -> list[str]:
    return [word.rstrip("s") for word in re.findall(r"[a-z]+|\d+", words.lower())]


def scale_of(word: str) -> int | None:
    """The power of ten that a word such as "million" means; None for another word."""
    return _SCALES.get(word.lower())


def is_remark(words: str) -> bool:
    """Whether words say more about a value than what was counted."""
    if canonical_unit(words) is not None:
        return False
    said = re.findall(r"[a-z]+", words.lower())
    return any(
        word in _REMARKS or word.rstrip("s") in _SCALES or _PART.search(word) for word in said
    )
