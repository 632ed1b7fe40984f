"""Writing the locks of packages anew: every version with the SHA-256 of its files."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.errors import InfrastructureError
from harness.images import debian
from harness.images.pip_settings import pip_settings
from harness.images.programs import ran

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDERS: Final = ("base", "sandbox", "cpu", "cuda")
_PYTHON: Final = {"sandbox": "3.11", "cpu": "3.11", "cuda": "3.12"}
_PLATFORM: Final = "x86_64-manylinux_2_28"
# Those of the cuda image are what verl and vLLM agree on; the constraints have the CPU's versions.
_UNCONSTRAINED: Final = ("cuda",)


def lock_requirements(root: Path, folder: str) -> Path:
    """Write the lock of one folder below docker/, and return its path.

    Raises:
        InfrastructureError: uv or mmdebstrap is missing or fails.
    """
    place = root / "docker" / folder
    if folder == "base":
        return _lock_debian(place)
    constraints = () if folder in _UNCONSTRAINED else ("--constraint", root / "constraints.txt")
    asked = sorted(place.glob("*.in"))
    for source in asked:
        # One beside the main list is built after it and stands alone in its lock.
        alone = () if source.stem == "requirements" else ("--no-deps",)
        ran(
            [
                *(_uv(root), "pip", "compile", source, *constraints, *alone),
                *("--python-version", _PYTHON[folder], "--python-platform", _PLATFORM),
                *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"),
                *("--no-emit-find-links", "--quiet", "--output-file", source.with_suffix(".lock")),
            ],
            environment={**os.environ, **_as_uv_reads_it()},
        )
    return place / "requirements.lock"


def _lock_debian(place: Path) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        lines = debian.make_rootfs(place, Path(folder, "rootfs.tar"), 0, Path(folder, "log"))
    target = place / "packages.lock"
    target.write_text(debian.lock_text(lines), encoding="utf-8")
    return target


def _uv(root: Path) -> str:
    beside = root / ".nox" / "tools" / "bin" / "uv"
    found = shutil.which("uv") or (str(beside) if beside.is_file() else None)
    if found is None:
        raise InfrastructureError("uv is not installed", hint="tools/nox --list installs it")
    return found


def _as_uv_reads_it() -> dict[str, str]:
    """pip's places of packages in uv's words; uv reads none of pip's settings."""
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX"}
    names["find-links"] = "UV_FIND_LINKS"
    found = {}
    for key, value in pip_settings().places.items():
        if key in names and names[key] not in os.environ:
            places = _reachable(value.split())
            if places:
                found[names[key]] = ("," if key == "find-links" else " ").join(places)
    return found


def _reachable(places: Sequence[str]) -> list[str]:
    """Without folders that are indexes of another kind than uv reads."""
    return [place for place in places if not place.startswith("file:")]
