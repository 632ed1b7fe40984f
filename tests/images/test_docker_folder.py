"""What stands in docker/: no base without digest, nothing unpinned, no fetching without a hash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.images.inputs import inputs_of, own_files
from harness.images.lock import load_lock
from harness.images.recipes import RECIPES, chain
from harness.images.sbom import packages_of, read_debian, read_requirements
from harness.images.verifying import NOT_BUILT
from tests.images.lint import faults, instructions

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.rglob("*Dockerfile"))
LOCKS = sorted(DOCKER.rglob("*.lock"))
SHA = "0" * 64

BAD = {
    "FROM python:3.11\nUSER 1": "a base without digest",
    "ARG BASE=python:3.11\nFROM ${BASE}\nUSER 1": "a base without digest",
    "FROM ${NOWHERE}\nUSER 1": "a base without digest",
    f"FROM a@sha256:{SHA} AS build\nFROM build\nCOPY --from=alpine /a /b\nUSER 1": "copied from",
    f"FROM a@sha256:{SHA}\nRUN pip install torch\nUSER 1": "--require-hashes",
    f"FROM a@sha256:{SHA}\nRUN pip install --require-hashes -r x\nUSER 1": "no lock names",
    f"FROM a@sha256:{SHA}\nRUN true \\\n  && apt-get install -y x\nUSER 1": "apt-get has no hash",
    f"FROM a@sha256:{SHA}\nRUN wget https://example.org/x\nUSER 1": "wget has no hash",
    f"FROM a@sha256:{SHA}\nADD https://example.org/x /x\nUSER 1": "without a checksum",
    f"FROM a@sha256:{SHA}\nRUN git  clone https://example.org/x\nUSER 1": "has no hash",
    f"FROM a@sha256:{SHA}": "the last USER is root",
    f"FROM a@sha256:{SHA}\nUSER 1\nUSER root": "the last USER is root",
    f"# syntax=docker/dockerfile:1\nFROM a@sha256:{SHA}\nUSER 1": "syntax line",
}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(DOCKER)))
def test_dockerfiles_fetch_nothing_unpinned(path: Path) -> None:
    assert faults(path.read_text()) == []


@pytest.mark.parametrize(("text", "fault"), BAD.items())
def test_faults_are_found(text: str, fault: str) -> None:
    assert fault in " ".join(faults(text))


def test_what_is_right_has_no_faults() -> None:
    text = f"""FROM scratch
FROM a@sha256:{SHA} AS build
RUN pip install --no-deps --require-hashes -r x
ADD --checksum=sha256:{SHA} https://example.org/x /x
FROM build
COPY --from=build /a /b
USER 65532:65532
"""
    assert faults(text) == []


def test_every_dockerfile_is_of_an_image() -> None:
    used = {path for recipe in RECIPES.values() for path in own_files(recipe)}
    there = {path.relative_to(ROOT).as_posix() for path in (*DOCKERFILES, *LOCKS)}
    assert there <= used
    assert all((ROOT / path).is_file() for path in used)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(DOCKER)))
def test_locks_pin_every_package_once_with_hashes(path: Path) -> None:
    packages = (read_debian if path.name == "packages.lock" else read_requirements)(path)
    names = [re.sub(r"[-_.]+", "-", package.name).lower() for package in packages]
    assert len(names) == len(set(names)) > 0
    assert all(package.sha256 for package in packages)


@pytest.mark.parametrize(
    "line",
    ["torch", "torch>=2", "torch==2.13.0", "git+https://example.org/x", "-r other.txt", "./x.whl"],
)
def test_an_unpinned_requirement_is_told_by_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text(f"# a comment\nnumpy==1 --hash=sha256:{SHA}\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_requirements(path)
    assert caught.value.where == f"{path}:3"


def test_what_is_asked_for_is_locked() -> None:
    for source in DOCKER.rglob("*.in"):
        lock = source.with_suffix(".lock")
        locked = {
            re.sub(r"[-_.]+", "-", package.name).lower()
            for package in (read_debian if lock.name == "packages.lock" else read_requirements)(
                lock
            )
        }
        for line in source.read_text().splitlines():
            name = re.match(r"[A-Za-z0-9._-]+", line.partition("#")[0].strip())
            assert name is None or re.sub(r"[-_.]+", "-", name[0]).lower() in locked, (source, line)


def test_cells_have_the_versions_of_the_constraints() -> None:
    """What runs as a process and in the image is the same software."""
    pinned = dict(
        re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line).groups()  # type: ignore[union-attr]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    for package in read_requirements(DOCKER / "cpu" / "requirements.lock"):
        version = package.version.partition("+")[0]
        assert pinned.get(package.name, version).partition("+")[0] == version, package.name


def test_the_lock_is_of_the_packages_that_are_here() -> None:
    """Project code may be newer than the lock between releases; what it stands on may not."""
    pins = load_lock(DOCKER / "images.lock.toml")
    assert list(pins) == list(RECIPES)
    for name, recipe in RECIPES.items():
        if not recipe.has_project:
            assert pins[name].inputs == inputs_of(ROOT, name), f"type: harness images lock {name}"
            assert pins[name].id
            assert "built twice" in pins[name].verified


def test_the_lock_says_of_every_image_where_it_stands() -> None:
    pins = load_lock(DOCKER / "images.lock.toml")
    for name, pin in pins.items():
        below = [recipe.name for recipe in chain(name)[:-1]]
        if below:
            assert pin.base == pins[below[-1]].id
        elif name != "base":
            assert re.search(r"@sha256:[0-9a-f]{64}$", pin.base)
            assert pin.verified == NOT_BUILT
        assert re.fullmatch(r"[0-9a-f]{40}", pin.commit)
        assert pin.date > 1_700_000_000
        if pin.id:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", pin.id)
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", pin.digest)
            assert 0 < pin.bytes < 1.7e9


def test_a_bill_of_materials_names_every_package() -> None:
    names = {package.name for package in packages_of(ROOT, "cpu")}
    assert {"torch", "transformers", "lm-eval", "peft", "datasets", "python3", "libc6"} <= names


def test_instructions_are_joined_and_numbered() -> None:
    text = "FROM a\n# no\nRUN one \\\n# in between\n  two\nUSER 1\n"
    assert instructions(text) == [(1, "FROM", "a"), (3, "RUN", "one two"), (6, "USER", "1")]
