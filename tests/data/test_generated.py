"""Data sets that a generator makes: into the cache, whole, once, and only the bytes of the pin."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from harness.data import fetch, micro
from harness.data.fetch import cache_folder, download, locate, obtain
from harness.data.stage import NOTE_SUFFIX, stage
from harness.errors import DataError, InfrastructureError
from tests.pipeline.conftest import harness  # noqa: F401 (a fixture)

if TYPE_CHECKING:
    from pathlib import Path

MADE = b'{"a": 1}\n{"a": 2}\n'
SHA256 = hashlib.sha256(MADE).hexdigest()


@dataclass(frozen=True)
class Recipe:
    name: str = "micro"
    version: int = micro.VERSION
    seed: int = 7
    model: str | None = None


@dataclass(frozen=True)
class Declared:
    path: str = "micro/rows.jsonl"
    url: str | None = None
    generator: Recipe | None = field(default_factory=Recipe)
    in_suite: bool = False


@dataclass(frozen=True)
class Pin:
    sha256: str = SHA256
    bytes: int = len(MADE)


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that the generator was asked for; it makes the same few bytes for each."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(fetch.MIRRORS, raising=False)
    monkeypatch.setenv(fetch.OFFLINE, "1")  # nothing is fetched
    asked: list[int] = []

    def make(seed: int) -> bytes:
        asked.append(seed)
        return MADE

    monkeypatch.setattr(micro, "data_bytes", make)
    (tmp_path / "suite").mkdir()
    return asked


def cached() -> list[Path]:
    return [file for file in cache_folder(os.environ).rglob("*") if file.is_file()]


def test_it_is_made_once(tmp_path, seeds) -> None:
    for origin in ("generator", "cache", "cache"):
        found = obtain(Declared(), tmp_path / "suite", SHA256, len(MADE))
        assert (found.origin, (found.root / Declared().path).read_bytes()) == (origin, MADE)
    assert seeds == [7]
    assert cached() == [cache_folder(os.environ) / SHA256 / Declared().path]


def test_a_damaged_file_of_the_cache_is_made_again(tmp_path, seeds) -> None:
    made = download(Declared(), SHA256)
    (made.root / Declared().path).write_bytes(MADE[:-1])
    assert locate(Declared(), tmp_path / "suite", SHA256) is None
    assert obtain(Declared(), tmp_path / "suite", SHA256, len(MADE)).origin == "generator"
    assert obtain(Declared(), tmp_path / "suite", SHA256, len(MADE)).origin == "cache"


def test_other_bytes_than_the_pin_are_refused_and_leave_nothing(tmp_path, seeds) -> None:
    with pytest.raises(DataError, match="gives other bytes than the lock pins") as caught:
        obtain(Declared(), tmp_path / "suite", "ab" * 32, len(MADE))
    told = str(caught.value)
    assert "the generator of micro/rows.jsonl" in told
    assert f"sha256 {'ab' * 32}" in told
    assert f"sha256 {SHA256}" in told
    assert cached() == []


@pytest.mark.parametrize("name", ["micro", "micro-base"])
def test_a_generator_of_another_version_makes_nothing(tmp_path, seeds, name) -> None:
    declared = Declared(generator=Recipe(name, version=9, model="math-60K"))
    with pytest.raises(DataError, match=f"generator '{name}' is of another version") as caught:
        download(declared)
    assert (caught.value.expected, caught.value.found) == ("version 9", "version 1")
    assert (seeds, cached()) == ([], [])


def test_a_base_model_is_handed_out(tmp_path, seeds) -> None:
    declared = Declared("micro/b.safetensors", generator=Recipe("micro-base", 1, 0, "math-31K"))
    found = download(declared)
    content = (found.root / declared.path).read_bytes()
    assert content == micro.base_bytes("math-31K")
    assert found.root.name == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("model", [None, "math-7B"])
def test_a_base_model_that_is_not_there(seeds, model) -> None:
    with pytest.raises(DataError, match="no base model") as caught:
        download(Declared(generator=Recipe("micro-base", 1, 0, model)))
    assert "math-31K" in str(caught.value)
    assert cached() == []


def test_cells_read_it_from_the_run_s_folder(tmp_path, seeds) -> None:
    for origin in ("generator", "cache"):
        staged = stage({"a": Declared()}, {"a": Pin()}, tmp_path / "suite", tmp_path / "links")
        assert dict(staged.origins) == {"a": origin}
        assert (staged.root / Declared().path).read_bytes() == MADE
    assert seeds == [7]


def test_the_cell_is_told_why_it_cannot_be_made(tmp_path, seeds) -> None:
    declared = {"a": Declared(generator=Recipe(version=9))}
    staged = stage(declared, {"a": Pin()}, tmp_path / "suite", tmp_path / "links")
    assert dict(staged.origins) == {"a": "absent"}
    note = (staged.root / (Declared().path + NOTE_SUFFIX)).read_text()
    assert "another version than the suite asks for: version 1" in note


def test_a_cache_that_cannot_be_written(tmp_path, seeds) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(InfrastructureError, match="cache cannot be written"):
        download(Declared())


SUITE = """\
schema: 1
name: made
version: 1
title: A suite of generated data
data:
  problems: {path: micro/rows.jsonl, generator: {name: micro, version: 1, seed: 7}}
  base: {path: micro/base.safetensors, generator: {name: micro-base, version: 1, model: math-31K}}
