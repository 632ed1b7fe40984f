"""Which image cells run in, and what decides its content."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError, InfrastructureError, SuiteError
from harness.images import recipes, resolve, resolving
from harness.images.inputs import inputs_of
from harness.images.lock import ImagePin, load_lock, to_toml, write_lock

ROOT = Path(__file__).parents[2]
ID, OTHER, DIGEST = (f"sha256:{letter * 64}" for letter in "abc")
PIN = ImagePin("cpu", ID, "r" * 64, "i" * 64, "c" * 40, 1_790_000_000, ID, DIGEST, 5, "built twice")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout with all files that images are made of."""
    shutil.copytree(ROOT / "docker", tmp_path / "docker")
    for package in ("harness", "reward_scorers"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "build" / "images").mkdir(parents=True)
    monkeypatch.setattr(resolving, "checkout", lambda: tmp_path)
    monkeypatch.setattr(resolving, "lock_path", lambda: tmp_path / "docker" / "images.lock.toml")
    (tmp_path / "docker" / "images.lock.toml").unlink(missing_ok=True)
    return tmp_path


def note(checkout: Path, identity: str, inputs: str | None = None) -> None:
    told = {"id": identity, "inputs": inputs or inputs_of(checkout, "cpu")}
    (checkout / "build" / "images" / "cpu.json").write_text(json.dumps(told))


def lock(checkout: Path, inputs: str | None = None) -> None:
    pin = replace(PIN, inputs=inputs or inputs_of(checkout, "cpu"))
    write_lock(checkout / "docker" / "images.lock.toml", {"cpu": pin})


def test_what_was_built_here_of_these_files(checkout: Path) -> None:
    note(checkout, OTHER)
    assert (resolve("cpu").id, resolve("cpu").digest) == (OTHER, None)


def test_what_was_built_here_and_is_as_locked_has_its_digest(checkout: Path) -> None:
    note(checkout, ID)
    lock(checkout)
    assert (resolve("cpu").id, resolve("cpu").digest) == (ID, DIGEST)


def test_what_is_locked_of_these_files(checkout: Path) -> None:
    lock(checkout)
    note(checkout, OTHER, "f" * 64)
    assert (resolve("cpu").id, resolve("cpu").digest) == (ID, DIGEST)


def test_nothing_built_and_nothing_locked(checkout: Path) -> None:
    with pytest.raises(InfrastructureError, match="was not built yet") as caught:
        resolve("cpu")
    assert caught.value.hint == "make images"


@pytest.mark.parametrize("changed", ["harness/__init__.py", "docker/cpu/Dockerfile"])
def test_an_image_older_than_its_files_is_not_run(checkout: Path, changed: str) -> None:
    note(checkout, ID)
    lock(checkout)
    (checkout / changed).write_text("something else")
    with pytest.raises(InfrastructureError, match="older than the files"):
        resolve("cpu")


def test_an_installed_package_takes_the_locked_image(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If that holds the code that is installed: the wheel brings docker/ to tell."""
    lock(checkout)
    monkeypatch.setattr(resolving, "checkout", lambda: None)
    monkeypatch.setattr(resolving.harness, "__file__", str(checkout / "harness" / "__init__.py"))
    assert resolve("cpu").id == ID
    (checkout / "harness" / "new.py").write_text("")
    with pytest.raises(InfrastructureError, match="holds other code"):
        resolve("cpu")
    with pytest.raises(InfrastructureError, match="was never built"):
        resolve("cuda")


def test_a_missing_file_is_told(checkout: Path) -> None:
    (checkout / "docker" / "cpu" / "requirements.lock").unlink()
    with pytest.raises(InfrastructureError, match="cannot be read") as caught:
        resolve("cpu")
    assert "requirements.lock" in str(caught.value.where)


def test_an_unknown_image_is_told_with_the_nearest() -> None:
    with pytest.raises(SuiteError, match="no image is named 'cpuu'") as caught:
        resolve("cpuu")
    assert caught.value.hint == "did you mean `cpu`?"


def test_each_image_comes_after_the_one_below_it() -> None:
    seen: set[str] = set()
    for name, recipe in recipes.RECIPES.items():
        assert recipe.base is None or recipe.base in seen
        seen.add(name)


@pytest.mark.parametrize(
    ("changed", "moved"),
    [
        ("docker/base/packages.lock", {"base", "sandbox", "cpu-packages", "cpu"}),
        ("docker/cpu/requirements.lock", {"cpu-packages", "cpu"}),
        ("docker/cpu/Dockerfile", {"cpu"}),
        ("docker/cuda/flash-attn.lock", {"cuda"}),
        ("harness/__init__.py", {"cpu", "cuda"}),
        ("reward_scorers/new.json", {"cpu", "cuda"}),
        ("docker/images.lock.toml", set()),
        ("harness/__pycache__/x.pyc", set()),
        ("harness/.env", set()),
        ("harness/__init__.py~", set()),
        ("README.md", set()),
    ],
)
def test_inputs_move_with_the_files_of_the_image_alone(
    checkout: Path, changed: str, moved: set[str]
) -> None:
    before = {name: inputs_of(checkout, name) for name in recipes.RECIPES}
    path = checkout / changed
    path.parent.mkdir(exist_ok=True)
    path.write_text("another content")
    after = {name: inputs_of(checkout, name) for name in recipes.RECIPES}
    assert {name for name in before if before[name] != after[name]} == moved


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=40)
pins = st.builds(
    ImagePin,
    name=st.from_regex(r"[a-z][a-z-]{0,8}[a-z]", fullmatch=True),
    base=texts,
    requirements=texts,
    inputs=texts,
    commit=texts,
    date=st.integers(0, 2**33),
    id=texts,
    digest=texts,
    bytes=st.integers(0, 2**40),
    verified=texts,
)


@given(st.lists(pins, max_size=4, unique_by=lambda pin: pin.name))
def test_a_lock_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, found) -> None:
    path = tmp_path_factory.mktemp("lock") / "images.lock.toml"
    wanted = {pin.name: pin for pin in found}
    if not wanted:
        return
    write_lock(path, wanted)
    assert load_lock(path) == wanted
    assert to_toml(load_lock(path)) == path.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "schema = 2\n[image.cpu]\n",
        "schema = 1\n",
        "schema = 1\n[image.cpu]\nid = 1\n",
        "not toml",
    ],
)
def test_a_spoiled_lock_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "images.lock.toml"
    path.write_text(text)
    with pytest.raises(DataError, match="not a lock of images") as caught:
        load_lock(path)
    assert caught.value.where == str(path)
