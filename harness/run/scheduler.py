"""The scheduler: run what is not finished, keep what finishes, and say what to type for the rest.

`run_cells` reads the store once, hands the missing cells to an executor, and lets one `Attempts`
make each attempt: claim, stage, start, wait, then commit it or keep the failure.
"""

from __future__ import annotations

import shlex
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError
from harness.run.attempts import Attempts, EventKind, Setting, Step
from harness.run.containers import Limits
from harness.run.ending import message_of
from harness.run.executors.local import LocalExecutor, StopRequest
from harness.run.index import IndexWriter
from harness.run.outcome import Failure, RunOutcome, Warned
from harness.run.record import Record, Status
from harness.run.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.run.containers import Backend
    from harness.run.store import Store
    from harness.run.watch import Whereabouts
    from harness.spec.grid import Cell


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `done` of `total` cells need no more work in this run.

    Attributes:
        record: of the attempt that has ended.
        out: where the cell that has started writes; harness.run.watch reads there how far it is.
        place: what the cell that has ended told last of its progress, if it did.
    """

    kind: EventKind
    cell: Cell
    done: int
    total: int
    record: Record | None = None
    out: Path | None = None
    place: Whereabouts | None = None


class RunStoppedError(InfrastructureError):
    """The user stopped the run; `outcome` says how far it came."""

    def __init__(self, signal_name: str, outcome: RunOutcome) -> None:
        super().__init__(
            f"stopped by {signal_name}: {outcome.counts[Status.OK]} of {outcome.total} cells "
            "are finished and kept",
            hint="give the same command again: it goes on from here",
        )
        self.outcome = outcome


def rerun_command(cell: Cell, store: Store) -> str:
    """The command line that runs one cell alone; the store is the workspace's folder `store`."""
    suite, tier = str(cell.document.get("suite")), str(cell.document.get("tier"))
    words = ["harness", "run", suite, "--tier", tier, "--cell", cell.id[:12]]
    return shlex.join([*words, "--workspace", str(store.root.parent)])


def run_cells(
    cells: Collection[Cell],
    store: Store,
    backend: Backend,
    data_root: Path,
    *,
    workers: int = 1,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    gpus: Sequence[tuple[str, ...]] = (),
    provenance: Mapping[str, object] | None = None,
    on_event: Callable[[Event], None] | None = None,
    command: Callable[[Cell, Store], str] = rerun_command,
) -> RunOutcome:
    """Run the cells that the store lacks; nothing that is finished is computed again.

    Args:
        cells: walked twice; only those that are worked on, and those that failed, are kept. One
            that stands there several times is run once.
        data_root: the folder that the paths of pinned data sets start from.
        workers: cells at a time.
        limits: of each cell.
        gpus: groups of GPUs, each for one cell at a time; empty: cells get none.
        provenance: goes into every record (see harness.run.provenance).
        on_event: called in this thread.
        command: what to tell the user to type for one cell.

    Raises:
        InfrastructureError: store or host fail. What has finished is kept.
        RunStoppedError: SIGINT or SIGTERM, after the cells of this run have ended.
    """
    started = time.monotonic()
    missing = {cell.id for cell in cells}
    total = len(missing)
    if missing:
        missing -= store.finished()
    progress = _Progress(total, total - len(missing), on_event)

    def outcome() -> RunOutcome:
        return progress.outcome(time.monotonic() - started, lambda cell: command(cell, store))

    if not missing:
        return outcome()
    slots = Slots(gpus)
    executor = LocalExecutor(min(workers, len(missing), slots.count or workers))
    setting = Setting(backend, data_root.absolute(), limits, slots, provenance or {})
    with (
        store.workspace() as workspace,
        backend.session(workspace.owner),
        closing(IndexWriter(store.index_path)) as index,
    ):
        store.sweep_unfinished()
        attempts = Attempts(store, workspace, setting)
        try:
            waiting: list[Cell] = []
            chosen = _pick(cells, missing)
            with closing(executor.run(chosen, attempts.make, attempts.stop)) as steps:
                for step in steps:
                    if step.kind is EventKind.WAITING:
                        waiting.append(step.cell)
                    progress.add(step, index)
            with closing(executor.run(waiting, attempts.make_when_free, attempts.stop)) as steps:
                for step in steps:
                    progress.add(step, index)
        except StopRequest as request:
            raise RunStoppedError(str(request), outcome()) from None
    return outcome()


def _pick(cells: Iterable[Cell], ids: set[str]) -> Iterator[Cell]:
    """The cells with these ids, each once; empties the set."""
    for cell in cells:
        if cell.id in ids:
            ids.remove(cell.id)
            yield cell


class _Progress:
    """Counts what has happened and passes it on."""

    def __init__(self, total: int, finished: int, on_event: Callable[[Event], None] | None) -> None:
        self._total = total
        self._finished = finished
        self._computed = 0
        self._on_event = on_event
        self._failed: list[tuple[Cell, Record, Path | None]] = []
        self._warned: list[Warned] = []

    def add(self, step: Step, index: IndexWriter) -> None:
        if step.kind is EventKind.FAILED:
            assert step.record is not None
            self._failed.append((step.cell, step.record, step.folder))
        elif step.kind in (EventKind.FINISHED, EventKind.REUSED):
            self._finished += 1
            self._computed += step.kind is EventKind.FINISHED
        if step.record is not None:
            index.add(step.record)
            if step.kind is EventKind.FINISHED and step.record.warnings:
                self._warned.append(Warned(step.cell, step.record.warnings))
        if self._on_event is not None:
            done = self._finished + len(self._failed)
            out = step.folder if step.kind is EventKind.STARTED else None
            event = Event(step.kind, step.cell, done, self._total, step.record, out, step.place)
            self._on_event(event)

    def outcome(self, wall_s: float, command: Callable[[Cell], str]) -> RunOutcome:
        failures = tuple(
            Failure(cell, record.status, message_of(record), folder, command(cell))
            for cell, record, folder in self._failed
        )
        counts = Counter(failure.status for failure in failures)
        counts[Status.OK] = self._finished
        counts[Status.MISSING] = self._total - self._finished - len(failures)
        return RunOutcome(
            self._total,
            {status: counts[status] for status in Status},
            self._computed,
            failures,
            wall_s,
            tuple(self._warned),
        )
