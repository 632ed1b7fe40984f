"""What a benchmark reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measured figure, with the limit it should keep or the peer it is compared with."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def kept(self) -> bool | None:
        """Whether the figure keeps its limit; None where it has none."""
        return None if self.limit is None else self.value <= self.limit
