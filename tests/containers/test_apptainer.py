"""Backend `apptainer` by its command line: the program is a stand-in, see fake_apptainer.py."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.errors import InfrastructureError
from harness.images.sif import make_sif, sif_of
from harness.run.containers import Limits, open_backend, probe
from harness.run.scheduler import run_cells
from harness.run.store import Store
from tests.containers.support import ROOT, probing_cell

if TYPE_CHECKING:
    from pathlib import Path

    from harness.run.outcome import RunOutcome
    from harness.spec.grid import Cell

IMAGE = "sha256:" + "5" * 64


@dataclass
class Cluster:
    """A machine that has (a stand-in for) apptainer, and a SIF file of an image."""

    root: Path
    home: Path

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    @property
    def given(self) -> dict[str, object]:
        return dict(json.loads((self.home / "given.json").read_text()))

    def run(self, cell: Cell, image: str = IMAGE, **options: object) -> RunOutcome:
        backend = open_backend("apptainer", image)
        return run_cells([cell], self.store, backend, self.root / "data", **options)  # type: ignore[arg-type]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    if shutil.which("bwrap") is None:
        pytest.skip("the stand-in for apptainer needs bubblewrap")
    site, home = tmp_path / "site", tmp_path / "home"
    for folder in (site, home, tmp_path / "data", tmp_path / "bin"):
        folder.mkdir()
    for package in ("harness", "reward_scorers"):
        shutil.copytree(ROOT / package, site / package)
    info = site / "probing-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probing\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[harness.engines]\nprobing = probing:probing\n")
    shutil.copy(ROOT / "tests/containers/engine.py", site / "probing.py")
    program = tmp_path / "bin" / "apptainer"
    fake = ROOT / "tests/containers/fake_apptainer.py"
    program.write_text(f'#!/bin/sh\nSITE={site} exec {sys.executable} {fake} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "harness.run.containers.apptainer._limits_bind",
        lambda: dict.fromkeys(("memory", "pids", "cpus"), True),
    )
    make_sif("docker-archive:image.tar", IMAGE)
    return Cluster(tmp_path, home)


def test_a_cell_runs_in_the_sif_of_its_image(cluster: Cluster) -> None:
    (cluster.root / "data" / "a.csv").write_text("a\n1\n")
    pins = {"data": {"a": {"path": "a.csv", "sha256": hashlib.sha256(b"").hexdigest()}}}
    cell = probing_cell(
        ("look",), ("interfaces",), ("write", "/file"), ("write", "/tmp/file"), pins=pins
    )
    limits = Limits(memory_bytes=123 << 20, cpus=1.5, pids=77)
    outcome = cluster.run(cell, limits=limits)
    assert not outcome.failures, outcome.failures[0].message
    found, network, at_root, in_scratch = cluster.store.load(cell.id).result["found"]  # type: ignore[misc]
    assert found["data"] == ["a.csv"]
    assert found["environment"]["HF_HUB_OFFLINE"] == "1"
    assert (network, at_root, in_scratch) == (["lo"], "OSError", True)
    container = cluster.store.record(cell.id).provenance["container"]
    assert isinstance(container, dict)
    assert container["digest"] == IMAGE
    assert container["sif"] == "sha256:" + hashlib.sha256(sif_of(IMAGE).read_bytes()).hexdigest()
    assert container["engine"] == "1.4.0-fake"
    given = cluster.given
    assert all(given[flag] for flag in ("containall", "cleanenv", "net", "no_privs"))
    assert given["network"] == "none"
    assert given["memory"] == given["memory_swap"] == str(123 << 20)
    assert (given["cpus"], given["pids_limit"]) == ("1.5", 77)
    assert not given["nv"]


def test_gpus_are_those_of_the_slot(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    (cluster.root / "bin" / "nvidia-container-cli").write_text("#!/bin/sh\n")
    (cluster.root / "bin" / "nvidia-container-cli").chmod(0o755)
    outcome = cluster.run(probing_cell(("say", "x")), gpus=[("2", "3")])
    assert not outcome.failures, outcome.failures[0].message
    given = cluster.given
    assert given["nv"]
    assert given["nvccli"]
    assert given["visible"] == "2,3"


def test_gpus_without_the_toolkit_are_refused(cluster: Cluster) -> None:
    with pytest.raises(InfrastructureError, match="cannot give single GPUs"):
        cluster.run(probing_cell(("say", "x")), gpus=[("0",)])


def test_a_sif_that_was_changed_is_refused(cluster: Cluster) -> None:
    sif_of(IMAGE).write_text("something else")
    with pytest.raises(InfrastructureError, match="not what it was") as caught:
        cluster.run(probing_cell(("say", "x")))
    assert "expected: sha256" in str(caught.value)


def test_an_image_without_sif_says_what_to_type(cluster: Cluster) -> None:
    missing = open_backend("apptainer", "sha256:" + "6" * 64).missing()
    assert "harness images load" in missing
    assert "--engine apptainer" in missing


def test_a_file_may_be_named_by_what_it_holds(cluster: Cluster) -> None:
    path = cluster.root / "own.sif"
    path.write_text("an image")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    cell = probing_cell(("say", "x"))
    relative = os.path.relpath(path)
    assert not cluster.run(cell, image=f"{relative}@sha256:{digest}").failures
    container = cluster.store.record(cell.id).provenance["container"]
    assert isinstance(container, dict)
    assert container["digest"] == f"sha256:{digest}"
    with pytest.raises(InfrastructureError, match="not what it was"):
        cluster.run(probing_cell(("say", "y")), image=f"{path}@sha256:{'0' * 64}")


def test_a_time_limit_ends_it(cluster: Cluster) -> None:
    cell = probing_cell(("hang", 60, {"deaf": True}))
    (failure,) = cluster.run(cell, limits=Limits(wall_s=1.5)).failures
    assert "limit of 1.5 s" in failure.message


def test_limits_that_do_not_bind_are_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    binds = {"memory": True, "pids": False, "cpus": True}
    monkeypatch.setattr("harness.run.containers.apptainer._limits_bind", lambda: binds)
    assert not probe("apptainer").works
    with pytest.raises(InfrastructureError, match="cannot limit pids"):
        cluster.run(probing_cell(("say", "x")))


def test_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = probe("apptainer")
    assert (found.works, found.reason) == (False, "apptainer is not installed")
