"""NVML, NVIDIA's management library, opened once; every question has an answer or None."""

from __future__ import annotations

import ctypes
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEVICE: Final = Path("/dev/nvidiactl")
_LIBRARY: Final = "libnvidia-ml.so.1"
NO_DRIVER: Final = "no NVIDIA driver is loaded"


@dataclass(frozen=True, slots=True)
class Nvml:
    """The library, or why there is none.

    Attributes:
        api: the module pynvml, or what has the same functions; None if it cannot be used.
        problem: why not, in a sentence; empty if it can.
    """

    api: Any
    problem: str = ""

    def ask(self, function: str, *arguments: Any) -> Any:
        """What a function of NVML answers; None where this driver or GPU does not know it.

        Raises:
            GpuLostError: the GPU no longer answers its driver.
        """
        if self.api is None:
            return None
        try:
            return getattr(self.api, function)(*arguments)
        except self.api.NVMLError as error:
            if error.value in (
                self.api.NVML_ERROR_GPU_IS_LOST,
                self.api.NVML_ERROR_RESET_REQUIRED,
            ):
                raise GpuLostError from None
            return None
        except self.api.NVMLLibraryMismatchError:  # the driver is too old for this form of it
            return None

    def text(self, function: str, *arguments: Any) -> str | None:
        """As `ask`, for what is text."""
        told = self.ask(function, *arguments)
        return told.decode(errors="replace") if isinstance(told, bytes) else told

    def number(self, function: str, *arguments: Any) -> int | None:
        """As `ask`, for what is a whole number."""
        told = self.ask(function, *arguments)
        return None if told is None else int(told)


class GpuLostError(Exception):
    """The GPU has fallen off the bus, or its driver has given it up."""


@dataclass(frozen=True, slots=True)
class GpuHere:
    """A GPU that this process may use.

    Attributes:
        index: NVML's, which nvidia-smi, docker and CDI count by too: by position on the PCI bus.
            CUDA counts the same way only with CUDA_DEVICE_ORDER=PCI_BUS_ID.
        uuid: "GPU-...", or "MIG-..." for a part of one.
        name: such as "NVIDIA H100 80GB HBM3".
        memory_bytes: all of it; None if NVML does not say.
    """

    index: int
    uuid: str
    name: str
    memory_bytes: int | None = None


_lock = threading.Lock()
_opened: Nvml | None = None


def nvml() -> Nvml:
    """The library of this machine, initialised by the first call and kept; from any thread."""
    global _opened
    with _lock:
        if _opened is None or _opened.api is None:
            # One that failed is tried again: a driver may be loaded while a run waits.
            _opened = _open()
        return _opened


def _open() -> Nvml:
    if not _DEVICE.exists() and not _has_library():
        return Nvml(None, NO_DRIVER)
    try:
        import pynvml
    except ImportError:
        return Nvml(None, "the package nvidia-ml-py is not installed")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Nvml(None, f"NVML cannot be initialised: {error}")
    return Nvml(pynvml)


def _has_library() -> bool:
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def handle_of(library: Nvml, name: str) -> Any:
    """The handle of a GPU by index, UUID or the beginning of one; of a MIG part, its whole GPU's.

    Raises:
        GpuLostError: the driver has given it up.
    """
    if name.isdecimal():
        return library.ask("nvmlDeviceGetHandleByIndex", int(name))
    if name.startswith("MIG-"):
        part = library.ask("nvmlDeviceGetHandleByUUID", name)
        whole = None
        if part is not None:
            whole = library.ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", part)
        return whole
    handle = library.ask("nvmlDeviceGetHandleByUUID", name)
    return handle if handle is not None else _by_beginning(library, name)


def _by_beginning(library: Nvml, name: str) -> Any:
    """CUDA takes the beginning of a UUID for the whole; NVML does not."""
    for index in range(library.number("nvmlDeviceGetCount") or 0):
        handle = library.ask("nvmlDeviceGetHandleByIndex", index)
        if handle is not None and (library.text("nvmlDeviceGetUUID", handle) or "").startswith(
            name
        ):
            return handle
    return None


def gpus_here(
    library: Nvml | None = None, environment: Mapping[str, str] = os.environ
) -> list[GpuHere]:
    """The GPUs that this process may use, in the order of CUDA_VISIBLE_DEVICES where it is set.

    As CUDA does, it stops at the first name there that is no GPU. One that is lost is left out.
    Empty without a driver.
    """
    library = library or nvml()
    if library.api is None:
        return []
    found = []
    for name in visible_names(library, environment):
        one = _gpu_here(library, name)
        if one is not None:
            found.append(one)
        elif "CUDA_VISIBLE_DEVICES" in environment:
            break
    return found


def visible_names(library: Nvml, environment: Mapping[str, str] = os.environ) -> Sequence[str]:
    """Index or UUID of the GPUs that CUDA_VISIBLE_DEVICES names; without it, of all."""
    told = environment.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name for part in told.split(",") if (name := part.strip())]
    try:
        count = library.number("nvmlDeviceGetCount") or 0
    except GpuLostError:
        count = 0
    return [str(index) for index in range(count)]


def _gpu_here(library: Nvml, name: str) -> GpuHere | None:
    try:
        handle = handle_of(library, name)
        if handle is None:
            return None
        index = library.number("nvmlDeviceGetIndex", handle)
        whole = library.text("nvmlDeviceGetUUID", handle)
        memory = library.ask("nvmlDeviceGetMemoryInfo", handle)
        model = library.text("nvmlDeviceGetName", handle)
    except GpuLostError:
        return None
    if index is None or whole is None:
        return None
    uuid = name if name.startswith("MIG-") else whole
    return GpuHere(index, uuid, model or "unknown", None if memory is None else int(memory.total))
