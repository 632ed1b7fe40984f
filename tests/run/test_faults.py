"""Real processes, killed at any moment: nothing finished is lost, repeated or half-read."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.errors import InfrastructureError
from harness.run.disk import digest
from harness.run.index import rebuild_index
from harness.run.record import Status
from harness.run.scheduler import run_cells
from harness.run.store import Store
from tests.run.support import (
    ROOT,
    FilesBackend,
    driver,
    events,
    index_rows,
    is_alive,
    kill,
    scripted_cell,
    scripted_cells,
    start_driver,
    wait_until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.conftest import Bench


class Reader(threading.Thread):
    """Reads all that is finished, again and again, while others write."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench
        self._end = threading.Event()
        self.problems: list[str] = []
        self.reads = 0

    def run(self) -> None:
        store = self._bench.store
        is_last = False
        while not is_last:
            is_last = self._end.wait(0.005)  # then once more: all is finished
            for cell_id in store.finished():
                try:
                    cell = store.load(cell_id)
                except InfrastructureError as error:
                    self.problems.append(str(error))
                    continue
                self.reads += 1
                last = cell.metrics[-1]["evals"] if cell.metrics else None
                if len(cell.metrics) != 20 or cell.result["evals"] != last:
                    self.problems.append(f"half of {cell_id}")

    def stop(self) -> None:
        self._end.set()
        self.join()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_runner_killed_at_any_moment(bench: Bench, seed: int) -> None:
    delays = random.Random(seed)
    reader = Reader(bench)
    reader.start()
    finished_before: dict[str, set[str]] = {}
    for attempt in range(4):
        finished_before[str(attempt)] = bench.store.finished()
        with start_driver(*bench.driver(str(attempt), 10), sleep_s=0.03) as runner:
            time.sleep(delays.uniform(0.15, 0.6))
            runner.kill()
    finished_before["last"] = bench.store.finished()
    done = subprocess.run(
        driver(*bench.driver("last", 10), sleep_s=0.03),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    reader.stop()

    report = json.loads(done.stdout)
    assert report["counts"] == {"ok": 10, "error": 0, "invalid": 0, "missing": 0}
    assert report["computed"] == 10 - len(finished_before["last"])
    assert report["damage"] == reader.problems == []
    assert reader.reads > 0
    ids = [cell.id for cell in scripted_cells(10, sleep_s=0.03)]
    for index, _, run in events(bench.trace, "start"):
        assert ids[index] not in finished_before[run], "a finished cell was started again"
    # The cell of the run killed last may have written while it was swept: the next run sweeps that.
    with bench.store.workspace():
        pass
    assert list((bench.store.root / "tmp").iterdir()) == [], "attempts of dead runs were left"


@pytest.mark.parametrize("result", ['{"status": "ok"}', "no result"])
def test_runner_killed_at_every_step_on_the_disk(bench: Bench, result: str) -> None:
    """The run of one cell dies after its first such step, its second, ... its last."""
    (cell,) = scripted_cells(1)
    is_ok = result != "no result"
    found = []
    for step in itertools.count(1):
        store = Store(bench.root / f"store-{step}")
        words = [sys.executable, "-m", "tests.run.crash", str(store.root), result, str(step)]
        code = subprocess.run(words, cwd=ROOT, check=False).returncode
        if code == 0:
            break
        assert code == -signal.SIGKILL
        was_finished, failures = store.has(cell.id), len(store.failures(cell.id))
        found.append(was_finished or failures)
        assert [len(store.load(cell_id).metrics) for cell_id in store.finished()] == (
            [1] if was_finished else []
        )
        assert (store.last_failure(cell.id) is not None) == bool(failures)

        outcome = run_cells([cell], store, FilesBackend(result), bench.root)
        assert outcome.counts[Status.OK if is_ok else Status.ERROR] == 1
        assert outcome.computed == (is_ok and not was_finished)
        assert len(store.failures(cell.id)) == (0 if is_ok else failures + 1)
        assert list(store.verify()) == []
        if not was_finished:  # a run with nothing to do leaves the store as it is
            assert list((store.root / "tmp").iterdir()) == []
    # Nothing is there until, at one of the last steps, all of it is.
    assert len(found) > 12
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, 1)


