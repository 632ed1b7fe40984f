"""What a cell keeps from one attempt to the next: `resume/<id>/`, where it puts its checkpoints.

The runner makes the folder before an attempt and removes it with the cell's success. It does not
read checkpoints: it knows of them by their names and by the step that the cell told.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.run.disk import remove_tree, walk
from harness.run.record import CHECKPOINTED_FILE

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The checkpoints of a cell that an attempt left behind.

    Attributes:
        step: of the last checkpoint, if the cell told.
        bytes: of all files.
        changed: when the last of them was written (UTC, ISO 8601).
        finished: the cell is in the store by now, and nothing needs them.
        running: some run has claimed the cell.
    """

    cell_id: str
    folder: Path
    step: int | None
    bytes: int
    changed: str
    finished: bool
    running: bool


def has_checkpoint(folder: Path) -> bool:
    """Whether something is there to go on from; names that begin with a dot are half-written."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone
    except (FileNotFoundError, NotADirectoryError):
        return False
    return any(not name.startswith(".") and name != CHECKPOINTED_FILE for name in names)


def checkpoint_step(folder: Path) -> int | None:
    """The step that the cell told of its last checkpoint."""
    try:
        step = json.loads((folder / CHECKPOINTED_FILE).read_bytes())["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def from_where(folder: Path) -> str | None:
    """From where the next attempt goes on, in words; None if it begins anew."""
    if not has_checkpoint(folder):
        return None
    step = checkpoint_step(folder)
    return "its last checkpoint" if step is None else f"step {step}"


def remove(folder: Path) -> None:
    """Remove a folder of checkpoints; no cell ever finds a part of it, whenever this is killed.

    What is left of a removal that was killed has a name that begins with a dot.

    Raises:
        OSError: the disk refuses.
    """
    try:
        folder.rmdir()  # most cells leave nothing there
    except FileNotFoundError:
        return
    except OSError:
        gone = folder.with_name(f".{folder.name.lstrip('.')[:64]}-{uuid.uuid4().hex[:12]}")
        with suppress(FileNotFoundError):
            folder.rename(gone)
            remove_tree(gone)


def look_at(cell_id: str, folder: Path, *, finished: bool, running: bool) -> Unfinished:
    """Measure a folder of checkpoints; what vanishes meanwhile counts for nothing."""
    size, latest = 0, 0.0
    for entry in walk(folder):
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        size += state.st_size
        latest = max(latest, state.st_mtime)
    changed = datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds") if latest else ""
    return Unfinished(
        cell_id, folder, checkpoint_step(folder), size, changed, finished=finished, running=running
    )
