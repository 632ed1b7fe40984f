"""Scorers of model answers, and the versions by which a lock pins them.

This package stands alone: it imports nothing of the harness, so that a trainer can load it inside
its own process.
"""

from reward_scorers.registry import Scorer, register, scorer, versions

__all__ = ["Scorer", "register", "scorer", "versions"]
