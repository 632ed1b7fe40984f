"""Cores, memory and disk of machines and containers that are made up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from harness.doctor import Setting, State
from harness.doctor.checks.machine import cores, cpu_quota, disk, machine, memory, memory_bytes
from harness.doctor.setting import gigabytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEMINFO = "MemTotal: 16000000 kB\nMemFree: 1 kB\nMemAvailable: 8000000 kB"
V1 = "sys/fs/cgroup/memory/memory.limit_in_bytes"


@pytest.mark.parametrize(
    ("files", "total", "available"),
    [
        ({}, 16_384_000_000, 8_192_000_000),
        ({"sys/fs/cgroup/memory.max": "max"}, 16_384_000_000, 8_192_000_000),
        ({"sys/fs/cgroup/memory.max": 4 * 10**9}, 4 * 10**9, 4 * 10**9),
        ({"sys/fs/cgroup/memory.max": 9 * 10**9}, 9 * 10**9, 8_192_000_000),
        ({V1: 9223372036854771712}, 16_384_000_000, 8_192_000_000),
        ({V1: 10**9}, 10**9, 10**9),
    ],
)
def test_memory_is_what_the_control_group_gives(
    setting: Callable[..., Setting], files: dict[str, object], total: int, available: int
) -> None:
    assert memory_bytes(setting({"proc/meminfo": MEMINFO, **files})) == (total, available)


def test_little_memory_is_missing(setting: Callable[..., Setting]) -> None:
    told = memory(setting({"proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 500000 kB"}))
    assert (told.state, told.found) == (State.MISS, "512 MB free of 4.1 GB")
    assert told.fix


def test_without_proc_memory_is_unknown(setting: Callable[..., Setting]) -> None:
    assert memory(setting()).state is State.NOTE


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": -1,
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100000,
            },
            None,
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": 150000,
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": 100000,
            },
            1.5,
        ),
    ],
)
def test_the_quota_of_cores(
    setting: Callable[..., Setting], files: dict[str, object], quota: float | None
) -> None:
    assert cpu_quota(setting(files)) == quota


def test_a_quota_below_the_cores_is_told(setting: Callable[..., Setting]) -> None:
    told = cores(setting({"sys/fs/cgroup/cpu.max": "50000 100000"}))
    assert told.state is State.NOTE
    assert "gives 0.5" in told.found


def test_a_workspace_that_is_not_there_yet(tmp_path: Path) -> None:
    told = disk(tmp_path / "a" / "b")
    assert (told.state, str(tmp_path) in told.found) == (State.OK, True)


def test_a_workspace_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = disk(tmp_path / "file" / "runs")
    assert told.state is State.MISS
    assert "cannot be written" in told.found


def test_a_workspace_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert disk(tmp_path).state is State.MISS


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**8})())
    told = disk(tmp_path)
    assert (told.state, told.expected) == (State.MISS, "1 GB free")


def test_every_row_of_a_plain_machine_is_there(setting: Callable[..., Setting]) -> None:
    told = list(machine(setting({"proc/meminfo": MEMINFO})))
    assert [one.what for one in told] == ["system", "cores", "memory", "workspace"]
    assert all(one.state is State.OK for one in told)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(4e12, "4 TB"), (85_899_345_920, "85.9 GB"), (512e6, "512 MB"), (5000, "5 kB"), (0, "0 kB")],
)
def test_sizes_for_a_person(count: float, shown: str) -> None:
    assert gigabytes(count) == shown
