"""Scorers of model answers, and the versions by which a lock pins them.

This package stands alone: it imports nothing of the harness, so that a trainer can load it inside
its own process. Importing it registers every scorer that it brings.
"""

from reward_scorers.registry import Outcome, Score, Scorer, register, scorer, versions
from reward_scorers.stem import multiple_choice

__all__ = [
    "Outcome",
    "Score",
    "Scorer",
    "multiple_choice",
    "register",
    "scorer",
    "versions",
]
