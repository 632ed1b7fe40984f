"""What became of an attempt: whether it has a result, why not, what the cell told beside it."""

from __future__ import annotations

import json
import math
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.run.containers import Ending
from harness.run.disk import read_regular
from harness.run.record import ERROR_FILE, PROGRESS_FILE, RESULT_FILE, USAGE_FILE, Record, Status
from harness.run.watch import how_far

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.run.containers import CellExit, Limits
    from harness.run.staging import Stage


class Kind(StrEnum):
    """Why an attempt has no result, in one word for programs (`error.kind` of its record)."""

    FAILED = "failed"  # the cell says why, or its log
    HOST_FAILED = "host_failed"  # the cell says so: a full disk, no memory, no files left
    WALL_LIMIT = "wall_limit"
    MEMORY_LIMIT = "memory_limit"
    DISK_LIMIT = "disk_limit"
    KILLED = "killed"  # by a signal, from outside of this run
    ENGINE_LOST = "engine_lost"
    SICK_HOST = "sick_host"
    REFUSED = "refused"  # results that the store does not take


HOST_FAILED = 5  # a cell's exit status, as harness.cell.contract says
ERROR_KEYS = ("message", "where", "expected", "found", "hint")
_MOST_WARNINGS = 20
_MOST_TEXT = 4000  # letters of a message
_AT_A_LIMIT = (Ending.WALL_LIMIT, Ending.MEMORY_LIMIT, Ending.DISK_LIMIT)


@dataclass(frozen=True, slots=True)
class Why:
    """Why an attempt has no result.

    Attributes:
        error: `message` and, if known, `where`, `expected`, `found`, `hint`.
        resumable: whether the next attempt may go on from this one's checkpoints.
        passing: whether the reason lies outside of the cell and may be gone already.
    """

    status: Status
    error: Mapping[str, object]
    resumable: bool = True
    passing: bool = False


def why_failed(stage: Stage, end: CellExit, limits: Limits) -> Why | None:
    """None if there is a result, also when the cell was told to end meanwhile."""
    # Of a cell whose end nobody saw there may be a result, and more may have been to come.
    is_seen = end.ending is not Ending.ENGINE_LOST
    has_result = _read_object(stage.out / RESULT_FILE).get("status") == Status.OK
    if end.code == 0 and is_seen and has_result:
        return None
    if end.ending is Ending.MEMORY_LIMIT and end.code != -signal.SIGKILL and _says_why(stage):
        why = _told(stage, end)
        message = f"{why.error['message']} (before, the kernel killed a process of it for memory)"
        return replace(why, error={**why.error, "message": message})
    if end.ending in _AT_A_LIMIT:
        return _at_a_limit(stage, end.ending, limits)
    if end.ending is Ending.ENGINE_LOST:
        message = f"the container engine went away while the cell ran{_where(stage)}"
        return Why(Status.INVALID, _error(Kind.ENGINE_LOST, message), passing=True)
    if end.code == 0:
        message = f"exit status 0 without a whole {RESULT_FILE}"
        return Why(Status.ERROR, _error(Kind.FAILED, message))
    if end.code in (-signal.SIGKILL, -signal.SIGTERM):
        return _killed(stage, end)
    return _told(stage, end)


def unhealthy(sick: Sequence[str], failure: Why | None) -> Why:
    """A cell on a host that was not fit for it, for these reasons, whether or not it failed."""
    message = f"the host was not fit for the cell: {'; '.join(sick)}"
    if failure is not None:
        message += f". The cell said: {failure.error.get('message')}"
    hint = "mend the host (harness doctor), then give the same command again"
    resumable = failure is None or failure.resumable
    return Why(Status.INVALID, _error(Kind.SICK_HOST, message, hint), resumable)


