r"""Pairs of a reference answer and a model's answer whose label is known by construction.

The references are those of MATH-500. A right answer rewrites the reference by a rule that keeps its
value (`\dfrac` for `\frac`, 0.5 for 1/2, a list in another order, `\sqrt{117}` for `3\sqrt{13}`); a
wrong one changes it by a rule that does not (off by one, a sign, two digits swapped, times 100). No
grader has a part in the labels. Rules read the reference's shape; where a rule could be argued
about (a rounded decimal, an open interval that may be a point), it is not applied.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.scorers.math_changes import WRONG
from tests.scorers.math_rewrites import RIGHT, Rewrites, squeezed, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SEED = 4
RIGHT_PER_NUMBER, RIGHT_PER_OTHER = 3, 6  # 311 of the 500 references are integers
WRONG_PER_NUMBER, WRONG_PER_OTHER = 4, 5

# How an answer stands in a text; earlier boxes hold a value that is not the answer.
FRAMES = (
    "Adding up, we get $\\boxed{%s}$.",
    "\\[\n\\boxed{%s}\n\\]\nI hope it is correct.",
    "We first try $\\boxed{-71}$, which fails. So the answer is\n$$\\boxed{%s}.$$",
    "<think>Perhaps \\boxed{-71}? No.</think>\n**Final answer:** \\boxed{%s}",
)


@dataclass(frozen=True)
class Pair:
    """A reference, the answer, the text that states it, whether it is right, and the rule."""

    gold: str
    answer: str
    text: str
    right: bool
    rule: str


def build(math500: Path) -> list[Pair]:
    """All pairs, about 2,000 right and 2,000 wrong ones, always the same."""
    with math500.open(encoding="utf-8") as lines:
        golds = [json.loads(line)["answer"] for line in lines]
    rng = random.Random(SEED)
    pairs: list[Pair] = []
    for gold in golds:
        number = value(gold) is not None and "/" not in gold and "frac" not in gold
        right = _chosen(_all(RIGHT, gold), RIGHT_PER_NUMBER if number else RIGHT_PER_OTHER, rng)
        wrong = list(_all(WRONG, gold)) + _others(gold, golds, rng)
        # A change can undo itself ("11" with its digits swapped), or restate a right answer.
        same = {squeezed(answer) for _, answer in _all(RIGHT, gold)}
        wrong = [(rule, answer) for rule, answer in wrong if _differs(answer, gold, same)]
        chosen = _chosen(wrong, WRONG_PER_NUMBER if number else WRONG_PER_OTHER, rng)
        for label, rewrites in ((True, right), (False, chosen)):
            for rule, answer in rewrites:
                frame = rng.choice(FRAMES)
                pairs.append(Pair(gold, answer, frame % answer, label, rule))
    return pairs


def _all(rules: tuple[Callable[[str], Rewrites], ...], gold: str) -> Rewrites:
    for rule in rules:
        yield from rule(gold)


def _chosen(
    rewrites: Iterable[tuple[str, str]], count: int, rng: random.Random
) -> list[tuple[str, str]]:
    """At most `count` of the rewrites, as many different rules as possible, no answer twice."""
    left = list(dict.fromkeys(rewrites))
    rng.shuffle(left)
    used: dict[str, int] = {}
    ranked = []
    for rule, answer in left:
        ranked.append((used.get(rule, 0), rule, answer))
        used[rule] = used.get(rule, 0) + 1
    ranked.sort(key=lambda entry: entry[0])
    taken: dict[str, str] = {}
    for _, rule, answer in ranked:
        taken.setdefault(answer, rule)
    return [(rule, answer) for answer, rule in list(taken.items())[:count]]


def _differs(answer: str, gold: str, same: set[str]) -> bool:
    mine, theirs = value(answer), value(gold)
    if mine is not None and theirs is not None:
        return mine != theirs
    return squeezed(answer) not in same


def _others(gold: str, golds: list[str], rng: random.Random) -> list[tuple[str, str]]:
    """Another row's reference: a number for a number, any for the rest."""
    numbers = value(gold) is not None
    pool = [other for other in golds if (value(other) is not None) == numbers]
    return [("another row", rng.choice(pool)) for _ in range(2)]
