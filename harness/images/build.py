"""Building images with buildah: the same files give the same bits."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import harness
from harness.errors import DataError, InfrastructureError
from harness.images import debian
from harness.images.inputs import inputs_of, last_commit, own_files, sources, uncommitted
from harness.images.lock import load_lock
from harness.images.pip_settings import pip_settings
from harness.images.programs import ran, require
from harness.images.recipes import PREFIX, chain, digits, lock_path, require_checkout
from harness.images.resolving import built, built_folder
from harness.images.sbom import bill_of_materials

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from harness.images.recipes import Recipe

_LABEL: Final = "org.opencontainers.image."


@dataclass(frozen=True, slots=True)
class Built:
    """An image that is in buildah's storage.

    Attributes:
        id: SHA-256 of its configuration.
        bytes: unpacked.
        is_new: whether it was built just now.
        notes: what differs from the locks, though it could be built.
    """

    name: str
    id: str
    inputs: str
    bytes: int
    commit: str
    date: int
    is_new: bool
    notes: tuple[str, ...] = ()


def build(
    name: str,
    *,
    anew: Container[str] = (),
    tell: Callable[[str], None] = lambda _line: None,
) -> list[Built]:
    """Build an image and those that it stands on, as far as their files have changed.

    Args:
        name: of the image.
        anew: names of those to build from clean, whatever is there.
        tell: called with a line for each image that takes time.

    Returns:
        each image of the chain, the lowest first.

    Raises:
        SuiteError: no image has this name.
        InfrastructureError: there is no checkout, a program is missing or fails, a disk is full.
    """
    root = require_checkout()
    require("buildah")
    with _alone(root), _told_of_disks(root):
        for left in built_folder(root).glob(".build-*"):
            shutil.rmtree(left, ignore_errors=True)  # of a build that was killed
        below: Built | None = None
        done = []
        for recipe in chain(name):
            found = None if recipe.name in anew else _found(root, recipe)
            if found is None:
                tell(f"building {recipe.name} (log: {_log(root, recipe)})")
                found = _build(root, recipe, below)
            done.append(found)
            below = found
        return done


def build_all(
    names: Iterable[str],
    *,
    anew: Iterable[str] = (),
    tell: Callable[[str], None] = lambda _line: None,
) -> dict[str, Built]:
    """Build several images, each of those below them once; by name, each after the one below it.

    Raises:
        SuiteError, InfrastructureError: as `build`.
    """
    done: dict[str, Built] = {}
    for name in names:
        left = [one for one in anew if one not in done]
        for made in build(name, anew=left, tell=tell):
            done.setdefault(made.name, made)
    return done


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One build at a time below a checkout; the kernel frees the lock of one that was killed."""
    folder = built_folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _told_of_disks(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(
            f"the image cannot be built: {error.strerror or error}",
            where=str(error.filename or built_folder(root)),
            hint="free space on the disk, or mend the file; then give the same command again",
        ) from error


def _log(root: Path, recipe: Recipe) -> Path:
    return built_folder(root) / f"{recipe.name}.log"


def _found(root: Path, recipe: Recipe) -> Built | None:
    """An image of these files in buildah's storage: of the last build here, or as locked."""
    inputs = inputs_of(root, recipe.name)
    note = built(root, recipe.name)
    if note is not None and note.get("inputs") == inputs and in_storage(str(note["id"])):
        with suppress(TypeError, KeyError):  # of another version of this file
            return Built(**{**note, "notes": tuple(note["notes"]), "is_new": False})  # type: ignore[arg-type]
    pin = load_lock(lock_path()).get(recipe.name)
    if pin is None or pin.inputs != inputs or not pin.id or not in_storage(pin.id):
        return None
    fields = {name: getattr(pin, name) for name in ("name", "id", "inputs", "bytes", "commit")}
    found = Built(**fields, date=pin.date, is_new=False)
    _note(root, found)
    return found


def in_storage(image: str) -> bool:
    """Whether buildah has an image."""
    told = subprocess.run(
        ["buildah", "inspect", "--type", "image", "--format", "{{.FromImageID}}", digits(image)],
        capture_output=True,
        check=False,
    )
    return told.returncode == 0


def _build(root: Path, recipe: Recipe, below: Built | None) -> Built:
    inputs = inputs_of(root, recipe.name)
    commit, date = _commit_and_date(root, recipe.name, inputs)
    log = _log(root, recipe)
    log.unlink(missing_ok=True)
    notes: list[str] = []
    # Beside the notes, so that it is on a disk with room; removed also when a build fails.
    with tempfile.TemporaryDirectory(prefix=".build-", dir=built_folder(root)) as folder:
        context = Path(folder)
        if recipe.name == "base":
            lines = debian.make_rootfs(root / "docker/base", context / "rootfs.tar", date, log)
            notes = debian.difference(root / "docker/base", lines)
            _installed(root).write_text(debian.lock_text(lines), encoding="utf-8")
        _fill(root, recipe, context, commit)
        if inputs_of(root, recipe.name) != inputs:
            raise InfrastructureError(
                f"files of the image {recipe.name} were changed while it was begun",
                hint="give the same command again",
            )
        packages = _pip_arguments(context) if recipe.requirements == "requirements.lock" else []
        told = context / "id"
        ran(
            [
                *("buildah", "bud", "--isolation", "chroot", "--network", "host", "--layers=false"),
                *("--timestamp", str(date), "--identity-label=false", "--format", "oci"),
                *("--pull-never",) * (not recipe.is_pulled),
                *(("--build-arg", f"BASE={_tagged(below.name, below.id)}") if below else ()),
                *("--iidfile", str(told), *packages),
                *(word for label in _labels(recipe, commit, date) for word in ("--label", label)),
                *("--file", str(context / f"docker/{recipe.folder}/{recipe.dockerfile}")),
                str(context),
            ],
            log=log,
        )
        image = told.read_text().strip()
    _tagged(recipe.name, image)
    made = Built(
        name=recipe.name,
        id=image if image.startswith("sha256:") else f"sha256:{image}",
        inputs=inputs,
        bytes=_bytes(image),
        commit=commit,
        date=date,
        is_new=True,
        notes=tuple(notes),
    )
    _note(root, made)
    return made


def _tagged(name: str, image: str) -> str:
    """Give an image its name, which has its id in it, and return that.

    buildah writes into an image what the one below it is called, and takes the first tag that it
    has. So each has one that nothing else can ever have, before those that others gave it.
    """
    tag = f"localhost/{PREFIX}/{name}:{digits(image)[:12]}"
    ran(["buildah", "tag", digits(image), tag])
    for other in _names(image):
        if _names(image)[0] == tag:
            break
        if other != tag:  # taken away and given back, it comes after ours
            ran(["buildah", "rmi", other])
            ran(["buildah", "tag", digits(image), other])
    return tag


def _names(image: str) -> list[str]:
    told = json.loads(ran(["buildah", "images", "--json", digits(image)]))
    return [str(name) for name in told[0]["names"]]


def _pip_arguments(context: Path) -> list[str]:
    """What tells a build where packages come from, and is in none of its layers."""
    settings = pip_settings()
    secret = context / "pip.conf"
    secret.write_text(settings.text, encoding="utf-8")
    volumes = [f"--volume={path}:{inside}:ro" for path, inside in settings.mounts.items()]
    return ["--secret", f"id=pip,src={secret}", *volumes]


def _commit_and_date(root: Path, name: str, inputs: str) -> tuple[str, int]:
    """What the label and the dates of an image say: as locked, or of the last commit to its files.

    Taken from the lock where the files are the same, they do not depend on how history is told.
    """
    pin = load_lock(lock_path()).get(name)
    if pin is not None and pin.inputs == inputs:
        return pin.commit, pin.date
    commit, date = last_commit(root, name) or ("unknown", 0)
    # No commit has these files: the label does not claim it.
    return (f"{commit}-changed" if uncommitted(root, name) else commit), date


def _installed(root: Path) -> Path:
    """Where it is noted which of Debian's packages the base has, lest they are not the locked."""
    return built_folder(root) / "base.packages"


def _fill(root: Path, recipe: Recipe, context: Path, commit: str) -> None:
    """Put what a recipe copies into its context; its own files under the paths of the checkout."""
    for path in own_files(recipe):
        target = context / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(root / path, target)
        except FileNotFoundError:
            raise DataError(
                "a file of an image is missing",
                where=path,
                hint=f"harness images requirements {recipe.folder}",
            ) from None
    if recipe.has_project:
        _copy_project(root, context / "project")
    version = harness.__version__ if recipe.has_project else None
    packages = _installed(root) if _installed(root).is_file() else None
    bill = bill_of_materials(root, recipe.name, version, commit, packages)
    (context / "sbom.cdx.json").write_text(bill, encoding="utf-8")
    (built_folder(root) / f"{recipe.name}.cdx.json").write_text(bill, encoding="utf-8")
    for made in context.rglob("*"):
        made.chmod(0o755 if made.is_dir() else 0o644)  # whatever the umask of this checkout was


def _copy_project(root: Path, target: Path) -> None:
    for path in sources(root):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target / path)
    info = target / f"rl_scaling_harness-{harness.__version__}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: rl-scaling-harness\nVersion: {harness.__version__}\n"
    )


