"""Locking a suite whose data have an address, from the command line; no server is asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADER = ",indices,prompted_questions,answers,raw_responses,scores"
ROW = '0,13635,"Which?\n",C,"Answer: C",1.0'


@pytest.fixture
def star(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with suites/star and an empty mirror."""
    for part in ("suites", "golden"):
        shutil.copytree(ROOT / part / "star", tmp_path / part / "star")
    (tmp_path / "mirror" / "star").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_MIRROR", "mirror")
    monkeypatch.setenv("HARNESS_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def mirror(star: Path, *lines: str) -> None:
    (star / "mirror/star/generate_128.csv").write_text("\n".join([*lines, ""]))


def test_a_pin_stands_where_the_file_is_not_here(star, harness) -> None:
    told = harness("lock", "star")
    assert (told.code, "up to date" in told.out) == (0, True)


def test_a_file_of_the_mirror_is_pinned_as_it_is(star, harness) -> None:
    mirror(star, HEADER, ROW)
    told = harness("lock", "star", "--dry-run")
    assert "data/responses/rows: locked 128, found 1" in told.out
    assert harness("lock", "star").code == 0
    pin = json.loads((star / "suites/star/suite.lock").read_text())["data"]["responses"]
    assert (pin["path"], pin["rows"]) == ("star/generate_128.csv", 1)
    # Three numbers of the published ones are of 128 rows.
    assert harness("all", "star", "--tier", "responses").code == 1


def test_other_bytes_in_the_mirror_are_not_used_and_are_no_drift(star, harness) -> None:
    mirror(star, HEADER, ROW)
    told = harness("all", "star", "--tier", "responses")
    assert told.code == 5
    assert "HARNESS_OFFLINE is set" in told.err
    assert "verdict: inconclusive" in told.out


def test_a_file_without_its_declared_columns_is_not_pinned(star, harness) -> None:
    mirror(star, HEADER.replace("scores", "points"), ROW)
    told = harness("lock", "star")
    assert told.code == 2
    assert "missing column scores" in told.err


def test_what_has_no_pin_has_to_be_had(star, harness) -> None:
    (star / "suites/star/suite.lock").unlink()
    told = harness("lock", "star")
    assert told.code == 2
    assert "is not fetched" in told.err
    assert "HARNESS_OFFLINE is set" in told.err
