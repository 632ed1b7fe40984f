"""The published tier of every suite, from an empty workspace to the report.

Each row is one `harness all NAME`, whole and in a process of its own: every cell is computed, every
fit made, every figure drawn in three formats. CPU seconds are of the command and of all processes
that it starts. Verdicts are those that the suites expect; another one stops the benchmark.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import Row, show
from harness.spec.discovery import list_suites

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
LIMIT_S = 60.0  # of all suites one after the other, on two cores


def measure() -> Iterator[Row]:
    """A row for each suite, and their sum; needs a minute.

    Raises:
        CalledProcessError: a suite has another verdict than it expects.
    """
    walls, cpus = [], []
    for name in list_suites():
        wall, cpu = _all(name)
        walls.append(wall)
        cpus.append(cpu)
        yield Row(f"`harness all {name}`", wall, "s", note=f"wall; CPU {cpu:.3g} s")
    yield Row(f"all {len(walls)} suites, one after the other", sum(walls), "s", LIMIT_S, "wall")
    yield Row("the same, CPU", sum(cpus), "s")


def _all(name: str) -> tuple[float, float]:
    """Wall and CPU seconds of one suite."""
    # Beside this file: /tmp may be in memory, where fsync costs nothing.
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix=".suites-") as workspace:
        command = [sys.executable, "-m", "harness", "all", name, "--as-expected"]
        before, start = _children(), time.perf_counter()
        command += ["--workspace", workspace]
        before, start = _children(), time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        return time.perf_counter() - start, _children() - before


def _children() -> float:
    """CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the rows, one per line, or as JSON."""
    parser = argparse.ArgumentParser(description="Measure the published tier of every suite.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    show(list(measure()), as_json=parser.parse_args().json)


if __name__ == "__main__":
    main()
