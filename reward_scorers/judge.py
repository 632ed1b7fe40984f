"""Judges: who is asked about an answer that the rules call wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from reward_scorers.deadline import Deadline


class Judge(Protocol):
    """Says whether an answer means the same as the reference; None if it cannot tell."""

    def __call__(
        self, *, question: str, answer: str, reference: str, deadline: Deadline
    ) -> bool | None:
        """Judge one answer, within the deadline."""
        ...
