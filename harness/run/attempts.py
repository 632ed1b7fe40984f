"""Attempts at cells: claim, stage, start, wait, then commit the cell or keep the failure.

An attempt that fails for a reason outside of the cell, such as an engine that was restarted under
it, is made again at once.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from harness.errors import DataError
from harness.run import health
from harness.run.containers import Ending, Job
from harness.run.disk import check_writable
from harness.run.ending import (
    HOST_FAILED,
    Why,
    goes_on,
    refused,
    take_told,
    unhealthy,
    why_failed,
)
from harness.run.record import Record, Status, Timing, labels_of
from harness.run.resume import from_where
from harness.run.watch import told_of_itself

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from harness.run.containers import Backend, CellExit, Limits, Running
    from harness.run.slots import Slots
    from harness.run.staging import Stage, Workspace
    from harness.run.store import Store
    from harness.run.watch import Whereabouts
    from harness.spec.grid import Cell

_WAIT_S: Final = 0.1
_MOST_TRIES: Final = 3  # of one cell in one run, where what failed lies outside of it
_BACK_S: Final = 30.0  # how long an engine that went away is waited for
_LOOK_S: Final = 1.0


class EventKind(StrEnum):
    """What has happened to a cell."""

    STARTED = "started"
    WAITING = "waiting"  # another run has claimed it
    FINISHED = "finished"
    REUSED = "reused"  # another run finished it meanwhile
    RETRIED = "retried"  # it failed for a reason outside of it, and is tried again
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """What a worker tells: `record` of what was finished or failed.

    `folder` is that of a failed attempt, or the one which a started cell writes to.
    """

    kind: EventKind
    cell: Cell
    record: Record | None = None
    folder: Path | None = None
    place: Whereabouts | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What every attempt of a run has in common.

    Attributes:
        data_root: the folder that the paths of pinned data sets start from.
        slots: the GPUs that cells get.
        provenance: goes into every record.
    """

    backend: Backend
    data_root: Path
    limits: Limits
    slots: Slots
    provenance: Mapping[str, object]


class Attempts:
    """Makes attempts at cells; called from several threads."""

    def __init__(self, store: Store, workspace: Workspace, setting: Setting) -> None:
        self._store = store
        self._workspace = workspace
        self._setting = setting
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

    def make(self, cell: Cell) -> Iterator[Step]:
        """Make one attempt, or tell that another run is making it."""
        claim = self._store.claim(cell.id)
        if claim is None:
            self._failures_before[cell.id] = len(self._store.failures(cell.id))
            yield Step(EventKind.WAITING, cell)
            return
        with claim:
            yield from self._make_claimed(cell)

    def make_when_free(self, cell: Cell) -> Iterator[Step]:
        """Wait for the run that has claimed the cell; take its result, or do its work."""
        while (claim := self._store.claim(cell.id)) is None:
            if self._stopped.wait(_WAIT_S):
                return
        with claim:
            failures = self._store.failures(cell.id)
            record = self._store.last_failure(cell.id)
            is_new = len(failures) > self._failures_before[cell.id]
            if is_new and record is not None and not self._store.has(cell.id):
                yield Step(EventKind.FAILED, cell, record, failures[-1])
            else:
                yield from self._make_claimed(cell)

    def _make_claimed(self, cell: Cell) -> Iterator[Step]:
        if self._store.has(cell.id):
            yield Step(EventKind.REUSED, cell)
            return
        with self._setting.slots.take() as gpus:
            for tries in range(_MOST_TRIES):
                if self._stopped.is_set():
                    return
                stage = self._workspace.stage(cell)
                yield Step(EventKind.STARTED, cell, folder=stage.out)
                step = self._attempt(stage, gpus, is_last=tries == _MOST_TRIES - 1)
                if step is None:
                    return
                yield step
                if step.kind is not EventKind.RETRIED:
                    return
                self._wait_for_engine()

    def _attempt(self, stage: Stage, gpus: tuple[str, ...], *, is_last: bool) -> Step | None:
        """One attempt from start to end; None where this run was stopped meanwhile."""
        cell, resume = stage.cell, self._store.resume_folder(stage.cell.id)
        started, before = datetime.now(UTC), health.sample(gpus)
        end = self._run(stage, resume, gpus)
        after = health.sample(gpus)
        sick = health.judge(before, after)
        failure = why_failed(stage, end, self._setting.limits)
        if sick and end.ending is not Ending.STOPPED:
            failure = unhealthy(sick, failure)  # a cell fails by a sick host as well as it finishes
        if failure is not None and end.ending is Ending.STOPPED:
            stage.discard()
            self._store.settle(cell.id, keep=True)
            return None
        place = told_of_itself(stage.out)
        record = self._record(stage, end, started)
        told = {"before": before.to_json(), "after": after.to_json(), "sick": list(sick)}
        record = replace(record, provenance={**record.provenance, "health": told})
        if failure is None:
            try:
                record = self._store.commit(stage, record)
            except DataError as refusal:
                failure = refused(refusal)
            except RecursionError:
                failure = refused(DataError("a cell may not nest folders as deeply as it did"))
        if failure is None:
            self._store.settle(cell.id, keep=False)
            return Step(EventKind.FINISHED, cell, record, place=place)
        if end.code == HOST_FAILED:
            check_writable(stage.folder)
        return self._keep_failure(stage, record, failure, resume, is_last=is_last)

    def _record(self, stage: Stage, end: CellExit, started: datetime) -> Record:
        cell, told = stage.cell, take_told(stage)
        cpu_s = told.pop("cpu_s")
        if end.cpu_s is not None:
            cpu_s = round(end.cpu_s, 6)
        container = end.container or self._setting.backend.provenance()
        return Record(
            cell_id=cell.id,
            status=Status.OK,
            suite=str(cell.document.get("suite")),
            tier=str(cell.document.get("tier")),
            labels=labels_of(cell.values),
            timing=Timing(
                _iso(started),
                _iso(datetime.now(UTC)),
                round(end.wall_s, 6),
                cpu_s if isinstance(cpu_s, float) else None,
            ),
            attempt=1 + len(self._store.failures(cell.id)),
            provenance={
                **self._setting.provenance,
                "container": dict(container),
                "seed": cell.values.get("seed"),
                **told,
                "peak_bytes": told["peak_bytes"] or end.peak_bytes,
            },
        )

    def _run(self, stage: Stage, resume: Path, gpus: tuple[str, ...]) -> CellExit:
        running = self._setting.backend.start(
            Job(
                folder=stage.folder,
                out=stage.out,
                resume=resume,
                data_root=self._setting.data_root,
                data=stage.cell.data_paths,
                limits=self._setting.limits,
                gpus=gpus,
            )
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

    def _keep_failure(
        self, stage: Stage, record: Record, why: Why, resume: Path, *, is_last: bool
    ) -> Step:
        error = goes_on(why.error, from_where(resume) if why.resumable else None)
        record = replace(record, status=why.status, error=error)
        folder = self._store.keep_failure(stage, record)
        self._store.settle(stage.cell.id, keep=why.resumable)
        kind = EventKind.RETRIED if why.passing and not is_last else EventKind.FAILED
        return Step(kind, stage.cell, record, folder)

    def _wait_for_engine(self) -> None:
        """Give an engine that is being restarted the time to come back."""
        end = time.monotonic() + _BACK_S
        while self._setting.backend.missing() and time.monotonic() < end:
            if self._stopped.wait(_LOOK_S):
                return


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
