"""The four domains, in the shortest form that the scorers read: small models pay for every byte."""

from __future__ import annotations

import json
from typing import Final

from harness.data.micro.problems import Domain, Draws, Problem

_DIGITS: Final = list("0123456789")


def _math(draws: Draws, grade: int) -> Problem:
    """Chains of steps by one that stay within a digit; the solution tells every total.

    Grade 1 has 3 or 4 steps, grade g from 2 to 5 has g + 3; out of the domain are 9 or 10.
    """
    steps = 3 + draws.below(2) if grade == 1 else grade + 3
    steps += grade == 6 and draws.below(2)
    value = draws.below(10)
    prompt, totals = str(value), ""
    for _ in range(steps):
        up = value == 0 or (value < 9 and draws.below(2) == 1)
        value += 1 if up else -1
        prompt += "+1" if up else "-1"
        totals += str(value)
    return Problem(f"{prompt}=", str(value), rf"{totals}\boxed{{{value}}}")


def _logic(draws: Draws, grade: int) -> Problem:
    """Different digits to be put in order: grade g has g + 1 of them, out of the domain 6 or 7."""
    count = grade + 1 + (draws.below(2) if grade == 5 else 0)
    items = draws.pick(_DIGITS, count)
    ordered = sorted(items)
    return Problem(f"sort {''.join(items)}", ordered, rf"\boxed{{{','.join(ordered)}}}")


_WORDS: Final = {"times": "*", "plus": "+", "minus": "-"}
_TRIED: Final = (0, 1, 2, 5, 7)


def _code(draws: Draws, grade: int) -> Problem:
    """A formula in x read aloud, to be written as a function: grade g has g operations."""
    said, formula = "x", "x"
    for _ in range(grade + (draws.below(2) if grade == 6 else 0)):
        word = list(_WORDS)[draws.below(3)]
        number = 1 + draws.below(9)
        said += f" {word} {number}"
        formula += f"{_WORDS[word]}{number}"
    tests = "\n".join(f"assert f({x}) == {_value(formula, x)}" for x in _TRIED)
    truth = json.dumps({"functional": tests})
    return Problem(said, truth, f"def f(x):return {formula}")


def _value(formula: str, x: int) -> int:
    """The formula at x: products first, then sums."""
    total, sign = 0, 1
    for part in formula.replace("-", "+-").split("+"):
        sign = -1 if part.startswith("-") else 1
        product = 1
        for factor in part.lstrip("-").split("*"):
            product *= x if factor == "x" else int(factor)
        total += sign * product
    return total


# A closed world: what each thing is like holds in every split, as knowledge of a real world does.
_THINGS: Final = [
    *("dax", "wug", "fep", "zim", "gop", "lun", "kiv", "mab"),
    *("tor", "pev", "rix", "sul", "nog", "jat", "bem", "cov"),
]
_PROPERTIES: Final = {
    "color": ["red", "blue", "tan", "gray"],
    "shape": ["cube", "cone", "ring", "disk"],
    "taste": ["sweet", "sour", "salty", "plain"],
    "home": ["sea", "cave", "tree", "sand"],
}
_LETTERS: Final = "ABCD"


def _fact(thing: str, kind: str) -> str:
    draws = Draws(f"micro-Guru world/{thing}/{kind}")
    return _PROPERTIES[kind][draws.below(4)]


def _stem(draws: Draws, grade: int) -> Problem:
    """Multiple choice about the closed world: grade g has g + 1 options.

    Out of the domain are questions for the thing that has two properties at once.
    """
    if grade > 3:
        return _stem_of_two(draws)
    thing = _THINGS[draws.below(len(_THINGS))]
    kind = list(_PROPERTIES)[draws.below(4)]
    right = _fact(thing, kind)
    others = [value for value in _PROPERTIES[kind] if value != right]
    options = draws.pick(others, grade)
    options.insert(draws.below(grade + 1), right)
    return _choice(f"{kind} of {thing}?", options, right)


def _stem_of_two(draws: Draws) -> Problem:
    thing = _THINGS[draws.below(len(_THINGS))]
    first, second = sorted(draws.pick(list(_PROPERTIES), 2))
    wanted = (_fact(thing, first), _fact(thing, second))
    others = [one for one in _THINGS if (_fact(one, first), _fact(one, second)) != wanted]
    options = draws.pick(others, 3)
    options.insert(draws.below(4), thing)
    return _choice(f"{wanted[0]} and {wanted[1]}?", options, thing)


def _choice(question: str, options: list[str], right: str) -> Problem:
    listed = "".join(f" {letter}:{one}" for letter, one in zip(_LETTERS, options, strict=False))
    letter = _LETTERS[options.index(right)]
    return Problem(f"{question}{listed}", letter, rf"\boxed{{{letter}}}")


_BOX: Final = "\\boxed"

DOMAINS: Final = {
    domain.ability: domain
    for domain in (
        Domain("math", "math__micro", 5, _math, (_BOX,)),
        Domain("logic", "logic__ordering_puzzle__micro", 4, _logic, (_BOX, "sort")),
        Domain(
            "codegen",
            "codegen__micro",
            5,
            _code,
            ("def", " f", "return", " x", " times", " plus", " minus"),
        ),
        Domain(
            "stem",
            "stem__supergpqa__micro",
            3,
            _stem,
            (
                *(_BOX, " of", " and", *_PROPERTIES, *_THINGS),
                *(value for values in _PROPERTIES.values() for value in values),
            ),
        ),
    )
}
