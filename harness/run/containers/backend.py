"""What every container backend offers: say what it can do here, start a cell, wait, stop it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """What one cell may use; None: no limit of its own.

    Attributes:
        wall_s: seconds from start to end.
        log_bytes: of log.txt.
        memory_bytes: resident and swap together, of all its processes.
        cpus: cores at a time, such as 1.5.
        pids: processes and threads at a time.
        disk_bytes: of all that the cell writes: results, checkpoints, scratch.
    """

    wall_s: float | None = None
    log_bytes: int = 8 << 20
    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int | None = None
    disk_bytes: int | None = None


class Ending(StrEnum):
    """Why a cell's process ended."""

    EXITED = "exited"
    WALL_LIMIT = "wall_limit"
    MEMORY_LIMIT = "memory_limit"  # the kernel killed a process of it
    DISK_LIMIT = "disk_limit"
    ENGINE_LOST = "engine_lost"  # the container engine went away under it
    STOPPED = "stopped"  # by this run


@dataclass(frozen=True, slots=True)
class CellExit:
    """How a cell's process ended.

    Attributes:
        code: exit status, or minus the signal's number.
        wall_s: seconds from start to end.
        cpu_s: user plus system seconds of the process and those it waited for; None where only the
            cell itself can tell.
        peak_bytes: the largest resident set among them; None where the system told only that of
            this run, which is larger, or nothing.
        container: what the engine said of the container that ran, such as `digest`, the id of its
            image; empty without an engine.
        kills_are_told: whether MEMORY_LIMIT would be its ending if the kernel had killed it for
            memory, so that a kill without it came from somebody.
    """

    ending: Ending
    code: int
    wall_s: float
    cpu_s: float | None
    peak_bytes: int | None
    container: Mapping[str, object] = field(default_factory=dict)
    kills_are_told: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at a cell, as its backend is told.

    Attributes:
        folder: holds spec.json; log.txt goes there too.
        out: the cell's results, an empty folder.
        resume: the cell's checkpoints: a folder that outlives the attempt and need not be there.
        data_root: what the paths of pinned data sets start from.
        data: those paths. A cell in a container sees no other files of this machine.
        gpus: the GPUs that it gets, by index or UUID, as many as its tier asks for. Empty: none,
            and what this process sees where there is no container.
    """

    folder: Path
    out: Path
    resume: Path
    data_root: Path
    data: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    gpus: tuple[str, ...] = ()


class Running(Protocol):
    """A cell that was started."""

    def wait(self) -> CellExit:
        """Wait for the end, collecting the log; called once, after which no process is left."""

    def stop(self) -> None:
        """End the cell soon; from any thread, any number of times."""


class Backend(Protocol):
    """A way to run `python -m harness.cell SPEC OUT`."""

    @property
    def name(self) -> str:
        """What `container:` in a suite says."""

    def missing(self) -> str:
        """Why no cell can be run by it on this machine, and what to type; empty if one can."""

    def session(self, owner: Path) -> AbstractContextManager[None]:
        """What cells are started in: after it, also after kill -9, nothing of them is left.

        Args:
            owner: a file that this process holds a lock on (harness.run.claims) while it lives.

        Raises:
            InfrastructureError: no cell can run here: no engine, no image, a limit does not bind.
        """

    def start(self, job: Job) -> Running:
        """Start a cell, within a session.

        Raises:
            InfrastructureError: it cannot be started here.
        """

    def provenance(self) -> Mapping[str, object]:
        """What cells run in: `backend`, `digest` (of the image, or None) and what else is known."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a backend can do on this machine, as it was found by asking and trying.

    Attributes:
        name: of the backend.
        works: whether a cell can be run by it.
        version: of the engine; None if there is none.
        reason: why it does not work, in a sentence; empty if it does.
        hint: what to type to mend that.
        rootless: whether the engine runs as a user without rights.
        cgroup: version of the control groups it uses, "1" or "2"; None without any.
        limits: memory, pids, cpus, disk -> whether that limit binds.
        gpus: how it is asked for GPUs, such as "cdi" or "nvidia"; None if it cannot be.
    """

    name: str
    works: bool
    version: str | None = None
    reason: str = ""
    hint: str = ""
    rootless: bool = False
    cgroup: str | None = None
    limits: Mapping[str, bool] = field(default_factory=dict)
    gpus: str | None = None
