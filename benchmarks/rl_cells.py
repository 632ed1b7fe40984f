"""Whole cells as processes: two at once against one, and a rerun with nothing left to do."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rl_models import ONE_THREAD, document
from harness.cell.contract import DATA_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]
STEPS = 15
RERUN = ("all", "exp1", "--tier", "micro")
WORKSPACE = "HARNESS_WORKSPACE"
VERDICTS = frozenset({0, 1, 3})  # exit codes of a rerun that did its work, whatever it found
# Four matrices fit into the cache that a core has for itself.
PRODUCTS = """\
import numpy
a = numpy.ones((256, 256), numpy.float32)
for _ in range(10_000):
    a @ a
"""


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds of processes that started together."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Pair:
    """One process alone, and two at once."""

    alone: Cost
    both: Cost

    @property
    def throughput(self) -> float:
        """Of both, over that of one alone."""
        return 2.0 * self.alone.wall / self.both.wall

    @property
    def slower(self) -> float:
        """CPU seconds of one of both over those of one alone; does not count waiting for a core."""
        return self.both.cpu / 2.0 / self.alone.cpu


def two_at_once(folder: Path, name: str, pairs: int) -> list[Pair]:
    """Cells of the model `name`, pair by pair."""
    spec = folder / "spec.json"
    spec.write_text(json.dumps(document(folder, name, STEPS)), encoding="utf-8")
    environment = {**os.environ, **ONE_THREAD, DATA_VARIABLE: str(folder)}
    told = []
    for _ in range(pairs):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            commands = [_cell(spec, Path(out) / str(number)) for number in range(3)]
            alone = _cost(commands[:1], environment)
            told.append(Pair(alone, _cost(commands[1:], environment)))
    return told


def two_products_at_once(pairs: int) -> list[Pair]:
    """The same of processes that only multiply matrices: what the machine has to give."""
    command = [sys.executable, "-c", PRODUCTS]
    environment = {**os.environ, **ONE_THREAD}
    return [
        Pair(_cost([command], environment), _cost([command, command], environment))
        for _ in range(pairs)
    ]


def reruns(runs: int) -> list[Cost] | None:
    """Cost of `harness all exp1 --tier micro` where every cell is finished.

    Returns:
        None where the workspace that the environment names has no such store; nothing is run then.
    """
    command = [sys.executable, "-m", "harness", *RERUN]
    if WORKSPACE not in os.environ:
        return None
    planned = subprocess.run(
        [*command, "--dry-run"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if " 0 to be run" not in planned.stdout:
        return None
    return [_cost([command], os.environ, VERDICTS) for _ in range(runs)]


def _cell(spec: Path, out: Path) -> list[str]:
    out.mkdir()
    return [sys.executable, "-m", "harness.cell", str(spec), str(out)]


def _cost(
    commands: list[list[str]],
    environment: Mapping[str, str],
    accepted: frozenset[int] = frozenset({0}),
) -> Cost:
    """Of all processes, which start together, until the last has ended."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    codes = [process.wait() for process in started]
    if not accepted.issuperset(codes):
        raise RuntimeError(f"{commands[0]} ended with {codes}")
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu)
