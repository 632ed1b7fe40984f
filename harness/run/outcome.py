"""What a run has done: apart from the scheduler, so that a run with nothing to do needs no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.run.record import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.spec.grid import Cell


@dataclass(frozen=True, slots=True)
class Failure:
    """A cell without a result: why, where its log is, and the command that reruns it alone."""

    cell: Cell
    status: Status
    message: str
    folder: Path | None
    command: str


@dataclass(frozen=True, slots=True)
class Warned:
    """A finished cell that found something doubtful about its own numbers."""

    cell: Cell
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run has done.

    Attributes:
        total: distinct cells asked for.
        counts: cells per status, all four statuses present.
        computed: cells that this run itself finished.
        failures: the cells that failed, in the order in which they did.
        wall_s: seconds.
        warned: the cells that this run finished and that warn.
    """

    total: int
    counts: Mapping[Status, int]
    computed: int
    failures: tuple[Failure, ...]
    wall_s: float
    warned: tuple[Warned, ...] = ()


def nothing_to_do() -> RunOutcome:
    """The outcome of a run that was asked for no cell."""
    return RunOutcome(0, dict.fromkeys(Status, 0), 0, (), 0.0)
