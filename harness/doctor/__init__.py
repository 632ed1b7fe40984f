"""What this machine can carry: checks of it, and the line to type for each thing that lacks."""

from harness.doctor.finding import Finding, State, exit_code
from harness.doctor.registry import check, examine
from harness.doctor.setting import Needs, Setting, needs_of

__all__ = [
    "Finding",
    "Needs",
    "Setting",
    "State",
    "check",
    "examine",
    "exit_code",
    "needs_of",
]
