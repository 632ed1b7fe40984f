"""Lock drift: of the chosen suite and tier, or of all suites that a name finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from harness.doctor.finding import LOCK, Finding, State
from harness.doctor.registry import check
from harness.errors import HarnessError, LockDriftError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.doctor.setting import Setting
    from harness.pipeline import Known
    from harness.spec.suite import Suite
    from harness.steps import Loaded

_MOST_SHOWN: Final = 12


@check(LOCK)
def lock(setting: Setting) -> Iterator[Finding]:
    """One row for a lock that fits, one for each difference of one that does not."""
    if setting.loaded is not None:
        yield from of_tier(setting.loaded)
        return
    from harness.pipeline import known_versions
    from harness.spec.discovery import list_suites

    found = list_suites()
    if not found:
        yield Finding(LOCK, "suites", State.NOTE, "none was found", "", "harness suites")
        return
    known = known_versions()
    rows = [row for name, path in found.items() for row in of_suite(name, path, known)]
    fits = [row.what for row in rows if row.state is State.OK]
    yield from (row for row in rows if row.state is not State.OK)
    if fits:
        yield Finding(LOCK, "suites", State.OK, f"these fit: {', '.join(fits)}")


def of_tier(loaded: Loaded) -> Iterator[Finding]:
    """The lock as a run of the tier would find it."""
    from harness import pipeline

    request = replace(loaded.request, accepted_drift=None)
    try:
        pipeline.lock(replace(loaded, request=request))
    except LockDriftError as drift:
        yield from differences(loaded.suite.name, drift)
    else:
        yield Finding(LOCK, loaded.suite.name, State.OK, f"fits, tier {loaded.tier.name}")


def of_suite(name: str, path: Path, known: Known) -> Iterator[Finding]:
    """The lock of a suite with all its tiers; a suite that cannot be read is told, too."""
    from harness.pipeline import task_hashes
    from harness.spec.load import load_suite
    from harness.spec.lock import check_lock, load_lock, refuse_drift

    try:
        suite: Suite = load_suite(
            path, laws=known.laws, engines=known.engines, scorers=known.scorers
        )
        versions = (known.laws, known.engines, known.scorers, task_hashes(suite))
        refuse_drift(suite, check_lock(suite, load_lock(suite), *versions))
    except LockDriftError as drift:
        yield from differences(name, drift)
    except HarnessError as error:
        found = " ".join(error.message.split())
        fix = error.hint or f"harness expand {name}"
        where = error.where or str(path)
        yield Finding(LOCK, name, State.NOTE, f"cannot be read: {where}: {found}", "", fix)
    else:
        yield Finding(LOCK, name, State.OK, f"fits, version {suite.version}")


def differences(name: str, drift: LockDriftError) -> Iterator[Finding]:
    """A row for each; the hint of the error names the line to type."""
    head, *lines = drift.message.splitlines()
    shown = [line.strip() for line in lines[:_MOST_SHOWN]] or [head]
    for line in shown:
        what, _, told = line.partition(": locked ")
        locked, _, found = told.partition(", found ")
        yield Finding(
            LOCK,
            name,
            State.MISS,
            f"{what}: {found}" if found else line,
            f"as locked: {locked}" if locked else "a lock that fits",
            drift.hint or f"harness lock {name}",
        )
    if len(lines) > _MOST_SHOWN:
        more = f"{len(lines) - _MOST_SHOWN} more differences"
        yield Finding(LOCK, name, State.MISS, more, "none", f"harness lock {name} --dry-run")
