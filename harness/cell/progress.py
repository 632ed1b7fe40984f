"""Where a running cell is, told to whoever watches the run.

`progress.json` is no result: it is not durable, its writing may fail without harm to the cell, and
the runner takes it away when the cell has ended.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROGRESS_FILE = "progress.json"
_PAUSE_S = 0.5  # between two writes: steps of tiny models take less


class ProgressTeller:
    """Writes progress.json, at most twice a second."""

    def __init__(self) -> None:
        self._numbers: dict[str, float] = {}
        self._due = -math.inf

    def tell(self, out: Path, step: int, total: int, numbers: Mapping[str, float]) -> None:
        """Say that `step` of `total` steps are done; the first and the last are always written.

        A number stays until it is told anew, so that one measured now and then is always seen. One
        that is not finite is left out.
        """
        told = {name: value for name, value in numbers.items() if math.isfinite(value)}
        self._numbers.update(told)
        now = time.monotonic()
        if now < self._due and step < total:
            return
        self._due = now + _PAUSE_S
        partial = out / f".{PROGRESS_FILE}.partial"
        document = {"step": step, "total": total, "numbers": self._numbers}
        with suppress(OSError):  # a full disk will stop the cell where it loses something
            partial.write_text(json.dumps(document), encoding="utf-8")
            partial.replace(out / PROGRESS_FILE)
