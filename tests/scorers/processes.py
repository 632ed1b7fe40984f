"""The processes below this one and what they cost, read from /proc."""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def descendants() -> set[int]:
    """Their ids; empty where the system has no /proc."""
    parents = {}
    for folder in PROC.iterdir() if PROC.is_dir() else ():
        if folder.name.isdigit() and (fields := _fields(int(folder.name))):
            parents[int(folder.name)] = int(fields[1])
    below: set[int] = set()
    grown = {os.getpid()}
    while grown:
        grown = {pid for pid, parent in parents.items() if parent in grown} - below
        below |= grown
    return below


def cpu_seconds_of_all() -> float:
    """CPU seconds of this process and of all below it, ended or not."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = sum(
        int(fields[11]) + int(fields[12]) for pid in descendants() if (fields := _fields(pid))
    )
    return time.process_time() + ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[str]:
    """Fields of its stat from the state on; none if it has ended."""
    with suppress(OSError):
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()
    return []