def _at_a_limit(stage: Stage, ending: Ending, limits: Limits) -> Why:
    where = _where(stage)
    if ending is Ending.WALL_LIMIT:
        message = f"it ran past its limit of {limits.wall_s:g} s{where}"
        return Why(Status.ERROR, _error(Kind.WALL_LIMIT, message))
    if ending is Ending.DISK_LIMIT:
        message = f"it wrote more than its limit of {_gb(limits.disk_bytes)}{where}"
        hint = "raise `resources.disk_gb` of the tier in suite.yaml, or keep fewer checkpoints"
        return Why(Status.ERROR, _error(Kind.DISK_LIMIT, message, hint))
    limit = limits.memory_bytes
    allowed = "the machine has" if limit is None else f"its limit of {_gb(limit)}"
    message = f"it was killed for using more memory than {allowed}{where}"
    hint = "raise `resources.memory_gb` of the tier in suite.yaml, or use a larger machine"
    return Why(Status.ERROR, _error(Kind.MEMORY_LIMIT, message, hint))


def _killed(stage: Stage, end: CellExit) -> Why:
    name = signal.Signals(-end.code).name
    message = f"killed by {name}, not by this run"
    if not end.kills_are_told:
        of = "it reached its memory limit" if end.container else "the host ran out of memory"
        message += f"; perhaps {of}"
    error = _error(Kind.KILLED, message + _where(stage))
    return Why(Status.INVALID, error, passing=end.kills_are_told)


def _told(stage: Stage, end: CellExit) -> Why:
    """A failure that the cell itself tells, in error.json or at the end of its log."""
    by_host = end.code == HOST_FAILED
    status = Status.INVALID if by_host else Status.ERROR
    told = _read_object(stage.out / ERROR_FILE)
    error: dict[str, object] = {
        key: _clean(text) for key in ERROR_KEYS if isinstance(text := told.get(key), str)
    }
    error["kind"] = Kind.HOST_FAILED if by_host else Kind.FAILED
    if "message" not in error:
        how = f"signal {-end.code}" if end.code < 0 else f"exit status {end.code}"
        error["message"] = f"{how}: {_last_line(stage.log)}"
    return Why(status, error, told.get("resumable") is not False)


def refused(refusal: HarnessError) -> Why:
    """Results that the store does not take."""
    told = {key: getattr(refusal, key) for key in ERROR_KEYS}
    error = {key: value for key, value in told.items() if value}
    return Why(Status.ERROR, {**error, "kind": Kind.REFUSED})


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

    `peak_bytes` of memory and `cpu_s`, or None, and `warnings` where its result has any.
    """
    usage = _read_object(stage.out / USAGE_FILE)
    peak, cpu_s = usage.get("peak_bytes"), usage.get("cpu_s")
    told: dict[str, object] = {
        "peak_bytes": peak if isinstance(peak, int) else None,
        "cpu_s": cpu_s if isinstance(cpu_s, float) and math.isfinite(cpu_s) else None,
    }
    for name in (USAGE_FILE, PROGRESS_FILE, f".{PROGRESS_FILE}.partial"):
        with suppress(OSError):  # absent; or a folder, which the store does not mind
            (stage.out / name).unlink()
    warnings = _read_object(stage.out / RESULT_FILE).get("warnings")
    if isinstance(warnings, list) and warnings:
        told["warnings"] = [str(one) for one in warnings[:_MOST_WARNINGS]]
    return told


def _error(kind: Kind, message: str, hint: str | None = None) -> dict[str, object]:
    return {"kind": kind, "message": message, **({"hint": hint} if hint else {})}


def _gb(count: int | None) -> str:
    return f"{(count or 0) / 1e9:.3g} GB"


def _says_why(stage: Stage) -> bool:
    return isinstance(_read_object(stage.out / ERROR_FILE).get("message"), str)


def _clean(text: str) -> str:
    """What a cell says, for a terminal: no control characters, and no end without end."""
    shown = "".join(one if one.isprintable() or one == "\n" else "?" for one in text[:_MOST_TEXT])
    return shown.encode("utf-8", "replace").decode()


def _where(stage: Stage) -> str:
    place = how_far(stage.out)
    return "" if place is None else f", at {place}"


def _read_object(path: Path) -> Mapping[str, object]:
    try:
        value = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-4096:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing was printed"
