"""Rows of engines, by what their backends found when they were probed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.doctor import Needs, Setting, State
from harness.doctor.checks import engines
from harness.run.containers import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.doctor import Finding

ALL = {"memory": True, "pids": True, "cpus": True, "disk": True}
DOCKER = Probe("docker", works=True, version="28.1.0", cgroup="2", limits=ALL, gpus="nvidia")
ABSENT = Probe("podman", works=False, reason="podman is not installed", hint="apt-get install it")
PROCESS = Probe("process", works=True, limits={**ALL, "memory": False, "pids": False})
IN_DOCKER = Needs(suite="s", tier="full", container="docker")


def told(setting: Setting, probe: Probe, monkeypatch: Any, lacks: str = "") -> dict[str, Finding]:
    monkeypatch.setattr(engines, "image_missing", lambda *_: lacks)
    return {one.what: one for one in engines.rows(setting, probe)}


def test_an_engine_that_works(setting: Callable[..., Setting], monkeypatch: Any) -> None:
    found = told(setting(), DOCKER, monkeypatch)
    row = found["docker"]
    assert row.state is State.OK
    assert row.found == (
        "28.1.0; as root; control groups v2; limits memory, pids, cpus, disk; GPUs by nvidia"
    )
    assert found["docker: image"].state is State.OK


def test_what_does_not_bind_is_told(setting: Callable[..., Setting], monkeypatch: Any) -> None:
    rootless = replace(DOCKER, rootless=True, cgroup="1", limits={**ALL, "memory": False})
    row = told(setting(), rootless, monkeypatch)["docker"]
    assert "rootless; control groups v1; limits pids, cpus, disk, not memory" in row.found


@pytest.mark.parametrize(
    ("container", "state"),
    [("podman", State.MISS), ("process", State.NOTE), ("auto", State.NOTE), ("docker", State.NOTE)],
)
def test_an_engine_that_is_not_there(
    setting: Callable[..., Setting], monkeypatch: Any, container: str, state: State
) -> None:
    made = setting(needs=Needs(container=container))
    (row,) = told(made, ABSENT, monkeypatch).values()
    assert (row.state, row.found, row.fix) == (
        *(state, "podman is not installed", "apt-get install it"),
    )


def test_a_process_has_no_image(setting: Callable[..., Setting], monkeypatch: Any) -> None:
    (row,) = told(setting(), PROCESS, monkeypatch, "never asked").values()
    assert row.found == "no engine is needed; limits cpus, disk, not memory, pids"


LACKS = "docker does not have the image 'cpu'\n  expected: sha256:12\n  next:     make images"


@pytest.mark.parametrize(("needs", "state"), [(IN_DOCKER, State.MISS), (Needs(), State.NOTE)])
def test_an_image_that_is_not_there(
    setting: Callable[..., Setting], monkeypatch: Any, needs: Needs, state: State
) -> None:
    row = told(setting(needs=needs), DOCKER, monkeypatch, LACKS)["docker: image"]
    assert row.state is state
    assert row.found == "docker does not have the image 'cpu'"
    assert (row.expected, row.fix) == ("sha256:12", "make images")


def test_an_installation_that_knows_no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: str) -> None:
        raise ModuleNotFoundError("No module named 'harness.images'")

    monkeypatch.setattr(engines, "open_backend", absent)
    assert "the image 'cpu' is not known here" in engines.image_missing("docker", "cpu")


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("docker", {"docker info": "{}"}),
        ("podman", {"podman info": json.dumps({"graphRoot": "{}"})}),
        ("podman", {"podman info": json.dumps({"GraphRoot": "{}"})}),
    ],
)
def test_where_images_are_kept(
    setting: Callable[..., Setting], tmp_path: Path, name: str, answers: dict[str, str]
) -> None:
    answers = {key: text.replace("{}", str(tmp_path)) for key, text in answers.items()}
    assert engines.storage(setting(answers=answers), name) == tmp_path
    assert engines.storage(setting(answers={f"{name} info": "/not/there"}), name) is None
    assert engines.storage(setting(), name) is None


def test_storage_on_another_machine_is_not_looked_at(setting: Callable[..., Setting]) -> None:
    assert engines.storage(setting(), "apptainer") is None


@pytest.mark.parametrize(
    ("image", "is_there", "free", "state"),
    [
        ("cpu", False, 1e9, State.MISS),
        ("cpu", True, 1e9, State.OK),
        ("cpu", False, 4e9, State.OK),
        ("cuda", False, 4e9, State.MISS),
        ("registry/x@sha256:0", False, 4e9, State.MISS),
    ],
)
def test_room_for_an_image(
    monkeypatch: pytest.MonkeyPatch, image: str, is_there: bool, free: float, state: State
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free})())
    needs = replace(IN_DOCKER, image=image)
    row = engines.room(needs, "docker", Path("/"), is_there=is_there)
    assert row.state is state
    assert bool(row.fix) is (state is State.MISS)


def test_an_engine_whose_probe_breaks_is_a_row(
    setting: Callable[..., Setting], monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(name: str) -> Probe:
        if name == "docker":
            raise RuntimeError("the socket is a teapot")
        return replace(ABSENT, name=name)

    monkeypatch.setattr(engines, "probe", probe)
    found = {one.what: one for one in engines.engines(setting(needs=IN_DOCKER))}
    assert found["docker"].state is State.MISS
    assert "the socket is a teapot" in found["docker"].found
    assert {"podman", "apptainer", "process"} <= found.keys()
