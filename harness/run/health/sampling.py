"""A sample of the host: taken before and after each cell, and kept in its record."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.run.health import gpu
from harness.run.health import host as hosts
from harness.run.health.kernel_log import KernelLog, Xid
from harness.run.health.library import GpuLostError, Nvml, nvml, visible_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.health.gpu import GpuSample
    from harness.run.health.host import Host

_KERNEL_LOG: Final = Path("/dev/kmsg")
_MOST_UNASKED: Final = 16
# Workers of a cell that has just ended may take this long to give 80 GB back.
SETTLES_S: Final = 3.0
_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class HostSample:
    """The host at one moment; what could not be read is None.

    Attributes:
        at: UTC, ISO 8601.
        clock_s: seconds of a clock that is never set, to tell how far two samples lie apart.
        pid: of the process that took it.
        asked: whether `gpus` are those that a cell was given, rather than all that can be seen.
        driver: version of the NVIDIA driver.
        nvml: why NVML tells nothing; empty where it does.
        xids: the last errors of any GPU since this process took its first sample.
    """

    at: str
    clock_s: float
    pid: int
    host: Host
    asked: bool = False
    gpus: tuple[GpuSample, ...] = ()
    driver: str | None = None
    nvml: str = ""
    xids: tuple[Xid, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """What a record holds of it: mappings, lists, text, numbers, None."""
        told: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return told


def sample(
    gpus: Sequence[str] = (),
    *,
    settles_s: float = SETTLES_S,
    library: Nvml | None = None,
    log: KernelLog | None = None,
    root: Path = Path("/"),
) -> HostSample:
    """Look at the host; takes some milliseconds without GPUs, and never fails.

    Args:
        gpus: index or UUID of those that a cell gets; empty: all that CUDA_VISIBLE_DEVICES lets
            this process see, of which then only errors are judged.
        settles_s: seconds to wait, at most, for other processes to leave those GPUs.
        library: NVML; by default this machine's.
        log: the kernel's; by default this machine's, read from the first call on.
        root: the folder that holds proc and sys.
    """
    log = log or _kernel_log()
    library = library or nvml()
    names = list(gpus) or list(visible_names(library))[:_MOST_UNASKED]
    found = _settled(library, names, settles_s) if gpus else _look_at(library, names)
    return HostSample(
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        clock_s=round(time.monotonic(), 3),
        pid=os.getpid(),
        host=hosts.look(root),
        asked=bool(gpus),
        gpus=found,
        driver=_driver(library),
        nvml=library.problem,
        xids=log.xids(),
    )


@cache
def _kernel_log() -> KernelLog:
    return KernelLog(_KERNEL_LOG)


def _driver(library: Nvml) -> str | None:
    try:
        return library.text("nvmlSystemGetDriverVersion")
    except GpuLostError:
        return None


def _settled(library: Nvml, names: Sequence[str], settles_s: float) -> tuple[GpuSample, ...]:
    """The GPUs, when processes that are just ending have left them."""
    end = time.monotonic() + settles_s
    while True:
        found = _look_at(library, names)
        busy = any(gpu.others(one.processes or (), [os.getpid()]) for one in found)
        if not busy or time.monotonic() >= end:
            return found
        time.sleep(_LOOK_S)


def _look_at(library: Nvml, names: Sequence[str]) -> tuple[GpuSample, ...]:
    return tuple(_look(library, name) for name in names) if library.api is not None else ()


def _look(library: Nvml, name: str) -> GpuSample:
    try:
        return gpu.look(library, name)
    except Exception as error:  # noqa: BLE001 - what a driver's library does may cost no cell
        return gpu.GpuSample(name, problem=f"{type(error).__name__}: {error}")
