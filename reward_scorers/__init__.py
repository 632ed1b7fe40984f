"""Scorers of model answers, and the versions by which a lock pins them.

This package stands alone: it imports nothing of the harness, so that a trainer can load it inside
its own process. A scorer is imported when it is first asked for.
"""

from reward_scorers.batch import score_batch
from reward_scorers.errors import (
    GroundTruthError,
    RowError,
    ScorerError,
    UnknownSourceError,
    UnsupportedSourceError,
    WorkerCrashed,
    WorkerError,
)
from reward_scorers.registry import (
    Context,
    Outcome,
    Score,
    Scorer,
    register,
    scorer,
    scorer_names,
    versions,
)
from reward_scorers.router import Route, add_route, find_route, routes
from reward_scorers.scoring import Scored, compute_score

__all__ = [
    "Context",
    "GroundTruthError",
    "Outcome",
    "Route",
    "RowError",
    "Score",
    "Scored",
    "Scorer",
    "ScorerError",
    "UnknownSourceError",
    "UnsupportedSourceError",
    "WorkerCrashed",
    "WorkerError",
    "add_route",
    "compute_score",
    "find_route",
    "register",
    "routes",
    "score_batch",
    "scorer",
    "scorer_names",
    "versions",
]
