"""Backend `process`: no container engine, the same command in a clean environment.

The cell leads a process group of its own, which is killed as a whole. It shares this machine's
files and network: it isolates mistakes of configuration, not hostile code.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import site
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from harness.errors import InfrastructureError
from harness.run.containers.backend import CellExit, Ending, Limits
from harness.run.disk import writing
from harness.run.record import LOG_FILE, SPEC_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

# LD_LIBRARY_PATH: the Python of a cluster module may need it to start at all.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_FIXED = {
    "LANG": "C.UTF-8",
    "HARNESS_LEASE": "stdin",
    "PYTHONUNBUFFERED": "1",
    "PYTHONHASHSEED": "0",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    # More threads than one make a cell slower under contention, and change its last digits.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
_GRACE_S = 2.0  # between SIGTERM and SIGKILL
_POLL_S = 0.2
_CAN_PEEK = hasattr(os, "waitid")  # not on macOS before Python 3.13


class ProcessBackend:
    """Runs each cell as a child process of this one."""

    name = "process"

    def environment(self, scratch: Path, data_root: Path) -> dict[str, str]:
        """The whole environment of a cell: an allow-list, and fixed values."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            **inherited,
            **_FIXED,
            "HARNESS_DATA": str(data_root),
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            # A new HOME would hide packages that were installed with `pip install --user`.
            "PYTHONUSERBASE": site.getuserbase(),
        }

    def start(
        self, cell_dir: Path, out_dir: Path, data_root: Path, limits: Limits, resume: Path
    ) -> ProcessCell:
        """Start the cell.

        Raises:
            InfrastructureError: no process can be started, or the disk refuses.
        """
        scratch = cell_dir / "scratch"
        with writing(cell_dir):
            scratch.mkdir()
            log = (cell_dir / LOG_FILE).open("wb", buffering=0)
        lease_reader, lease = os.pipe()
        try:
            process = subprocess.Popen(
                # -P: a file that the cell writes must not shadow a module.
                [sys.executable, "-P", "-m", "harness.cell", cell_dir / SPEC_FILE, out_dir],
                stdin=lease_reader,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=out_dir,
                env={
                    **self.environment(scratch, data_root.absolute()),
                    "HARNESS_RESUME": str(resume.absolute()),
                },
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            os.close(lease)
            log.close()
            raise InfrastructureError(f"no process can be started: {error}") from error
        finally:
            os.close(lease_reader)
        return ProcessCell(process, lease, _CappedLog(log, limits.log_bytes), limits.wall_s)

    def provenance(self) -> Mapping[str, object]:
        """No image, hence no digest."""
        return {"backend": self.name, "digest": None}


class ProcessCell:
    """A running cell."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        lease: int,
        log: _CappedLog,
        wall_s: float | None,
    ) -> None:
        self._process = process
        self._lease = lease
        self._log = log
        self._started = time.monotonic()
        self._inherited_peak = _inherited_peak()
        self._wall_limit = self._started + wall_s if wall_s is not None else float("inf")
        self._kill_at = float("inf")
        self._ending = Ending.EXITED
        self._usage: resource.struct_rusage | None = None
        self._lock = threading.Lock()

    def wait(self) -> CellExit:
        """Copy the cell's output to its log until it ends; enforce the wall-time limit.

        Raises:
            InfrastructureError: the log cannot be written; the cell is killed first.
        """
        assert self._process.stdout is not None
        with self._process.stdout as output:
            try:
                with writing(Path(self._log.path)):
                    self._collect(output)
                    self._log.close()
            finally:
                self._end_now()
        assert self._usage is not None
        return CellExit(
            ending=self._ending,
            code=self._process.returncode,
            wall_s=time.monotonic() - self._started,
            cpu_s=self._usage.ru_utime + self._usage.ru_stime,
            peak_bytes=self._peak_bytes(self._usage),
        )

    def _peak_bytes(self, usage: resource.struct_rusage) -> int | None:
        if usage.ru_maxrss <= self._inherited_peak:
            return None
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def stop(self) -> None:
        """Ask the whole process group to end, and kill it a little later."""
        self._terminate(Ending.STOPPED)

    def _collect(self, output: IO[bytes]) -> None:
        poller = select.poll()
        poller.register(output, select.POLLIN)
        pause = 0.0005
        is_open = True
        while True:
            if is_open:
                # The end of the output is not awaited without end: programs that the cell left
                # behind may hold it open.
                if poller.poll(self._until_next_step() * 1000):
                    chunk = os.read(output.fileno(), 1 << 16)
                    self._log.write(chunk)
                    is_open = bool(chunk)
                elif self._reap():
                    return
            elif self._reap():
                return
            else:
                time.sleep(pause)
                pause = min(2 * pause, _POLL_S)
            self._enforce_limits()

    def _until_next_step(self) -> float:
        deadline = self._wall_limit if self._ending is Ending.EXITED else self._kill_at
        return min(_POLL_S, max(0.001, deadline - time.monotonic()))

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        if now > self._kill_at:
            self._signal(signal.SIGKILL)
        elif now > self._wall_limit:
            self._terminate(Ending.WALL_LIMIT)

    def _terminate(self, ending: Ending) -> None:
        with self._lock:
            if self._ending is not Ending.EXITED:
                return
            self._ending = ending
            self._kill_at = time.monotonic() + _GRACE_S
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:  # a reaped process's number may belong to another one by now
            if self._usage is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)

    def _reap(self) -> bool:
        with self._lock:
            if self._usage is None:
                group = self._process.pid
                # What the cell left behind in its group is killed before the cell is reaped: until
                # then the group's number cannot belong to others.
                if _CAN_PEEK:
                    if os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                        return False
                    _kill_group(group)
                pid, status, usage = os.wait4(group, os.WNOHANG)
                if pid == 0:
                    return False
                if not _CAN_PEEK:
                    _kill_group(group)
                self._usage = usage
                self._process.returncode = os.waitstatus_to_exitcode(status)
            return True

    def _end_now(self) -> None:
        self._signal(signal.SIGKILL)
        while not self._reap():
            time.sleep(0.001)
        os.close(self._lease)
        self._log.abandon()


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS forbids what Linux finds done
        os.killpg(group, signal.SIGKILL)


def _inherited_peak() -> int:
    """What the `ru_maxrss` of a process that was just started may have begun with, on Linux."""
    own: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0 if sys.platform == "darwin" else own


class _CappedLog:
    """A log file of limited size: the first half, and the last half once the cell has ended."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._half = limit // 2
        self._room = self._half
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0

    @property
    def path(self) -> str:
        return self._file.name

    def write(self, chunk: bytes) -> None:
        head, rest = chunk[: self._room], chunk[self._room :]
        if head:
            self._file.write(head)
            self._room -= len(head)
        if rest:
            self._tail.append(rest)
            self._tail_bytes += len(rest)
            while self._tail_bytes - len(self._tail[0]) >= self._half:
                oldest = self._tail.popleft()
                self._tail_bytes -= len(oldest)
                self._dropped += len(oldest)

    def close(self) -> None:
        tail = b"".join(self._tail)
        excess = max(0, len(tail) - self._half)
        if self._dropped + excess:
            self._file.write(b"\n[%d bytes left out]\n" % (self._dropped + excess))
        if tail:
            self._file.write(tail[excess:])
        self._file.close()

    def abandon(self) -> None:
        """Close the file, whatever is still unwritten."""
        self._file.close()
