"""The process backend: what a cell sees, what it may use, and what is left of it."""

from __future__ import annotations

import os
import resource
import threading
import time
from typing import TYPE_CHECKING

import pytest

from harness.errors import SuiteError
from harness.run.containers import Backend, Ending, Job, Limits, open_backend
from harness.run.containers.process import ProcessBackend
from tests.run.support import events, is_alive, scripted_cell, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from harness.run.containers import CellExit
    from harness.run.containers.process import ProcessCell
    from harness.run.staging import Stage
    from tests.run.conftest import Bench


def run(
    bench: Bench, limits: Limits, *, stop: bool = False, **settings: object
) -> tuple[CellExit, str]:
    with bench.store.workspace() as workspace:
        stage = workspace.stage(scripted_cell(0, **settings))
        running = start(bench, stage, limits)
        if stop:
            stopper = threading.Timer(0.3, running.stop)
            stopper.start()
        end = running.wait()
        return end, stage.log.read_text()


def start(bench: Bench, stage: Stage, limits: Limits) -> ProcessCell:
    resume = bench.store.resume_folder(stage.cell.id)
    return bench.backend().start(Job(stage.folder, stage.out, resume, bench.root, limits=limits))


def test_environment_is_an_allow_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    job = Job(tmp_path, tmp_path / "out", tmp_path / "resume", tmp_path / "data")
    environment = ProcessBackend().environment(job, tmp_path / "scratch")
    assert not {"HF_TOKEN", "PYTHONPATH"} & environment.keys()
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["HOME"] == environment["TMPDIR"] == str(tmp_path / "scratch")
    assert environment["HARNESS_DATA"] == str(tmp_path / "data")


def test_accounts_for_a_cell(bench: Bench) -> None:
    end, _ = run(bench, Limits(), sleep_s=0.2)
    assert (end.ending, end.code) == (Ending.EXITED, 0)
    assert end.wall_s > 0.2
    assert 0 < end.cpu_s < end.wall_s


def test_peak_memory_is_that_of_the_cell(bench: Bench) -> None:
    ballast = b"x" * (256 << 20)
    quick, crashed = scripted_cell(0), scripted_cell(1, crash=True)
    bench.run([quick, crashed])
    for record in (bench.store.record(quick.id), bench.store.last_failure(crashed.id)):
        assert record is not None
        peak = record.provenance["peak_bytes"]
        assert isinstance(peak, int)
        assert 1 << 20 < peak < len(ballast) // 2


def test_peak_memory_of_a_cell_that_cannot_tell_is_no_other_number(bench: Bench) -> None:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    small, large = scripted_cell(0, exit=7), scripted_cell(1, exit=7, ballast=own + (64 << 20))
    bench.run([small, large])
    small_record, large_record = map(bench.store.last_failure, (small.id, large.id))
    assert small_record is not None
    assert large_record is not None
    assert small_record.provenance["peak_bytes"] is None
    peak = large_record.provenance["peak_bytes"]
    assert isinstance(peak, int)
    assert own + (64 << 20) < peak < 2 * own + (128 << 20)


@pytest.mark.parametrize(
    "settings",
    [{}, {"ignore_term": True}, {"close_output": True}, {"child": True}],
    ids=lambda settings: next(iter(settings), "plain"),
)
def test_wall_limit_ends_the_whole_group(bench: Bench, settings: dict[str, bool]) -> None:
    started = time.monotonic()
    end, _ = run(bench, Limits(wall_s=0.4), sleep_s=60, **settings)
    assert end.ending is Ending.WALL_LIMIT
    assert time.monotonic() - started < 30
    pids = [pid for what in ("start", "child") for _, pid, _ in events(bench.trace, what)]
    assert pids
    wait_until(lambda: not any(map(is_alive, pids)))


def test_stop_ends_the_cell(bench: Bench) -> None:
    end, _ = run(bench, Limits(), stop=True, sleep_s=60)
    assert end.ending is Ending.STOPPED
    assert end.code < 0


def test_nothing_is_left_of_a_cell_that_has_ended(bench: Bench) -> None:
    end, _ = run(bench, Limits(), child=True)
    assert end.code == 0
    ((_, pid, _),) = events(bench.trace, "child")
    wait_until(lambda: not is_alive(pid))


def test_no_signal_goes_to_a_number_that_may_belong_to_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, targets = os.killpg, []

    def checked(group: int, number: int) -> None:
        os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # raises once reaped
        targets.append(group)
        send(group, number)

    monkeypatch.setattr(os, "killpg", checked)
    end, _ = run(bench, Limits(), child=True)
    assert end.code == 0
    assert targets


def test_log_keeps_both_ends_within_its_limit(bench: Bench) -> None:
    end, log = run(bench, Limits(log_bytes=4000), print_bytes=300_000, crash=True)
    assert end.code == 1
    assert log.startswith("aaaa")
    assert "bytes left out" in log
    assert log.rstrip().endswith("RuntimeError: the engine lost its way")
    assert len(log) < 4100


def test_log_within_its_limit_is_whole(bench: Bench) -> None:
    _, log = run(bench, Limits(log_bytes=6000), print_bytes=5000)
    assert log == "a" * 5000 + "\n"


def test_unknown_backend() -> None:
    with pytest.raises(SuiteError, match="dokcer"):
        open_backend("dokcer")
    backend: Backend = open_backend("process")
    assert backend.provenance() == {"backend": "process", "digest": None}
