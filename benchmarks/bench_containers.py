"""Cells in containers: what the harness adds to the same `docker run` by hand, and how starts do.

The cell is one of engine `replay` with a hundred points, in the image `cpu`. By hand it is run by
the engine's command line with the same limits, mounts and profile; ours is `run_cells`, which also
claims, stages, checks, seals and stores, and goes first. "Start" is the time until the container's
first process runs. Engines and images that are not here are left out.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.bench_store import replay_cells
from benchmarks.rows import Row
from harness.errors import HarnessError
from harness.images import resolve
from harness.run.containers import Job, open_backend
from harness.run.containers import container as cells
from harness.run.containers.hardening import seccomp_profile
from harness.run.scheduler import run_cells
from harness.run.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.spec.grid import Cell

REPEATS = 20
OVERHEAD_MS, START_MS, IMPORT_S, SIZE_GB = 50.0, 500.0, 2.0, 1.7


def measure() -> Iterator[Row]:
    """Every engine that has the image, then the image itself."""
    for engine in ("docker", "podman"):
        try:
            missing = open_backend(engine, "cpu").missing()
        except HarnessError as error:
            missing = str(error)
        if missing:
            yield Row(f"{engine}: left out", 0, "", note=missing.partition("\n")[0])
            continue
        yield from _overhead(engine)
        yield from _start(engine)
        if engine == "docker":
            yield from _image(engine)


def _overhead(engine: str) -> Iterator[Row]:
    ours, by_hand = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = replay_cells(root, REPEATS + 1)
        store = Store(root / "store")
        backend = open_backend(engine, "cpu")
        stamps: list[float] = []
        run_cells(made[:1], store, backend, root)  # what is done once: the image is looked for
        start = time.perf_counter()
        outcome = run_cells(
            made[1:],
            store,
            backend,
            root,
            on_event=lambda _event: stamps.append(time.perf_counter()),
        )
        assert outcome.computed == REPEATS, outcome.failures
        # Events come in pairs: a cell has started, a cell has finished.
        ends = [start, *stamps[1::2]]
        ours = [1e3 * (after - before) for before, after in pairwise(ends)]
        for number, cell in enumerate(made[1:]):
            by_hand.append(_by_hand(engine, root, cell, root / f"hand-{number}"))
    theirs = median(by_hand)
    yield Row(f"{engine}: a cell by hand, `{engine} run`", theirs, "ms", note=_spread(by_hand))
    yield Row(f"{engine}: the same cell by the harness", median(ours), "ms", note=_spread(ours))
    # Podman is asked twice more, each time by a process: what ran, and to remove it.
    limit, note = (OVERHEAD_MS, "") if engine == "docker" else (None, "the bar is over docker run")
    added = median(ours) - theirs
    yield Row(f"{engine}: what the harness adds, median", added, "ms", limit, note)


def _by_hand(engine: str, root: Path, cell: Cell, folder: Path) -> float:
    """Milliseconds of `docker run` with what a person would have to write."""
    out, resume = folder / "out", folder / "resume"
    for one in (out, resume):
        one.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(cell.document))
    job = Job(folder, out, resume, root, cell.data_paths)
    ownership = cells.Ownership.of_this_process(rootless=False, keeps_id=True)
    profile = folder / "seccomp.json"
    profile.write_text(json.dumps(seccomp_profile()))
    memory = str(cells.memory_bytes(job))
    words = [
        *(engine, "run", "--rm", "--interactive", "--name", f"by-hand-{secrets.token_hex(4)}"),
        *("--network", "none", "--read-only", "--cap-drop", "ALL", "--user", ownership.user),
        *("--security-opt", "no-new-privileges", "--security-opt", f"seccomp={profile}"),
        *("--memory", memory, "--memory-swap", memory, "--pids-limit", str(cells.DEFAULT_PIDS)),
        *("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096", "--ulimit", "core=0"),
        *("--tmpfs", "/tmp:rw,nosuid,nodev,size=1g", "--workdir", str(cells.OUT)),
        *("--log-driver", "none", "--entrypoint", "python3"),
    ]
    for one in cells.mounts(job):
        mode = "" if one.writable else ",readonly"
        words += ["--mount", f"type=bind,source={one.source},target={one.target}{mode}"]
    for key, value in cells.environment(job).items():
        words += ["--env", f"{key}={value}"]
    ownership.give(job)
    with ExitStack() as stack:
        reader, lease = os.pipe()
        stack.callback(os.close, reader)
        stack.callback(os.close, lease)
        start = time.perf_counter()
        done = subprocess.run(
            [*words, resolve("cpu").id, *cells.COMMAND[1:]], stdin=reader, capture_output=True
        )
        wall = 1e3 * (time.perf_counter() - start)
    assert done.returncode == 0, done.stdout + done.stderr
    return wall


def _start(engine: str) -> Iterator[Row]:
    """From asking for a container to its first process, by the clock of both."""
    image = resolve("cpu").id
    code = "import time; print(time.time())"
    starts = []
    for _ in range(REPEATS):
        before = time.time()
        told = subprocess.run(
            [*_plain(engine), image, "-c", code],
            capture_output=True,
            text=True,
            check=True,
        )
        starts.append(1e3 * (float(told.stdout) - before))
    yield Row(
        f"{engine}: warm start of a container", median(starts), "ms", START_MS, _spread(starts)
    )


def _image(engine: str) -> Iterator[Row]:
    image = resolve("cpu").id
    told = subprocess.run(
        [engine, "image", "inspect", "--format", "{{.Size}}", image],
        capture_output=True,
        text=True,
        check=True,
    )
    yield Row("image cpu", int(told.stdout) / 1e9, "GB", SIZE_GB, "1 GB is 1e9 bytes, unpacked")
    for what, more, limit in (
        ("import torch, transformers in it", "", IMPORT_S),
        (
            "the same, and the model classes of transformers",
            "; from transformers import AutoModelForCausalLM",
            None,
        ),
    ):
        code = "import time; t = time.perf_counter(); import torch, transformers" + more
        walls = []
        for _ in range(5):
            told = subprocess.run(
                [*_plain(engine), image, "-c", f"{code}; print(time.perf_counter() - t)"],
                capture_output=True,
                text=True,
                check=True,
            )
            walls.append(float(told.stdout))
        yield Row(what, median(walls), "s", limit, _spread(walls))


def _plain(engine: str) -> list[str]:
    # Podman's own limits are above what some roots may set.
    limits = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
    return [engine, "run", "--rm", "--network", "none", *limits, "--entrypoint", "python3"]


def _spread(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}, {len(values)} times"
