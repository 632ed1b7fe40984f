"""Which CUDA an image was built for, and whether a driver runs it.

NVIDIA's rules (CUDA Compatibility, "Minor Version Compatibility" and its table of drivers):

- A program built for CUDA X.y runs on every later driver.
- Within a major release it also runs on drivers of an earlier minor, from the first driver of that
  major on, except for code that the driver would have to compile (PTX).
- On a driver of an earlier major release it does not run; the compatibility package in an image
  lifts that for data-center GPUs only, and is not relied on here.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Version = tuple[int, ...]

# The first driver of each major release of CUDA (table 1 of the page above).
FIRST_DRIVER: Final = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
_IN_TEXT: Final = re.compile(r"cuda(?:_version)?[:\-_=>\" ]{0,2}v?(\d{2}\.\d+)", re.IGNORECASE)
LOCK: Final = Path("docker/images.lock.toml")


class Runs(StrEnum):
    """Whether a driver runs what an image holds."""

    YES = "yes"
    MINOR = "minor"  # by minor version compatibility: all but PTX
    NO = "no"


@dataclass(frozen=True, slots=True)
class Driver:
    """An NVIDIA driver: its own version, and the CUDA that it speaks; None: not told."""

    version: Version | None
    cuda: Version | None


def version(text: str | None) -> Version | None:
    """12.8, 570.86.10 as numbers; None for what is not a version."""
    if text is None or not re.fullmatch(r"\d+(\.\d+)*", text):
        return None
    return tuple(map(int, text.split(".")))


def of_number(told: int | None) -> Version | None:
    """NVML's 12080 is CUDA 12.8."""
    return None if told is None else (told // 1000, told % 1000 // 10)


def shown(version: Version | None) -> str:
    """As people write it."""
    return "unknown" if version is None else ".".join(map(str, version))


def runs(driver: Driver, image: Version) -> Runs:
    """Whether a driver runs programs built for this CUDA."""
    if driver.cuda is not None and driver.cuda >= image[:2]:
        return Runs.YES
    first = version(FIRST_DRIVER.get(image[0]))
    if driver.cuda is not None and driver.cuda[0] != image[0]:
        return Runs.NO
    if first is None or driver.version is None:
        return Runs.MINOR if driver.cuda is not None else Runs.NO
    return Runs.MINOR if driver.version >= first else Runs.NO


def needed_driver(image: Version) -> str:
    """What to say of the driver that an image needs."""
    first = FIRST_DRIVER.get(image[0])
    return f"driver {first} or later" if first else f"a driver with CUDA {image[0]} or later"


def of_config(text: str | None) -> Version | None:
    """The CUDA of an image by its configuration: NVIDIA's images set CUDA_VERSION; None: unknown.

    Args:
        text: the configuration as an engine prints it, JSON.
    """
    found = re.search(r"\bCUDA_VERSION=(\d+(?:\.\d+)+)", text or "")
    return version(found[1]) if found is not None else None


def of_image(name: str, root: Path) -> Version | None:
    """The CUDA of an image that docker/ builds, by its lock or its Dockerfile; None: unknown.

    Args:
        name: of the image.
        root: the folder that holds docker/.
    """
    for text in _texts(name, root):
        found = _IN_TEXT.search(text)
        if found is not None:
            return version(found[1])
    return None


def _texts(name: str, root: Path) -> Iterator[str]:
    try:
        lock = tomllib.loads((root / LOCK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        lock = {}
    for tables in (lock, *(table for table in lock.values() if isinstance(table, dict))):
        entry = tables.get(name)
        if isinstance(entry, dict):
            yield from _leaves(entry)
    for file in (root / "docker" / name / "Dockerfile", root / "docker" / f"{name}.Dockerfile"):
        try:
            yield file.read_text(encoding="utf-8")
        except OSError:
            continue


def _leaves(entry: Any, key: str = "") -> Iterator[str]:
    if isinstance(entry, dict):
        for name, value in entry.items():
            yield from _leaves(value, str(name))
    elif isinstance(entry, list):
        for value in entry:
            yield from _leaves(value, key)
    else:
        yield f"{key}:{entry}"
