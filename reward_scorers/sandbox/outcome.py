"""What came of a program."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Ending(StrEnum):
    """How a program ended; there is no other way.

    `passed`: it ran to its end, and all that was compared was right. `failed`: it raised, gave a
    wrong value or ended before it should. `timeout`, `memory`, `output_limit`: it used more than it
    may. `crashed`: a signal ended it. `violation`: it did what only an attack needs. `infra_error`:
    the sandbox failed, or the tests did; that says nothing of the program, and is never a score.
    """

    PASSED = "passed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    CRASHED = "crashed"
    VIOLATION = "violation"
    INFRA_ERROR = "infra_error"


@dataclass(frozen=True, slots=True)
class InputResult:
    """What a program did with one input.

    `wall_s` is in seconds and `peak_bytes` the most memory that its first process held.
    """

    ending: Ending
    detail: str
    stdout: bytes
    wall_s: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a program in the sandbox.

    Args:
        ending: how it ended; for several inputs, the first that is not `passed`.
        detail: why, in a line, "" if it passed.
        passed, total: assertions, calls or test functions that passed, and all of them.
        inputs: of a program that reads and writes, one per input.
        values: of calls without an expected value, what they returned; None for those that raised.
        candidate: which of several texts of the program was run.
        tests_broken: of an `infra_error`, whether the tests are at fault and would be for every
            program.
        cpu_s: CPU seconds of the program's own processes.
        retries: how often a sandbox died under it, or before it, and it was run anew.
        isolation: how it was confined, for example "namespaces+landlock+seccomp".
    """

    ending: Ending
    detail: str = ""
    passed: int = 0
    total: int = 0
    inputs: tuple[InputResult, ...] = ()
    values: tuple[Any, ...] = ()
    candidate: int = 0
    tests_broken: bool = False
    cpu_s: float = 0.0
    peak_bytes: int = 0
    retries: int = 0
    isolation: str = ""

    @property
    def fraction(self) -> float:
        """The share of assertions, calls or test functions that passed."""
        return self.passed / self.total if self.total else float(self.ending == Ending.PASSED)
