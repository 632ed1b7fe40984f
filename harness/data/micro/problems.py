"""What the domains of micro-Guru share: a problem, and numbers drawn by hashing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Problem:
    """One problem with its reference answer and a response that the scorer gives 1."""

    prompt: str
    truth: object
    solution: str
    extra: Mapping[str, object] = field(default_factory=dict)


class Draws:
    """Whole numbers from SHA-256 of a text and a counter: the same on every machine and Python."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._count = 0

    def below(self, bound: int) -> int:
        """A number from 0 to bound - 1; the bias of 64 bits over a small bound is nothing."""
        self._count += 1
        digest = hashlib.sha256(f"{self._text}/{self._count}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % bound

    def pick(self, items: list[str], count: int) -> list[str]:
        """`count` different items in a random order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]


@dataclass(frozen=True)
class Domain:
    """A kind of problem.

    Attributes:
        ability: the domain's name in the Guru schema.
        source: data source, which decides the scorer.
        grades: number of difficulties, counted from 1; `grades + 1` is out of the domain.
        make: draws a problem of one grade.
        words: what the tokenizer should have as single tokens.
    """

    ability: str
    source: str
    grades: int
    make: Callable[[Draws, int], Problem]
    words: tuple[str, ...]
