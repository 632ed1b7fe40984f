"""What the harness adds to the work itself: rerun with nothing to do, and overhead of one cell.

A rerun with nothing to do is `harness run`, whole: the suite is read, the lock held against all
cells, every identity computed and found in the store, on a warm disk cache. The overhead of one
cell is all that happens around its process: claim, folder, spec, log, SHA-256, fsync, rename,
index. It is measured with a backend that writes the files of a replayed cell (105 steps) and starts
no process.
Peers are measured in the same run where they are installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.grid import TIER, finish_all, write_suite
from benchmarks.rows import Row
from harness.run.containers import CellExit, Ending, Job
from harness.run.containers.process import ProcessBackend
from harness.run.provenance import collect
from harness.run.scheduler import run_cells
from harness.run.store import Store
from harness.spec.grid import Cell
from harness.spec.identity import cell_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

CELLS = 100
METRICS = "".join(
    json.dumps({"step": step, "samples": 512 * step, "evals": {"holdout.ErrRate": step / 7}}) + "\n"
    for step in range(1, 106)
)
DODO = """
def task_cell():
    for number in range({count}):
        yield {{"name": str(number), "actions": [lambda: True], "uptodate": [True]}}
"""


def measure() -> Iterable[Row]:
    """All figures; needs a minute or two, most of it to make the large store."""
    # Beside this file: /tmp may be in memory, where fsync costs nothing.
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix=".store-") as folder:
        root = Path(folder)
        # First: after the large stores the disk is busy for a while.
        yield from _one_cell(root)
        yield from _nothing_to_do(root)


def _nothing_to_do(root: Path) -> Iterator[Row]:
    for count in (10_000, 100_000):
        suite = write_suite(root / f"suite-{count}", count)
        workspace = root / f"workspace-{count}"
        store = Store(workspace / "store")
        finish_all(suite, store)
        os.sync()  # what was just made must not be written to disk while the rerun is measured
        if count == 100_000:
            scan = median(_seconds(store.finished) for _ in range(5))
            yield Row(f"scan of {count:,} finished cells", scan, "s", 0.15)
        command = [sys.executable, "-m", "harness", "run", str(suite), "--tier", TIER]
        command += ["--workspace", str(workspace)]
        ours = median(_process_seconds(command) for _ in range(5))
        limit = 1.0 if count == 100_000 else None
        yield Row(f"`harness run` over {count:,} finished cells, one process", ours, "s", limit)
        if importlib.util.find_spec("doit") is not None:
            theirs = _doit_seconds(root / f"doit-{count}", count)
            note = f"{_times(theirs, ours)}; looks for no output of a task"
            yield Row(
                f"doit, nothing to do among {count:,} tasks, one process", theirs, "s", note=note
            )


def _one_cell(root: Path) -> Iterator[Row]:
    start = time.perf_counter()
    provenance = collect()
    yield Row("provenance of a run", time.perf_counter() - start, "s", 0.15)
    cells = [_cell(number) for number in range(CELLS)]
    walls, cpus, floors = [], [], []
    for repeat in range(5):
        store = Store(root / f"store-null-{repeat}")
        cpu, wall = time.process_time(), time.perf_counter()
        run_cells(cells, store, NullBackend(), root, provenance=provenance)
        walls.append((time.perf_counter() - wall) / CELLS * 1e3)
        cpus.append((time.process_time() - cpu) / CELLS * 1e3)
        floors.append(_seconds(partial(_plain_files, root / f"plain-{repeat}")) / CELLS * 1e3)
    ours = median(walls)
    yield Row("overhead of one cell, process start excluded", ours, "ms", 20.0, "wall")
    yield Row("the same, CPU", median(cpus), "ms")
    yield Row(
        "reference: as many files written, each with fsync", median(floors), "ms", note="wall"
    )

    script = [sys.executable, "-c", "pass"]
    yield Row("reference: start of a bare Python", median(map(_run_ms, [script] * 20)), "ms")
    replay = replay_cells(root, 20)
    wall = time.perf_counter()
    outcome = run_cells(replay, Store(root / "store-replay"), ProcessBackend(), root)
    wall = (time.perf_counter() - wall) / len(replay) * 1e3
    assert outcome.computed == len(replay), outcome.failures
    yield Row("one replayed cell, its process included", wall, "ms")
    if importlib.util.find_spec("benchexec") is not None:
        theirs = _benchexec_ms()
        yield Row(
            "BenchExec, one run, process start excluded", theirs, "ms", note=_times(theirs, ours)
        )


def _plain_files(folder: Path) -> None:
    for number in range(CELLS):
        target = folder / str(number)
        target.mkdir(parents=True)
        for name in ("spec", "log", "metrics", "result", "record"):
            with (target / name).open("w") as file:
                file.write(METRICS if name == "metrics" else METRICS[:1000])
                file.flush()
                os.fsync(file.fileno())


class NullBackend:
    """Writes what a replayed cell writes, and starts no process."""

    name = "null"

    def missing(self) -> str:
        """Nothing."""
        return ""

    def session(self, _owner: Path) -> AbstractContextManager[None]:
        """Nothing to prepare."""
        return nullcontext()

    def start(self, job: Job) -> NullCell:
        """Write the files."""
        (job.folder / "log.txt").write_text("")
        (job.out / "metrics.jsonl").write_text(METRICS)
        (job.out / "result.json").write_text('{"schema": 1, "status": "ok", "steps": 105}')
        return NullCell()

    def provenance(self) -> Mapping[str, object]:
        """Nothing runs."""
        return {"backend": self.name, "digest": None}


class NullCell:
    """A cell that has ended before it began."""

    def wait(self) -> CellExit:
        """Success."""
        return CellExit(Ending.EXITED, 0, 0.0, 0.0, 0)

    def stop(self) -> None:
        """There is nothing to stop."""


def _cell(number: int) -> Cell:
    axes = {"model": {"id": "Qwen2.5-7B", "N": 7e9}, "seed": number}
    settings = {"lr": 1e-6, "batch_size": 512, "rollout_n": 8, "temperature": 1.0}
    head = {"schema": 1, "suite": "bench", "suite_version": 1, "tier": "null"}
    engine = {"engine": "null", "engine_version": 1}
    document = {**head, **engine, "axes": axes, "settings": settings, "pins": {}}
    return Cell(cell_id(document), axes, document)


def replay_cells(root: Path, count: int) -> list[Cell]:
    """Cells of engine `replay` with a curve of 105 points, whose data lie in `root`."""
    rows = "".join(f"{step},{step / 7}\n" for step in range(1, 106))
    digest = _write(root / "curve.csv", f"step,ErrRate\n{rows}")
    curve = {"data": "curve", "select": {}, "columns": {"step": "step"}}
    cells = []
    for number in range(count):
        document = {
            **_cell(number).document,
            "engine": "replay",
            "settings": {"curve": {**curve, "evals": {"holdout.ErrRate": "ErrRate"}}},
            "pins": {"data": {"curve": {"path": "curve.csv", "sha256": digest}}},
        }
        cells.append(Cell(cell_id(document), {"seed": number}, document))
    return cells


def _write(path: Path, text: str) -> str:
    from hashlib import sha256

    path.write_text(text)
    return sha256(text.encode()).hexdigest()


def _doit_seconds(folder: Path, count: int) -> float:
    folder.mkdir()
    (folder / "dodo.py").write_text(DODO.format(count=count))
    command = [sys.executable, "-m", "doit", "--verbosity", "0"]
    _process_seconds(command, cwd=folder)
    return median(_process_seconds(command, cwd=folder) for _ in range(2))


def _benchexec_ms() -> float:
    script = (
        "import time, statistics, subprocess, logging; logging.disable(logging.CRITICAL);"
        "from benchexec.runexecutor import RunExecutor; e = RunExecutor(use_namespaces=False);"
        "clock = time.perf_counter\n"
        "def ms(f):\n s = clock(); f(); return 1e3 * (clock() - s)\n"
        "theirs = [ms(lambda: e.execute_run(['/bin/true'], '/dev/null')) for _ in range(20)]\n"
        "bare = [ms(lambda: subprocess.run(['/bin/true'])) for _ in range(20)]\n"
        "print(statistics.median(theirs) - statistics.median(bare))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    return float(done.stdout)


def _times(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.1f} times ours"


def _run_ms(command: list[str]) -> float:
    return 1e3 * _process_seconds(command)


def _process_seconds(command: list[str], cwd: Path | None = None) -> float:
    root = Path(__file__).parents[1] if cwd is None else cwd
    return _seconds(lambda: subprocess.run(command, cwd=root, check=True, capture_output=True))


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    if "--json" in sys.argv:
        print(json.dumps([{**vars(row), "kept": row.kept} for row in measure()], indent=1))
    else:
        from benchmarks.__main__ import main

        sys.exit(main(["store"]))
