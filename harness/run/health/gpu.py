"""One GPU as NVML tells it now."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.run.health.kernel_log import normal_bus
from harness.run.health.library import GpuLostError, Nvml, handle_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# Bits of the clock event reasons (nvml.h). Names as in nvidia-smi.
REASONS: Final = {
    0x01: "idle",
    0x02: "applications clocks setting",
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x100: "display clocks setting",
}
LOST: Final = "lost"
UNKNOWN: Final = "NVML does not know it"
_FIRST_NAMESPACE: Final = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel
_MOST_ANCESTORS: Final = 64


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that computes on a GPU.

    Attributes:
        pid: as NVML tells it, which is the first namespace's.
        name: of its program; None where this process sees other numbers, as in a container.
        ancestors: its parents, nearest first; empty where they are unknown.
    """

    pid: int
    name: str | None = None
    ancestors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU.

    Attributes:
        asked: index or UUID by which it was asked for.
        problem: why nothing is known of it (`lost`, or NVML does not know it); empty otherwise.
        sm_mhz: clock of its multiprocessors.
        reasons: why its clock is not at its highest now.
        heat_ns: how long heat has kept its clock low since the driver was loaded.
        power_ns: how long its power limit has, which is usual under load.
        uncorrected: ECC errors that were not corrected, since the driver was loaded.
        pending: whether memory that failed waits to be taken out of use, by a reset.
        remap_failed: whether that cannot be done any more: no spare rows are left.
        processes: that compute on it.
    """

    asked: str
    problem: str = ""
    index: int | None = None
    uuid: str | None = None
    name: str | None = None
    bus: str | None = None
    sm_mhz: int | None = None
    max_sm_mhz: int | None = None
    reasons: tuple[str, ...] | None = None
    heat_ns: int | None = None
    power_ns: int | None = None
    celsius: int | None = None
    uncorrected: int | None = None
    pending: bool | None = None
    remap_failed: bool | None = None
    processes: tuple[GpuProcess, ...] | None = None
    persistence: bool | None = None
    mig: bool | None = None


def look(library: Nvml, name: str) -> GpuSample:
    """The GPU with this index or UUID."""
    uuid = None
    try:
        handle = handle_of(library, name)
        if handle is None:
            return GpuSample(name, problem=UNKNOWN)
        uuid = library.text("nvmlDeviceGetUUID", handle)
        return _look(library, name, handle, uuid)
    except GpuLostError:
        return GpuSample(name, problem=LOST, uuid=uuid)


def _look(library: Nvml, name: str, handle: Any, uuid: str | None) -> GpuSample:
    api = library.api
    pci = library.ask("nvmlDeviceGetPciInfo", handle)
    bus = getattr(pci, "busId", None)
    if isinstance(bus, bytes):
        bus = bus.decode(errors="replace")
    pending, failed = _memory_out_of_use(library, handle)
    mig = library.ask("nvmlDeviceGetMigMode", handle)
    persistence = library.number("nvmlDeviceGetPersistenceMode", handle)
    return GpuSample(
        asked=name,
        index=library.number("nvmlDeviceGetIndex", handle),
        uuid=uuid,
        name=library.text("nvmlDeviceGetName", handle),
        bus=None if bus is None else normal_bus(bus),
        sm_mhz=library.number("nvmlDeviceGetClockInfo", handle, api.NVML_CLOCK_SM),
        max_sm_mhz=library.number("nvmlDeviceGetMaxClockInfo", handle, api.NVML_CLOCK_SM),
        reasons=_reasons(library, handle),
        heat_ns=_held_ns(library, handle, api.NVML_PERF_POLICY_THERMAL),
        power_ns=_held_ns(library, handle, api.NVML_PERF_POLICY_POWER),
        celsius=library.number("nvmlDeviceGetTemperature", handle, api.NVML_TEMPERATURE_GPU),
        uncorrected=library.number(
            "nvmlDeviceGetTotalEccErrors",
            handle,
            api.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
            api.NVML_VOLATILE_ECC,
        ),
        pending=pending,
        remap_failed=failed,
        processes=_processes(library, handle),
        persistence=None if persistence is None else bool(persistence),
        mig=None if mig is None else bool(mig[0]),
    )


def _reasons(library: Nvml, handle: Any) -> tuple[str, ...] | None:
    told = library.number("nvmlDeviceGetCurrentClocksEventReasons", handle)
    if told is None:  # a driver before 535 knows them by their older name only
        told = library.number("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    if told is None:
        return None
    return tuple(name for bit, name in REASONS.items() if told & bit)


def _held_ns(library: Nvml, handle: Any, policy: int) -> int | None:
    # The finer counters of hardware slowdown and power brake are not asked: their field numbers
    # differ between NVML 12 (252, 253) and 13 (270, 271), and the wrong one answers all the same.
    told = library.ask("nvmlDeviceGetViolationStatus", handle, policy)
    return None if told is None else int(told.violationTime)


def _memory_out_of_use(library: Nvml, handle: Any) -> tuple[bool | None, bool | None]:
    """Whether failed memory waits for a reset, and whether there is none left to replace it."""
    rows = library.ask("nvmlDeviceGetRemappedRows", handle)
    if rows is not None:  # Ampere and later: corrected, uncorrected, pending, failed
        return bool(rows[2]), bool(rows[3])
    pages = library.number("nvmlDeviceGetRetiredPagesPendingStatus", handle)
    return (None if pages is None else bool(pages)), None


def _processes(library: Nvml, handle: Any) -> tuple[GpuProcess, ...] | None:
    told = library.ask("nvmlDeviceGetComputeRunningProcesses", handle)
    if told is None:  # a driver before 510 knows it in an older form only
        told = library.ask("nvmlDeviceGetComputeRunningProcesses_v2", handle)
    if told is None:
        return None
    pids = sorted({int(one.pid) for one in told})
    return tuple(found for pid in pids if (found := process(pid)) is not None)


def process(pid: int, proc: Path = Path("/proc")) -> GpuProcess | None:
    """A process by its number in the first namespace; None if it is ending."""
    if not _sees_all(proc):
        return GpuProcess(pid)
    told = _stat(proc, pid)
    if told is None:
        return None
    name, parent = told
    ancestors: list[int] = []
    while parent > 0 and len(ancestors) < _MOST_ANCESTORS:
        ancestors.append(parent)
        above = _stat(proc, parent)
        parent = above[1] if above is not None else 0
    return GpuProcess(pid, name, tuple(ancestors))


def _sees_all(proc: Path) -> bool:
    """Whether this process counts processes as NVML does."""
    try:
        return os.readlink(proc / "self/ns/pid") == _FIRST_NAMESPACE  # noqa: PTH115 - not a path
    except OSError:
        return False


def _stat(proc: Path, pid: int) -> tuple[str, int] | None:
    """Name and parent of a process; None if there is none, or it has ended and is a zombie."""
    try:
        text = (proc / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # "pid (name) state parent ...": the name may hold blanks and parentheses.
    head, _, rest = text.rpartition(")")
    words = rest.split()
    if len(words) < 2 or words[0] in "ZX":
        return None
    return head.partition("(")[2], int(words[1])


def others(processes: Sequence[GpuProcess], own: Sequence[int]) -> list[GpuProcess]:
    """Those that are neither of the given processes nor descend from one."""
    return [one for one in processes if not {one.pid, *one.ancestors} & set(own)]
