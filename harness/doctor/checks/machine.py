"""Cores, memory, and the disk of the workspace."""

from __future__ import annotations

import os
import platform
import shutil
from typing import TYPE_CHECKING, Final

from harness.doctor.finding import Finding, State
from harness.doctor.registry import check
from harness.doctor.setting import Setting, gigabytes, lacking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOPIC: Final = "machine"
_LITTLE_MEMORY: Final = 2e9  # a cell of a micro tier takes up to 1 GB, measured
_LITTLE_DISK: Final = 1e9
_UNLIMITED: Final = 1 << 60  # version 1 of control groups writes a huge number for "no limit"


@check(TOPIC)
def machine(setting: Setting) -> Iterator[Finding]:
    """What the machine has, and whether it carries anything at all."""
    yield Finding(TOPIC, "system", State.OK, f"{platform.system()} {platform.release()}")
    yield cores(setting)
    yield memory(setting)
    yield disk(setting.workspace)


def cores(setting: Setting) -> Finding:
    """Cores that this process may use, and the quota of its control group if that is less."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = cpu_quota(setting)
    found = f"{count} cores" if count != 1 else "one core"
    if quota is not None and quota < (count or 1):
        found += f", of which the control group gives {quota:g}"
        fix = (
            "raise the CPU limit of this container (docker run --cpus ...; Slurm: --cpus-per-task)"
        )
        return Finding(TOPIC, "cores", State.NOTE, found, "a quota of all cores", fix)
    return Finding(TOPIC, "cores", State.OK, found)


def cpu_quota(setting: Setting) -> float | None:
    """Cores that the control group of a container gives; None: all."""
    told = (setting.text("sys/fs/cgroup/cpu.max") or "").split()
    if len(told) == 2 and told[0].isdecimal():
        return int(told[0]) / int(told[1])
    quota = setting.number("sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    period = setting.number("sys/fs/cgroup/cpu/cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def memory(setting: Setting) -> Finding:
    """Memory of the machine, or what the control group of a container gives of it."""
    total, available = memory_bytes(setting)
    if total is None or available is None:
        return Finding(TOPIC, "memory", State.NOTE, "unknown: there is no /proc/meminfo")
    found = f"{gigabytes(available)} free of {gigabytes(total)}"
    if available < _LITTLE_MEMORY:
        fix = "ps aux --sort=-rss | head   # what takes it"
        return lacking(TOPIC, "memory", found, needed=True, expected="2 GB free", fix=fix)
    return Finding(TOPIC, "memory", State.OK, found)


def memory_bytes(setting: Setting) -> tuple[int | None, int | None]:
    """Total and available bytes."""
    fields = {}
    for line in (setting.text("proc/meminfo") or "").splitlines():
        name, _, rest = line.partition(":")
        if rest.split()[:1] and rest.split()[0].isdecimal():
            fields[name] = int(rest.split()[0]) * 1024
    total, available = fields.get("MemTotal"), fields.get("MemAvailable")
    for path in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = setting.number(path)
        if limit is not None and limit < min(total or 0, _UNLIMITED):
            return limit, min(limit, available or limit)
    return total, available


def disk(workspace: Path) -> Finding:
    """Whether the store can be written, and how much goes there."""
    place = next(one for one in (workspace, *workspace.absolute().parents) if one.exists())
    free = shutil.disk_usage(place).free
    found = f"{gigabytes(free)} free in {place}"
    if not (place.is_dir() and os.access(place, os.W_OK)):
        fix = "harness doctor --workspace FOLDER   # one that you may write"
        expected = "a folder that can be written"
        return lacking(
            TOPIC,
            "workspace",
            f"{place} cannot be written",
            needed=True,
            expected=expected,
            fix=fix,
        )
    if free < _LITTLE_DISK:
        fix = "free space, or: export HARNESS_WORKSPACE=FOLDER"
        return lacking(TOPIC, "workspace", found, needed=True, expected="1 GB free", fix=fix)
    return Finding(TOPIC, "workspace", State.OK, found)
