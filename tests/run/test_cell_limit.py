"""The limit of one cell, as a suite sets it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.run.store import Store
from tests.run.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return shutil.copytree(ROOT / "suites" / "exp1", tmp_path / "exp1")


def run(suite: Path, budget: str) -> subprocess.CompletedProcess[str]:
    """`harness run` of the two smallest models, under this budget."""
    path = suite / "suite.yaml"
    lines = path.read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines) if line.startswith("budget:"))
    lines[number] = f"budget: {budget}"
    path.write_text("\n".join(lines) + "\n")
    words = [sys.executable, "-m", "harness", "run", str(suite), "--json"]
    words += ["--where", "model.N < 1e9", "--workspace", str(suite.parent / "runs")]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def test_cell_that_takes_too_long_is_stopped_and_is_the_same_cell_later(suite: Path) -> None:
    # Python itself takes longer than that to start.
    stopped = run(suite, "{wall_s: 60, cell_limit_s: 0.001}")
    assert stopped.returncode == 5
    assert "it ran past its limit of 0.001 s" in stopped.stdout + stopped.stderr
    store = Store(suite.parent / "runs" / "store")
    assert not store.finished()

    finished = run(suite, "{wall_s: 60}")
    assert (finished.returncode, json.loads(finished.stdout)["computed"]) == (0, 2)
    assert store.finished() == store.failed_ids()
    assert {record.attempt for record in store.records()} == {2}
