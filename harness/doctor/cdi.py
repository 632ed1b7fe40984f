"""CDI specifications: the files by which container engines give GPUs to containers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS: Final = ("etc/cdi", "var/run/cdi")
KIND: Final = "nvidia.com/gpu"
# nvidia-ctk mounts the driver's libraries under the names that they have on the host.
_LIBRARY: Final = re.compile(r"lib(?:cuda|nvidia-ml)\.so\.(\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True)
class Spec:
    """One file.

    Attributes:
        problem: why it cannot be read; empty if it can.
        kind: of its devices, such as nvidia.com/gpu.
        devices: their names: 0, all, GPU-...
        driver: version of the driver whose libraries it mounts; None if it names none.
    """

    path: Path
    problem: str = ""
    kind: str = ""
    devices: tuple[str, ...] = ()
    driver: str | None = None


def specs(root: Path = Path("/")) -> list[Spec]:
    """All that stand below the folders in which engines look."""
    return [_read(path) for folder in FOLDERS for path in _files(root / folder)]


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        names = sorted(folder.iterdir())
        yield from (path for path in names if path.suffix in (".yaml", ".yml", ".json"))


def _read(path: Path) -> Spec:
    try:
        text = path.read_text(encoding="utf-8")
        entry = json.loads(text) if path.suffix == ".json" else _yaml(text)
        devices = tuple(str(device["name"]) for device in entry.get("devices") or ())
        kind = str(entry["kind"])
    except Exception as error:  # noqa: BLE001 - whatever is in there, or what a parser raises
        return Spec(path, problem=f"{type(error).__name__}: {str(error).splitlines()[0][:120]}")
    library = _LIBRARY.search(text)
    return Spec(path, "", kind, devices, library[1] if library else None)


def _yaml(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)
