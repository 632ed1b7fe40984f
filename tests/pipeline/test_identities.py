"""The identity of every cell of every suite, as recorded when the suite's version was released.

Never change a recorded line: if a suite's cells move, raise the suite's version and record a new
file (`harness expand SUITE --json` gives the ids). A new tier moves none: its cells are added.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.spec.discovery import list_suites
from harness.spec.grid import expand
from harness.spec.load import load_suite
from harness.spec.lock import load_lock

RECORDED = Path(__file__).parent / "identities"


@pytest.mark.parametrize("name", list_suites())
def test_every_cell_is_as_recorded_for_this_version_of_its_suite(name: str) -> None:
    suite = load_suite(list_suites()[name])
    lock = load_lock(suite)
    found = [f"{cell.id} {tier}" for tier in suite.tiers for cell in expand(suite, tier, lock)]
    lines = (RECORDED / f"{name}-v{suite.version}.txt").read_text().splitlines()
    assert found == [" ".join(line.split()[:2]) for line in lines]


@pytest.mark.parametrize("name", list_suites())
def test_no_lock_lags_behind(name: str) -> None:
    from harness.locking import relock

    told = relock(name, dry_run=True)
    assert not told.is_new
    # The package set differs where the tests run with other versions than the pinned ones.
    assert [one for one in told.changes if not one.what.startswith("packages/")] == []
