"""Writing the locks of packages anew: every version with the SHA-256 of its files.

uv finds them by its own settings; `nox -s images-requirements` gives it those of pip.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from harness.errors import InfrastructureError
from harness.images import debian
from harness.images.programs import ran

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
            ]
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
        raise InfrastructureError("uv is not installed", hint="tools/nox -s images-requirements")
    return found
