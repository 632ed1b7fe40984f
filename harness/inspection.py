"""Looking at what there is without computing: the status of cells, the identity of one cell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import pipeline
from harness.errors import HarnessError, SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.spec.grid import Cell
    from harness.steps import Locked


@dataclass(frozen=True)
class FailedCell:
    """A cell whose last attempt failed, and the command that runs it alone."""

    cell: str
    labels: Mapping[str, object]
    status: str
    message: str
    command: str


@dataclass(frozen=True)
class Status:
    """How many cells of the request have which status, and what failed."""

    counts: Mapping[str, int]
    failures: Sequence[FailedCell]


def status(locked: Locked) -> Status:
    """The state of every selected cell, read from the store."""
    from harness.run.record import Status as CellStatus

    request = locked.loaded.request
    store = pipeline.store_of(request)
    finished, failed = store.finished(), store.failed_ids()
    counts: Counter[str] = Counter()
    failures = []
    for ordinal, cell_id in locked.grid.ids(request.where):
        record = None
        if cell_id in finished:
            state = CellStatus.OK
        elif cell_id in failed and (record := store.last_failure(cell_id)) is not None:
            state = record.status
        else:
            state = CellStatus.MISSING
        counts[state.value] += 1
        if record is not None:
            cell = locked.grid.cell(ordinal, cell_id)
            message = str((record.error or {}).get("message", "it failed"))
            command = pipeline.rerun_command(request, cell, store)
            failures.append(FailedCell(cell.id, cell.values, state.value, message, command))
    return Status({state.value: counts[state.value] for state in CellStatus}, failures)


@dataclass(frozen=True)
class Explanation:
    """A cell found by the beginning of its id, and where it was found."""

    cell: Cell
    suite: str
    tier: str


def explain(prefix: str, suite: str | None) -> Explanation:
    """Find the one cell whose id begins with `prefix`, in one suite or in all.

    Raises:
        SuiteError: no cell, or several cells, have such an id.
    """
    from harness.spec.discovery import find_suite, list_suites
    from harness.spec.grid import Grid
    from harness.spec.load import load_suite
    from harness.spec.lock import load_lock

    names = [suite] if suite is not None else list(list_suites())
    found: list[Explanation] = []
    for name in names:
        try:
            loaded = load_suite(find_suite(name))
            lock = load_lock(loaded)
        except HarnessError:
            if suite is not None:
                raise
            continue  # another suite may have the cell
        for tier in loaded.tiers:
            grid = Grid(loaded, tier, lock)
            found.extend(
                Explanation(grid.cell(ordinal, cell_id), name, tier)
                for ordinal, cell_id in grid.ids()
                if cell_id.startswith(prefix)
            )
    if len(found) == 1:
        return found[0]
    raise SuiteError(
        f"{len(found) or 'no'} cells have an id that begins with {prefix!r}",
        expected="the id of one cell",
        found=", ".join(one.cell.id[:16] for one in found[:4]) or f"suites {', '.join(names)}",
        hint="`harness expand SUITE` lists the ids",
    )
