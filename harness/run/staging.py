"""Where attempts are made: one folder per run under `tmp/`, one folder per attempt in it.

The run holds a lock on its folder while it lives. The next run on the store sweeps the folders
whose lock is free: their runs are dead, and nothing in them was finished.
"""

from __future__ import annotations

import itertools
import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.run.claims import Claim, is_claimed, locked, try_claim
from harness.run.disk import remove_tree, writing
from harness.run.record import LOG_FILE, SPEC_FILE
from harness.spec.identity import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.spec.grid import Cell

_OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Stage:
    """The folder of one attempt: spec.json and log.txt, and the cell's own empty folder `out`."""

    cell: Cell
    folder: Path

    @property
    def out(self) -> Path:
        """What the cell may write to."""
        return self.folder / "out"

    @property
    def spec(self) -> Path:
        """The cell's document."""
        return self.folder / SPEC_FILE

    @property
    def log(self) -> Path:
        """What the cell printed."""
        return self.folder / LOG_FILE

    def discard(self) -> None:
        """Remove the folder and what is left in it."""
        remove_tree(self.folder)


class Workspace:
    """The folder of one living run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count()

    @property
    def owner(self) -> Path:
        """The file that this run holds a lock on while it lives."""
        return self.folder / _OWNER

    def stage(self, cell: Cell) -> Stage:
        """A new folder for an attempt at `cell`, with its spec.json.

        Raises:
            InfrastructureError: the disk refuses.
        """
        stage = Stage(cell, self.folder / f"{cell.id[:12]}-{next(self._numbers)}")
        with writing(stage.folder):
            stage.out.mkdir(parents=True)
            stage.spec.write_bytes(canonical_json(cell.document))
            stage.log.touch()
        return stage


@contextmanager
def open_workspace(tmp: Path, locks: Path) -> Iterator[Workspace]:
    """Sweep what dead runs left under `tmp`, then own a new folder there for the block.

    Raises:
        InfrastructureError: the disk refuses.
    """
    folder = tmp / f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
    with writing(tmp):
        tmp.mkdir(parents=True, exist_ok=True)
        locks.mkdir(parents=True, exist_ok=True)
        # A folder without a lock is dead; nobody may look while a new one has no lock yet.
        with locked(locks / "tmp.lock"):
            _sweep(tmp)
            folder.mkdir()
            owner = try_claim(folder / _OWNER)
    assert owner is not None, "a folder with a new name has no other owner"
    try:
        yield Workspace(folder)
    finally:
        with writing(tmp), locked(locks / "tmp.lock"):
            _remove(folder, owner)


def sweep(tmp: Path, locks: Path) -> list[Path]:
    """Remove the folders of dead runs under `tmp`, and return them.

    Raises:
        InfrastructureError: the disk refuses.
    """
    if not tmp.is_dir() or not locks.is_dir():
        return []
    with writing(tmp), locked(locks / "tmp.lock"):
        return _sweep(tmp)


def dead_folders(tmp: Path) -> list[Path]:
    """The folders of dead runs under `tmp`."""
    if not tmp.is_dir():
        return []
    folders = [entry for entry in sorted(tmp.iterdir()) if entry.is_dir()]
    return [folder for folder in folders if not is_claimed(folder / _OWNER)]


def _sweep(tmp: Path) -> list[Path]:
    removed = []
    for folder in [entry for entry in tmp.iterdir() if entry.is_dir()]:
        if (owner := try_claim(folder / _OWNER)) is not None:
            _remove(folder, owner)
            removed.append(folder)
    return removed


def _remove(folder: Path, owner: Claim) -> None:
    for entry in list(folder.iterdir()):
        if entry.name != _OWNER:
            remove_tree(entry)
    owner.release()
    # An orphan cell may still write for a moment; then the next run sweeps the rest.
    remove_tree(folder)
