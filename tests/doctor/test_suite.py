"""A chosen tier: what it needs, held against made-up machines; and its lock."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import pipeline
from harness.doctor import Needs, Setting, State, needs_of
from harness.doctor.checks import lock, suite
from harness.errors import LockDriftError
from harness.steps import Loaded, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.doctor import Finding

ROOT = Path(__file__).parents[2]
MEMINFO = {"proc/meminfo": "MemTotal: 32000000 kB\nMemAvailable: 30000000 kB"}
NEEDS = Needs(suite="mine", tier="full", workers=4)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two suites, to be changed by a test."""
    for name in ("star", "agentic"):
        shutil.copytree(ROOT / "suites" / name, tmp_path / "suites" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(suite: str, tier: str) -> Loaded:
    return pipeline.load(Request(suite, tier, None, Path("runs"), workers=2))


def by_name(rows: Iterable[Finding]) -> dict[str, Finding]:
    return {one.what: one for one in rows}


# -- Needs -----------------------------------------------------------------------------------------


def test_the_needs_of_a_tier(checkout: Path) -> None:
    needs = needs_of(load("agentic", "micro"))
    assert (needs.suite, needs.tier, needs.engine) == ("agentic", "micro", "torch_rl")
    assert (needs.container, needs.gpus, needs.workers) == ("process", 0, 2)
    assert needs.sandbox, "it scores programs"
    assert not needs_of(load("star", "responses")).sandbox


def test_resources_of_a_tier(checkout: Path) -> None:
    path = checkout / "suites/star/suite.yaml"
    text = path.read_text()
    asked = (
        "\n  large:\n    extends: published\n    container: docker\n    resources: "
        "{gpus: 2, memory_gb: 64, cpus: 8, pids: 500, disk_gb: 10}\n"
    )
    path.write_text(text.replace("\ntiers:\n", f"\ntiers:{asked}", 1))
    needs = needs_of(load("star", "large"))
    assert (needs.gpus, needs.image, needs.container) == (2, "cuda", "docker")
    assert (needs.memory_bytes, needs.cpus) == (64 * 10**9, 8)
    assert (needs.pids, needs.disk_bytes) == (500, 10 * 10**9)


# -- The machine -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "state", "fix"),
    [
        (None, State.OK, ""),
        (8 * 10**9, State.OK, ""),
        (10 * 10**9, State.NOTE, "harness run mine --tier full --workers 3"),
        (40 * 10**9, State.MISS, "use a larger machine"),
    ],
)
def test_memory(setting: Callable[..., Setting], asked: int, state: State, fix: str) -> None:
    row = suite.memory(setting(MEMINFO, needs=replace(NEEDS, memory_bytes=asked)))
    assert (row.state, row.fix.startswith(fix)) == (state, True)


@pytest.mark.parametrize(
    ("cpus", "workers", "state", "fix"),
    [
        (None, 4, State.OK, ""),
        (2.0, 2, State.OK, ""),
        (2.0, 4, State.NOTE, "harness run mine --tier full --workers 2"),
        (6.0, 1, State.MISS, "use a machine with 6 cores"),
    ],
)
def test_cores(
    monkeypatch: pytest.MonkeyPatch, cpus: float, workers: int, state: State, fix: str
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    row = suite.cores(replace(NEEDS, cpus=cpus, workers=workers))
    assert (row.state, row.fix.startswith(fix)) == (state, True)


@pytest.mark.parametrize(("asked", "state"), [(None, "ok"), (10**9, "ok"), (2 * 10**9, "miss")])
def test_disk(
    setting: Callable[..., Setting], monkeypatch: pytest.MonkeyPatch, asked: int, state: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 5e9})())
    assert suite.disk(setting(needs=replace(NEEDS, disk_bytes=asked))).state == state


@pytest.mark.parametrize(
    ("container", "lacks", "state", "found"),
    [
        ("process", ["docker", "podman"], State.OK, "process"),
        ("docker", ["docker"], State.MISS, "docker: it has no image"),
        ("docker", [], State.OK, "docker"),
        ("auto", [], State.OK, "auto: docker"),
        ("auto", ["docker"], State.OK, "auto: podman"),
        ("auto", ["docker", "podman", "apptainer"], State.OK, "auto: process"),
    ],
)
def test_the_container(
    monkeypatch: Any, container: str, lacks: list[str], state: State, found: str
) -> None:
    def missing(name: str, _image: str) -> str:
        return "it has no image\n  next: build it" if name in lacks else ""

    monkeypatch.setattr(suite, "image_missing", missing)
    row = suite.container(replace(NEEDS, container=container))
    assert (row.state, row.found) == (state, found)


def test_limits_that_a_process_does_not_keep_are_told() -> None:
    row = suite.container(replace(NEEDS, memory_bytes=10**9, cpus=2))
    assert row.found == "process, which does not enforce the tier's limits of memory, cores"
    assert suite.unenforced(replace(NEEDS, memory_bytes=10**9), "docker") == "docker"


@pytest.mark.parametrize(
    ("container", "state"), [("process", "miss"), ("auto", "note"), ("docker", None)]
)
def test_packages_of_an_engine(monkeypatch: Any, container: str, state: str | None) -> None:
    monkeypatch.setattr(suite, "find_spec", lambda name: None if name == "peft" else name)
    rows = list(suite.packages(replace(NEEDS, engine="torch_rl", container=container)))
    assert [one.state for one in rows] == ([] if state is None else [state])
    assert all(one.found == "not installed: peft" for one in rows)


