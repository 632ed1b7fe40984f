"""The symbolic step: SymPy, by way of math-verify, in a worker process that can be killed.

It is asked only about pairs that the parser of this package cannot read or evaluate, such as sums,
integrals and sets by their conditions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from reward_scorers.math.extract import is_sentence

if TYPE_CHECKING:
    from reward_scorers.deadline import Deadline
    from reward_scorers.workers import WorkerPool

MAX_CHARS: Final = 400
_MATHEMATICAL = re.compile(r"\\[A-Za-z]{2,}|[-+*/^=<>|!]|\d")
_PROSE = re.compile(r"[.?!][\s$}]+[A-Z\\$]|[\"@?]")
_TEXT = re.compile(r"\\(?:text|mbox|hbox|mathrm)[a-z]{0,8}\s?\{[^{}]*[A-Za-z]{2}")


def can_matter(gold: str, answer: str) -> bool:
    """Whether the shapes of two answers leave it open that a computer algebra finds them equal."""
    if max(len(gold), len(answer)) > MAX_CHARS:
        return False
    for one in (gold, answer):
        if _TEXT.search(one) or _PROSE.search(one) or is_sentence(one, words=1):
            return False
    return all(_MATHEMATICAL.search(one) for one in (gold, answer))


def same(gold: str, answer: str, deadline: Deadline) -> bool:
    """Whether math-verify calls two answers equal.

    Raises:
        TimeoutError: it did not end in time; its worker is gone and the next one is on its way.
        WorkerCrashed: it wants more memory than a worker has.
        WorkerError: there is no worker to ask.
    """
    return bool(_pool().call([gold, answer], deadline))


@lru_cache(maxsize=1)
def _pool() -> WorkerPool:
    from reward_scorers.workers import WorkerPool

    return WorkerPool("reward_scorers.math.computer_algebra:verify_pair")
