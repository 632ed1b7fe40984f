"""The store: one folder per finished cell, written beside and renamed into place.

A folder under `cells/` is complete: every file in it was on the disk before the folder got its
name. Nothing else is asked to decide whether a cell is finished, and nothing changes it later.

    cells/<id[:2]>/<id>/    spec.json metrics.jsonl result.json log.txt record.json ...
    failed/<id>/<time>/     attempts that did not finish
    quarantine/<id>-<time>/ cells whose files changed afterwards
    resume/<id>/            checkpoints of cells that are not finished, see harness.run.resume
    tmp/ locks/             what living runs own
    index.sqlite            derived from the records, see harness.run.index
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from harness.errors import DataError, InfrastructureError
from harness.run.claims import Claim, is_claimed, try_claim
from harness.run.disk import digest, make_folder, sync_folder, write_durably, writing
from harness.run.record import (
    ERROR_FILE,
    LOG_FILE,
    METRICS_FILE,
    RECORD_FILE,
    RESULT_FILE,
    SPEC_FILE,
    Record,
    RecordError,
)
from harness.run.resume import has_checkpoint, look_at, remove
from harness.run.staging import Stage, Workspace, dead_folders, open_workspace, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from os import DirEntry

    from harness.run.resume import Unfinished

Parsed = TypeVar("Parsed")

_MOST_OF_FAILURES = 1 << 30  # bytes of one file
_KEPT_OF_FAILURES = (SPEC_FILE, METRICS_FILE, ERROR_FILE, LOG_FILE)


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A finished cell as it was read, every file checked against its record.

    Attributes:
        spec: the cell's document.
        result: result.json.
        metrics: the lines of metrics.jsonl, in order.
    """

    record: Record
    spec: Mapping[str, object]
    result: Mapping[str, object]
    metrics: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a finished cell that is not what the cell wrote."""

    cell_id: str
    path: Path
    reason: str


class Store:
    """Finished cells, failed attempts and claims below one folder. Reading never writes."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.index_path = self.root / "index.sqlite"
        self._cells = self.root / "cells"
        self._failed = self.root / "failed"
        self._tmp = self.root / "tmp"
        self._locks = self.root / "locks"
        self._resume = self.root / "resume"

    # Reading

    def finished(self) -> set[str]:
        """The ids of all finished cells."""
        ids: set[str] = set()
        for shard in _names(self._cells):
            ids.update(name for name in _names(self._cells / shard) if len(name) == 64)
        return ids

    def folder(self, cell_id: str) -> Path:
        """Where a cell is or will be."""
        return self._cells / cell_id[:2] / cell_id

    def has(self, cell_id: str) -> bool:
        """Whether a cell is finished."""
        return self.folder(cell_id).is_dir()

    def load(self, cell_id: str) -> StoredCell:
        """Read a finished cell and check the SHA-256 of every file that is read.

        Raises:
            InfrastructureError: missing or damaged; names the file and what to type.
        """
        record = self.record(cell_id)
        return StoredCell(
            record,
            spec=self._read(record, SPEC_FILE, _object),
            result=self._read(record, RESULT_FILE, _object),
            metrics=self._read(record, METRICS_FILE, _lines)
            if METRICS_FILE in record.files
            else (),
        )

    def record(self, cell_id: str) -> Record:
        """The record of a finished cell.

        Raises:
            InfrastructureError: missing or damaged.
        """
        path = self.folder(cell_id) / RECORD_FILE
        if not self.has(cell_id):
            raise InfrastructureError(
                "the cell is not in the store",
                where=str(path.parent),
                hint="`harness run SUITE --tier TIER` computes what is missing",
            )
        try:
            record = Record.from_json(path.read_bytes())
        except (OSError, RecordError) as error:
            raise _damaged(Damage(cell_id, path, _reason(error))) from None
        if record.cell_id != cell_id:
            raise _damaged(Damage(cell_id, path, f"it is the record of cell {record.cell_id}"))
        return record

    def records(self, cell_ids: Iterable[str] | None = None) -> Iterator[Record]:
        """The records of finished cells; damaged ones are left out (`verify` tells them)."""
        for cell_id in self.finished() if cell_ids is None else cell_ids:
            try:
                yield self.record(cell_id)
            except InfrastructureError:
                continue

    def verify(self, cell_ids: Iterable[str] | None = None) -> Iterator[Damage]:
        """Read every file of the given (default: all) finished cells; yield what is damaged."""
        for cell_id in sorted(self.finished()) if cell_ids is None else cell_ids:
            yield from self._verify_cell(cell_id)

    def failures(self, cell_id: str) -> list[Path]:
        """The folders of a cell's failed attempts, oldest first."""
        folder = self._failed / cell_id
        return [folder / name for name in sorted(_names(folder))]

    def failed_ids(self) -> set[str]:
        """The ids of cells with a failed attempt, finished later or not."""
        return set(_names(self._failed))

    def last_failure(self, cell_id: str) -> Record | None:
        """The record of the latest failed attempt, if it can be read."""
        for folder in reversed(self.failures(cell_id)):
            try:
                return Record.from_json((folder / RECORD_FILE).read_bytes())
            except (OSError, RecordError):
                continue
        return None

    def unfinished(self) -> Iterator[Unfinished]:
        """The checkpoints that stand in the store, sorted by the ids of their cells."""
        finished = self.finished()
        for cell_id in sorted(name for name in _names(self._resume) if name[0] != "."):
            yield look_at(
                cell_id,
                self._resume / cell_id,
                finished=cell_id in finished,
                running=is_claimed(self._locks / f"{cell_id}.lock"),
            )

    # Writing

    def workspace(self) -> AbstractContextManager[Workspace]:
        """Sweep what dead runs left, then own a folder for this run's attempts.

        Raises:
            InfrastructureError: the disk refuses.
        """
        return open_workspace(self._tmp, self._locks)

    def sweep_dead(self, *, dry_run: bool = False) -> list[Path]:
        """Remove the folders of runs that ended abruptly, and return them.

        Raises:
            InfrastructureError: the disk refuses.
        """
        return dead_folders(self._tmp) if dry_run else sweep(self._tmp, self._locks)

    def claim(self, cell_id: str) -> Claim | None:
        """Claim a cell for this run, or None while another living run has it.

        Raises:
            InfrastructureError: the disk refuses.
        """
        with writing(self.root):
            self._locks.mkdir(parents=True, exist_ok=True)
            return try_claim(self._locks / f"{cell_id}.lock")

    def resume_folder(self, cell_id: str) -> Path:
        """Where a cell puts its checkpoints; a cell that has any makes the folder."""
        return self._resume / cell_id

    def settle(self, cell_id: str, *, keep: bool) -> None:
        """Remove a cell's checkpoints, unless they are to be kept and there is one.

        For the holder of the cell's claim.

        Raises:
            InfrastructureError: the disk refuses.
        """
        folder = self._resume / cell_id
        if not (keep and has_checkpoint(folder)):
            with writing(folder):
                remove(folder)

    def sweep_unfinished(self, *, everything: bool = False) -> list[str]:
        """Remove the checkpoints of finished cells, or `everything` that no living run uses.

        Returns:
            the ids of their cells.

        Raises:
            InfrastructureError: the disk refuses.
        """
        with writing(self._resume):
            make_folder(self._resume)
        removed = []
        for cell_id in sorted(_names(self._resume)):
            if cell_id.startswith("."):
                with writing(self._resume):
                    remove(self._resume / cell_id)
            elif everything or self.has(cell_id):
                claim = self.claim(cell_id)
                if claim is not None:
                    with claim:
                        self.settle(cell_id, keep=False)
                    removed.append(cell_id)
        return removed

    def commit(self, stage: Stage, record: Record) -> Record:
        """Make a staged cell a finished one; returns the record with its `files`.

        The record is written last but for the rename, which is what makes the cell finished.

        Raises:
            DataError: the cell wrote a file that the store writes, something else than files, or
                results that cannot be read.
            InfrastructureError: the disk refuses.
        """
        target = self.folder(record.cell_id)
        with writing(self.root):
            _refuse(stage.out, {SPEC_FILE, LOG_FILE, RECORD_FILE})
            for path in (stage.spec, stage.log):
                path.rename(stage.out / path.name)
            record = replace(record, files=_seal_files(stage.out))
            _check_results(stage.out)
            write_durably(stage.out / RECORD_FILE, record.to_json())
            sync_folder(stage.out)
            make_folder(target.parent)
            stage.out.rename(target)
            sync_folder(target.parent)
        stage.discard()
        return record

    def keep_failure(self, stage: Stage, record: Record) -> Path:
        """Keep the log, metrics and record of a failed attempt; returns their folder.

        Raises:
            InfrastructureError: the disk refuses.
        """
        target = self._failed / record.cell_id / _timestamp()
        kept = stage.folder / "failed"
        with writing(self.root):
            kept.mkdir()
            for name in _KEPT_OF_FAILURES:
                for path in (stage.folder / name, stage.out / name):
                    if _is_worth_keeping(path):
                        path.rename(kept / name)
            record = replace(record, files=_seal_files(kept))
            write_durably(kept / RECORD_FILE, record.to_json())
            sync_folder(kept)
            make_folder(target.parent)
            kept.rename(target)
            sync_folder(target.parent)
        stage.discard()
        return target

    def quarantine(self, cell_id: str) -> Path:
        """Take a damaged cell out of the store, so that the next run computes it again.

        Raises:
            InfrastructureError: the cell is not there, or the disk refuses.
        """
        target = self.root / "quarantine" / f"{cell_id}-{_timestamp()}"
        with writing(self.root):
            make_folder(target.parent)
            self.folder(cell_id).rename(target)
            sync_folder(target.parent)
            sync_folder(self.folder(cell_id).parent)
        return target

    def _read(self, record: Record, name: str, parse: Callable[[bytes], Parsed]) -> Parsed:
        path = self.folder(record.cell_id) / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _damaged(Damage(record.cell_id, path, _reason(error)), record) from None
        expected = record.files.get(name, {}).get("sha256")
        if sha256(content).hexdigest() != expected:
            raise _damaged(Damage(record.cell_id, path, "its SHA-256 changed"), record)
        try:
            return parse(content)
        except ValueError as error:
            raise _damaged(Damage(record.cell_id, path, str(error)), record) from None

    def _verify_cell(self, cell_id: str) -> Iterator[Damage]:
        folder = self.folder(cell_id)
        try:
            record = self.record(cell_id)
        except InfrastructureError as error:
            yield Damage(cell_id, folder / RECORD_FILE, error.message)
            return
        if record.files.get(SPEC_FILE, {}).get("sha256") != cell_id:
            yield Damage(cell_id, folder / SPEC_FILE, "it is the spec of another cell")
        present = {
            Path(root, name).relative_to(folder).as_posix()
            for root, _, names in os.walk(folder)
            for name in names
        } - {RECORD_FILE}
        for name in sorted(present - record.files.keys()):
            yield Damage(cell_id, folder / name, "the cell did not write it")
        is_whole = True
        for name, entry in record.files.items():
            reason = _change(folder / name, entry) if name in present else "it is missing"
            if reason is not None:
                is_whole = False
                yield Damage(cell_id, folder / name, reason)
        if is_whole:
            try:
                self.load(cell_id)
            except InfrastructureError as error:
                yield Damage(cell_id, Path(error.where or folder), error.message)


