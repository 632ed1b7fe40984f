"""What became of an attempt: whether it has a result, why not, what the cell told beside it."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.run.containers import Ending
from harness.run.record import ERROR_FILE, PROGRESS_FILE, RESULT_FILE, USAGE_FILE, Record, Status
from harness.run.watch import how_far

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.run.containers import CellExit, Limits
    from harness.run.staging import Stage

HOST_FAILED = 5  # a cell's exit status, as harness.cell.contract says
ERROR_KEYS = ("message", "where", "expected", "found", "hint")
_MOST_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class Why:
    """Why an attempt has no result.

    Attributes:
        error: `message` and, if known, `where`, `expected`, `found`, `hint`.
        resumable: whether the next attempt may go on from this one's checkpoints.
    """

    status: Status
    error: Mapping[str, object]
    resumable: bool = True


def why_failed(stage: Stage, end: CellExit, limits: Limits) -> Why | None:
    """None if there is a result, also when the cell was told to end meanwhile."""
    if end.code == 0 and _read_object(stage.out / RESULT_FILE).get("status") == Status.OK:
        return None
    if end.ending is Ending.WALL_LIMIT:
        message = f"it ran past its limit of {limits.wall_s:g} s{_where(stage)}"
        return Why(Status.ERROR, {"message": message})
    if end.code == 0:
        return Why(Status.ERROR, {"message": f"exit status 0 without a whole {RESULT_FILE}"})
    if end.code in (-signal.SIGKILL, -signal.SIGTERM):
        name = signal.Signals(-end.code).name
        message = f"killed by {name}, not by this run; perhaps the host ran out of memory"
        return Why(Status.INVALID, {"message": message + _where(stage)})
    status = Status.INVALID if end.code == HOST_FAILED else Status.ERROR
    told = _read_object(stage.out / ERROR_FILE)
    error = {key: told[key] for key in ERROR_KEYS if isinstance(told.get(key), str)}
    if "message" not in error:
        how = f"signal {-end.code}" if end.code < 0 else f"exit status {end.code}"
        error["message"] = f"{how}: {_last_line(stage.log)}"
    return Why(status, error, told.get("resumable") is not False)


def refused(refusal: HarnessError) -> Why:
    """Results that the store does not take."""
    told = {key: getattr(refusal, key) for key in ERROR_KEYS}
    return Why(Status.ERROR, {key: value for key, value in told.items() if value})


def goes_on(error: Mapping[str, object], start: str | None) -> Mapping[str, object]:
    """The error with a hint from where the next attempt goes on; None: from the beginning."""
    if start is None:
        return error
    told = f"the next run goes on from {start}"
    hint = error.get("hint")
    return {**error, "hint": f"{hint}; then {told}" if hint else told}


def message_of(record: Record) -> str:
    """What a failed attempt's record tells a person."""
    error = record.error or {}
    details = {key: str(error[key]) for key in ERROR_KEYS[1:] if key in error}
    return str(HarnessError(str(error.get("message")), **details))


def take_told(stage: Stage) -> dict[str, object]:
    """What a cell told beside its results, for the record; the files of it are removed.

    `peak_bytes` of memory, or None, and `warnings` where its result has any.
    """
    told: dict[str, object] = {}
    told["peak_bytes"] = _read_object(stage.out / USAGE_FILE).get("peak_bytes")
    for name in (USAGE_FILE, PROGRESS_FILE, f".{PROGRESS_FILE}.partial"):
        with suppress(FileNotFoundError):
            (stage.out / name).unlink()
    warnings = _read_object(stage.out / RESULT_FILE).get("warnings")
    if isinstance(warnings, list) and warnings:
        told["warnings"] = [str(one) for one in warnings[:_MOST_WARNINGS]]
    return told


def _where(stage: Stage) -> str:
    place = how_far(stage.out)
    return "" if place is None else f", at {place}"


def _read_object(path: Path) -> Mapping[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-4096:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing was printed"
