"""The index: one SQLite table of what the records say, for quick questions about many cells.

It is derived. Nothing but answers to such questions is read from it, a run never needs it, and
whenever it is missing, stale or broken it is made again from the records.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError
from harness.run.claims import locked
from harness.run.disk import writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from harness.run.record import Record
    from harness.run.store import Store

_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS cells (
    cell_id TEXT PRIMARY KEY, suite TEXT NOT NULL, tier TEXT NOT NULL, status TEXT NOT NULL,
    attempt INTEGER NOT NULL, started TEXT NOT NULL, finished TEXT NOT NULL,
    wall_s REAL NOT NULL, cpu_s REAL NOT NULL, labels TEXT NOT NULL
) WITHOUT ROWID
"""
_COLUMNS = "cell_id, suite, tier, status, attempt, started, finished, wall_s, cpu_s, labels"
_INSERT = f"INSERT OR REPLACE INTO cells ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)"  # noqa: S608


class IndexWriter:
    """Adds records as a run makes them; falls silent for good when the index is broken."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        with suppress(sqlite3.Error):
            self._connection = _connect(path)

    def add(self, record: Record) -> None:
        """Add or replace the row of a cell; from any thread."""
        with self._lock:
            if self._connection is None:
                return
            try:
                self._connection.execute(_INSERT, _row(record))
            except sqlite3.Error:
                self._connection.close()
                self._connection = None

    def close(self) -> None:
        """Close the database."""
        with self._lock, suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()


def read_index(
    store: Store, *, suite: str | None = None, tier: str | None = None
) -> list[dict[str, object]]:
    """One row per cell with a record, newest failed attempt of unfinished ones included.

    Rows have the keys cell_id, suite, tier, status, attempt, started, finished (UTC), wall_s,
    cpu_s (seconds) and labels (axis -> value). What the index lacks is added to it first; where
    the store cannot be written, the answer comes from the records alone.
    """
    try:
        return _read(store, suite, tier)
    except sqlite3.Error:
        rows: Iterable[dict[str, object]] = _rows_of(_records(store))
        with suppress(sqlite3.Error, InfrastructureError):
            rebuild_index(store)
        return sorted(
            (row for row in rows if suite in (None, row["suite"]) and tier in (None, row["tier"])),
            key=lambda row: str(row["cell_id"]),
        )


def rebuild_index(store: Store) -> int:
    """Make the index again from the records; returns its number of rows.

    Raises:
        InfrastructureError: the disk refuses.
        sqlite3.Error: the database cannot be written.
    """
    path = store.index_path
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name("index.lock")):
            if not _is_sound(path):
                for part in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
                    part.unlink(missing_ok=True)
            with closing(_connect(path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("DELETE FROM cells")
                connection.executemany(_INSERT, map(_row, _records(store)))
                connection.execute("COMMIT")
                count: int = connection.execute("SELECT count(*) FROM cells").fetchone()[0]
    return count


def _read(store: Store, suite: str | None, tier: str | None) -> list[dict[str, object]]:
    with closing(_connect(store.index_path)) as connection:
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("the index is broken")
        _refresh(store, connection)
        cursor = connection.execute(
            f"SELECT {_COLUMNS} FROM cells WHERE suite = coalesce(?, suite) "  # noqa: S608
            "AND tier = coalesce(?, tier) ORDER BY cell_id",
            (suite, tier),
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, values, strict=True)) for values in cursor]
    for row in rows:
        row["labels"] = json.loads(row["labels"])
    return rows


def _refresh(store: Store, connection: sqlite3.Connection) -> None:
    """Bring the rows in line with the folders that are there."""
    known = dict(connection.execute("SELECT cell_id, status FROM cells"))
    finished = store.finished()
    failed = store.failed_ids() - finished
    gone = known.keys() - finished - failed
    new = {cell_id for cell_id in finished if known.get(cell_id) != "ok"}
    failures = (store.last_failure(cell_id) for cell_id in failed)
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("DELETE FROM cells WHERE cell_id = ?", ((cell_id,) for cell_id in gone))
    connection.executemany(_INSERT, map(_row, store.records(new)))
    connection.executemany(_INSERT, (_row(record) for record in failures if record is not None))
    connection.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=16
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # what a crash loses is made again
        if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
            connection.execute("DROP TABLE IF EXISTS cells")
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_sound(path: Path) -> bool:
    try:
        with closing(_connect(path)) as connection:
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error:
        return False


def _records(store: Store) -> Iterator[Record]:
    finished = store.finished()
    yield from store.records(finished)
    for cell_id in sorted(store.failed_ids() - finished):
        if (record := store.last_failure(cell_id)) is not None:
            yield record


def _row(record: Record) -> tuple[object, ...]:
    return tuple(
        json.dumps(value) if name == "labels" else value for name, value in _fields(record).items()
    )


def _rows_of(records: Iterable[Record]) -> list[dict[str, object]]:
    return [dict(_fields(record)) for record in records]


def _fields(record: Record) -> Mapping[str, object]:
    return {
        "cell_id": record.cell_id,
        "suite": record.suite,
        "tier": record.tier,
        "status": str(record.status),
        "attempt": record.attempt,
        "started": record.timing.started,
        "finished": record.timing.finished,
        "wall_s": record.timing.wall_s,
        "cpu_s": record.timing.cpu_s,
        "labels": dict(record.labels),
    }