def _is_worth_keeping(path: Path) -> bool:
    """Whether it is a file, and not so large that it says nothing to anybody."""
    return not path.is_symlink() and path.is_file() and path.stat().st_size <= _MOST_OF_FAILURES


def _object(content: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def _lines(content: bytes) -> tuple[Mapping[str, object], ...]:
    lines = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            lines.append(_object(line))
        except ValueError:
            raise ValueError(f"its line {number} is not a JSON object") from None
    return tuple(lines)


def _check_results(folder: Path) -> None:
    """Refuse results that `Store.load` could not read, or that lack a step."""
    metrics = folder / METRICS_FILE
    try:
        name, result = RESULT_FILE, _object((folder / RESULT_FILE).read_bytes())
        name, lines = METRICS_FILE, _lines(metrics.read_bytes() if metrics.is_file() else b"")
    except ValueError as error:
        raise DataError(f"{name} cannot be read: {error}", where=name) from None
    if result.get("steps", len(lines)) != len(lines):
        raise DataError(
            f"{METRICS_FILE} and {RESULT_FILE} differ in the number of steps",
            where=METRICS_FILE,
            expected=f"{result['steps']} lines, as {RESULT_FILE} says",
            found=f"{len(lines)} lines",
        )


def _seal_files(folder: Path) -> dict[str, dict[str, object]]:
    """Digest every file below a folder and wait until all, and their folders, are on the disk."""
    files = {
        path.relative_to(folder).as_posix(): digest(path, durably=True) for path in _files(folder)
    }
    for inner in {parent for name in files for parent in PurePosixPath(name).parents[:-1]}:
        sync_folder(folder / inner)
    return dict(sorted(files.items()))


def _change(path: Path, entry: Mapping[str, object]) -> str | None:
    try:
        return None if digest(path) == entry else "its SHA-256 changed"
    except OSError as error:
        return _reason(error)


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield _regular(entry)


def _regular(entry: DirEntry[str]) -> Path:
    if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
        raise DataError("a cell may leave regular files and folders only", where=entry.path)
    return Path(entry.path)


def _refuse(folder: Path, names: set[str]) -> None:
    if taken := sorted(names.intersection(_names(folder))):
        raise DataError(f"a cell may not write a file named {taken[0]}", where=str(folder))


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names alone, 100,000 of them, in little time
    except (FileNotFoundError, NotADirectoryError):
        return []


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _damaged(damage: Damage, record: Record | None = None) -> InfrastructureError:
    suite, tier = (record.suite, record.tier) if record else ("SUITE", "TIER")
    return InfrastructureError(
        f"a finished cell is damaged: {damage.reason}",
        where=str(damage.path),
        hint=f"`harness store verify --quarantine`, then `harness run {suite} --tier {tier}`",
    )