def test_an_engine_without_packages() -> None:
    assert list(suite.packages(replace(NEEDS, engine="replay"))) == []


# -- Data ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offline", "state"), [("", "note"), ("0", "note"), ("1", "miss"), ("true", "miss")]
)
def test_data_that_would_be_downloaded(
    setting: Callable[..., Setting], checkout: Path, monkeypatch: Any, offline: str, state: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(checkout / "cache"))
    monkeypatch.delenv("HARNESS_MIRROR", raising=False)
    loaded = load("star", "responses")
    made = setting(loaded=loaded, needs=needs_of(loaded), environment={"HARNESS_OFFLINE": offline})
    row = by_name(suite.data(made, loaded))["data responses"]
    assert row.state == state
    assert "a run would download a file of" in row.found
    assert row.fix.endswith("star/generate_128.csv")


def test_data_of_another_tier_are_not_asked_for(
    setting: Callable[..., Setting], checkout: Path
) -> None:
    loaded = load("star", "published")
    assert list(suite.data(setting(loaded=loaded), loaded)) == []


def test_data_without_a_lock_are_left_to_the_lock(
    setting: Callable[..., Setting], checkout: Path
) -> None:
    (checkout / "suites/star/suite.lock").unlink()
    loaded = load("star", "responses")
    assert list(suite.data(setting(loaded=loaded), loaded)) == []


def test_data_in_a_mirror_must_be_the_right_ones(
    setting: Callable[..., Setting], checkout: Path, monkeypatch: Any
) -> None:
    mirror = checkout / "mirror"
    (mirror / "star").mkdir(parents=True)
    (mirror / "star/generate_128.csv").write_text("other bytes")
    monkeypatch.setenv("HARNESS_MIRROR", str(mirror))
    monkeypatch.setenv("XDG_CACHE_HOME", str(checkout / "cache"))
    loaded = load("star", "responses")
    (row,) = suite.data(setting(loaded=loaded), loaded)
    assert row.state is State.NOTE
    path = checkout / "suites/star/suite.lock"
    change(path, "data", "responses", "sha256", value=sha256(b"other bytes").hexdigest())
    (row,) = suite.data(setting(loaded=loaded), loaded)
    assert (row.state, "in the mirror" in row.found) == (State.OK, True)


# -- The lock --------------------------------------------------------------------------------------


def change(path: Path, *keys: str, value: Any) -> None:
    document = json.loads(path.read_text())
    entry = document
    for key in keys[:-1]:
        entry = entry[key]
    entry[keys[-1]] = value
    path.write_text(json.dumps(document))


def test_a_lock_that_fits(setting: Callable[..., Setting], checkout: Path) -> None:
    (row,) = lock.lock(setting(loaded=load("star", "published")))
    assert (row.state, row.found) == (State.OK, "fits, tier published")


def test_each_difference_is_a_row(setting: Callable[..., Setting], checkout: Path) -> None:
    path = checkout / "suites/star/suite.lock"
    change(path, "packages", "numpy", value="1.0.0")
    rows = list(lock.lock(setting(loaded=load("star", "published"))))
    assert [one.state for one in rows] == [State.MISS]
    assert rows[0].found.startswith("packages/numpy: 2.")
    assert rows[0].expected == "as locked: 1.0.0"
    assert rows[0].fix.startswith("pip install numpy==1.0.0")


def test_accepted_drift_is_told_all_the_same(
    setting: Callable[..., Setting], checkout: Path
) -> None:
    change(checkout / "suites/star/suite.lock", "packages", "numpy", value="1.0.0")
    loaded = load("star", "published")
    loaded = replace(loaded, request=replace(loaded.request, accepted_drift="I know"))
    assert [one.state for one in lock.lock(setting(loaded=loaded))] == [State.MISS]


def test_no_lock(setting: Callable[..., Setting], checkout: Path) -> None:
    (checkout / "suites/star/suite.lock").unlink()
    (row,) = lock.lock(setting(loaded=load("star", "published")))
    assert (row.state, row.found) == (State.MISS, "the suite has no lock")
    assert row.fix == "harness lock star"


def test_all_suites(setting: Callable[..., Setting], checkout: Path) -> None:
    change(checkout / "suites/star/suite.lock", "suite_version", value=99)
    rows = by_name(lock.lock(setting()))
    assert rows["star"].state is State.MISS
    assert rows["suites"].state is State.OK
    assert "agentic" in rows["suites"].found
    assert "star" not in rows["suites"].found


def test_a_suite_that_cannot_be_read_is_told(
    setting: Callable[..., Setting], checkout: Path
) -> None:
    path = checkout / "suites/star/suite.yaml"
    path.write_text("schema: 1\nname: star\n")
    row = by_name(lock.lock(setting()))["star"]
    assert (row.state, "suite.yaml" in row.found) == (State.NOTE, True)


def test_many_differences_are_cut(setting: Callable[..., Setting]) -> None:
    lines = "".join(f"\n  data/{n}: locked 1, found 2" for n in range(30))
    rows = list(lock.differences("s", LockDriftError(f"30 differences{lines}", hint="type this")))
    assert len(rows) == 13
    assert (rows[-1].found, rows[-1].fix) == ("18 more differences", "harness lock s --dry-run")
