"""A made-up NVML: the functions of pynvml that the harness calls, for GPUs as a test wants them."""

# ruff: noqa: A002, N802 - names and parameters are those of pynvml

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pynvml

from harness.run.health import Nvml

ABSENT = object()  # this driver or GPU does not know the function


@dataclass(frozen=True)
class Gpu:
    """What NVML would tell of a GPU; `lost`: it no longer answers."""

    uuid: str = "GPU-aaaaaaaa-0000"
    name: str = "NVIDIA H100 80GB HBM3"
    bus: str = "00000000:3B:00.0"
    sm_mhz: int = 1755
    max_sm_mhz: int = 1980
    reasons: Any = 0x1
    heat_ns: int = 0
    power_ns: int = 0
    celsius: int = 41
    uncorrected: Any = 0
    rows: Any = (0, 0, 0, 0)
    pages_pending: int = 0
    pids: tuple[int, ...] = ()
    old_processes: bool = False
    memory: int = 80 << 30
    mig: Any = (0, 0)
    parts: tuple[str, ...] = ()
    lost: bool = False


@dataclass
class FakeNvml:
    """Has the names and the parameters of the functions of pynvml; handles are positions."""

    gpus: list[Gpu] = field(default_factory=list)
    driver: str = "570.86.10"
    cuda: int = 12080

    NVMLError = pynvml.NVMLError
    NVMLLibraryMismatchError = pynvml.NVMLLibraryMismatchError

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVML_"):
            return getattr(pynvml, name)
        raise AttributeError(name)

    def _gpu(self, handle: int) -> Gpu:
        gpu = self.gpus[handle]
        if gpu.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return gpu

    def _told(self, value: Any) -> Any:
        if value is ABSENT:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return value

    def nvmlSystemGetDriverVersion(self) -> str:
        return self.driver

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        return self.cuda

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index >= len(self.gpus):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        self._gpu(index)
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:
        for handle, gpu in enumerate(self.gpus):
            if uuid in gpu.parts:
                return (handle, uuid)
            if gpu.uuid == uuid:
                self._gpu(handle)
                return handle
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, migDevice: Any) -> int:
        return int(migDevice[0])

    def nvmlDeviceGetIndex(self, handle: int) -> int:
        self._gpu(handle)
        return handle

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return self._gpu(handle).uuid

    def nvmlDeviceGetName(self, handle: int) -> str:
        return self._gpu(handle).name

    def nvmlDeviceGetMemoryInfo(self, handle: int, version: Any = None) -> Any:
        return SimpleNamespace(total=self._gpu(handle).memory)

    def nvmlDeviceGetPciInfo(self, handle: int) -> Any:
        return SimpleNamespace(busId=self._gpu(handle).bus.encode())

    def nvmlDeviceGetClockInfo(self, handle: int, type: int) -> int:
        assert type == pynvml.NVML_CLOCK_SM
        return self._gpu(handle).sm_mhz

    def nvmlDeviceGetMaxClockInfo(self, handle: int, type: int) -> int:
        assert type == pynvml.NVML_CLOCK_SM
        return self._gpu(handle).max_sm_mhz

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: int) -> int:
        return int(self._told(self._gpu(handle).reasons))

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:
        reasons = self._gpu(handle).reasons
        return 0x40 if reasons is ABSENT else int(reasons)

    def nvmlDeviceGetViolationStatus(self, device: int, perfPolicyType: int) -> Any:
        gpu = self._gpu(device)
        held = {
            pynvml.NVML_PERF_POLICY_THERMAL: gpu.heat_ns,
            pynvml.NVML_PERF_POLICY_POWER: gpu.power_ns,
        }
        return SimpleNamespace(referenceTime=0, violationTime=held[perfPolicyType])

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return self._gpu(handle).celsius

    def nvmlDeviceGetTotalEccErrors(self, handle: int, errorType: int, counterType: int) -> int:
        assert errorType == pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
        assert counterType == pynvml.NVML_VOLATILE_ECC
        return int(self._told(self._gpu(handle).uncorrected))

    def nvmlDeviceGetRemappedRows(self, device: int) -> Any:
        return self._told(self._gpu(device).rows)

    def nvmlDeviceGetRetiredPagesPendingStatus(self, device: int) -> int:
        return self._gpu(device).pages_pending

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> Any:
        if self._gpu(handle).old_processes:
            raise pynvml.NVMLLibraryMismatchError("use a versioned function")
        return self.nvmlDeviceGetComputeRunningProcesses_v2(handle)

    def nvmlDeviceGetComputeRunningProcesses_v2(self, handle: int) -> Any:
        return [SimpleNamespace(pid=pid, usedGpuMemory=1) for pid in self._gpu(handle).pids]

    def nvmlDeviceGetPersistenceMode(self, handle: int) -> int:
        self._gpu(handle)
        return 1

    def nvmlDeviceGetMigMode(self, device: int) -> Any:
        return self._told(self._gpu(device).mig)


def machine(*gpus: Gpu, driver: str = "570.86.10", cuda: int = 12080) -> Nvml:
    """NVML of a machine with these GPUs."""
    return Nvml(FakeNvml(list(gpus), driver, cuda))


def pair() -> tuple[Gpu, Gpu]:
    """Two healthy GPUs."""
    first = Gpu()
    return first, replace(first, uuid="GPU-bbbbbbbb-1111", bus="00000000:86:00.0")
