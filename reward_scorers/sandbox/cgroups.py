"""Control groups: limits of memory and processes that bind a program as a whole.

Version 2 and the hybrid of version 1 are served, where this process may make groups. Where it may
not, limits of single processes remain (see `reward_scorers.sandbox.limits`).
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_PREFIX: Final = "rl-sandbox-"
_V1: Final = ("memory", "pids")
_REMOVE_S: Final = 2.0  # for the kernel to end what was killed
_LOOK_S: Final = 0.002
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Group:
    """A group, which is a folder in one hierarchy, or one in each of two."""

    folders: tuple[Path, ...]

    def descriptors(self) -> tuple[int, ...]:
        """Open lists of processes: who writes 0 there is in the group."""
        return tuple(
            os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for folder in self.folders
        )

    def oom_kills(self) -> int:
        """How many processes were killed because the group had too much memory."""
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                for line in (self.folders[0] / name).read_text().splitlines():
                    key, _, count = line.partition(" ")
                    if key == "oom_kill":
                        return int(count)
        return 0

    def remove(self) -> None:
        """End what is left in the group, and remove it."""
        patience = time.monotonic() + _REMOVE_S
        for folder in self.folders:
            while not _removed(folder) and time.monotonic() < patience:
                time.sleep(_LOOK_S)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # processes are in it, which the kernel is just ending, or which shall end
        with suppress(OSError, ValueError):
            for pid in (folder / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        return False
    return True


def new_group(memory_bytes: int, processes: int) -> Group | None:
    """A group with limits, None where none can be made."""
    parents = _parents()
    if not parents:
        return None
    name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
    group = Group(tuple(parent / name for parent in parents))
    try:
        for folder in group.folders:
            folder.mkdir()
        _limit(group, memory_bytes, processes)
    except OSError:
        group.remove()
        return None
    return group


def _limit(group: Group, memory_bytes: int, processes: int) -> None:
    memory, pids = group.folders[0], group.folders[-1]
    if len(group.folders) == 1:
        _write(memory / "memory.max", memory_bytes)
        _write(memory / "memory.swap.max", 0, optional=True)
    else:
        _write(memory / "memory.limit_in_bytes", memory_bytes)
        _write(memory / "memory.memsw.limit_in_bytes", memory_bytes, optional=True)
    _write(pids / "pids.max", processes)


def _write(file: Path, value: int, *, optional: bool = False) -> None:
    try:
        file.write_text(str(value))
    except OSError:
        if not optional:
            raise


@cache
def _parents() -> tuple[Path, ...]:
    """The folders in which groups can be made: one of version 2, or one per hierarchy."""
    own = _ROOT / _own_group().lstrip("/")
    for parent in (own, *own.parents):
        if not parent.is_relative_to(_ROOT):
            break
        with suppress(OSError):
            allowed = (parent / "cgroup.subtree_control").read_text().split()
            if {"memory", "pids"} <= set(allowed) and os.access(parent, os.W_OK):
                _sweep(parent)
                return (parent,)
    first = tuple(_ROOT / name for name in _V1)
    if all((parent / "cgroup.procs").exists() and os.access(parent, os.W_OK) for parent in first):
        for parent in first:
            _sweep(parent)
        return first
    return ()


def _own_group() -> str:
    """The group of this process in version 2, "" where there is none."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                return path
    return ""


def _sweep(parent: Path) -> None:
    """Remove the groups of processes that were killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            with suppress(OSError):  # its programs are just ending
                folder.rmdir()
