"""What a benchmark reports, and how it measures and prints."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


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


def cpu_seconds(work: Callable[[], object], runs: int = 5) -> float:
    """CPU seconds of this process for `work`, least of `runs`."""
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the rows, one per line, or as JSON."""
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    for row in rows:
        print(f"{row.what:44} {row.value:8.3g} {row.unit}  {row.note}")
