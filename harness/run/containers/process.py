"""Backend `process`: no container engine, the same command in a clean environment.

The cell leads a process group of its own, which is killed as a whole. It shares this machine's
files and network: it isolates mistakes of configuration, not hostile code. Of the limits only those
of time, of the log and of the disk bind.
"""

from __future__ import annotations

import os
import resource
import signal
import site
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError
from harness.run.containers.backend import CellExit, Ending, Job, Probe
from harness.run.containers.environment import fixed_environment
from harness.run.containers.watching import Watcher, open_log
from harness.run.disk import writing
from harness.run.record import SPEC_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.run.containers.output import CappedLog

# LD_LIBRARY_PATH: the Python of a cluster module may need it to start at all.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_CAN_PEEK = hasattr(os, "waitid")  # not on macOS before Python 3.13


def probe() -> Probe:
    """It always works."""
    limits = {"memory": False, "pids": False, "cpus": False, "disk": True}
    return Probe("process", works=True, limits=limits, gpus="environment")


class ProcessBackend:
    """Runs each cell as a child process of this one."""

    name = "process"

    def __init__(self, _image: str = "") -> None:
        """The image does not matter: there is none."""

    def missing(self) -> str:
        """Nothing."""
        return ""

    @contextmanager
    def session(self, _owner: Path) -> Iterator[None]:
        """Nothing to prepare: cells end with this process."""
        yield

    def environment(self, job: Job, scratch: Path) -> dict[str, str]:
        """The whole environment of a cell: an allow-list, and fixed values."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        given = {}
        if job.gpus:
            # By default CUDA counts the quickest GPU first, and NVML, which names them, by place.
            given = {
                "CUDA_VISIBLE_DEVICES": ",".join(job.gpus),
                "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            }
        return {
            **inherited,
            **given,
            **fixed_environment(scratch, job.data_root.absolute(), job.resume.absolute()),
            # A new HOME would hide packages that were installed with `pip install --user`.
            "PYTHONUSERBASE": site.getuserbase(),
        }

    def start(self, job: Job) -> ProcessCell:
        """Start the cell.

        Raises:
            InfrastructureError: no process can be started, or the disk refuses.
        """
        scratch = job.folder / "scratch"
        with writing(job.folder):
            scratch.mkdir()
        # -P: a file that the cell writes must not shadow a module.
        spec, out = str(job.folder / SPEC_FILE), str(job.out)
        command = [sys.executable, "-P", "-m", "harness.cell", spec, out]
        log = open_log(job)
        process, lease = spawn(command, job.out, self.environment(job, scratch), log)
        return ProcessCell(process, lease, log, job, scratch)

    def provenance(self) -> Mapping[str, object]:
        """No image, hence no digest."""
        return {"backend": self.name, "digest": None}


def spawn(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    log: CappedLog,
    *,
    pass_fds: Sequence[int] = (),
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a program that leads a group of its own; its output is a pipe, its input the lease.

    Args:
        command: the program and its arguments.
        folder: where it is started.
        environment: all of it.
        log: closed if it cannot be started.
        pass_fds: descriptors that it inherits.

    Returns:
        the process, and the descriptor whose closing ends the lease.

    Raises:
        InfrastructureError: no process can be started.
    """
    lease_reader, lease = os.pipe()
    try:
        process = subprocess.Popen(
            command,
            stdin=lease_reader,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
            pass_fds=pass_fds,
            bufsize=0,
        )
    except OSError as error:
        os.close(lease)
        log.abandon()
        raise InfrastructureError(f"no process can be started: {error}") from error
    finally:
        os.close(lease_reader)
    return process, lease


class ProcessCell:
    """A running cell: a process that leads a group, and all that it has started."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        lease: int,
        log: CappedLog,
        job: Job,
        scratch: Path,
        *,
        container: Mapping[str, object] = MappingProxyType({}),
        code_of: Callable[[int], int] = int,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._process = process
        self._lease = lease
        self._container = container
        self._code_of = code_of
        self._at_end = at_end
        self._inherited_peak = _inherited_peak()
        self._usage: resource.struct_rusage | None = None
        self._lock = threading.Lock()
        self._watcher = Watcher(
            log,
            job.limits,
            (job.out, job.resume, scratch),
            terminate=lambda: self._signal(signal.SIGTERM),
            kill=lambda: self._signal(signal.SIGKILL),
        )

    def wait(self) -> CellExit:
        """Copy the cell's output to its log until it ends; enforce its limits.

        Raises:
            InfrastructureError: the log cannot be written; the cell is killed first.
        """
        assert self._process.stdout is not None
        with self._process.stdout as output:
            try:
                self._watcher.watch(output.fileno(), self._reap)
            finally:
                self._end_now()
                self._at_end()
        assert self._usage is not None
        return CellExit(
            ending=self._watcher.ending,
            code=self._code_of(self._process.returncode),
            wall_s=self._watcher.wall_s,
            cpu_s=self._usage.ru_utime + self._usage.ru_stime,
            peak_bytes=self._peak_bytes(self._usage),
            container=self._container,
        )

    def _peak_bytes(self, usage: resource.struct_rusage) -> int | None:
        if usage.ru_maxrss <= self._inherited_peak:
            return None
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def stop(self) -> None:
        """Ask the whole process group to end, and kill it a little later."""
        self._watcher.end(Ending.STOPPED)

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
        self._watcher.log.abandon()


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS forbids what Linux finds done
        os.killpg(group, signal.SIGKILL)


def _inherited_peak() -> int:
    """What the `ru_maxrss` of a process that was just started may have begun with, on Linux."""
    own: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0 if sys.platform == "darwin" else own