axes:
  seed: [0]
tiers:
  micro:
    level: R3
    engine: replay
    settings: {curve: {data: problems}}
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds) -> Path:
    """A suite of generated data, without lock."""
    folder = tmp_path / "suites/made"
    folder.mkdir(parents=True)
    (folder / "suite.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    return folder


def test_locking_pins_what_the_generators_make(made, harness, seeds) -> None:  # noqa: F811
    told = harness("lock", "made")
    assert told.code == 0, told.err
    data = json.loads((made / "suite.lock").read_text())["data"]
    assert data["problems"] == {
        "path": "micro/rows.jsonl",
        "sha256": SHA256,
        "bytes": len(MADE),
        "rows": 2,
        "recipe": f"name micro, version {micro.VERSION}, seed 7",
    }
    base = micro.base_bytes("math-31K")
    assert data["base"] == {
        "path": "micro/base.safetensors",
        "sha256": hashlib.sha256(base).hexdigest(),
        "bytes": len(base),
        "rows": None,
        "recipe": f"name micro-base, version {micro.BASES_VERSION}, seed 0, model math-31K",
    }
    assert sorted(file.name for file in made.iterdir()) == ["suite.lock", "suite.yaml"]


def test_locking_again_tells_what_is_made_now(made, harness, monkeypatch) -> None:  # noqa: F811
    assert harness("lock", "made").code == 0
    assert "up to date" in harness("lock", "made").out
    monkeypatch.setattr(micro, "data_bytes", lambda seed: MADE + b"{}\n")
    told = harness("lock", "made", "--dry-run")
    assert "data/problems/rows: locked 2, found 3" in told.out
    assert f"data/problems/sha256: locked {SHA256}" in told.out


@pytest.mark.parametrize(
    ("old", "new"), [("seed: 7", "seed: 8"), ("model: math-31K", "model: math-60K")]
)
def test_another_recipe_is_a_drift(made, harness, old, new) -> None:  # noqa: F811
    """The cache has the file of the pin, which is no longer the one that the suite asks for."""
    assert harness("lock", "made").code == 0
    (made / "suite.yaml").write_text(SUITE.replace(old, new))
    told = harness("plan", "made", "--tier", "micro")
    assert told.code == 4
    assert f"{old.replace(':', '')}, found name" in told.err.replace("\n", " ")


def test_a_suite_that_asks_for_another_version_is_not_locked(made, harness) -> None:  # noqa: F811
    (made / "suite.yaml").write_text(SUITE.replace("version: 1, seed", "version: 2, seed"))
    told = harness("lock", "made")
    assert told.code == 2
    assert "generator 'micro' is of another version" in told.err
    assert not (made / "suite.lock").exists()
