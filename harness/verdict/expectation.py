"""A verdict that a suite foretells for one of its tiers, held beside the one that was found."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ExitCode
from harness.verdict.model import EXIT_CODES, Verdict


@dataclass(frozen=True)
class Expected:
    """The verdict that an honest run of the tier is known to have, and why."""

    verdict: Verdict
    reason: str


def is_expected(verdict: Verdict, expected: Expected | None) -> bool:
    """Whether the verdict is the foretold one; success, where nothing was foretold."""
    if expected is None:
        return EXIT_CODES[verdict] is ExitCode.OK
    return verdict is expected.verdict


def told(verdict: Verdict, expected: Expected | None) -> str:
    """What to say of the verdict beside it; empty where nothing was foretold."""
    if expected is None:
        return ""
    if verdict is expected.verdict:
        return f"as the suite expects: {expected.reason}"
    name = expected.verdict.value.replace("_", " ")
    return f"NOT AS EXPECTED: the suite expects {name}, because: {expected.reason}"


def exit_code(verdict: Verdict, expected: Expected | None) -> ExitCode:
    """Exit code where the question is whether a tier came out as its suite says.

    OK if so; else that of the verdict, or NOT_REPRODUCED where a verdict better than the foretold
    one would hide that the suite's statement no longer holds.
    """
    if is_expected(verdict, expected):
        return ExitCode.OK
    code = EXIT_CODES[verdict]
    return ExitCode.NOT_REPRODUCED if code is ExitCode.OK else code
