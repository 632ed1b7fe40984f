"""What can go wrong that is not the model's fault. A model's text alone never raises."""

from __future__ import annotations


class ScorerError(Exception):
    """A row that cannot be scored; the message says why and what to do."""


class GroundTruthError(ScorerError, ValueError):
    """The reference answer is broken. That is no wrong answer: nothing can be right or wrong."""


class RowError(ScorerError, TypeError):
    """A row that is not made as rows are: its `extra_info` is no mapping."""


class UnknownSourceError(ScorerError, LookupError):
    """No route leads from a data source to a scorer; the nearest known names are told."""


class UnsupportedSourceError(ScorerError, NotImplementedError):
    """A data source that is known and that this version does not score; the message says why."""


class WorkerError(ScorerError, RuntimeError):
    """A worker process cannot be started or does not answer. That is never a score of 0."""


class WorkerCrashed(ScorerError, RuntimeError):  # noqa: N818 - like TimeoutError, an outcome
    """A worker process died on an input, and so did a fresh one, or its memory ran out.

    That is the input's doing, like an answer that takes too long: a scorer counts it as a miss.
    """
