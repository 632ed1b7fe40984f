"""GPUs in containers, on a machine without any: CDI devices that are made up, requests as sent."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.cell.devices import check_gpus
from harness.errors import InfrastructureError
from harness.run.claims import locked
from harness.run.containers import Job, probe
from harness.run.containers.docker import _device_requests, _gpus
from harness.run.slots import Slots, share_out
from tests.containers.support import Place, probing_cell, require

if TYPE_CHECKING:
    from collections.abc import Iterator

SPECS = Path("/var/run/cdi")
LOCK = Path(tempfile.gettempdir()) / "rl-harness-test-cdi.lock"


@pytest.fixture
def devices() -> Iterator[list[str]]:
    """Two GPUs as nvidia-ctk would describe them; behind their device files is nothing."""
    if os.geteuid() != 0 or (SPECS / "nvidia.yaml").exists():
        pytest.skip("CDI devices can be made up only by root, on a machine without GPUs")
    names = ["0", "1"]
    edits = [
        {
            "name": name,
            "containerEdits": {
                "env": [f"FAKE_GPU_{name}=1"],
                "deviceNodes": [
                    {"path": f"/dev/nvidia{name}", "hostPath": "/dev/null", "type": "c"}
                ],
            },
        }
        for name in names
    ]
    SPECS.mkdir(parents=True, exist_ok=True)
    with locked(LOCK):
        yield from _described(edits, names)


def _described(edits: list[dict[str, object]], names: list[str]) -> Iterator[list[str]]:
    spec = SPECS / f"rl-harness-test-{os.getpid()}.json"
    kind = "nvidia.com/gpu"
    spec.write_text(json.dumps({"cdiVersion": "0.4.0", "kind": kind, "devices": edits}))
    try:
        yield names
    finally:
        spec.unlink()


def test_a_cell_sees_the_gpus_of_its_slot_and_no_others(tmp_path: Path, devices: list[str]) -> None:
    require("podman")
    (tmp_path / "data").mkdir()
    place = Place("podman", tmp_path, tmp_path / "data")
    assert probe("podman").gpus == "cdi"
    cells = [probing_cell(("look",), ("hang", 1), index=index) for index in range(4)]
    outcome = place.run(*cells, workers=4, gpus=[(name,) for name in devices])
    assert not outcome.failures, outcome.failures[0].message
    seen = []
    for cell in cells:
        found = place.store.load(cell.id).result["found"][0]  # type: ignore[index]
        container = place.store.record(cell.id).provenance["container"]
        assert isinstance(container, dict)
        (name,) = container["gpus"]
        assert found["gpus"] == [f"/dev/nvidia{name}"]
        assert f"FAKE_GPU_{name}" in found["environment"]
        seen.append(name)
    assert set(seen) == set(devices)


def test_a_cell_without_gpus_sees_none(tmp_path: Path, devices: list[str]) -> None:
    require("podman")
    (tmp_path / "data").mkdir()
    (found,) = Place("podman", tmp_path, tmp_path / "data").found(("look",))
    assert found["gpus"] == []


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_an_engine_without_gpus_says_what_to_install(engine: str, tmp_path: Path) -> None:
    require(engine)
    (tmp_path / "data").mkdir()
    with locked(LOCK):  # made-up GPUs may be there for other tests
        if probe(engine).gpus:
            pytest.skip(f"{engine} can give GPUs here")
        with pytest.raises(InfrastructureError, match="cannot give GPUs") as caught:
            Place(engine, tmp_path, tmp_path / "data").run(probing_cell(("look",)), gpus=[("0",)])
    assert "nvidia-c" in str(caught.value.hint)


def test_docker_is_asked_by_device_request_or_cdi(tmp_path: Path) -> None:
    job = Job(tmp_path, tmp_path, tmp_path, tmp_path, gpus=("0", "GPU-5a"))
    (asked,) = _device_requests(job, "nvidia") or ()
    assert asked["DeviceIDs"] == ["0", "GPU-5a"]
    assert asked["Capabilities"] == [["gpu"]]
    (asked,) = _device_requests(job, "cdi") or ()
    assert asked["Driver"] == "cdi"
    assert asked["DeviceIDs"] == ["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-5a"]
    assert _device_requests(Job(tmp_path, tmp_path, tmp_path, tmp_path), None) is None


@pytest.mark.parametrize(
    ("info", "way"),
    [
        ({"Runtimes": {"runc": {}}}, None),
        ({"Runtimes": {"runc": {}, "nvidia": {}}}, "nvidia"),
        (
            {
                "Runtimes": {"nvidia": {}},
                "CDISpecDirs": ["/etc/cdi"],
                "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}],
            },
            "cdi",
        ),
        ({"CDISpecDirs": ["/etc/cdi"], "DiscoveredDevices": []}, None),
    ],
)
def test_how_docker_gives_gpus_is_read_off_its_info(
    info: dict[str, object], way: str | None
) -> None:
    assert _gpus(info) == way


def test_other_gpus_than_given_are_an_infrastructure_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).write_text("")
    check_gpus(tmp_path)  # nothing was said
    monkeypatch.setenv("HARNESS_GPUS", "2")
    check_gpus(tmp_path)
    monkeypatch.setenv("HARNESS_GPUS", "1")
    with pytest.raises(InfrastructureError, match="other GPUs") as caught:
        check_gpus(tmp_path)
    assert caught.value.found == "nvidia0, nvidia1"


def test_gpus_are_shared_out_in_groups() -> None:
    assert share_out(["0", "1", "2", "3", "4"], 2) == [("0", "1"), ("2", "3")]
    assert share_out([], 0) == []
    with pytest.raises(InfrastructureError, match="asks for 8 GPUs"):
        share_out(["0", "1"], 8)


def test_a_slot_is_one_cells_at_a_time() -> None:
    slots = Slots([("0",), ("1",)])
    with slots.take() as first, slots.take() as second:
        assert {first, second} == {("0",), ("1",)}
    with slots.take() as again:
        assert again == ("1",)
