from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from harness.run import provenance

if TYPE_CHECKING:
    from pathlib import Path


def fake_nvidia_smi(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_says_what_this_process_runs_on() -> None:
    found = provenance.collect(command=["harness", "run"])
    json.dumps(found, allow_nan=False)
    assert found["command"] == ["harness", "run"]
    assert str(found["python"]).endswith(".".join(map(str, sys.version_info[:3])))
    packages = found["packages"]
    assert isinstance(packages, dict)
    assert packages["numpy"] == version("numpy")
    assert packages["pytest"] == version("pytest")


def test_gpus_of_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvidia_smi(tmp_path, "echo 'NVIDIA H200, 570.1, 143771 MiB, GPU-1'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert provenance.collect()["gpus"] == [
        {
            "name": "NVIDIA H200",
            "driver_version": "570.1",
            "memory.total": "143771 MiB",
            "uuid": "GPU-1",
        }
    ]


@pytest.mark.parametrize("script", ["exit 9", "echo broken >&2; exit 1", ""])
def test_no_gpu_where_nvidia_smi_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    fake_nvidia_smi(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert provenance.collect()["gpus"] == []


def test_no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert provenance.collect()["git"] is None
