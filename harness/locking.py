"""Writing suite.lock anew, with the differences to what was locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError, LockDriftError
from harness.pipeline import check_data, known_versions
from harness.spec.discovery import find_suite
from harness.spec.load import load_suite
from harness.spec.lock import LOCK_NAME, Drift, build_lock, check_lock, load_lock, write_lock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Relocked:
    """The lock file, whether there was none that could be read, and what differs from it."""

    path: Path
    is_new: bool
    changes: Sequence[Drift]


def relock(suite_name: str, *, dry_run: bool) -> Relocked:
    """Write suite.lock as things are now; with `dry_run` only say what would change.

    Raises:
        SuiteError, DataError: the suite or its data are not what they should be.
        InfrastructureError: the file cannot be written.
    """
    known = known_versions()
    suite = load_suite(
        find_suite(suite_name), laws=known.laws, engines=known.engines, scorers=known.scorers
    )
    check_data(suite)
    path = suite.root / LOCK_NAME
    changes: list[Drift] = []
    try:
        before = load_lock(suite)
    except LockDriftError:
        is_new = True  # absent, or not a lock: there is nothing to compare with
    else:
        is_new = False
        changes = check_lock(suite, before, known.laws, known.engines, known.scorers)
    if not dry_run and (is_new or changes):
        lock = build_lock(suite, known.laws, known.engines, known.scorers)
        try:
            write_lock(suite, lock)
        except OSError as error:
            raise InfrastructureError(
                f"the lock cannot be written: {error.strerror}", where=str(path)
            ) from None
    return Relocked(path, is_new, changes)
