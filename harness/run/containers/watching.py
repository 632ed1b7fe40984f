"""Watching a cell from outside: its output goes to its log, and it is ended at its limits."""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.run.containers.backend import Ending
from harness.run.containers.output import CappedLog
from harness.run.disk import walk, writing
from harness.run.record import LOG_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.run.containers.backend import Job, Limits

_GRACE_S: Final = 2.0  # between asking and killing
_POLL_S: Final = 0.2
_DISK_S: Final = 0.5  # between two looks at what the cell has written
_AT_ONCE: Final = 1 << 16


class Watcher:
    """Copies a cell's output until it ends; asks it to end at a limit, and then kills it.

    Attributes:
        started: when, by time.monotonic().
        ending: why the cell was ended, EXITED while nobody has.
    """

    def __init__(
        self,
        log: CappedLog,
        limits: Limits,
        written: Sequence[Path],
        terminate: Callable[[], None],
        kill: Callable[[], None],
    ) -> None:
        self.log = log
        self.started = time.monotonic()
        self.ending = Ending.EXITED
        self._limits = limits
        self._written = written
        self._terminate = terminate
        self._kill = kill
        wall_s = limits.wall_s
        self._wall_limit = self.started + wall_s if wall_s is not None else float("inf")
        self._look_at = self.started if limits.disk_bytes is not None else float("inf")
        self._kill_at = float("inf")
        self._ended: float | None = None
        self._lock = threading.Lock()

    @property
    def wall_s(self) -> float:
        """Seconds from the start to the end, or until now."""
        return (self._ended or time.monotonic()) - self.started

    def end(self, why: Ending) -> None:
        """Ask the cell to end, and kill it a little later; the first reason stands."""
        with self._lock:
            if self.ending is not Ending.EXITED:
                return
            self.ending = why
            self._kill_at = time.monotonic() + _GRACE_S
        self._terminate()

    def watch(
        self,
        output: int,
        has_ended: Callable[[], bool],
        decoded: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Copy the output to the log until the cell has ended, enforcing its limits.

        Args:
            output: a descriptor to read from.
            has_ended: asked when nothing is printed.
            decoded: what was printed, of what was read.

        Raises:
            InfrastructureError: the log cannot be written.
        """
        with writing(Path(self.log.path)):
            self._copy(output, has_ended, decoded)
            self._ended = time.monotonic()
            self.log.close()

    def _copy(
        self, output: int, has_ended: Callable[[], bool], decoded: Callable[[bytes], bytes]
    ) -> None:
        poller = select.poll()
        poller.register(output, select.POLLIN)
        pause = 0.0005
        is_open = True
        while True:
            if is_open:
                # The end of the output is not awaited without end: programs that the cell left
                # behind may hold it open.
                if poller.poll(self._until_next_step() * 1000):
                    chunk = _read(output)
                    self.log.write(decoded(chunk))
                    is_open = bool(chunk)
                elif has_ended():
                    return
            elif has_ended():
                return
            else:
                time.sleep(pause)
                pause = min(2 * pause, _POLL_S)
            self._enforce_limits()

    def _until_next_step(self) -> float:
        deadline = self._wall_limit if self.ending is Ending.EXITED else self._kill_at
        return min(_POLL_S, max(0.001, deadline - time.monotonic()))

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        if now > self._kill_at:
            self._kill()
        elif now > self._wall_limit:
            self.end(Ending.WALL_LIMIT)
        elif now > self._look_at:
            self._look_at = now + _DISK_S
            limit = self._limits.disk_bytes
            if limit is not None and bytes_below(self._written) > limit:
                self.end(Ending.DISK_LIMIT)


def open_log(job: Job) -> CappedLog:
    """The log of an attempt.

    Raises:
        InfrastructureError: the disk refuses.
    """
    path = job.folder / LOG_FILE
    with writing(path):
        return CappedLog(path.open("wb", buffering=0), job.limits.log_bytes)


def bytes_below(folders: Sequence[Path]) -> int:
    """Bytes on the disk of all files below some folders, while somebody writes there."""
    total = 0
    for folder in folders:
        for entry in walk(folder):
            with suppress(OSError):  # renamed or removed since
                total += 512 * entry.stat(follow_symlinks=False).st_blocks
    return total


def _read(output: int) -> bytes:
    try:
        return os.read(output, _AT_ONCE)
    except ConnectionResetError:  # an engine that was killed
        return b""
