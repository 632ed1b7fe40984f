"""Which image cells are to run in: the one whose content is that of this checkout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness.errors import InfrastructureError
from harness.images.inputs import inputs_of
from harness.images.lock import load_lock
from harness.images.recipes import checkout, find_recipe, lock_path

if TYPE_CHECKING:
    from harness.images.lock import ImagePin


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image by its content.

    Attributes:
        id: SHA-256 of its configuration, as engines name it.
        digest: of its manifest, if it was ever pushed or locked.
    """

    name: str
    id: str
    digest: str | None = None


def built_folder(root: Path) -> Path:
    """Where builds note what they made, below the checkout."""
    return root / "build" / "images"


def built(root: Path, name: str) -> dict[str, object] | None:
    """What the last build of an image noted: `inputs`, `id`, `bytes`; None if there was none."""
    try:
        note = json.loads((built_folder(root) / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) and isinstance(note.get("id"), str) else None


def _of_installed(name: str, pin: ImagePin | None) -> ImageRef:
    """The locked image, if it holds the code that is installed."""
    docker, packages = lock_path().parent, Path(harness.__file__).parents[1]
    hint = "build it from a checkout (make images), or name one: --image NAME@sha256:..."
    if pin is None or not pin.id:
        raise InfrastructureError(f"the image {name!r} of this version was never built", hint=hint)
    if pin.inputs != inputs_of(packages, name, docker):
        raise InfrastructureError(
            f"the image {name!r} that this package names holds other code than the package",
            where=str(lock_path()),
            hint=hint,
        )
    return ImageRef(name, pin.id, pin.digest or None)


def resolve(name: str) -> ImageRef:
    """The image of this name whose content is that of this checkout, or of the installed package.

    Raises:
        SuiteError: no image has this name.
        InfrastructureError: it was not built since its files have changed; says what to type.
    """
    find_recipe(name)
    root, pin = checkout(), load_lock(lock_path()).get(name)
    if root is None:
        return _of_installed(name, pin)
    try:
        inputs, note = inputs_of(root, name), built(root, name)
    except OSError as error:
        raise InfrastructureError(
            f"a file that the image {name!r} is made of cannot be read: {error.strerror}",
            where=str(error.filename),
            hint="restore it: git status",
        ) from None
    is_locked = pin is not None and pin.id != "" and pin.inputs == inputs
    # What was built here goes first: where it differs from the lock, since Debian has other
    # packages by now, the locked one may not be to be had, and records tell which one ran.
    if note is not None and note.get("inputs") == inputs:
        same = pin is not None and pin.id == note["id"]
        return ImageRef(name, str(note["id"]), pin.digest if pin is not None and same else None)
    if pin is not None and is_locked:
        return ImageRef(name, pin.id, pin.digest or None)
    raise InfrastructureError(
        f"the image {name!r} "
        + ("was not built yet" if note is None else "is older than the files that it is made of"),
        hint=f"make images{'' if name in ('base', 'sandbox', 'cpu') else f' ARGS={name}'}",
    )
