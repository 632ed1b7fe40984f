"""Host health, what is read: the files of Linux, and the GPUs that a process may use."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.run.health import Nvml, gpus_here, judge, sample
from harness.run.health.host import CpuSample, Host, MemorySample, look
from harness.run.health.kernel_log import KernelLog
from tests.doctor.nvml import Gpu, machine, pair

if TYPE_CHECKING:
    from pathlib import Path

HEALTHY = Gpu()
NONE = Nvml(None, "no NVIDIA driver is loaded")


@pytest.fixture
def log(tmp_path: Path) -> KernelLog:
    """The log of a kernel that has written nothing."""
    (tmp_path / "kmsg").touch()
    return KernelLog(tmp_path / "kmsg")


# -- The host --------------------------------------------------------------------------------------


def write(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def test_everything_that_linux_tells(tmp_path: Path) -> None:
    core = "sys/devices/system/cpu/cpu"
    write(
        tmp_path,
        {
            f"{core}0/thermal_throttle/core_throttle_count": 3,
            f"{core}0/thermal_throttle/package_throttle_count": 4,
            f"{core}0/cpufreq/scaling_cur_freq": 2_000_000,
            f"{core}0/cpufreq/cpuinfo_max_freq": 3_500_000,
            f"{core}1/cpufreq/scaling_cur_freq": 3_000_000,
            "sys/devices/system/edac/mc/mc0/ue_count": 1,
            "sys/devices/system/edac/mc/mc1/ue_count": 2,
            "proc/meminfo": "MemAvailable: 1000 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB",
            "proc/pressure/cpu": "some avg10=1.00 avg60=2.50 avg300=0.10 total=77",
            "proc/loadavg": f"{os.cpu_count()}.0 1 1 1/1 1",
            "proc/self/cgroup": "0::/cell",
            "sys/fs/cgroup/cell/cpu.stat": "usage_usec 1\nnr_throttled 9",
        },
    )
    assert look(tmp_path) == Host(
        CpuSample(throttled=7, mhz=2500, max_mhz=3500, load=1.0, quota_throttled=9),
        MemorySample(available=1_024_000, swap_used=30 * 1024, uncorrected=3),
        {"cpu": 2.5, "memory": None, "io": None},
    )


def test_the_quota_of_version_1(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/\n3:cpu,cpuacct:/a\n0::/",
            "sys/fs/cgroup/cpu/a/cpu.stat": "nr_periods 4\nnr_throttled 2",
        },
    )
    assert look(tmp_path).cpu.quota_throttled == 2


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    told = look(tmp_path)
    assert told.cpu == CpuSample(None, None, None, None, None)
    assert told.memory == MemorySample(None, None, None)


def test_files_of_rubbish_are_unknown(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/meminfo": "MemAvailable: many kB",
            "proc/pressure/io": "some avg60=lots",
            "proc/loadavg": "",
            "sys/devices/system/edac/mc/mc0/ue_count": "none",
        },
    )
    told = look(tmp_path)
    assert (told.memory.available, told.memory.uncorrected) == (None, None)
    assert (told.cpu.load, told.pressure["io"]) == (None, None)


def test_an_uncorrected_error_of_the_hosts_memory_counts(log: KernelLog) -> None:
    before = sample(library=NONE, log=log)
    memory = replace(before.host.memory, uncorrected=1)
    zero = replace(before, host=replace(before.host, memory=replace(memory, uncorrected=0)))
    last = replace(before, host=replace(before.host, memory=memory))
    assert judge(zero, last) == ("the host's memory had one uncorrected error",)
    assert judge(before, last) == (), "what was unknown before says nothing"


def test_a_busy_host_is_only_noted(log: KernelLog) -> None:
    before = sample(library=NONE, log=log)
    cpu = CpuSample(throttled=10**6, mhz=400, max_mhz=5000, load=99.0, quota_throttled=10**6)
    memory = replace(before.host.memory, available=0, swap_used=1 << 40)
    busy = replace(before, host=Host(cpu, memory, {"cpu": 100.0, "memory": 100.0, "io": 100.0}))
    assert judge(before, busy) == ()


def test_a_sample_of_a_large_machine_reads_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: KernelLog
) -> None:
    """Each takes some 10 us: a sample is to take some milliseconds, of machines of any size."""
    cores = [f"sys/devices/system/cpu/cpu{number}" for number in range(512)]
    write(tmp_path, {f"{core}/cpufreq/scaling_cur_freq": 2_000_000 for core in cores})
    opened, real = [], os.open

    def counting(path: Any, *arguments: Any) -> int:
        opened.append(path)
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", counting)
    told = sample(library=NONE, log=log, root=tmp_path)
    assert told.host.cpu.mhz == 2000
    assert len(opened) < 200


# -- Which GPUs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "indices"),
    [
        (None, [0, 1]),
        ("", []),
        ("1", [1]),
        ("1,0", [1, 0]),
        (" 1 , 0 ", [1, 0]),
        ("1,9,0", [1]),  # CUDA stops there too
        ("-1", []),
        ("NoDevFiles", []),
        ("GPU-bbbb", [1]),  # the beginning of a UUID
        ("GPU-bbbbbbbb-1111", [1]),
    ],
)
def test_gpus_here(told: str | None, indices: list[int]) -> None:
    environment = {} if told is None else {"CUDA_VISIBLE_DEVICES": told}
    assert [gpu.index for gpu in gpus_here(machine(*pair()), environment)] == indices


def test_a_lost_gpu_hides_no_other() -> None:
    library = machine(replace(HEALTHY, lost=True), pair()[1])
    assert [gpu.index for gpu in gpus_here(library, {})] == [1]
    assert gpus_here(library, {"CUDA_VISIBLE_DEVICES": "0,1"}) == []


def test_a_part_of_a_gpu(log: KernelLog) -> None:
    whole = replace(HEALTHY, parts=("MIG-1",), mig=(1, 1))
    (part,) = gpus_here(machine(whole), {"CUDA_VISIBLE_DEVICES": "MIG-1"})
    assert (part.index, part.uuid) == (0, "MIG-1")
    told = sample(["MIG-1"], library=machine(whole), log=log)
    assert told.gpus[0].uuid == whole.uuid


def test_no_driver_no_gpus() -> None:
    assert gpus_here(NONE, {}) == []
