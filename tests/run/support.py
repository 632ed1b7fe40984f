"""Cells, an engine and a backend for tests that need real processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.run.containers import CellExit, Ending
from harness.run.containers.process import ProcessBackend
from harness.spec.grid import Cell
from harness.spec.identity import cell_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.run.containers import Limits
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


def install_engine(site: Path) -> Path:
    """Write the package of engine `scripted` into a folder, for use as PYTHONPATH."""
    info = site / "scripted-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[harness.engines]\nscripted = scripted_engine\n")
    (site / "scripted_engine.py").write_text(ENGINE)
    return site


class TracingBackend(ProcessBackend):
    """The process backend, with what engine `scripted` needs in the environment."""

    def __init__(self, site: Path, trace: Path, run: str = "0") -> None:
        self._extra = {"PYTHONPATH": str(site), "TRACE": str(trace), "RUN": run}

    def environment(self, scratch: Path, data_root: Path) -> dict[str, str]:
        return {**super().environment(scratch, data_root), **self._extra}


@dataclass(frozen=True)
class FilesBackend:
    """A backend, and a cell of it, that leaves the files of a cell and starts no process."""

    result: str = '{"status": "ok"}'
    ending: Ending = Ending.EXITED
    name = "files"

    def start(self, cell_dir: Path, out_dir: Path, data_root: Path, limits: Limits) -> FilesBackend:
        (cell_dir / "log.txt").write_text("log\n")
        (out_dir / "metrics.jsonl").write_text('{"step": 1}\n')
        (out_dir / "result.json").write_text(self.result)
        (out_dir / "checkpoints").mkdir()
        (out_dir / "checkpoints" / "weights.bin").write_bytes(bytes(1000))
        return self

    def wait(self) -> CellExit:
        return CellExit(self.ending, 0, 1.0, 1.0, None)

    def stop(self) -> None:
        pass

    def provenance(self) -> dict[str, object]:
        return {}


def scripted_cell(index: int, **settings: object) -> Cell:
    axes = {"index": index}
    document: dict[str, object] = {
        "schema": 1,
        "suite": "toy",
        "suite_version": 1,
        "tier": "micro",
        "engine": "scripted",
        "engine_version": 3,
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


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def kill(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)
