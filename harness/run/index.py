"""The index: one SQLite table of what the records say, for a user's own questions in SQL.

It is derived. Runs add to it what they finish or fail, and `harness store rebuild` makes it from
the records, with one row for each finished cell and for the latest failure of each other one. No
command reads it: which cells are finished is told by the store's folders, and to find out whether
an index agrees with them takes as long as to read them.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError
from harness.run.claims import locked
from harness.run.disk import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.run.record import Record
    from harness.run.store import Store

_VERSION = 1
_PATIENCE_S = 5.0  # with another program that writes
_TABLE = """
CREATE TABLE IF NOT EXISTS cells (
    cell_id TEXT PRIMARY KEY, suite TEXT NOT NULL, tier TEXT NOT NULL, status TEXT NOT NULL,
    attempt INTEGER NOT NULL, started TEXT NOT NULL, finished TEXT NOT NULL,
    wall_s REAL NOT NULL, cpu_s REAL, labels TEXT NOT NULL
) WITHOUT ROWID
"""
_INSERT = "INSERT OR REPLACE INTO cells VALUES (?,?,?,?,?,?,?,?,?,?)"


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


def rebuild_index(store: Store) -> int:
    """Make the index again from the records; returns its number of rows.

    Raises:
        InfrastructureError: the disk refuses, or another program has locked the database.
    """
    path = store.index_path
    with writing(path), _database(path):
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


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=_PATIENCE_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=16,
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


@contextmanager
def _database(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise InfrastructureError(
            f"the index cannot be written: {error}", where=str(path), hint="harness store rebuild"
        ) from error


def _is_sound(path: Path) -> bool:
    try:
        with closing(_connect(path)) as connection:
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            raise  # sound or not: another program is at work on it
        return False


def _records(store: Store) -> Iterator[Record]:
    finished = store.finished()
    yield from store.records(finished)
    for cell_id in sorted(store.failed_ids() - finished):
        if (record := store.last_failure(cell_id)) is not None:
            yield record


def _row(record: Record) -> tuple[object, ...]:
    timing = record.timing
    return (
        record.cell_id,
        record.suite,
        record.tier,
        str(record.status),
        record.attempt,
        timing.started,
        timing.finished,
        timing.wall_s,
        timing.cpu_s,
        json.dumps(dict(record.labels)),
    )
