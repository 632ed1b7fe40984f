"""Cells, an engine and a backend for tests that need real processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.run.containers import CellExit, Ending
from harness.run.containers.process import ProcessBackend
from harness.spec.grid import Cell
from harness.spec.identity import cell_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from harness.run.containers import Job
    from harness.run.store import Store

ROOT = Path(__file__).parents[2]

# An engine as another package would bring it: found through its entry point, in a process of its
# own. It notes in a side file when a cell starts and ends.
ENGINE = """
import os, pathlib, signal, subprocess, sys, time
from harness.cell.train import engine

@engine("scripted", version=3)
def scripted(cell):
    settings, trace = cell.settings, os.environ["TRACE"]

    def note(what, pid):
        with open(trace, "a") as file:
            file.write(f"{what} {cell.document['axes']['index']} {pid} {os.environ['RUN']}\\n")

    note("start", os.getpid())
    if settings.get("child"):
        note("child", subprocess.Popen(["sleep", "60"]).pid)
    ballast = b"x" * settings.get("ballast", 0)
    print("a" * settings.get("print_bytes", 0), flush=True)
    if settings.get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note("deaf", os.getpid())
    if settings.get("close_output"):
        os.close(1), os.close(2)
    time.sleep(settings.get("sleep_s", 0))
    if settings.get("crash"):
        raise RuntimeError("the engine lost its way")
    if settings.get("exit") is not None:
        os._exit(settings["exit"])
    if "write" in settings:
        (cell.out / settings["write"]).write_text("x")
    if "link" in settings:
        (cell.out / "link").symlink_to(settings["link"])
    with cell.metrics() as metrics:
        for step in range(1, 1 + settings.get("steps", 20)):
            metrics.write(step, evals={"index": cell.document["axes"]["index"] + step / 7})
    if "spoil" in settings:
        with open(cell.out / "metrics.jsonl", "a") as file:
            file.write(settings["spoil"])
    folder = cell.out / "checkpoints" / "last"
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(1000))
    note("end", os.getpid())
    return {"steps": metrics.steps, "evals": metrics.evals}
"""

# A training engine: what it computes at a step depends on all steps before. DIE in the environment
# says how it ends, as WAY:STEP.
TRAINING = """
import hashlib, json, os, signal, time
from harness.cell.contract import sync_folders, write_whole
from harness.cell.train import engine

