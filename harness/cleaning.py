"""What `harness gc` removes: containers and folders of runs that ended abruptly.

Every run does the same for its own store and engine when it starts; this does it for all engines,
without a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError
from harness.run.containers.leases import CELL, dead_ones
from harness.run.containers.registry import engine_names, open_keeper, probe
from harness.run.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class LeftContainer:
    """A container whose run is dead."""

    engine: str
    id: str
    cell: str
    state: str


@dataclass(frozen=True)
class Garbage:
    """What was found, and removed unless this was a dry run.

    Attributes:
        unasked: engine -> why it could not be asked.
        folders: of attempts of dead runs, below `tmp/` of the store.
        checkpoints: cells that are finished and left checkpoints.
    """

    containers: Sequence[LeftContainer]
    unasked: dict[str, str]
    folders: Sequence[Path]
    checkpoints: Sequence[str]


def collect_garbage(workspace: Path | None, *, dry_run: bool) -> Garbage:
    """Remove what abrupt ends left; with `dry_run` only say what would be removed.

    Args:
        workspace: whose store to look into; None: containers only.

    Raises:
        InfrastructureError: the store cannot be written, or an engine does not remove.
    """
    containers: list[LeftContainer] = []
    unasked = {}
    for name in engine_names():
        try:
            keeper = open_keeper(name)
            dead = dead_ones(keeper)
        except InfrastructureError as error:
            unasked[name] = probe(name).reason or error.message
            continue
        for left in dead:
            containers.append(LeftContainer(name, left.id, left.labels.get(CELL, ""), left.state))
            if not dry_run:
                keeper.remove(left.id)
    if workspace is None or not (workspace / "store").is_dir():
        return Garbage(containers, unasked, [], [])
    store = Store(workspace / "store")
    folders = store.sweep_dead(dry_run=dry_run)
    done = [one.cell_id for one in store.unfinished() if one.finished and not one.running]
    return Garbage(containers, unasked, folders, done if dry_run else store.sweep_unfinished())
