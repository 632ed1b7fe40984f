"""What the chosen tier asks for, held against what this machine has."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Final

from harness.data.fetch import OFFLINE, locate
from harness.doctor.checks.engines import image_missing
from harness.doctor.checks.machine import memory_bytes
from harness.doctor.finding import Finding, State
from harness.doctor.registry import check
from harness.doctor.setting import Needs, Setting, gigabytes, lacking
from harness.errors import HarnessError
from harness.run.containers import backend_names
from harness.spec.grid import Grid
from harness.spec.lock import load_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.steps import Loaded

TOPIC: Final = "suite"
# What an engine imports, where cells are processes and no image brings it.
_PACKAGES: Final = {
    "torch_rl": ("torch", "transformers", "peft"),
    "verl": ("verl", "vllm", "ray"),
}
_MOST_CELLS: Final = 1000
_NO: Final = frozenset({"", "0", "false", "no"})


@check(TOPIC)
def suite(setting: Setting) -> Iterator[Finding]:
    """Rows for a chosen tier; without one there is nothing to ask for but a process."""
    needs = setting.needs
    yield container(needs)
    if setting.loaded is None:
        return
    yield cores(needs)
    yield memory(setting)
    yield disk(setting)
    yield from packages(needs)
    yield from data(setting, setting.loaded)


def container(needs: Needs) -> Finding:
    """What cells would run in."""
    asked = needs.container
    if asked != "auto":
        lacks = "" if asked == "process" else image_missing(asked, needs.image)
        if lacks:
            found = f"{asked}: {lacks.splitlines()[0]}"
            fix = f"harness run {needs.suite} --tier {needs.tier} --container auto"
            return lacking(TOPIC, "container", found, needed=True, fix=fix)
        return Finding(TOPIC, "container", State.OK, unenforced(needs, asked))
    chosen = next(name for name in backend_names() if not image_missing(name, needs.image))
    return Finding(TOPIC, "container", State.OK, f"auto: {unenforced(needs, chosen)}")


def unenforced(needs: Needs, name: str) -> str:
    """The backend, and which limits of the tier nothing enforces in it."""
    told = {"memory": needs.memory_bytes, "cores": needs.cpus, "processes": needs.pids}
    asked = [what for what, limit in told.items() if limit is not None]
    if name != "process" or not asked:
        return name
    return f"process, which does not enforce the tier's limits of {', '.join(asked)}"


def cores(needs: Needs) -> Finding:
    """Cores for one cell, and for as many as run at a time."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    have, one = here or 1, needs.cpus or 1
    if one > have:
        fix = f"use a machine with {one:g} cores, or lower resources.cpus of the tier"
        return lacking(
            TOPIC, "cores", f"{have}", needed=True, expected=f"{one:g} for each cell", fix=fix
        )
    together = one * needs.workers
    if together > have:
        found = f"{have}, for {needs.workers} cells at a time that ask for {together:g}"
        return _fewer(needs, "cores", found, int(have // one))
    return Finding(TOPIC, "cores", State.OK, f"{have}")


def memory(setting: Setting) -> Finding:
    """Memory for one cell, and for as many as run at a time."""
    needs, (total, _) = setting.needs, memory_bytes(setting)
    one = needs.memory_bytes
    if total is None or one is None:
        found = "unknown" if total is None else f"{gigabytes(total)}; the tier asks for no amount"
        return Finding(TOPIC, "memory", State.OK, found)
    if one > total:
        expected = f"{gigabytes(one)} for each cell"
        fix = "use a larger machine, or lower resources.memory_gb of the tier"
        return lacking(TOPIC, "memory", gigabytes(total), needed=True, expected=expected, fix=fix)
    if one * needs.workers > total:
        found = f"{gigabytes(total)}, for {needs.workers} cells of {gigabytes(one)} at a time"
        return _fewer(needs, "memory", found, total // one)
    return Finding(TOPIC, "memory", State.OK, f"{gigabytes(total)}, {gigabytes(one)} for each cell")


def _fewer(needs: Needs, what: str, found: str, workers: int) -> Finding:
    fix = f"harness run {needs.suite} --tier {needs.tier} --workers {max(1, workers)}"
    return Finding(TOPIC, what, State.NOTE, found, "enough for all at a time", fix)


def disk(setting: Setting) -> Finding:
    """Room for what cells write at a time."""
    needs, workspace = setting.needs, setting.workspace
    place = next(one for one in (workspace, *workspace.absolute().parents) if one.exists())
    free = shutil.disk_usage(place).free
    wanted = (needs.disk_bytes or 0) * needs.workers
    found = f"{gigabytes(free)} free in {place}"
    if free < wanted:
        return lacking(
            TOPIC,
            "disk",
            found,
            needed=True,
            expected=f"{gigabytes(wanted)} for {needs.workers} cells at a time",
            fix="export HARNESS_WORKSPACE=FOLDER   # one on a larger disk",
        )
    return Finding(TOPIC, "disk", State.OK, found)


def packages(needs: Needs) -> Iterator[Finding]:
    """What the engine imports, where no image brings it."""
    wanted = _PACKAGES.get(needs.engine, ())
    if not wanted or not needs.container_may_be("process"):
        return
    lacks = [name for name in wanted if find_spec(name) is None]
    if lacks:
        yield lacking(
            TOPIC,
            f"engine {needs.engine}",
            f"not installed: {', '.join(lacks)}",
            needed=needs.container == "process",
            expected="what the extra `train` brings",
            fix="pip install -e '.[train]' -c constraints.txt",
        )
    else:
        yield Finding(TOPIC, f"engine {needs.engine}", State.OK, f"has {', '.join(wanted)}")


def data(setting: Setting, loaded: Loaded) -> Iterator[Finding]:
    """The data sets that a run of the tier would have to fetch, and those that it would find."""
    try:
        pins = load_lock(loaded.suite)
        read = paths_read(Grid(loaded.suite, loaded.tier.name, pins))
    except HarnessError:
        return  # the check of the lock tells it
    forbidden = setting.environment.get(OFFLINE, "").lower() not in _NO
    for name, one in loaded.suite.data.items():
        if one.url is None or one.path not in read or name not in pins.data:
            continue
        pin, what = pins.data[name], f"data {name}"
        place = locate(one, loaded.suite.root, pin.sha256)
        if place is not None:
            yield Finding(TOPIC, what, State.OK, f"in the {place.origin}: {place.root / one.path}")
            continue
        yield lacking(
            TOPIC,
            what,
            f"not here; a run would download a file of {gigabytes(pin.bytes)}",
            needed=forbidden,
            expected=f"{OFFLINE} forbids to fetch it" if forbidden else "",
            fix=f"export HARNESS_MIRROR=FOLDER   # one that holds {one.path}",
        )


def paths_read(grid: Grid) -> set[str]:
    """Paths of the data sets that cells read; of a large grid, that its first cells do."""
    first = islice(grid.ids(), _MOST_CELLS)
    return {path for ordinal, name in first for path in grid.cell(ordinal, name).data_paths}
