"""Cells that train for long: whatever kills them, the next run goes on from the last checkpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from harness.cli import chores  # noqa: F401 - its verbs register themselves
from harness.cli.app import app
from harness.run.containers import Job, Limits
from harness.run.record import Status
from harness.run.scheduler import run_cells
from harness.run.store import Store
from tests.run.support import (
    TracingBackend,
    driver,
    events,
    is_alive,
    process_state,
    scripted_cell,
    start_driver,
    wait_until,
)
from tests.run.test_faults import in_mount_namespace

if TYPE_CHECKING:
    from pathlib import Path

    from harness.run.containers.process import ProcessCell
    from harness.run.outcome import RunOutcome
    from harness.spec.grid import Cell
    from tests.run.conftest import Bench

STEPS = 10
CELL = scripted_cell(0, engine="trained", steps=STEPS)


def run(bench: Bench, die: str = "", cell: Cell = CELL, wall_s: float | None = None) -> RunOutcome:
    backend = TracingBackend(bench.site, bench.trace, die=die)
    return run_cells([cell], bench.store, backend, bench.root, limits=Limits(wall_s=wall_s))


def starts(bench: Bench) -> list[int]:
    """The step that each attempt began after."""
    return [step for step, _, _ in events(bench.trace, "start")]


def kept(bench: Bench, cell: Cell = CELL) -> list[str]:
    """The names in the cell's folder of checkpoints."""
    folder = bench.store.root / "resume" / cell.id
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def results(store: Store, cell: Cell = CELL) -> dict[str, bytes]:
    names = ("metrics.jsonl", "result.json")
    return {name: (store.folder(cell.id) / name).read_bytes() for name in names}


def uninterrupted(bench: Bench, cell: Cell = CELL) -> dict[str, bytes]:
    store = Store(bench.root / "other")
    run_cells([cell], store, TracingBackend(bench.site, bench.root / "aside"), bench.root)
    return results(store, cell)


def assert_done(bench: Bench, cell: Cell = CELL) -> None:
    """The cell is finished, is what an unhindered one is, and nothing else is left."""
    assert results(bench.store, cell) == uninterrupted(bench, cell)
    assert list(bench.store.verify()) == []
    assert list((bench.store.root / "resume").iterdir()) == []


@pytest.mark.parametrize(
    ("die", "status", "message", "resumed"),
    [
        ("step:3", Status.INVALID, "killed by SIGKILL", 0),
        ("step:7", Status.INVALID, "killed by SIGKILL", 4),
        ("checkpoint:4", Status.INVALID, "killed by SIGKILL", 0),
        ("checkpoint:8", Status.INVALID, "killed by SIGKILL", 4),
        ("memory:10", Status.INVALID, "out of memory inside the cell: CUDA out of memory", 8),
        ("crash:6", Status.ERROR, "exit status 1: RuntimeError: it lost its way", 4),
        ("nan:6", Status.ERROR, "a number of step 6 is not finite", 0),
    ],
)
def test_next_run_goes_on(
    bench: Bench, die: str, status: Status, message: str, resumed: int
) -> None:
    (failure,) = run(bench, die).failures
    assert failure.status is status
    assert message in failure.message
    assert (f"the next run goes on from step {resumed}" in failure.message) == (resumed > 0)
    assert f"--cell {CELL.id[:12]}" in failure.command
    assert ("state.json" in kept(bench)) == (resumed > 0)
    if die == "checkpoint:8":
        assert ".state.json.partial" in kept(bench), "it was killed within the checkpoint"

    assert run(bench).computed == 1
    assert starts(bench) == [0, resumed]
    assert_done(bench)


class LimitedBackend(TracingBackend):
    """Lets the time of a cell be over once it has written five lines of metrics."""

    def start(self, job: Job) -> ProcessCell:
        running = super().start(job)
        metrics = job.out / "metrics.jsonl"

        def end() -> None:
            wait_until(lambda: metrics.is_file() and metrics.read_bytes().count(b"\n") == 5)
            running._watcher._wall_limit = 0.0

        threading.Thread(target=end).start()
        return running


def test_cell_at_its_limit_says_how_far_it_came_and_goes_on(bench: Bench) -> None:
    backend = LimitedBackend(bench.site, bench.trace, die="hang:6")
    limits = Limits(wall_s=3600)
    (failure,) = run_cells([CELL], bench.store, backend, bench.root, limits=limits).failures
    assert failure.status is Status.ERROR
    assert "it ran past its limit of 3600 s, at step 5 of 10" in failure.message
    assert "the next run goes on from step 4" in failure.message
    assert run(bench).computed == 1
    assert starts(bench) == [0, 4]
    assert_done(bench)


def test_killed_cell_says_how_far_it_came(bench: Bench) -> None:
    (failure,) = run(bench, "step:7").failures
    assert "ran out of memory, at step 6 of 10" in failure.message
    assert failure.folder is not None
    assert not (failure.folder / "progress.json").exists()


def test_cell_killed_again_and_again_ends_all_the_same(bench: Bench) -> None:
    for die in ("step:5", "checkpoint:8", "step:9", "step:10"):
        assert len(run(bench, die).failures) == 1
    assert run(bench).computed == 1
    assert starts(bench) == [0, 4, 4, 8, 8]
    assert bench.store.record(CELL.id).attempt == 5
    assert_done(bench)


def start_and_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[str]:
    """A run in a process of its own, whose cell hangs after its first checkpoint."""
    with monkeypatch.context() as changed:
        changed.setenv("DIE", "hang:6")
        runner = start_driver(*bench.driver("0", 1), engine="trained", steps=STEPS)
    wait_until(lambda: "checkpointed.json" in kept(bench))
    return runner


