"""Untrusted Python programs, run where they can do no harm: see `Sandbox`."""

from reward_scorers.sandbox.errors import SandboxUnavailable
from reward_scorers.sandbox.job import Call, Calls, Inputs, Job, Tests
from reward_scorers.sandbox.limits import Limits
from reward_scorers.sandbox.outcome import Ending, InputResult, Outcome
from reward_scorers.sandbox.sandbox import Sandbox

__all__ = [
    "Call",
    "Calls",
    "Ending",
    "InputResult",
    "Inputs",
    "Job",
    "Limits",
    "Outcome",
    "Sandbox",
    "SandboxUnavailable",
    "Tests",
]
