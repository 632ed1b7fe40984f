"""Planning: `harness plan`, from the suite file to the number of cells that a store lacks.

One process for each figure, the start of Python included, best of three. The suite has four axes
(models, algorithms, a learning rate, seeds); each cell's settings hold text made from three of
them. The lock is held against data, laws, engines, packages and all cells; every identity is
computed and looked up in the store. `--where` adds a selection that each cell is held against. The
peers list the same number of jobs: snakemake a dry run of one rule with a wildcard, each output
missing; doit the list of its tasks, without looking whether they are up to date. snakemake is taken
from PATH, or installed with uv into a temporary environment, and left out where neither works.
python -m benchmarks.bench_plan --json prints the rows as JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.grid import TIER, write_suite
from benchmarks.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# ru_maxrss begins with the peak of the process that starts another, so that one must be small.
MEASURE = """\
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
wall = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
per_mb = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss is in bytes there
cpu = used.ru_utime + used.ru_stime
print(json.dumps({"cpu_s": cpu, "wall_s": wall, "rss_mb": used.ru_maxrss / per_mb}))
sys.exit(code)
"""
LIMITS_S = {10_000: 0.5, 100_000: 5.0, 1_000_000: 60.0}
LIMIT_MB = 1000.0
PEER_JOBS = {"snakemake": (1_000, 10_000), "doit": (10_000, 100_000)}

SNAKEFILE = """\
rule all:
    input: [f"out/{{n}}.json" for n in range({count})]
rule cell:
    output: "out/{{n}}.json"
    shell: "echo {{wildcards.n}} > {{output}}"
"""
DODO = """\
def task_cell():
    for n in range({count}):
        yield {{"name": str(n), "actions": [f"echo {{n}} > out/{{n}}.json"],
               "targets": [f"out/{{n}}.json"]}}
"""


@dataclass(frozen=True)
class Usage:
    """What one process took; `rss_mb` is its peak."""

    cpu_s: float
    wall_s: float
    rss_mb: float


def measure() -> Iterable[Row]:
    """All figures; needs about two minutes."""
    with tempfile.TemporaryDirectory(prefix="bench-plan-") as folder:
        root = Path(folder)
        bare = _best([sys.executable, "-c", "pass"], root)
        yield Row("reference: start of a bare Python", bare.cpu_s, "s CPU")
        ours: dict[int, Usage] = {}
        for count, limit in {1_000: None, **LIMITS_S}.items():
            ours[count] = _ours(root, count)
            yield Row(f"plan of {count:,} cells, wall", ours[count].wall_s, "s", limit)
            yield Row(f"plan of {count:,} cells, CPU", ours[count].cpu_s, "s")
        largest = max(LIMITS_S)
        yield Row(f"plan of {largest:,} cells, memory", ours[largest].rss_mb, "MB", LIMIT_MB)
        chosen = _ours(root, largest, "--where", "model.N >= 7e9 and seed > 0")
        yield Row(f"plan of {largest:,} cells with --where, wall", chosen.wall_s, "s", 60.0)
        yield from _peers(root, ours)


def _ours(root: Path, count: int, *options: str) -> Usage:
    folder = root / f"suite-{count}"
    if not folder.exists():
        write_suite(folder, count)
    command = [sys.executable, "-m", "harness", "plan", str(folder), "--tier", TIER, *options]
    return _best(command, Path(__file__).parents[1])


def _peers(root: Path, ours: dict[int, Usage]) -> Iterator[Row]:
    snakemake = _snakemake(root)
    if snakemake is not None:
        for count in PEER_JOBS["snakemake"]:
            folder = root / f"snakemake-{count}"
            folder.mkdir()
            (folder / "Snakefile").write_text(SNAKEFILE.format(count=count))
            theirs = _usage([snakemake, "--dry-run", "--quiet", "all", "--cores", "1"], folder)
            yield _peer(f"snakemake, dry run of {count:,}", theirs, ours[count])
    if importlib.util.find_spec("doit") is not None:
        for count in PEER_JOBS["doit"]:
            folder = root / f"doit-{count}"
            folder.mkdir()
            (folder / "dodo.py").write_text(DODO.format(count=count))
            theirs = _usage([sys.executable, "-m", "doit", "list", "--all"], folder)
            yield _peer(f"doit, list of {count:,}", theirs, ours[count])


def _peer(what: str, theirs: Usage, ours: Usage) -> Row:
    note = f"{theirs.wall_s / ours.wall_s:.1f} times ours; {theirs.rss_mb:.0f} MB"
    return Row(what, theirs.wall_s, "s", note=note)


def _snakemake(root: Path) -> str | None:
    found = shutil.which("snakemake")
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if found is not None or uv is None:
        return found
    environment = root / "peers"
    python = str(environment / "bin" / "python")
    links = os.environ.get("PIP_FIND_LINKS")  # uv has another name for pip's setting
    settings = {**os.environ, **({"UV_FIND_LINKS": links} if links else {})}
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(environment)],
        [uv, "pip", "install", "--quiet", "--python", python, "snakemake"],
    ):
        if subprocess.run(command, env=settings, check=False, capture_output=True).returncode:
            return None
    return str(environment / "bin" / "snakemake")


def _best(command: list[str], cwd: Path) -> Usage:
    return min((_usage(command, cwd) for _ in range(3)), key=lambda usage: usage.wall_s)


def _usage(command: list[str], cwd: Path) -> Usage:
    """Run a command alone, as the only child of a small process that measures it."""
    measured = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, *command], cwd=cwd, check=False, capture_output=True
    )
    if measured.returncode != 0:
        errors = measured.stderr.decode(errors="replace")
        raise RuntimeError(f"{command} failed:\n{errors[-2000:]}")
    return Usage(**json.loads(measured.stdout))


if __name__ == "__main__":
    for row in measure():
        if "--json" in sys.argv[1:]:
            print(json.dumps({**asdict(row), "kept": row.kept}))
        else:
            print(f"{row.what:50} {row.value:10.3f} {row.unit:6} {row.note}")