@pytest.mark.parametrize("result", ['{"status": "ok"}', "no result"])
def test_everything_kept_is_on_the_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, result: str
) -> None:
    """fsync reaches every file and folder that a power failure must not take."""
    synced = set()
    sync = os.fsync

    def note(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    (cell,) = scripted_cells(1)
    run_cells([cell], bench.store, FilesBackend(result), bench.root)
    failures = bench.store.failures(cell.id)
    (folder,) = failures or [bench.store.folder(cell.id)]
    kept = [folder.parent, folder, *folder.rglob("*")]
    assert len(kept) >= (6 if failures else 9)
    assert [path for path in kept if path.stat().st_ino not in synced] == []


def test_cell_killed(bench: Bench) -> None:
    cells = scripted_cells(3, sleep_s=0.5)

    def kill_second() -> None:
        wait_until(lambda: any(index == 1 for index, _, _ in events(bench.trace, "start")))
        kill([pid for index, pid, _ in events(bench.trace, "start") if index == 1], signal.SIGKILL)

    killer = threading.Thread(target=kill_second)
    killer.start()
    outcome = bench.run(cells, workers=3)
    killer.join()

    assert outcome.counts[Status.OK] == 2
    (failure,) = outcome.failures
    assert failure.cell == cells[1]
    assert failure.status is Status.INVALID
    assert "killed by SIGKILL" in failure.message
    assert cells[1].id[:12] in failure.command
    assert failure.folder is not None
    assert {"log.txt", "record.json", "spec.json"} <= {p.name for p in failure.folder.iterdir()}

    again = bench.run(cells)
    assert (again.counts[Status.OK], again.computed) == (3, 1)
    assert bench.store.record(cells[1].id).attempt == 2


def test_two_runs_at_once_compute_each_cell_once(bench: Bench) -> None:
    runners = [start_driver(*bench.driver(run, 8), sleep_s=0.1) for run in ("a", "b")]
    reports = [json.loads(runner.communicate()[0]) for runner in runners]
    assert [runner.returncode for runner in runners] == [0, 0]
    assert [report["counts"]["ok"] for report in reports] == [8, 8]
    assert sum(report["computed"] for report in reports) == 8
    assert sorted(index for index, _, _ in events(bench.trace, "start")) == list(range(8))


def test_second_run_takes_over_from_a_killed_one(bench: Bench) -> None:
    with start_driver(*bench.driver("a", 3), sleep_s=0.8) as first:
        wait_until(lambda: len(events(bench.trace, "start")) == 3)
        second = start_driver(*bench.driver("b", 3), sleep_s=0.8)
        time.sleep(0.3)
        first.kill()
    report = json.loads(second.communicate()[0])
    assert (report["counts"]["ok"], report["computed"]) == (3, 3)


def test_waiting_run_takes_the_failure_of_the_first(bench: Bench) -> None:
    runners = [start_driver(*bench.driver(run, 1), sleep_s=0.5, crash=True) for run in ("a", "b")]
    reports = [json.loads(runner.communicate()[0]) for runner in runners]
    assert [report["counts"]["error"] for report in reports] == [1, 1]
    starts = len(events(bench.trace, "start"))
    assert starts == len(bench.store.failures(scripted_cell(0, sleep_s=0.5, crash=True).id)) == 1


def test_orphans_end_with_their_run(bench: Bench) -> None:
    with start_driver(*bench.driver("0", 2), sleep_s=60, child=True) as runner:
        wait_until(lambda: len(events(bench.trace, "child")) == 2)
        pids = [pid for what in ("start", "child") for _, pid, _ in events(bench.trace, what)]
        assert all(map(is_alive, pids))
        runner.kill()
    wait_until(lambda: not any(map(is_alive, pids)), seconds=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_the_user(bench: Bench, number: signal.Signals) -> None:
    quick = scripted_cells(1)
    bench.run(quick)
    with start_driver(*bench.driver("0", 4), sleep_s=60, child=True) as runner:
        wait_until(lambda: len(events(bench.trace, "child")) == 3)
        pids = [pid for what in ("start", "child") for _, pid, run in events(bench.trace, what)]
        runner.send_signal(number)
        report = json.loads(runner.communicate(timeout=20)[0])
    assert runner.returncode == 5
    assert f"stopped by {number.name}: 0 of 4 cells" in report["error"]
    assert not any(map(is_alive, pids[1:]))
    assert bench.store.has(quick[0].id)
    assert not bench.store.failed_ids(), "a stopped cell is not a failed one"


def test_what_finishes_while_the_run_is_stopped_is_kept(bench: Bench) -> None:
    with start_driver(*bench.driver("0", 1), sleep_s=1, ignore_term=True) as runner:
        wait_until(lambda: len(events(bench.trace, "deaf")) == 1)
        runner.send_signal(signal.SIGINT)
        report = json.loads(runner.communicate(timeout=20)[0])
    assert runner.returncode == 5
    assert "stopped by SIGINT: 1 of 1 cells are finished and kept" in report["error"]
    assert (report["finished"], report["damage"]) == (1, [])
    assert len(index_rows(bench.store)) == 1


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "result.json", "spec.json", "record.json", "log.txt"]
)
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_damaged_file_is_named_and_recomputed(bench: Bench, name: str, harm: str) -> None:
    cells = scripted_cells(2)
    bench.run(cells)
    path = bench.store.folder(cells[0].id) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(content if harm == "flip" else content[:-1])

    (damage,) = bench.store.verify()
    assert (damage.cell_id, damage.path) == (cells[0].id, path)
    if name != "log.txt":
        with pytest.raises(InfrastructureError, match="verify --quarantine") as caught:
            bench.store.load(cells[0].id)
        assert caught.value.where == str(path)

    bench.store.quarantine(damage.cell_id)
    assert bench.run(cells).computed == 1
    assert list(bench.store.verify()) == []


