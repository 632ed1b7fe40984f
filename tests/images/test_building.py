"""Builds with the real buildah of a base of its own size, and a registry on this machine."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import harness
from harness.errors import DataError, InfrastructureError
from harness.images import build as building
from harness.images import debian, lock, recipes, resolve, resolving, transport, verifying
from harness.images.recipes import Recipe
from tests.run.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def require(*programs: str) -> None:
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")


def rootfs(folder: Path, tar: Path, date: int, _log: Path) -> list[str]:
    """In place of mmdebstrap: one file, which nothing can run.

    It holds the test's own folder: tests that run beside each other share the engines, and one that
    removed an image of the same id would take it from under another's build.
    """
    content = str(folder).encode()
    with tarfile.open(tar, "w") as archive:
        file = tarfile.TarInfo("etc/os-release")
        file.mtime, file.size = date, len(content)
        archive.addfile(file, io.BytesIO(content))
    return [f"libc6=1 sha256:{'0' * 64}"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout with a base of one file, and an image with the project on it."""
    require("buildah")
    for folder in ("docker/base", "docker/cell", "harness", "reward_scorers", "build/images"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("")
    shutil.copy(ROOT / "docker/base/Dockerfile", tmp_path / "docker/base")
    (tmp_path / "docker/base/packages.in").write_text("libc6\n")
    (tmp_path / "docker/base/packages.lock").write_text(f"libc6=1 sha256:{'0' * 64}\n")
    (tmp_path / "docker/cell/Dockerfile").write_text(
        "ARG BASE\nFROM ${BASE}\nCOPY project/ /project/\nUSER 65532:65532\n"
    )
    (tmp_path / "harness/__init__.py").write_text("one = 1\n")
    (tmp_path / "reward_scorers/__init__.py").write_text("")
    cell = Recipe("cell", "cell", "a test", "base", requirements=None, has_project=True)
    monkeypatch.setattr(recipes, "RECIPES", {"base": recipes.RECIPES["base"], "cell": cell})
    monkeypatch.setattr(verifying, "RECIPES", recipes.RECIPES)
    monkeypatch.setattr(debian, "make_rootfs", rootfs)
    path = tmp_path / "docker/images.lock.toml"
    for module in (recipes, resolving):
        monkeypatch.setattr(module, "checkout", lambda: tmp_path)
    for module in (building, resolving, verifying, transport):
        monkeypatch.setattr(module, "lock_path", lambda: path)
    yield tmp_path
    for name in ("cell", "base"):
        if found := resolving.built(tmp_path, name):
            image = str(found["id"])
            for engine in transport.engines_here():
                if engine != "apptainer":
                    subprocess.run([engine, "image", "rm", "--force", image], capture_output=True)
            image = image.removeprefix("sha256:")
            subprocess.run(["buildah", "rmi", "--force", image], capture_output=True)


def test_a_second_build_finds_what_the_first_has_made(checkout: Path) -> None:
    first = building.build("cell")
    assert [one.is_new for one in first] == [True, True]
    second = building.build("cell")
    assert [one.is_new for one in second] == [False, False]
    assert [one.id for one in second] == [one.id for one in first]
    assert resolve("cell").id == first[-1].id


def test_builds_from_clean_give_the_same_bits(checkout: Path) -> None:
    first = building.build("cell", anew=("base", "cell"))
    for path in checkout.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    second = building.build("cell", anew=("base", "cell"))
    assert [one.id for one in first] == [one.id for one in second]


def test_another_name_of_the_image_below_changes_nothing(checkout: Path) -> None:
    base, first = building.build("cell")
    name = "localhost/rl-scaling-harness/base"
    own, other = f"{name}:{base.id[7:19]}", f"{name}:{checkout.name.replace('_', '-')}"
    subprocess.run(["buildah", "tag", base.id[7:], other], check=True)
    subprocess.run(["buildah", "rmi", own], check=True, capture_output=True)
    second = building.build("cell", anew=("cell",))[-1]
    assert second.id == first.id


def test_a_locked_image_that_is_here_is_not_built_again(checkout: Path) -> None:
    """As in a fresh clone on a machine that has it: what serves as cache is the lock."""
    require("skopeo")
    pins = {pin.name: pin.id for pin in verifying.lock([], lambda _line: None)}
    for note in (checkout / "build/images").glob("*.json"):
        note.unlink()
    found = building.build("cell")
    assert [(one.id, one.is_new) for one in found] == [(pins["base"], False), (pins["cell"], False)]
    (checkout / "harness/__init__.py").write_text("two = 2\n")
    assert [one.is_new for one in building.build("cell")] == [False, True]


def test_code_that_changed_makes_the_upper_image_anew(checkout: Path) -> None:
    first = building.build("cell")
    (checkout / "harness/__init__.py").write_text("two = 2\n")
    with pytest.raises(InfrastructureError, match="older than the files"):
        resolve("cell")
    second = building.build("cell")
    assert [one.is_new for one in second] == [False, True]
    assert second[0].id == first[0].id
    assert second[1].id != first[1].id


def test_labels_user_and_bill_of_materials(checkout: Path) -> None:
    made = building.build("cell")[-1]
    told = subprocess.run(
        ["skopeo", "inspect", "--config", f"containers-storage:{made.id.removeprefix('sha256:')}"],
        capture_output=True,
        text=True,
        check=True,
    )
    config = json.loads(told.stdout)["config"]
    assert config["User"] == "65532:65532"
    labels = config["Labels"]
    assert labels["org.opencontainers.image.revision"] == made.commit
    assert labels["rl-scaling-harness.suite-schema"] == "1"
    assert labels["org.opencontainers.image.created"] == "1970-01-01T00:00:00Z"  # without git
    assert "io.buildah.version" not in labels
    bill = json.loads((checkout / "build/images/cell.cdx.json").read_text())
    assert [one["purl"] for one in bill["components"]] == [
        "pkg:deb/debian/libc6@1?distro=bookworm",
        f"pkg:pypi/rl-scaling-harness@{harness.__version__}",
    ]
    below = json.loads((checkout / "build/images/base.cdx.json").read_text())
    assert harness.__version__ not in json.dumps(below)  # the same in the next version


def test_a_build_that_fails_is_told_and_leaves_nothing(checkout: Path) -> None:
    (checkout / "docker/cell/Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY nothing /x\n")
    with pytest.raises(InfrastructureError, match="buildah failed") as caught:
        building.build("cell")
    assert "nothing" in caught.value.message
    assert str(caught.value.where).endswith("cell.log")
    assert resolving.built(checkout, "cell") is None
    assert not list((checkout / "build/images").glob(".build-*"))


def test_other_debian_packages_than_locked_are_told(checkout: Path) -> None:
    lines = f"libc6=2 sha256:{'0' * 64}\n"
    (checkout / "docker/base/packages.lock").write_text(lines)
    (made,) = building.build("base")
    (note,) = made.notes
    assert "libc6=2" in note
    assert "libc6=1" in note
    bill = json.loads((checkout / "build/images/base.cdx.json").read_text())
    assert [one["version"] for one in bill["components"]] == ["1"]  # what is in it
    with pytest.raises(InfrastructureError, match="other packages than its lock"):
        verifying.lock(["base"], lambda _line: None)


def test_locking_writes_what_verifying_finds(checkout: Path) -> None:
    require("skopeo")
    changed = verifying.lock([], lambda _line: None)
    assert [pin.name for pin in changed] == ["base", "cell"]
    assert all("built twice from clean with buildah" in pin.verified for pin in changed)
    assert verifying.lock([], lambda _line: None) == []
    found = verifying.verify(["cell"], lambda _line: None)
    assert all(one.is_same and one.locked for one in found)
    path = checkout / "docker/images.lock.toml"
    pins = lock.load_lock(path)
    spoiled = lock.ImagePin(**{**_fields(pins["cell"]), "id": f"sha256:{'9' * 64}"})
    lock.write_lock(path, {**pins, "cell": spoiled})
    found = verifying.verify(["cell"], lambda _line: None)
    assert [one.is_same for one in found] == [True, False]


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=one", "-c", "user.email=one@example.org")
    return subprocess.check_output(["git", "-C", folder, *who, *words], text=True).strip()


def test_only_what_is_committed_can_be_locked(checkout: Path) -> None:
    git(checkout, "init", "--quiet")
    git(checkout, "add", "docker", "harness")
    with pytest.raises(DataError, match="in no commit") as caught:
        verifying.lock(["base"], lambda _line: None)
    assert caught.value.where == "docker/base/Dockerfile"
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "one")
    (pin,) = verifying.lock(["base"], lambda _line: None)
    assert pin.commit == git(checkout, "rev-parse", "HEAD")
    (checkout / "harness/new.py").write_text("")
    with pytest.raises(DataError, match="in no commit") as caught:
        verifying.lock([], lambda _line: None)
    assert caught.value.where == "harness/new.py"


