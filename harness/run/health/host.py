"""The host as it is now: cores, memory, pressure, machine checks. Linux tells; elsewhere None."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Each file of /sys costs some 10 us, and machines have up to 512 cores.
_MOST_CORES: Final = 32
_PRESSURES: Final = ("cpu", "memory", "io")


@dataclass(frozen=True, slots=True)
class CpuSample:
    """The cores, of which at most 32 are looked at.

    Attributes:
        throttled: how often they were slowed down for heat since the machine started.
        mhz: mean frequency now.
        max_mhz: the highest that any of them can have.
        load: processes that run or wait, mean of one minute, per core.
        quota_throttled: periods in which the control group of this process had used up its CPU
            time.
    """

    throttled: int | None
    mhz: int | None
    max_mhz: int | None
    load: float | None
    quota_throttled: int | None


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Memory in bytes, and errors of it since the machine started.

    Attributes:
        available: what can be had without swapping.
        uncorrected: errors that ECC found and could not correct (EDAC); None without ECC.
    """

    available: int | None
    swap_used: int | None
    uncorrected: int | None


@dataclass(frozen=True, slots=True)
class Host:
    """The host besides its GPUs.

    Attributes:
        pressure: cpu, memory, io -> percent of the last minute in which some process waited for it.
    """

    cpu: CpuSample
    memory: MemorySample
    pressure: Mapping[str, float | None]


def look(root: Path = Path("/")) -> Host:
    """The host as /proc and /sys below `root` tell it; never fails."""
    proc, devices = root / "proc", root / "sys/devices/system"
    return Host(
        cpu=_cpu(root, devices / "cpu"),
        memory=_memory(proc / "meminfo", devices / "edac/mc"),
        pressure={name: _pressure(proc / "pressure" / name) for name in _PRESSURES},
    )


def _cpu(root: Path, folder: Path) -> CpuSample:
    cores = _spread(sorted(_names(folder, "cpu")))
    throttled, current, highest = [], [], []
    for core in cores:
        heat, clock = f"{folder}/{core}/thermal_throttle", f"{folder}/{core}/cpufreq"
        throttled += [_number(f"{heat}/{kind}_throttle_count") for kind in ("core", "package")]
        current.append(_number(f"{clock}/scaling_cur_freq"))
        highest.append(_number(f"{clock}/cpuinfo_max_freq"))
    now = [khz for khz in current if khz is not None]
    most = [khz for khz in highest if khz is not None]
    return CpuSample(
        throttled=_sum(throttled),
        mhz=round(sum(now) / len(now) / 1000) if now else None,
        max_mhz=round(max(most) / 1000) if most else None,
        load=_load(root),
        quota_throttled=_quota_throttled(root),
    )


def _spread(names: Sequence[str]) -> Sequence[str]:
    """At most so many of them, evenly spread."""
    return names[:: -(-len(names) // _MOST_CORES)] if names else names


def _load(root: Path) -> float | None:
    words = (_text(f"{root}/proc/loadavg") or "").split()
    try:
        return round(float(words[0]) / (os.cpu_count() or 1), 3)
    except (IndexError, ValueError):
        return None


def _quota_throttled(root: Path) -> int | None:
    """`nr_throttled` of this process's control group, of version 2 or 1."""
    for line in (_text(f"{root}/proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = [""] if not controllers else ["cpu", "cpu,cpuacct"]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for name in names:
            stat = _fields(f"{root}/sys/fs/cgroup/{name}/{path}/cpu.stat")
            if "nr_throttled" in stat:
                return stat["nr_throttled"]
    return None


def _memory(meminfo: Path, edac: Path) -> MemorySample:
    kilobytes = _fields(str(meminfo))
    total, free = kilobytes.get("SwapTotal:"), kilobytes.get("SwapFree:")
    available = kilobytes.get("MemAvailable:")
    controllers = [f"{edac}/{name}/ue_count" for name in _names(edac, "mc")]
    return MemorySample(
        available=None if available is None else available * 1024,
        swap_used=None if total is None or free is None else (total - free) * 1024,
        uncorrected=_sum(map(_number, controllers)),
    )


def _pressure(path: Path) -> float | None:
    """`avg60` of the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`."""
    for word in (_text(str(path)) or "").split():
        if word.startswith("avg60="):
            with suppress(ValueError):
                return float(word.removeprefix("avg60="))
    return None


def _names(folder: Path, prefix: str) -> list[str]:
    """The names in a folder that are the prefix and a number."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone, and quickly
    except OSError:
        return []
    return [name for name in names if name.removeprefix(prefix).isdecimal() and name != prefix]


def _text(path: str) -> str | None:
    # By system calls: half the time of pathlib, and there are many small files.
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        return os.read(file, 1 << 16).decode(errors="replace")
    except OSError:
        return None
    finally:
        os.close(file)


def _number(path: str) -> int | None:
    text = _text(path)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _fields(path: str) -> dict[str, int]:
    """The lines `name number ...` of a file."""
    fields = {}
    for line in (_text(path) or "").splitlines():
        words = line.split()
        if len(words) >= 2 and words[1].isdecimal():
            fields[words[0]] = int(words[1])
    return fields


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
