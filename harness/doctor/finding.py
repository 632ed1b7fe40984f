"""What a check finds, and what all findings together mean for the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from harness.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCK: Final = "lock"


class State(StrEnum):
    """How a finding stands to what is to be run."""

    OK = "ok"
    NOTE = "note"  # absent or limited, and not needed for what is to be run
    MISS = "miss"  # needed, and not there or not enough
    FAIL = "fail"  # the check itself failed: nothing is known


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the doctor's table.

    Attributes:
        topic: of the check that made it.
        what: was looked at.
        found: what is there.
        expected: what should be; empty where any is good.
        fix: the line to type; for a note, the one that would bring what is absent.
    """

    topic: str
    what: str
    state: State
    found: str
    expected: str = ""
    fix: str = ""


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """OK with notes at most; LOCK_DRIFT where only locks differ; else INFRASTRUCTURE."""
    bad = [one for one in findings if one.state in (State.MISS, State.FAIL)]
    if not bad:
        return ExitCode.OK
    if all(one.topic == LOCK and one.state is State.MISS for one in bad):
        return ExitCode.LOCK_DRIFT
    return ExitCode.INFRASTRUCTURE