def test_run_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_and_wait(bench, monkeypatch) as runner:
        runner.kill()
    assert run(bench).computed == 1
    assert starts(bench) == [0, 4]
    assert_done(bench)


def test_run_stopped_by_the_user(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_and_wait(bench, monkeypatch) as runner:
        runner.send_signal(signal.SIGINT)
        runner.communicate(timeout=20)
    assert "state.json" in kept(bench)
    assert not bench.store.failed_ids()
    assert run(bench).computed == 1
    assert starts(bench) == [0, 4]
    assert_done(bench)


def test_two_runs_at_once_train_once(bench: Bench) -> None:
    settings = {"engine": "trained", "steps": STEPS, "step_s": 0.05}
    runners = [start_driver(*bench.driver(name, 1), **settings) for name in ("a", "b")]
    reports = [json.loads(runner.communicate()[0]) for runner in runners]
    assert [report["counts"]["ok"] for report in reports] == [1, 1]
    assert starts(bench) == [0]
    assert_done(bench, scripted_cell(0, engine="trained", steps=STEPS, step_s=0.05))


def test_cell_that_outlives_its_run_keeps_the_next_from_its_checkpoints(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in its tracks, it cannot see that its run is dead; two cells must not write there."""
    with start_and_wait(bench, monkeypatch) as first:
        ((_, orphan, _),) = events(bench.trace, "start")
        os.kill(orphan, signal.SIGSTOP)
        wait_until(lambda: process_state(orphan) == "T")
        first.kill()
    second = start_driver(*bench.driver("1", 1), engine="trained", steps=STEPS)
    try:
        wait_until(lambda: [one.running for one in bench.store.unfinished()] == [True])
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=1.5)
        assert starts(bench) == [0]
    finally:
        os.kill(orphan, signal.SIGCONT)
    assert json.loads(second.communicate(timeout=30)[0])["counts"]["ok"] == 1
    assert not is_alive(orphan)
    assert starts(bench) == [0, 4]
    assert_done(bench)


def test_full_disk_of_checkpoints(bench: Bench, tmp_path: Path) -> None:
    """The first checkpoint fits, beside it the second does not."""
    disk = bench.store.root / "resume"
    disk.mkdir(parents=True)
    words = driver(*bench.driver("0", 1), engine="trained", steps=STEPS, ballast=600_000)
    command = " ".join(f"'{word}'" for word in words)
    full, left, larger = in_mount_namespace(
        f"""mount -t tmpfs -o size=1m tmpfs {disk}
        {command}
        printf '{{"left": %d}}\\n' "$(ls {disk} | wc -l)"
        mount --options-mode=ignore -o remount,size=4m {disk}
        {command}"""
    )
    assert full["counts"] == {"ok": 0, "error": 0, "invalid": 1, "missing": 0}
    message = str(full["failures"])
    assert "the disk failed inside the cell: No space left on device" in message
    assert "the next run goes on from step 4" in message
    assert left == {"left": 1}
    assert larger["counts"] == {"ok": 1, "error": 0, "invalid": 0, "missing": 0}
    assert starts(bench) == [0, 4]
    assert list(bench.store.verify()) == []


def test_checkpoints_of_finished_cells_are_swept(bench: Bench) -> None:
    """A run may be killed between the end of a cell and the removal of its checkpoints."""
    run(bench)
    bench.store.resume_folder(CELL.id).mkdir()
    (bench.store.resume_folder(CELL.id) / "state.json").write_text("{}")
    (bench.store.root / "resume" / ".half-removed").mkdir()
    other = scripted_cell(1, engine="trained", steps=STEPS)
    run(bench, "step:5", other)
    assert [one.cell_id for one in bench.store.unfinished()] == [other.id]
    assert [path.name for path in (bench.store.root / "resume").iterdir()] == [other.id]


def test_unfinished_cells_are_listed_and_removed(bench: Bench) -> None:
    run(bench, "step:6")
    (one,) = bench.store.unfinished()
    assert (one.cell_id, one.step, one.finished, one.running) == (CELL.id, 4, False, False)
    assert one.bytes > 100
    claim = bench.store.claim(CELL.id)
    assert claim is not None
    with claim:
        assert [one.running for one in bench.store.unfinished()] == [True]
        assert bench.store.sweep_unfinished(everything=True) == []
    assert bench.store.sweep_unfinished(everything=True) == [CELL.id]
    assert list(bench.store.unfinished()) == []
    run(bench)
    assert starts(bench) == [0, 0]


def test_command_lists_and_removes_checkpoints(bench: Bench) -> None:
    def unfinished(*options: str) -> str:
        words = ["store", "unfinished", "--workspace", str(bench.root), *options]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0
        return done.stdout

    run(bench, "step:6")
    assert f"{CELL.id[:12]} to be resumed: step 4" in unfinished()
    (told,) = json.loads(unfinished("--json"))["unfinished"]
    assert (told["cell_id"], told["step"]) == (CELL.id, 4)
    assert "1 cells with checkpoints, 1 removed" in unfinished("--remove")
    assert "0 cells with checkpoints, 0 removed" in unfinished()


def test_checkpoints_do_not_keep_a_cell_that_ends_before_the_first(bench: Bench) -> None:
    run(bench, "step:2")
    assert list((bench.store.root / "resume").iterdir()) == []


def test_warnings_go_into_the_record(bench: Bench) -> None:
    cell = scripted_cell(0, engine="trained", steps=STEPS, dull=True)
    outcome = run(bench, cell=cell)
    (warned,) = outcome.warned
    assert (warned.cell, warned.warnings) == (cell, ("every reward was 0",))
    record = bench.store.record(cell.id)
    assert record.warnings == ("every reward was 0",)
    assert replace(record, provenance={}).warnings == ()
    assert run(bench).warned == ()