def test_locking_changed_code_leaves_the_image_below(checkout: Path) -> None:
    require("skopeo")
    verifying.lock([], lambda _line: None)
    (checkout / "harness/__init__.py").write_text("two = 2\n")
    told: list[str] = []
    (pin,) = verifying.lock([], told.append)
    assert pin.name == "cell"
    assert [line.split()[1] for line in told] == ["cell", "cell"]


def test_nothing_is_locked_on_an_image_that_is_not_the_locked_one(checkout: Path) -> None:
    require("skopeo")
    verifying.lock([], lambda _line: None)
    path = checkout / "docker/images.lock.toml"
    pins = lock.load_lock(path)
    other = lock.ImagePin(**{**_fields(pins["base"]), "id": f"sha256:{'9' * 64}"})
    lock.write_lock(path, {**pins, "base": other})
    (checkout / "harness/__init__.py").write_text("two = 2\n")
    with pytest.raises(InfrastructureError, match="base here is not the locked one"):
        verifying.lock([], lambda _line: None)


def test_files_that_were_committed_since_they_were_built_are_no_difference(
    checkout: Path,
) -> None:
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "one")
    (checkout / "harness/__init__.py").write_text("two = 2\n")
    changed = building.build("cell")[-1]
    assert changed.commit == git(checkout, "rev-parse", "HEAD") + "-changed"
    git(checkout, "commit", "--quiet", "--all", "--message", "two")
    found = verifying.verify(["cell"], lambda _line: None)
    assert all(one.is_same for one in found)
    assert resolving.built(checkout, "cell")["commit"] == git(checkout, "rev-parse", "HEAD")


