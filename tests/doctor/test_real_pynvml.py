"""The real pynvml, which loads a library that is compiled for the test: the driver is made up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TELL = """
import json
from harness.run.health import gpus_here, nvml, sample
told = sample(["0", "GPU-bbbbbbbb-1111"], settles_s=0).to_json()
print(json.dumps([told, [one.uuid for one in gpus_here()], nvml().problem]))
"""


@pytest.fixture(scope="module", params=["new", "old"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with libnvidia-ml.so.1, of a driver with or without what later ones have."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler on this machine")
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a driver of its own")
    folder = tmp_path_factory.mktemp(request.param)
    command = [compiler, "-shared", "-fPIC", "-w", "-o", str(folder / "libnvidia-ml.so.1")]
    if request.param == "old":
        command.append("-DOLD")
    subprocess.run([*command, str(HERE / "made_up_nvml.c")], check=True)
    return folder


def tell(folder: Path, wrong: str = "") -> Any:
    environment = {name: v for name, v in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment |= {"LD_LIBRARY_PATH": str(folder), "MADE_UP_NVML": wrong}
    done = subprocess.run(
        [sys.executable, "-c", TELL],
        env=environment,
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_every_field_is_read(library: Path) -> None:
    told, here, problem = tell(library)
    assert (problem, here) == ("", ["GPU-aaaaaaaa-0000", "GPU-bbbbbbbb-1111"])
    assert told["driver"] == "570.86.10"
    is_old = library.name.startswith("old")
    second = told["gpus"][1]
    processes = second.pop("processes")
    assert second == {
        "asked": "GPU-bbbbbbbb-1111",
        "problem": "",
        "index": 1,
        "uuid": "GPU-bbbbbbbb-1111",
        "name": "Made Up 80GB",
        "bus": "0:86:00",
        "sm_mhz": 1755,
        "max_sm_mhz": 1980,
        "reasons": ["hardware thermal slowdown"] if is_old else ["idle"],
        "heat_ns": 5000,
        "power_ns": 7000,
        "celsius": 41,
        "uncorrected": 0,
        "pending": is_old,
        "remap_failed": None if is_old else True,
        "persistence": True,
        "mig": None if is_old else True,
    }
    assert [one["pid"] for one in processes] == [1]
    assert bool(told["gpus"][0]["processes"]) is is_old


def test_errors_of_memory(library: Path) -> None:
    assert tell(library, "ecc")[0]["gpus"][0]["uncorrected"] == 3


def test_a_lost_gpu(library: Path) -> None:
    told, here, _ = tell(library, "lost")
    assert [one["problem"] for one in told["gpus"]] == ["", "lost"]
    assert here == ["GPU-aaaaaaaa-0000"]


def test_a_library_that_cannot_be_initialised(library: Path) -> None:
    told, here, problem = tell(library, "mismatch")
    assert problem.startswith("NVML cannot be initialised: ")
    assert (told["nvml"], told["gpus"], here) == (problem, [], [])
