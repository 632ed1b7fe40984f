"""GPUs of machines that are made up: healthy, sick, busy, lost, with an old driver or none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.doctor import Needs, Setting, State, cdi
from harness.doctor.checks import gpu
from tests.doctor.nvml import Gpu, machine, pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.doctor import Finding

WITH_GPU = Needs(suite="s", tier="full", gpus=1, container="docker", image="cuda")
SPEC = {
    "cdiVersion": "0.6.0",
    "kind": "nvidia.com/gpu",
    "devices": [{"name": "0"}, {"name": "all"}],
    "containerEdits": {"mounts": [{"hostPath": "/usr/lib/libcuda.so.570.86.10"}]},
}


@pytest.fixture(autouse=True)
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image cuda holds CUDA 12.8."""
    monkeypatch.setattr("harness.doctor.cuda.of_image", lambda *_: (12, 8))
    monkeypatch.setattr(gpu, "image_reference", lambda name: name)
    monkeypatch.setattr("shutil.which", lambda _: None)


def told(setting: Setting) -> dict[str, Finding]:
    return {one.what: one for one in gpu.gpu(setting)}


def test_a_healthy_machine(setting: Callable[..., Setting]) -> None:
    found = told(
        setting(
            {"etc/cdi/nvidia.json": json.dumps(SPEC), "dev/kmsg": ""},
            {"nvidia-ctk --version": "NVIDIA Container Toolkit CLI version 1.17.4\ncommit: x"},
            library=machine(*pair()),
            needs=WITH_GPU,
        )
    )
    assert {name: one.state for name, one in found.items()} == dict.fromkeys(found, State.OK)
    assert found["driver"].found == "570.86.10, CUDA up to 12.8"
    assert found["GPUs"].found == "2"
    assert found["GPU 1"].found == "NVIDIA H100 80GB HBM3, 85.9 GB, 1755 of 1980 MHz, 41 °C"
    assert found["container toolkit"].found == "1.17.4"
    assert found["CDI devices"].found.startswith("0, all (")
    assert "CUDA of image cuda" in found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"reasons": 0x48}, "; it was slowed down: hardware thermal slowdown"),
        ({"uncorrected": 3}, "3 uncorrected ECC errors since the driver was loaded"),
        ({"rows": (0, 1, 1, 0)}, "failed memory waits for a reset"),
        ({"rows": (0, 1, 0, 1)}, "failed memory that cannot be taken out of use"),
        ({"pids": (1,)}, "; another process computed on it: pid 1"),
        ({"lost": True}, "was lost"),
    ],
)
@pytest.mark.parametrize("needed", [True, False])
def test_a_gpu_that_is_not_fit(
    setting: Callable[..., Setting], change: dict[str, Any], says: str, needed: bool
) -> None:
    sick = replace(Gpu(), **change)
    made = setting(library=machine(sick, pair()[1]), needs=WITH_GPU if needed else Needs())
    found = told(made)
    assert says in found["GPU 0"].found
    assert found["GPU 0"].state is (State.MISS if needed else State.NOTE)
    assert found["GPU 0"].fix.startswith("nvidia-smi -q")
    assert found["GPU 1"].state is State.OK, "one sick GPU does not hide the others"


def test_without_a_driver_and_without_need(setting: Callable[..., Setting]) -> None:
    found = told(setting())
    assert list(found) == ["driver"]
    assert (found["driver"].state, found["driver"].fix) == (State.NOTE, "")


def test_devices_without_a_driver_are_told(setting: Callable[..., Setting]) -> None:
    """Whoever described them meant to have GPUs."""
    found = told(setting({"etc/cdi/nvidia.json": json.dumps(SPEC)}))
    assert found["driver"].state is State.NOTE
    assert found["CDI devices"].found.startswith("0, all")


def test_without_a_driver_that_is_needed(setting: Callable[..., Setting]) -> None:
    found = told(setting(needs=WITH_GPU))
    assert (found["driver"].state, found["driver"].expected) == (State.MISS, "1 for each cell")
    assert found["container toolkit"].state is State.MISS


@pytest.mark.parametrize(
    ("driver", "number", "state"),
    [
        ("580.65.06", 13000, State.OK),
        ("535.104.05", 12020, State.NOTE),
        ("470.82.01", 11040, State.MISS),
    ],
)
def test_the_driver_against_the_image(
    setting: Callable[..., Setting], driver: str, number: int, state: State
) -> None:
    found = told(setting(library=machine(Gpu(), driver=driver, cuda=number), needs=WITH_GPU))
    row = found["CUDA of image cuda"]
    assert row.state is state
    if state is State.MISS:
        assert row.expected == "driver 525.60.13 or later"
        assert row.fix


