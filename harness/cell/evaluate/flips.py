"""Stored generations scored again by the scorers that are installed now, and what differs.

A flip is a response whose score, or the answer that is read in it, is another one than was stored.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.errors import DataError, InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.cell.evaluate.generations import Generation, Stored


@dataclass(frozen=True, slots=True)
class Flip:
    """One response that is scored or read otherwise than it was stored.

    Attributes:
        file: where it is stored.
        data_source, split, index, question, sample: which response; see `Generation`.
        response: its text.
        stored, now: the outcomes.
    """

    file: Path
    data_source: str
    split: str
    index: str
    question: int
    sample: int
    response: str
    stored: Outcome
    now: Outcome


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scorer said; `scorer` is its name/version."""

    score: float
    acc: bool
    pred: str
    reason: str
    scorer: str


@dataclass(frozen=True, slots=True)
class Line:
    """What became of the responses of a data source that one version of a scorer had scored.

    Attributes:
        stored, now: the scorers' names/versions.
        total: responses. right_then, right_now: how many of them are right.
        gained, lost: responses that are right now and were not, and the other way round.
        reread: flips that are neither: another answer is read, or the score is another share.
    """

    data_source: str
    stored: str
    now: str
    total: int
    right_then: int
    right_now: int
    gained: int
    lost: int
    reread: int


# The counts of a line, in its order.
_COUNTED: Final = ("total", "right_then", "right_now", "gained", "lost", "reread")


@dataclass(frozen=True)
class Rescored:
    """All responses of some files, scored again."""

    total: int
    summary: Sequence[Line]
    flips: Sequence[Flip]


def rescore_stored(
    files: Sequence[Stored], *, compat: str | None = None, workers: int = 1
) -> Rescored:
    """Score all responses again; equal answers to one question are scored once.

    Args:
        compat: the policy; None for that under which each file was scored.
        workers: processes; see `reward_scorers.score_batch`.

    Raises:
        DataError: a row that the installed scorers cannot score, with its place.
        InfrastructureError: a scorer's worker or sandbox does not work on this machine.
    """
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    flips = []
    total = 0
    for stored in files:
        found = _score(stored, compat or stored.compat, workers)
        total += len(found)
        for one, now in zip(stored.generations, found, strict=True):
            then = Outcome(one.score, one.acc, one.pred, one.reason, one.scorer)
            key = (one.data_source, then.scorer, now.scorer)
            _count(counts.setdefault(key, Counter()), then, now)
            if _differ(then, now):
                flips.append(_flip(stored.path, one, then, now))
    summary = [
        Line(*key, *(count[name] for name in _COUNTED)) for key, count in sorted(counts.items())
    ]
    return Rescored(total, summary, flips)


def _score(stored: Stored, compat: str, workers: int) -> list[Outcome]:
    from reward_scorers import ScorerError, WorkerError, score_batch

    keys = [(one.question, one.response) for one in stored.generations]
    asked = dict(zip(keys, stored.generations, strict=True))
    rows = [
        {
            "data_source": one.data_source,
            "solution_str": one.response,
            "ground_truth": one.ground_truth,
            "extra_info": one.extra_info,
        }
        for one in asked.values()
    ]
    outcomes: dict[tuple[int, str], Outcome] = {}
    try:
        scored = score_batch(rows, workers=workers, compat=compat, errors="return")
    except WorkerError as error:
        raise _no_worker(stored.path, error) from error
    for key, result in zip(asked, scored, strict=True):
        if isinstance(result, WorkerError):
            raise _no_worker(stored.path, result)
        if isinstance(result, ScorerError):
            raise DataError(
                f"a stored response cannot be scored: {result}",
                where=f"{stored.path}, question {key[0]}",
            )
        outcomes[key] = Outcome(
            result["score"], result["acc"], result["pred"], result["reason"], result["scorer"]
        )
    return [outcomes[key] for key in keys]


def _no_worker(path: Path, error: Exception) -> InfrastructureError:
    return InfrastructureError(
        "answers cannot be scored on this machine, which says nothing of them",
        where=str(path),
        found=str(error),
        hint="docs/sandbox.md says what programs need",
    )


def _differ(then: Outcome, now: Outcome) -> bool:
    return (then.score, then.acc, then.pred) != (now.score, now.acc, now.pred)


def _count(count: Counter[str], then: Outcome, now: Outcome) -> None:
    count["total"] += 1
    count["right_then"] += then.acc
    count["right_now"] += now.acc
    count["gained"] += now.acc and not then.acc
    count["lost"] += then.acc and not now.acc
    count["reread"] += then.acc == now.acc and _differ(then, now)


def _flip(path: Path, one: Generation, then: Outcome, now: Outcome) -> Flip:
    return Flip(
        path,
        one.data_source,
        one.split,
        one.index,
        one.question,
        one.sample,
        one.response,
        stored=then,
        now=now,
    )
