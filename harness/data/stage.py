"""The folder that a run's cells read from, where not all data sets stand in the suite's own folder.

It holds a link for each data set, under the path that the suite gives it. For one that could not be
had it holds a note instead, which the cell that needs it tells as its error: the other cells run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from harness.data.fetch import Fetched, Found, obtain
from harness.errors import DataError, InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


NOTE_SUFFIX: Final = ".absent"  # beside where a data set would be: why it is not, and what to do


class Pin(Protocol):
    """What the lock says of a data set."""

    @property
    def sha256(self) -> str:
        """Of its bytes."""

    @property
    def bytes(self) -> int:
        """How many there are."""


@dataclass(frozen=True, slots=True)
class Staged:
    """The folder that data paths start from, and where each fetched data set was found.

    `origins` says suite, mirror, cache or download by the name of the data set, or absent.
    """

    root: Path
    origins: Mapping[str, str]


def stage(
    declared: Mapping[str, Fetched], pins: Mapping[str, Pin], suite_root: Path, folder: Path
) -> Staged:
    """Make data sets readable from one folder, downloading what is nowhere on this machine.

    Args:
        declared: the data sets that the cells of this run read, by name.
        pins: the lock's, by name.
        suite_root: where data sets of the suite itself stand.
        folder: where to put the links; runs at the same time may share it.

    Returns:
        `suite_root` itself if no data set stands elsewhere, and nothing is written.

    Raises:
        InfrastructureError: the folder or the download cache cannot be written.
    """
    if all(one.in_suite for one in declared.values()):
        return Staged(suite_root, {})
    origins = {}
    try:
        for name, one in declared.items():
            origins[name] = _stage_one(one, pins[name], suite_root, folder / one.path)
    except OSError as error:
        raise InfrastructureError(
            f"data sets cannot be made readable: {error.strerror}", where=str(folder)
        ) from None
    return Staged(
        folder, {name: origins[name] for name, one in declared.items() if not one.in_suite}
    )


def _stage_one(one: Fetched, pin: Pin, suite_root: Path, link: Path) -> str:
    link.parent.mkdir(parents=True, exist_ok=True)
    note = link.with_name(link.name + NOTE_SUFFIX)
    found = Found(suite_root, "suite")
    if not one.in_suite:
        try:
            found = obtain(one, suite_root, pin.sha256, pin.bytes)
        except DataError as error:
            link.unlink(missing_ok=True)
            note.write_text(_one_line(error), encoding="utf-8")
            return "absent"
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    beside.symlink_to((found.root / one.path).absolute())
    beside.replace(link)
    note.unlink(missing_ok=True)
    return found.origin


def _one_line(error: DataError) -> str:
    found = f": {error.found}" if error.found else ""
    return f"{error.message}{found}. It is {error.expected}; {error.hint}"