def test_what_an_engine_says_of_the_image_goes_first(
    setting: Callable[..., Setting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for an image by its digest, of which docker/ knows nothing."""
    config = json.dumps(
        {"Env": ["PATH=/bin", "NVIDIA_REQUIRE_CUDA=cuda>=9.0", "CUDA_VERSION=13.0.1"]}
    )
    needs = replace(WITH_GPU, image="registry/x@sha256:" + "0" * 64)
    made = setting(answers={"podman image": config}, library=machine(Gpu()), needs=needs)
    (row,) = [one for name, one in told(made).items() if name.startswith("CUDA of image")]
    assert (row.state, "the image has 13.0.1" in row.found) == (State.MISS, True)
    assert row.expected == "driver 580.65.06 or later"


def test_an_old_driver_is_no_matter_to_processes(setting: Callable[..., Setting]) -> None:
    """They bring a CUDA of their own, which the environment has to fit to the driver."""
    needs = replace(WITH_GPU, container="process")
    library = machine(Gpu(), driver="470.82.01", cuda=11040)
    assert told(setting(library=library, needs=needs))["CUDA of image cuda"].state is State.NOTE


def test_fewer_gpus_than_a_cell_asks_for(setting: Callable[..., Setting]) -> None:
    made = setting(
        library=machine(*pair()),
        needs=replace(WITH_GPU, gpus=2),
        environment={"CUDA_VISIBLE_DEVICES": "1"},
    )
    row = told(made)["GPUs"]
    assert (row.state, row.found) == (State.MISS, "1 (CUDA_VISIBLE_DEVICES=1)")
    assert row.fix == "unset CUDA_VISIBLE_DEVICES"


def test_xid_errors_since_the_machine_started(setting: Callable[..., Setting]) -> None:
    line = "3,9,1,-;NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."
    row = told(setting({"dev/kmsg": line}, library=machine(Gpu())))["Xid errors"]
    assert (row.state, "79 on 0:3b:00" in row.found) == (State.NOTE, True)
    assert told(setting({"dev/kmsg": ""}, library=machine(Gpu())))["Xid errors"].state is State.OK


def test_a_log_that_may_not_be_read(setting: Callable[..., Setting]) -> None:
    row = told(setting(library=machine(Gpu())))["Xid errors"]
    assert (row.state, row.fix) == (State.NOTE, "sudo dmesg | grep Xid")


@pytest.mark.parametrize(
    ("runtimes", "state"), [('{"nvidia":{}, "runc":{}}', State.OK), ('{"runc":{}}', State.NOTE)]
)
def test_the_runtime_of_docker(
    setting: Callable[..., Setting], monkeypatch: pytest.MonkeyPatch, runtimes: str, state: State
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    answers = {"nvidia-ctk --version": "version 1.17.4", "docker info": runtimes}
    row = told(setting(answers=answers, library=machine(Gpu())))["container toolkit"]
    assert row.state is state
    assert ("runtime configure" in row.fix) is (state is State.NOTE)


@pytest.mark.parametrize("name", ["nvidia.yaml", "nvidia.json"])
@pytest.mark.parametrize("folder", ["etc/cdi", "var/run/cdi"])
def test_cdi_files(setting: Callable[..., Setting], name: str, folder: str) -> None:
    """JSON is YAML."""
    made = setting({f"{folder}/{name}": json.dumps(SPEC)})
    (spec,) = cdi.specs(made.root)
    assert (spec.kind, spec.devices, spec.driver) == ("nvidia.com/gpu", ("0", "all"), "570.86.10")


def test_a_cdi_file_of_another_driver(setting: Callable[..., Setting]) -> None:
    needs = replace(WITH_GPU, container="podman")
    made = setting(
        {"etc/cdi/nvidia.json": json.dumps(SPEC)},
        library=machine(Gpu(), driver="580.65.06", cuda=13000),
        needs=needs,
    )
    row = told(made)["CDI devices"]
    assert (row.state, row.expected) == (State.MISS, "driver 580.65.06, which is loaded")
    assert row.fix == "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"


@pytest.mark.parametrize("content", ["{", "[]", "kind: [", "devices: 3\nkind: x", ""])
def test_a_broken_cdi_file_is_told(setting: Callable[..., Setting], content: str) -> None:
    made = setting({"etc/cdi/broken.yaml": content}, library=machine(Gpu()))
    row = told(made)["CDI devices"]
    assert row.state is State.NOTE
    assert "broken.yaml cannot be read" in row.found


def test_devices_of_others_are_not_ours(setting: Callable[..., Setting]) -> None:
    other = json.dumps({**SPEC, "kind": "amd.com/gpu"})
    made = setting({"etc/cdi/amd.json": other}, library=machine(Gpu()), needs=WITH_GPU)
    assert told(made)["CDI devices"].found == "none"


def test_files_beside_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "etc/cdi").mkdir(parents=True)
    (tmp_path / "etc/cdi/README").write_text("not a spec")
    assert cdi.specs(tmp_path) == []
