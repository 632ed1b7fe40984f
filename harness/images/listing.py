"""The images of the project as they are here: built, locked, how large."""

from __future__ import annotations

from dataclasses import dataclass

from harness.images.inputs import inputs_of
from harness.images.lock import load_lock
from harness.images.recipes import RECIPES, checkout, lock_path
from harness.images.resolving import built


@dataclass(frozen=True, slots=True)
class Row:
    """One image; `id` and `bytes` of the last build here, else of the lock."""

    name: str
    about: str
    state: str
    id: str
    bytes: int


def list_all() -> list[Row]:
    """Every image, in the order of building."""
    root, pins = checkout(), load_lock(lock_path())
    rows = []
    for recipe in RECIPES.values():
        pin = pins.get(recipe.name)
        note = built(root, recipe.name) if root is not None else None
        inputs = inputs_of(root, recipe.name) if root is not None else ""
        is_built = note is not None and note.get("inputs") == inputs
        told = []
        if root is not None:
            told.append(
                "built" if is_built else "not built" if note is None else "built of older files"
            )
        if pin is None:
            told.append("not locked")
        elif root is None or pin.inputs == inputs:
            told.append(f"locked ({pin.verified})")
        else:
            told.append("files newer than the lock")
        identity = str(note["id"]) if note is not None and is_built else pin.id if pin else ""
        size = int(str(note["bytes"])) if note is not None and is_built else pin.bytes if pin else 0
        rows.append(Row(recipe.name, recipe.about, ", ".join(told), identity, size))
    return rows
