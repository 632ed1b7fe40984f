"""Where a running cell is, as it tells it in `progress.json` or by the last line of its metrics."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.run.disk import open_regular, read_regular
from harness.run.record import METRICS_FILE, PROGRESS_FILE

if TYPE_CHECKING:
    from pathlib import Path

_TAIL_BYTES = 1 << 16  # more than one line of metrics


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """How far a cell has come.

    Attributes:
        step: the last one that is done.
        total: steps of the whole cell, if it told.
        numbers: what it shows beside them, such as `reward`.
    """

    step: int
    total: int | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"step {self.step}" if self.total is None else f"step {self.step} of {self.total}"


def where_it_is(out: Path) -> Whereabouts | None:
    """Where a cell is: what it told last, else what its metrics say; None if they say nothing."""
    told = told_of_itself(out)
    if told is not None:
        return told
    step = _last_step(out / METRICS_FILE)
    return None if step is None else Whereabouts(step)


def told_of_itself(out: Path) -> Whereabouts | None:
    """What a cell told last of its progress; None if it told nothing, or nothing readable."""
    try:
        told = json.loads(read_regular(out / PROGRESS_FILE))
    except (OSError, ValueError, RecursionError):
        return None
    return _read(told)


def how_far(out: Path) -> Whereabouts | None:
    """Where a cell ended: by its metrics, since it tells its progress only now and then."""
    told, step = where_it_is(out), _last_step(out / METRICS_FILE)
    if told is None or step is None or step <= told.step:
        return told
    return Whereabouts(step, told.total, told.numbers)


def _read(told: object) -> Whereabouts | None:
    if not isinstance(told, Mapping):
        return None
    step, total, numbers = told.get("step"), told.get("total"), told.get("numbers")
    if not isinstance(step, int) or not isinstance(numbers, Mapping):
        return None
    shown = {str(name): float(n) for name, n in numbers.items() if isinstance(n, int | float)}
    return Whereabouts(step, total if isinstance(total, int) else None, shown)


def _last_step(metrics: Path) -> int | None:
    """The step of the last whole line; the file is not read but for its end."""
    try:
        with open_regular(metrics) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().split(b"\n")
        step = json.loads(lines[-2])["step"]
    except (OSError, ValueError, IndexError, KeyError, TypeError, RecursionError):
        return None
    return step if isinstance(step, int) else None
