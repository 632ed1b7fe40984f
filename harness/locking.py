"""Writing suite.lock anew, with the differences to what was locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.data.fetch import download, locate
from harness.errors import InfrastructureError, LockDriftError
from harness.pipeline import check_data, known_versions, task_hashes
from harness.spec.discovery import find_suite
from harness.spec.load import load_suite
from harness.spec.lock import (
    LOCK_NAME,
    DataPin,
    Drift,
    build_lock,
    check_lock,
    load_lock,
    locked_pins,
    pin_file,
    write_lock,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.spec.suite import Suite


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
    path = suite.root / LOCK_NAME
    try:
        before = load_lock(suite)
    except LockDriftError:
        before = None  # absent, or not a lock: there is nothing to compare with
    kept = {} if before is None else locked_pins(suite, before)
    roots = _fetched(suite, kept)
    check_data(suite, roots)
    here = {name: pin_file(root, suite.data[name].path) for name, root in roots.items()}
    versions = (known.laws, known.engines, known.scorers, task_hashes(suite))
    fetched = {**kept, **here}
    is_new = before is None
    changes: list[Drift] = []
    if before is not None:
        changes = check_lock(suite, before, *versions, fetched=fetched)
    if not dry_run and (is_new or changes):
        lock = build_lock(suite, *versions, fetched)
        try:
            write_lock(suite, lock)
        except OSError as error:
            raise InfrastructureError(
                f"the lock cannot be written: {error.strerror}", where=str(path)
            ) from None
    return Relocked(path, is_new, changes)


def _fetched(suite: Suite, kept: Mapping[str, DataPin]) -> dict[str, Path]:
    """The folders of the data sets that stand elsewhere, name -> folder that the path starts from.

    A file in the suite's folder or a mirror is pinned as it is. One that is nowhere on this machine
    keeps its pin, and is downloaded where it has none.
    """
    roots = {}
    for name, declared in suite.data.items():
        if declared.in_suite:
            continue
        # What a generator makes is made anew, so that the pin is of what it makes today.
        found = None if declared.generator else locate(declared, suite.root, None)
        if found is None and (declared.generator or name not in kept):
            found = download(declared)
        if found is not None:
            roots[name] = found.root
    return roots
