"""The symbolic step: SymPy, by way of math-verify, in a worker process that can be killed.

It is asked only about sums, products, integrals and limits, which the parser of this package does
not read, and only where they are all that stands there: of a text that math-verify cannot read as a
whole it takes a part, which may be anything.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from reward_scorers.deadline import Deadline
    from reward_scorers.workers import WorkerPool

MAX_CHARS: Final = 400
# What SymPy computes and the parser of this package does not read.
_COMPUTED = re.compile(r"\\(?:sum|prod|lim)\s?_|\\i*int(?![A-Za-z])[^=]*[^\\A-Za-z]d\s?\\?[A-Za-z]")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_BELOW = re.compile(r"_\s?\{\s*\w\s*(?:=|\\to)\s*[-+\w\\]*\}")
# A text that holds anything else is not sent: math-verify could read a part of it.
_NOT_ALL = re.compile(r"[,;:?!@\"=<>~|&]|\\\\")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_ALLOWED: Final = frozenset(
    {
        "sum",
        "prod",
        "lim",
        "int",
        "iint",
        "iiint",
        "limits",
        "frac",
        "dfrac",
        "tfrac",
        "sqrt",
        "infty",
    }
    | {"pi", "sin", "cos", "tan", "ln", "log", "exp", "arctan", "arcsin", "cdot", "times", "left"}
    | {"right", "binom", "alpha", "beta", "theta", "to", "displaystyle"}
)


def can_matter(gold: str, answer: str) -> bool:
    """Whether the shapes of two answers leave it open that a computer algebra finds them equal."""
    if max(len(gold), len(answer)) > MAX_CHARS:
        return False
    if not (_COMPUTED.search(gold) or _COMPUTED.search(answer)):
        return False
    formulas = [_BELOW.sub("_k", one) for one in (gold, answer)]
    return all(
        _ALLOWED.issuperset(_COMMAND.findall(one))
        and not _NOT_ALL.search(one)
        and not _WORD.search(one)
        for one in formulas
    )


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
