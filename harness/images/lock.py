"""docker/images.lock.toml: what each image was when it was locked, and how that was verified."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA: Final = 1
_HEAD: Final = """\
# What each image was when it was last locked: `harness images lock` writes this file.
#
# id: SHA-256 of the configuration, which names the content of every layer: what engines call the
# image's id. digest: of the manifest with its layers as they are pushed. inputs: of all files that
# decide the content (harness/images/inputs.py). Where the inputs of a checkout are these, a build
# gives this id.
"""


@dataclass(frozen=True, slots=True)
class ImagePin:
    """An image as it was locked; an empty text where it was not built.

    Attributes:
        base: id of the image below it, or NAME@sha256:... of a public one.
        requirements: SHA-256 of its lock of packages.
        inputs: see `inputs.inputs_of`.
        commit: that its label names; date: of that commit, SOURCE_DATE_EPOCH of the build.
        id: SHA-256 of its configuration; digest: of its manifest.
        bytes: unpacked.
        verified: how.
    """

    name: str
    base: str
    requirements: str
    inputs: str
    commit: str
    date: int
    id: str
    digest: str
    bytes: int
    verified: str


def load_lock(path: Path) -> dict[str, ImagePin]:
    """The pins by name; empty where there is no file yet.

    Raises:
        DataError: it is not a lock of this version.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        if document.get("schema") != SCHEMA:
            raise ValueError(f"schema {document.get('schema')!r}, this version reads {SCHEMA}")
        pins = [ImagePin(name=name, **entry) for name, entry in document["image"].items()]
        return {pin.name: _checked(pin) for pin in pins}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"not a lock of images: {error}",
            where=str(path),
            hint="restore it, or write it anew: harness images lock",
        ) from None


def _checked(pin: ImagePin) -> ImagePin:
    for field in fields(pin):
        wanted = int if field.name in ("date", "bytes") else str
        if not isinstance(getattr(pin, field.name), wanted):
            raise ValueError(f"{field.name} of {pin.name} is no {wanted.__name__}")
    return pin


def to_toml(pins: Mapping[str, ImagePin]) -> str:
    """The text of the lock."""
    lines = [_HEAD, f"schema = {SCHEMA}"]
    for name, pin in pins.items():
        lines += ["", f"[image.{name}]"]
        for field in fields(pin):
            if field.name != "name":
                lines.append(f"{field.name} = {_toml(getattr(pin, field.name))}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A text or number: as JSON has it, but for the one character that only TOML forbids."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_lock(path: Path, pins: Mapping[str, ImagePin]) -> None:
    """Write the lock, whole or not at all.

    Raises:
        OSError: the disk refuses.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(to_toml(pins), encoding="utf-8", newline="\n")
    unfinished.replace(path)
