"""Units that answers carry, and what becomes of them.

A unit behind a number is dropped where only one of two answers has one: the question fixes it.
Where both have one, they must be the same, whatever their spelling.
"""

from __future__ import annotations

import re
from typing import Final

# Each line: one unit in its spellings.
_SPELLINGS: Final = """
m meter meters metre metres
cm centimeter centimeters centimetre centimetres
mm millimeter millimeters
km kilometer kilometers kilometre kilometres
in inch inches
ft foot feet
yd yard yards
mi mile miles
s sec second seconds
min minute minutes
h hr hour hours
day days
week weeks
month months
yr year years
g gram grams
kg kilogram kilograms
mg milligram milligrams
lb lbs pound pounds
oz ounce ounces
l liter liters litre litres
ml milliliter milliliters
mph
deg degree degrees
rad radian radians
dollar dollars usd
cent cents
euro euros
yuan
"""
_UNIT: Final = {
    spelling: line.split()[0]
    for line in _SPELLINGS.splitlines()
    if line
    for spelling in line.split()
}
_POWERS: Final = {"square": "2", "sq": "2", "squared": "2", "cubic": "3", "cubed": "3"}


def is_unit(word: str) -> bool:
    """Whether a word is a unit of the list."""
    return word.lower() in _UNIT


def canonical_unit(words: str) -> str | None:
    """One spelling for the unit that words name, such as "cm^2"; None if they name none."""
    power = ""
    units = []
    for word in re.findall(r"[A-Za-z]+|\^\d+|[0-9]", words):
        if word[0] == "^" or word.isdigit():
            power = word.lstrip("^")
        elif word.lower() in _POWERS:
            power = _POWERS[word.lower()]
        elif word.lower() in _UNIT:
            units.append(_UNIT[word.lower()])
    return "*".join(units) + (f"^{power}" if power else "") if units else None
