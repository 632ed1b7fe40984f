"""Worker processes that can be killed: see `reward_scorers.workers.pool`."""

from reward_scorers.workers.pool import WorkerPool

__all__ = ["WorkerPool"]
