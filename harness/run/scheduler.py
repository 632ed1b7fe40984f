"""The scheduler: run what is not finished, keep what finishes, and say what to type for the rest.

`run_cells` reads the store once, hands the missing cells to an executor, and lets one `_Attempts`
make each attempt: claim, stage, start, wait, then commit it or keep the failure.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.errors import DataError, InfrastructureError
from harness.run.containers import CellExit, Ending, Limits
from harness.run.disk import check_writable
from harness.run.ending import (
    HOST_FAILED,
    Why,
    goes_on,
    message_of,
    refused,
    take_told,
    why_failed,
)
from harness.run.executors.local import LocalExecutor, StopRequest
from harness.run.index import IndexWriter
from harness.run.outcome import Failure, RunOutcome, Warned
from harness.run.record import Record, Status, Timing, labels_of
from harness.run.resume import from_where
from harness.run.watch import told_of_itself

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from harness.run.containers import Backend, Running
    from harness.run.staging import Stage, Workspace
    from harness.run.store import Store
    from harness.run.watch import Whereabouts
    from harness.spec.grid import Cell

_WAIT_S = 0.1


class EventKind(StrEnum):
    """What has happened to a cell."""

    STARTED = "started"
    WAITING = "waiting"  # another run has claimed it
    FINISHED = "finished"
    REUSED = "reused"  # another run finished it meanwhile
    FAILED = "failed"


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
    executor = LocalExecutor(min(workers, len(missing)))
    with store.workspace() as workspace, closing(IndexWriter(store.index_path)) as index:
        store.sweep_unfinished()
        attempts = _Attempts(store, workspace, backend, data_root, limits, provenance or {})
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


@dataclass(frozen=True, slots=True)
class _Step:
    """What a worker tells: `record` of what was finished or failed.

    `folder` is that of a failed attempt, or the one which a started cell writes to.
    """

    kind: EventKind
    cell: Cell
    record: Record | None = None
    folder: Path | None = None
    place: Whereabouts | None = None


class _Progress:
    """Counts what has happened and passes it on."""

    def __init__(self, total: int, finished: int, on_event: Callable[[Event], None] | None) -> None:
        self._total = total
        self._finished = finished
        self._computed = 0
        self._on_event = on_event
        self._failed: list[tuple[Cell, Record, Path | None]] = []
        self._warned: list[Warned] = []

    def add(self, step: _Step, index: IndexWriter) -> None:
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


class _Attempts:
    """Makes attempts at cells; called from several threads."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        backend: Backend,
        data_root: Path,
        limits: Limits,
        provenance: Mapping[str, object],
    ) -> None:
        self._store = store
        self._workspace = workspace
        self._backend = backend
        self._data_root = data_root.absolute()
        self._limits = limits
        self._provenance = {**provenance, "container": dict(backend.provenance())}
        self._failures_before: dict[str, int] = {}
        self._running: set[Running] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop what is running, and start nothing more."""
        self._stopped.set()
        with self._lock:
            for running in self._running:
                running.stop()

    def make(self, cell: Cell) -> Iterator[_Step]:
        """Make one attempt, or tell that another run is making it."""
        claim = self._store.claim(cell.id)
        if claim is None:
            self._failures_before[cell.id] = len(self._store.failures(cell.id))
            yield _Step(EventKind.WAITING, cell)
            return
        with claim:
            yield from self._make_claimed(cell)

    def make_when_free(self, cell: Cell) -> Iterator[_Step]:
        """Wait for the run that has claimed the cell; take its result, or do its work."""
        while (claim := self._store.claim(cell.id)) is None:
            if self._stopped.wait(_WAIT_S):
                return
        with claim:
            failures = self._store.failures(cell.id)
            record = self._store.last_failure(cell.id)
            is_new = len(failures) > self._failures_before[cell.id]
            if is_new and record is not None and not self._store.has(cell.id):
                yield _Step(EventKind.FAILED, cell, record, failures[-1])
            else:
                yield from self._make_claimed(cell)

    def _make_claimed(self, cell: Cell) -> Iterator[_Step]:
        if self._store.has(cell.id):
            yield _Step(EventKind.REUSED, cell)
            return
        if self._stopped.is_set():
            return
        started = datetime.now(UTC)
        stage = self._workspace.stage(cell)
        resume = self._store.resume_folder(cell.id)
        yield _Step(EventKind.STARTED, cell, folder=stage.out)
        end = self._run(stage, resume)
        failure = why_failed(stage, end, self._limits)
        if failure is not None and end.ending is Ending.STOPPED:
            stage.discard()
            self._store.settle(cell.id, keep=True)
            return
        place = told_of_itself(stage.out)
        told = take_told(stage)
        record = Record(
            cell_id=cell.id,
            status=Status.OK,
            suite=str(cell.document.get("suite")),
            tier=str(cell.document.get("tier")),
            labels=labels_of(cell.values),
            timing=Timing(
                _iso(started), _iso(datetime.now(UTC)), round(end.wall_s, 6), round(end.cpu_s, 6)
            ),
            attempt=1 + len(self._store.failures(cell.id)),
            provenance={
                **self._provenance,
                "seed": cell.values.get("seed"),
                **told,
                "peak_bytes": told["peak_bytes"] or end.peak_bytes,
            },
        )
        if failure is None:
            try:
                record = self._store.commit(stage, record)
            except DataError as refusal:
                failure = refused(refusal)
        if failure is None:
            self._store.settle(cell.id, keep=False)
            yield _Step(EventKind.FINISHED, cell, record, place=place)
            return
        if end.code == HOST_FAILED:
            check_writable(stage.folder)
        yield self._keep_failure(stage, record, failure, resume)

    def _run(self, stage: Stage, resume: Path) -> CellExit:
        running = self._backend.start(
            stage.folder, stage.out, self._data_root, self._limits, resume
        )
        with self._lock:
            self._running.add(running)
            if self._stopped.is_set():
                running.stop()
        try:
            return running.wait()
        finally:
            with self._lock:
                self._running.discard(running)

    def _keep_failure(self, stage: Stage, record: Record, why: Why, resume: Path) -> _Step:
        error = goes_on(why.error, from_where(resume) if why.resumable else None)
        record = replace(record, status=why.status, error=error)
        folder = self._store.keep_failure(stage, record)
        self._store.settle(stage.cell.id, keep=why.resumable)
        return _Step(EventKind.FAILED, stage.cell, record, folder)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
