"""SIF files, as apptainer runs them: made of our images, named by their ids."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Final

from harness.errors import InfrastructureError
from harness.images.programs import ran
from harness.images.recipes import PREFIX

_PROGRAMS: Final = ("apptainer", "singularity")


def apptainer() -> str | None:
    """The command; None where there is none."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def sif_of(image_id: str) -> Path:
    """Where the SIF file of an image is kept, which `harness images load` makes."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / PREFIX / "sif" / f"{image_id.removeprefix('sha256:')}.sif"


def make_sif(archive: str, image_id: str) -> Path:
    """Make the SIF file of an image, unless it is there; its SHA-256 is noted beside it.

    Args:
        archive: where the image is, as apptainer names it: docker-archive:PATH, oci:PATH.
        image_id: of that image.

    Raises:
        InfrastructureError: apptainer is not there or fails, or the disk refuses.
    """
    path = sif_of(image_id)
    if note_of(path).exists():
        return path
    program = apptainer()
    if program is None:
        raise InfrastructureError("apptainer is not installed", hint="load your cluster's module")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ran([program, "build", "--force", unfinished, archive])
        digest = sha256_of(unfinished)
        unfinished.replace(path)
        note = note_of(path).with_suffix(f".{os.getpid()}")
        note.write_text(json.dumps({"id": image_id, "sha256": digest}), encoding="utf-8")
        note.replace(note_of(path))
    except OSError as error:
        raise InfrastructureError(
            f"the SIF file cannot be written: {error.strerror}", where=str(path)
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def note_of(sif: Path) -> Path:
    """Where the SHA-256 of a SIF file and the id of its image are noted."""
    return sif.with_suffix(".json")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