def test_what_a_killed_build_left_is_removed_and_a_full_disk_is_told(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "build/images/.build-left").mkdir()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "rootfs.tar")

    monkeypatch.setattr(debian, "make_rootfs", full)
    with pytest.raises(InfrastructureError, match="No space left") as caught:
        building.build("base")
    assert caught.value.where == "rootfs.tar"
    assert not list((checkout / "build/images").glob(".build-*"))


def test_files_that_change_while_they_are_copied_are_told(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    building.build("base")
    bill = building.bill_of_materials

    def meanwhile(*words: object) -> str:
        (checkout / "harness/__init__.py").write_text("three = 3\n")
        return bill(*words)

    monkeypatch.setattr(building, "bill_of_materials", meanwhile)
    with pytest.raises(InfrastructureError, match="were changed while"):
        building.build("cell")
    assert resolving.built(checkout, "cell") is None


def test_verifying_tells_what_changed_since_it_was_locked(checkout: Path) -> None:
    require("skopeo")
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "one")
    verifying.lock([], lambda _line: None)
    (checkout / "harness/__init__.py").write_text("two = 2\n")
    (checkout / "harness/new.py").write_text("")
    base, cell = verifying.verify(["cell"], lambda _line: None)
    assert (base.changed, base.locked) == ((), base.id)
    assert (cell.changed, cell.locked) == (("harness/__init__.py", "harness/new.py"), "")
    assert cell.is_same


def _fields(pin: lock.ImagePin) -> dict[str, object]:
    return {name: getattr(pin, name) for name in lock.ImagePin.__slots__}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry on this machine: Debian's docker-registry."""
    require("docker-registry", "skopeo")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = tmp_path / "registry.yml"
    settings.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path / 'registry'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (tmp_path / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(settings)], stdout=log, stderr=log
        )
    try:
        wait_until(lambda: _answers(port))
        yield f"127.0.0.1:{port}/team"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_registry_keeps_the_digest(checkout: Path, registry: str) -> None:
    (_, pin) = verifying.lock([], lambda _line: None)
    assert transport.push("cell", registry, insecure=True) == pin.digest
    for engine in transport.engines_here():
        if engine == "apptainer":
            continue
        subprocess.run([engine, "image", "rm", "--force", pin.id], capture_output=True)
        assert not transport.has(engine, pin.id)
        assert transport.pull("cell", registry, engine, insecure=True) == pin.id
        assert transport.has(engine, pin.id)
        building.build("cell")  # podman's storage is buildah's


def test_an_image_that_is_not_locked_cannot_be_pulled(checkout: Path) -> None:
    require("skopeo", "podman")
    with pytest.raises(InfrastructureError, match="no digest") as caught:
        transport.pull("cell", "127.0.0.1:1/team", "podman")
    assert caught.value.hint == "build it: harness images build cell"


def test_loading_again_does_nothing(checkout: Path) -> None:
    engines = [engine for engine in transport.engines_here() if engine != "apptainer"]
    if not engines:
        pytest.skip("no engine answers")
    building.build("cell")
    image = resolve("cell")
    for engine in engines:
        transport.load(image, engine)
        assert transport.load(image, engine) is False


def test_missing_programs_are_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InfrastructureError, match="buildah is not installed") as caught:
        building.build("cell")
    assert "apt-get install buildah" in str(caught.value.hint)
