"""What cells run in: by the suite, by the command line, and what `auto` makes of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import pipeline
from harness.cli.options import request
from harness.errors import InfrastructureError, SuiteError
from harness.run.containers import backend_names, choose, container_names, open_backend, probe
from harness.run.containers.container import memory_of_machine
from tests.containers.support import ENGINES, image_for, missing

if TYPE_CHECKING:
    from harness.steps import Loaded

ROOT = Path(__file__).parents[2]


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any engine."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


@pytest.mark.usefixtures("nothing")
def test_auto_is_process_where_there_is_no_engine() -> None:
    found = choose("sha256:" + "0" * 64)
    assert found.backend.name == "process"
    assert list(found.passed_over) == ["docker", "podman", "apptainer"]
    assert "No such file or directory" in found.passed_over["docker"]
    assert "apt-get install podman" in found.passed_over["podman"]


@pytest.mark.parametrize("engine", ENGINES)
def test_auto_is_the_strongest_that_has_the_image(engine: str) -> None:
    if reason := missing(engine):
        pytest.skip(reason)
    image = image_for(engine)
    first = next(name for name in backend_names() if not open_backend(name, image).missing())
    assert choose(image).backend.name == first
    assert first != "process"


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_that_was_asked_for_is_not_replaced(name: str, tmp_path: Path) -> None:
    backend = open_backend(name, "sha256:" + "0" * 64)
    with pytest.raises(InfrastructureError) as caught, backend.session(tmp_path / "owner"):
        pass
    assert caught.value.hint


def test_docker_on_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    found = probe("docker")
    assert not found.works
    assert "another machine" in found.reason


def test_podman_whose_limits_do_not_bind_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As rootless podman answers on control groups of version 1."""
    told = (
        '{"host": {"cgroupVersion": "v1", "cgroupControllers": ["cpu", "memory", "pids"],'
        ' "security": {"rootless": true, "seccompEnabled": true}}, "version": {"Version": "4.3.1"}}'
    )
    (tmp_path / "podman").write_text(f"#!{shutil.which('sh')}\necho '{told}'\n")
    (tmp_path / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = probe("podman")
    assert (found.works, found.rootless, found.cgroup) == (False, True, "1")
    assert found.reason == "podman cannot limit memory and pids and cpus here"
    assert "version 2" in found.hint


def loaded(tmp_path: Path, resources: str, **asked: str) -> Loaded:
    """exp1 with `resources` in its tier published."""
    folder = tmp_path / "suites" / "exp1"
    shutil.copytree(ROOT / "suites" / "exp1", folder)
    text = (folder / "suite.yaml").read_text()
    line = "    container: process\n"
    (folder / "suite.yaml").write_text(text.replace(line, f"{line}    {resources}\n", 1))
    return pipeline.load(request(str(folder), "published", None, tmp_path / "runs", **asked))  # type: ignore[arg-type]


def test_a_tier_says_what_a_cell_gets(tmp_path: Path) -> None:
    text = "resources: {gpus: 2, cpus: 0.5, memory_gb: 3, pids: 99, disk_gb: 0.5}"
    found = loaded(tmp_path, text, gpus="0,1,2,GPU-5a,7")
    limits = pipeline.limits_of(found.tier, 60, workers=2)
    assert (limits.wall_s, limits.cpus, limits.pids) == (60, 0.5, 99)
    assert (limits.memory_bytes, limits.disk_bytes) == (3_000_000_000, 500_000_000)
    assert found.tier.image == "cuda"
    assert pipeline.gpu_groups(found) == [("0", "1"), ("2", "GPU-5a")]


def test_what_a_tier_does_not_say(tmp_path: Path) -> None:
    found = loaded(tmp_path, "")
    limits = pipeline.limits_of(found.tier, None, workers=3)
    assert limits.memory_bytes == memory_of_machine() // 3
    assert (limits.cpus, limits.pids, limits.disk_bytes) == (None, None, 50_000_000_000)
    assert (found.tier.image, found.tier.container) == ("cpu", "process")
    assert pipeline.gpu_groups(found) == []


def test_the_command_line_goes_before_the_tier(tmp_path: Path) -> None:
    found = loaded(tmp_path, "image: sandbox", container="podman", image="sha256:" + "1" * 64)
    assert found.tier.container == "podman"
    assert found.tier.image == "sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ("resources: {gpus: -1}", "gpus"),
        ("resources: {cpus: 0}", "cpus"),
        ("resources: {memory_gb: much}", "memory_gb"),
        ("resources: {memory_gb: .inf}", "a finite number"),
        ("resources: {disk_gb: .nan}", "a finite number"),
        ("resources: {memory_gb: 1e-12}", "memory_gb"),
        ("resources: {pids: 3}", "pids"),
        ("resources: {gpu: 1}", "gpu"),
    ],
)
def test_bad_resources_are_told_by_line(tmp_path: Path, resources: str, told: str) -> None:
    with pytest.raises(SuiteError) as caught:
        loaded(tmp_path, resources)
    assert told in str(caught.value)
    assert "suite.yaml:" in str(caught.value.where)


def test_names_that_a_suite_may_say() -> None:
    assert container_names() == ["auto", "docker", "podman", "apptainer", "process"]