def _labels(recipe: Recipe, commit: str, date: int) -> list[str]:
    from datetime import UTC, datetime

    from harness.spec.suite import Suite

    (schema,) = get_args(Suite.model_fields["schema_"].annotation)
    created = datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        f"{_LABEL}title={PREFIX}/{recipe.name}",
        # Of the project alone: the images below it are the same in the next version.
        *([f"{_LABEL}version={harness.__version__}"] if recipe.has_project else []),
        f"{_LABEL}revision={commit}",
        f"{_LABEL}created={created}",
        f"{PREFIX}.suite-schema={schema}",
    ]


def _bytes(image: str) -> int:
    """Bytes of an image's layers, unpacked."""
    told = ran(["buildah", "inspect", "--type", "image", digits(image)])
    layers = json.loads(json.loads(told)["Manifest"])["layers"]
    return sum(int(layer["size"]) for layer in layers)


def _note(root: Path, made: Built) -> None:
    """Say what was built; written last, so that a build which was killed says nothing."""
    path = built_folder(root) / f"{made.name}.json"
    unfinished = path.with_suffix(f".{os.getpid()}")
    fields = {name: getattr(made, name) for name in Built.__slots__}
    unfinished.write_text(json.dumps(fields, indent=1), encoding="utf-8")
    unfinished.replace(path)
