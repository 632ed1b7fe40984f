"""The registry of scorers: name -> function and version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict


class Outcome(TypedDict):
    """What a scorer says of one answer.

    `score` is in [0, 1] and `acc` says whether the answer is right; `pred` is the answer that was
    read out of the text, None where there is none, and `reason` says how it was read, or why not.
    """

    score: float
    acc: bool
    pred: str | None
    reason: str


Score = Callable[..., Outcome]


@dataclass(frozen=True)
class Scorer:
    """A function `score(text, gold, ...)` of a model's text and the reference answer.

    `version` is raised when, and only when, the outcome for some text changes.
    """

    name: str
    version: int
    score: Score


_SCORERS: dict[str, Scorer] = {}


def register(name: str, *, version: int) -> Callable[[Score], Score]:
    """Decorator that makes a function known as a scorer.

    Raises:
        ValueError: the name is taken, or the version is not positive.
    """
    if name in _SCORERS:
        raise ValueError(f"a scorer named {name!r} is registered already")
    if version < 1:
        raise ValueError(f"scorer {name!r}: version must be 1 or more, found {version}")

    def enter(score: Score) -> Score:
        _SCORERS[name] = Scorer(name=name, version=version, score=score)
        return score

    return enter


def scorer(name: str) -> Scorer:
    """The scorer of a name.

    Raises:
        KeyError: there is none; the registered names are told.
    """
    try:
        return _SCORERS[name]
    except KeyError:
        raise KeyError(f"no scorer {name!r}; registered: {sorted(_SCORERS)}") from None


def versions() -> dict[str, int]:
    """Name -> version of every registered scorer, sorted by name."""
    return {name: _SCORERS[name].version for name in sorted(_SCORERS)}