@engine("trained", version=1)
def trained(cell):
    steps, (way, _, last) = cell.settings["steps"], os.environ.get("DIE", "").partition(":")
    saved = cell.resume / "state.json"
    state = {"step": 0, "weights": "", "lines": []}
    if saved.is_file():
        state = json.loads(saved.read_bytes())
    with open(os.environ["TRACE"], "a") as trace:
        trace.write(f"start {state['step']} {os.getpid()} {os.environ['RUN']}\\n")

    def write(file):
        content = json.dumps({**state, "ballast": "x" * cell.settings.get("ballast", 0)}).encode()
        file.write(content[: len(content) // 2])
        if way == "checkpoint" and state["step"] == int(last):
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        file.write(content[len(content) // 2 :])

    with cell.metrics(kept=state["lines"]) as metrics:
        for step in range(state["step"] + 1, steps + 1):
            time.sleep(cell.settings.get("step_s", 0))
            weights = hashlib.sha256(f"{state['weights']}/{step}".encode()).hexdigest()
            reward = int(weights[:8], 16) / 2**32
            if last == str(step):
                if way == "step":
                    os.kill(os.getpid(), signal.SIGKILL)
                if way == "nan":
                    reward = float("nan")
                if way == "memory":
                    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
                if way == "crash":
                    raise RuntimeError("it lost its way")
                if way == "hang":
                    cell.progress(step - 1, steps)
                    time.sleep(60)
            metrics.write(step, evals={"heldout.pass_at_1": reward}, reward=reward)
            cell.progress(step, steps, reward=reward, pass_at_1=reward)
            line = {"step": step, "reward": reward, "evals": {"heldout.pass_at_1": reward}}
            state = {"step": step, "weights": weights, "lines": [*state["lines"], line]}
            if step % 4 == 0:
                write_whole(saved, write)
                sync_folders(cell.resume)
                cell.checkpointed(step)
    warnings = ["every reward was 0"] if cell.settings.get("dull") else []
    return {"steps": metrics.steps, "evals": metrics.evals, "weights": state["weights"],
            "warnings": warnings}
"""


def install_engine(site: Path) -> Path:
    """Write the package of both engines into a folder, for use as PYTHONPATH."""
    info = site / "scripted-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[harness.engines]\nscripted = scripted_engine\ntrained = trained_engine\n"
    )
    (site / "scripted_engine.py").write_text(ENGINE)
    (site / "trained_engine.py").write_text(TRAINING)
    return site


class TracingBackend(ProcessBackend):
    """The process backend, with what the engines need in the environment."""

    def __init__(self, site: Path, trace: Path, run: str = "0", die: str | None = None) -> None:
        self._extra = {"PYTHONPATH": str(site), "TRACE": str(trace), "RUN": run}
        self._extra["DIE"] = os.environ.get("DIE", "") if die is None else die

    def environment(self, job: Job, scratch: Path) -> dict[str, str]:
        return {**super().environment(job, scratch), **self._extra}


@dataclass(frozen=True)
class FilesBackend:
    """A backend, and a cell of it, that leaves the files of a cell and starts no process."""

    result: str = '{"status": "ok"}'
    ending: Ending = Ending.EXITED
    name = "files"

    def missing(self) -> str:
        return ""

    def session(self, _owner: Path) -> AbstractContextManager[None]:
        return nullcontext()

    def start(self, job: Job) -> FilesBackend:
        (job.folder / "log.txt").write_text("log\n")
        (job.out / "metrics.jsonl").write_text('{"step": 1}\n')
        (job.out / "result.json").write_text(self.result)
        (job.out / "checkpoints").mkdir()
        (job.out / "checkpoints" / "weights.bin").write_bytes(bytes(1000))
        return self

    def wait(self) -> CellExit:
        return CellExit(self.ending, 0, 1.0, 1.0, None)

    def stop(self) -> None:
        pass

    def provenance(self) -> dict[str, object]:
        return {}


_VERSIONS = {"scripted": 3, "trained": 1}


def scripted_cell(index: int, **settings: object) -> Cell:
    """A cell of engine `scripted`, or of the one that `engine` names."""
    engine = str(settings.pop("engine", "scripted"))
    axes = {"index": index}
    document: dict[str, object] = {
        "schema": 1,
        "suite": "toy",
        "suite_version": 1,
        "tier": "micro",
        "engine": engine,
        "engine_version": _VERSIONS[engine],
        "axes": axes,
        "settings": settings,
        "pins": {},
    }
    return Cell(cell_id(document), axes, document)


def scripted_cells(count: int, **settings: object) -> list[Cell]:
    return [scripted_cell(index, **settings) for index in range(count)]


def events(trace: Path, what: str) -> list[tuple[int, int, str]]:
    """(index of the cell, process id, run) of every note of this kind."""
    lines = trace.read_text().splitlines() if trace.exists() else []
    words = [line.split() for line in lines]
    return [(int(w[1]), int(w[2]), w[3]) for w in words if w[0] == what]


def index_rows(store: Store) -> dict[str, dict[str, object]]:
    """Cell -> its row, as a user's own query finds it."""
    with closing(sqlite3.connect(store.index_path)) as connection:
        connection.row_factory = sqlite3.Row
        return {row["cell_id"]: dict(row) for row in connection.execute("SELECT * FROM cells")}


def driver(*arguments: object, **settings: object) -> list[str]:
    """The command line of a run in a process of its own."""
    words = [str(argument) for argument in arguments]
    return [sys.executable, "-m", "tests.run.driver", *words, json.dumps(settings)]


def start_driver(*arguments: object, **settings: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        driver(*arguments, **settings), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def process_state(pid: int) -> str | None:
    """The letter that Linux has for the state of a process, None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None
    return stat.rpartition(")")[2].split()[0]


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    return process_state(pid) not in (None, "Z")


def kill(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)
