"""Exit codes and the one exception type whose text is meant for a person."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What a command's exit status says (documented in docs/cli.md)."""

    OK = 0
    NOT_REPRODUCED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    LOCK_DRIFT = 4
    INFRASTRUCTURE = 5


class HarnessError(Exception):
    """A failure that the user can act on: where it is, what was expected, what to type next."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.expected = expected
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        details = [("expected", self.expected), ("found", self.found), ("next", self.hint)]
        return "\n".join([head, *(f"  {name + ':':<10}{text}" for name, text in details if text)])


class SuiteError(HarnessError):
    """A suite file, a selection or a golden file says something that cannot be."""


class DataError(HarnessError):
    """A table or a file of measurements is not what its declaration says."""


class LockDriftError(HarnessError):
    """The world differs from suite.lock; nothing was run."""

    exit_code = ExitCode.LOCK_DRIFT


class InfrastructureError(HarnessError):
    """Disk, process, container or store failed; never a statement about a number."""

    exit_code = ExitCode.INFRASTRUCTURE
