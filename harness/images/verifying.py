"""Building images again and comparing; writing docker/images.lock.toml."""

from __future__ import annotations

import hashlib
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DataError, InfrastructureError
from harness.images.build import build_all
from harness.images.inputs import changed_since, inputs_of, last_commit, uncommitted
from harness.images.lock import ImagePin, load_lock, write_lock
from harness.images.programs import ran
from harness.images.recipes import RECIPES, chain, digits, lock_path, require_checkout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.images.build import Built
    from harness.images.recipes import Recipe

NOT_BUILT = "not pullable here: never built where the lock was written"


@dataclass(frozen=True, slots=True)
class Verified:
    """One image, built from clean.

    Attributes:
        locked: id in the lock; empty where the files are others than those that were locked.
        before: id that another build here gave.
        id: what came out now.
        changed: the files that differ from those that were locked, as far as git tells.
    """

    name: str
    locked: str
    before: str
    id: str
    notes: tuple[str, ...]
    changed: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether it is bit for bit what it was."""
        return self.id == (self.locked or self.before)


def verify(names: Sequence[str], tell: Callable[[str], None]) -> list[Verified]:
    """Build images and those below them from clean, and compare their ids.

    They are held against the lock where the files are those that were locked, else against another
    build here.

    Raises:
        SuiteError, InfrastructureError: as `build`.
    """
    root = require_checkout()
    pins = load_lock(lock_path())
    earlier = build_all(names, tell=tell)
    made = build_all(names, anew=list(earlier), tell=tell)
    if any((one.commit, one.date) != (made[n].commit, made[n].date) for n, one in earlier.items()):
        # The same files, but committed since: what the label says has changed with that.
        earlier, made = made, build_all(names, anew=list(earlier), tell=tell)
    found = []
    for name, now in made.items():
        pin = pins.get(name)
        same_files = pin is not None and pin.inputs == inputs_of(root, name)
        locked = pin.id if pin is not None and same_files else ""
        changed = changed_since(root, name, pin.commit) if pin and not same_files else []
        found.append(Verified(name, locked, earlier[name].id, now.id, now.notes, tuple(changed)))
    return found


def lock(names: list[str], tell: Callable[[str], None]) -> list[ImagePin]:
    """Build images twice from clean and write what they are; those of the same files stay.

    An image whose own files have changed is made anew on the one below it as it is.

    Raises:
        DataError: a file of an image is in no commit, so that nobody else could build it.
        InfrastructureError: two builds differ, or a build fails; the lock is as it was.
    """
    root = require_checkout()
    pins = load_lock(lock_path())
    wanted = {one.name for name in names or RECIPES for one in chain(name)}
    stale = [name for name in RECIPES if name in wanted and not _is_locked(root, pins.get(name))]
    for name in stale:
        _require_committed(root, name)
    made = _twice([name for name in stale if not RECIPES[name].is_pulled], tell)
    for name in made.keys() - stale:
        _require_same(pins[name], made[name])
    for name in stale:
        recipe = RECIPES[name]
        pins[name] = _described(root, recipe)
        if name in made:
            pins[name] = _as_built(pins[name], made[name], pins, recipe)
    if stale:
        write_lock(lock_path(), {name: pins[name] for name in RECIPES if name in pins})
    return [pins[name] for name in stale]


def _require_committed(root: Path, name: str) -> None:
    if changed := uncommitted(root, name):
        raise DataError(
            f"files of the image {name} are in no commit, and the lock names the one to build from",
            where=changed[0],
            found=f"{len(changed)} files that are changed or new",
            hint="git commit, then: harness images lock",
        )


def _require_same(pin: ImagePin, below: Built) -> None:
    if below.id != pin.id:
        raise InfrastructureError(
            f"the image {pin.name} here is not the locked one, and others are to stand on it",
            expected=pin.id,
            found="; ".join([below.id, *below.notes]),
            hint="bring packages up to date: harness images requirements base, git commit, then "
            "harness images lock",
        )


def _is_locked(root: Path, pin: ImagePin | None) -> bool:
    if pin is None or pin.inputs != inputs_of(root, pin.name):
        return False
    return bool(pin.id) or RECIPES[pin.name].is_pulled


def _twice(names: list[str], tell: Callable[[str], None]) -> dict[str, Built]:
    """Build images twice from clean, on those below them as they are."""
    first, second = (build_all(names, anew=names, tell=tell) for _ in range(2))
    for name, made in second.items():
        if made.notes:
            raise InfrastructureError(
                f"the image {name} has other packages than its lock",
                found="; ".join(made.notes),
                hint=f"harness images requirements {name}, git commit, then: harness images lock",
            )
        if made.id != first[name].id:
            raise InfrastructureError(
                f"two builds of the image {name} differ",
                expected=first[name].id,
                found=made.id,
                hint="compare both: skopeo inspect --config containers-storage:ID",
            )
    return second


def _as_built(pin: ImagePin, made: Built, pins: Mapping[str, ImagePin], recipe: Recipe) -> ImagePin:
    buildah = ran(["buildah", "--version"]).split()[2]
    return replace(
        pin,
        base=pins[recipe.base].id if recipe.base else "Debian packages",
        commit=made.commit,
        date=made.date,
        id=made.id,
        digest=_manifest_digest(made),
        bytes=made.bytes,
        verified=f"built twice from clean with buildah {buildah}, {time.strftime('%Y-%m-%d')}",
    )


def _described(root: Path, recipe: Recipe) -> ImagePin:
    """What is known of an image without building it."""
    requirements = root / "docker" / recipe.folder / str(recipe.requirements)
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest() if recipe.requirements else ""
    commit, date = last_commit(root, recipe.name) or ("unknown", 0)
    return ImagePin(
        name=recipe.name,
        base=_public_base(root, recipe),
        requirements=digest,
        inputs=inputs_of(root, recipe.name),
        commit=commit,
        date=date,
        id="",
        digest="",
        bytes=0,
        verified=NOT_BUILT,
    )


def _public_base(root: Path, recipe: Recipe) -> str:
    """The image that a Dockerfile begins with, where it names one."""
    text = (root / "docker" / recipe.folder / recipe.dockerfile).read_text(encoding="utf-8")
    named = [line.split("=", 1)[1] for line in text.splitlines() if line.startswith("ARG BASE=")]
    return named[0].strip() if named else ""


def _manifest_digest(made: Built) -> str:
    """The digest that the image has in a registry: of its manifest with compressed layers."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "digest")
        source = f"containers-storage:{digits(made.id)}"
        # As a registry gets it: this kind of folder has its layers compressed, too.
        ran(["skopeo", "copy", "--digestfile", told, source, f"oci:{folder}/image"])
        return told.read_text().strip()