@pytest.mark.parametrize("name", ["metrics.jsonl", "result.json"])
def test_cell_that_was_never_readable_is_damage(bench: Bench, name: str) -> None:
    (cell,) = scripted_cells(1)
    bench.run([cell])
    path = bench.store.folder(cell.id) / name
    path.write_text('{"step": 1}\n{"ste')
    record = bench.store.record(cell.id)
    resealed = replace(record, files={**record.files, name: digest(path)})
    (bench.store.folder(cell.id) / "record.json").write_bytes(resealed.to_json())

    with pytest.raises(InfrastructureError, match="not a JSON object") as caught:
        bench.store.load(cell.id)
    assert caught.value.where == str(path)
    assert [damage.path for damage in bench.store.verify()] == [path]


def test_foreign_file_is_damage(bench: Bench) -> None:
    cells = scripted_cells(1)
    bench.run(cells)
    foreign = bench.store.folder(cells[0].id) / "checkpoints" / "late.bin"
    foreign.write_bytes(b"x")
    assert [damage.path for damage in bench.store.verify()] == [foreign]


def in_mount_namespace(script: str) -> list[dict[str, object]]:
    """Run a shell script where it may mount; returns the JSON objects that it prints.

    To remount, it must ignore the options there are: the user's own number is refused as one.
    """
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk (unshare -rm)")
    done = subprocess.run(
        [unshare, "-rm", "sh", "-eu", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def run_command(bench: Bench, disk: Path, run: str, cells: int) -> str:
    arguments = (disk / "store", bench.site, bench.trace, run, cells)
    words = driver(*arguments, print_bytes=20_000)
    quoted = " ".join(f"'{word}'" for word in words)
    return f"set +e; {quoted}; printf '{{\"exit\": %d}}\\n' $?; set -e"


def test_full_disk(bench: Bench, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    full, full_exit, larger, larger_exit = in_mount_namespace(
        f"""mount -t tmpfs -o size=400k tmpfs {disk}
        {run_command(bench, disk, "full", 12)}
        mount --options-mode=ignore -o remount,size=20m {disk}
        {run_command(bench, disk, "larger", 12)}"""
    )
    assert full_exit["exit"] == 5
    error = str(full["error"])
    assert "No space left on device" in error
    assert str(disk) in error
    assert "bytes free" in error
    assert "--workspace" in error
    assert isinstance(full["finished"], int)
    assert 0 < full["finished"] < 12
    assert full["finished"] == full["read"]
    assert full["damage"] == []

    assert larger_exit["exit"] == 0
    assert larger["computed"] == 12 - full["finished"]
    assert larger["counts"] == {"ok": 12, "error": 0, "invalid": 0, "missing": 0}


def test_read_only_disk(bench: Bench, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    _, _, refused, refused_exit, nothing_to_do, nothing_exit = in_mount_namespace(
        f"""mount -t tmpfs tmpfs {disk}
        {run_command(bench, disk, "first", 2)}
        mount --options-mode=ignore -o remount,ro {disk}
        {run_command(bench, disk, "refused", 4)}
        {run_command(bench, disk, "first", 2)}"""
    )
    assert refused_exit["exit"] == 5
    assert "Read-only file system" in str(refused["error"])
    assert str(disk) in str(refused["error"])
    assert refused["finished"] == refused["read"] == 2
    assert nothing_exit["exit"] == 0
    assert nothing_to_do["computed"] == 0


@pytest.mark.parametrize("harm", ["missing", "garbage", "truncated", "stale", "folder"])
def test_run_survives_any_index_and_the_records_make_it_again(bench: Bench, harm: str) -> None:
    cells = scripted_cells(4)
    failing = scripted_cell(9, crash=True)
    bench.run([*cells[:2], failing])
    index = bench.store.index_path
    content = index.read_bytes()
    if harm == "stale":
        bench.store.quarantine(cells[0].id)
    else:
        for path in index.parent.glob("index.sqlite*"):
            path.unlink()
    if harm == "garbage":
        index.write_bytes(random.Random(0).randbytes(len(content)))
    elif harm == "truncated":
        index.write_bytes(content[: len(content) // 2])
    elif harm == "folder":
        index.mkdir()

    assert bench.run(cells).counts[Status.OK] == 4
    if harm == "folder":
        with pytest.raises(InfrastructureError, match=r"index\.sqlite"):
            rebuild_index(bench.store)
        index.rmdir()
    for _ in range(2):
        assert rebuild_index(bench.store) == 5
        rows = index_rows(bench.store)
        assert rows.keys() == {failing.id, *(cell.id for cell in cells)}
        assert rows[failing.id]["status"] == "error"
        assert json.loads(str(rows[cells[3].id]["labels"])) == {"index": 3}


def test_runner_starts_no_cell_for_a_finished_store(bench: Bench) -> None:
    cells = scripted_cells(2)
    bench.run(cells)
    starts = events(bench.trace, "start")
    outcome = bench.run([*cells, *cells])
    assert (outcome.total, outcome.computed, outcome.counts[Status.OK]) == (2, 0, 2)
    assert events(bench.trace, "start") == starts
