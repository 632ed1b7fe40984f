"""The whole flow, one function a step: load, expand, lock, plan, run, collect, fit, check, report.

Each step takes what the steps before it gave (harness.steps) and returns a value; `harness all`
calls them one after the other. What a step needs from the world (disk, processes, clock) stands
behind the modules that it imports, each when it is called, so that a short command stays short.
"""

from __future__ import annotations

import os
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from harness.errors import LockDriftError, SuiteError
from harness.steps import Absent, Checked, Collected, Fitted, Loaded, Locked, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.data.stage import Staged
    from harness.errors import ExitCode
    from harness.report.last import LastReport
    from harness.run.containers import Backend, Choice, Limits
    from harness.run.outcome import RunOutcome
    from harness.run.plan import Plan
    from harness.run.scheduler import Event
    from harness.run.store import Store
    from harness.spec.grid import Cell
    from harness.spec.suite import Suite, Tier
    from harness.verdict.expectation import Expected
    from harness.verdict.golden import Golden
    from harness.verdict.model import Comparison, Verdict


_DISK_GB = 50.0  # that a cell may write where its tier does not say: no accident fills a disk


def load(request: Request) -> Loaded:
    """Read the suite file.

    Raises:
        SuiteError: it says something that cannot be, with file and line.
    """
    from harness.run.containers import container_names
    from harness.spec.discovery import find_suite
    from harness.spec.load import load_suite
    from harness.spec.nearest import did_you_mean

    known = known_versions()
    suite = load_suite(
        find_suite(request.suite), laws=known.laws, engines=known.engines, scorers=known.scorers
    )
    tier = suite.tier(request.tier)
    if tier.container not in container_names():
        raise SuiteError(
            f"no container backend is named {tier.container!r}",
            where=suite.at("tiers", tier.name),
            expected="one of " + ", ".join(container_names()),
            hint=did_you_mean(tier.container, container_names()) or "write `container: process`",
        )
    tier = replace(
        tier, container=request.container or tier.container, image=request.image or tier.image
    )
    return Loaded(request, suite.for_tier(tier.name), tier)


def golden(loaded: Loaded) -> Golden | None:
    """The golden file of the tier; None if there is none yet.

    Raises:
        SuiteError: it is no golden file, or one for something else.
    """
    from harness.verdict.golden import load_golden

    path = golden_path(loaded.suite, loaded.tier.name)
    found = load_golden(path)
    if found is None:
        return None
    is_for = (found.suite, found.suite_version, found.tier, found.level.value)
    wanted = (loaded.suite.name, loaded.suite.version, loaded.tier.name, loaded.tier.level)
    if is_for != wanted:
        raise SuiteError(
            "the golden file is for another suite, version, tier or level",
            where=str(path),
            expected="suite {}, suite_version {}, tier {}, level {}".format(*wanted),
            found="suite {}, suite_version {}, tier {}, level {}".format(*is_for),
            hint="check every entry against what the suite says now, then correct the head",
        )
    return found


def golden_path(suite: Suite, tier: str) -> Path:
    """golden/SUITE/TIER.json beside suites/, or golden/ inside a suite that stands elsewhere."""
    if suite.root.parent.name == "suites":
        return suite.root.parent.parent / "golden" / suite.name / f"{tier}.json"
    return suite.root / "golden" / f"{tier}.json"


@dataclass(frozen=True)
class Known:
    """Versions of what is registered: laws, engines and scorers, also from other packages."""

    laws: Mapping[str, int]
    engines: Mapping[str, int]
    scorers: Mapping[str, int]


def known_versions() -> Known:
    """All that a suite may name, with the versions that its lock pins."""
    import reward_scorers
    from harness.analysis.laws import get_law, law_names
    from harness.cell.engines import engine_names, engine_version

    return Known(
        laws={name: get_law(name).version for name in law_names()},
        engines={name: engine_version(name) for name in engine_names()},
        scorers=reward_scorers.versions(),
    )


def task_hashes(suite: Suite) -> dict[str, str]:
    """Hashes of the tasks of lm-eval that any tier of the suite uses.

    Raises:
        DataError: no such task.
        InfrastructureError: a public task, and lm-eval is not installed.
    """
    from harness.spec.suite import tasks_of

    names = sorted({name for tier in suite.tiers for name in tasks_of(suite.tier(tier))})
    if not names:
        return {}
    from harness.cell.evaluate.task_files import task_hashes as hashes

    return hashes(names)


def lock(loaded: Loaded) -> Locked:
    """Hold suite.lock against data, laws, engines, scorers, packages and cells as they are now.

    With accepted drift the run goes on under a lock of what was found, so that its cells are not
    taken for those of the suite as it was locked.

    Raises:
        LockDriftError: there is no lock, or a difference that the request does not accept.
    """
    from harness.spec.grid import Grid
    from harness.spec.lock import build_lock, check_lock, load_lock, locked_pins, refuse_drift

    known, suite, tier = known_versions(), loaded.suite, loaded.tier.name
    versions = (known.laws, known.engines, known.scorers, task_hashes(suite))
    locked = load_lock(suite)
    try:
        grid = Grid(suite, tier, locked)
    except LockDriftError:
        grid = None  # the lock lacks something that the cells need; check_lock tells what
    drift = check_lock(suite, locked, *versions, grid=grid)
    if loaded.request.accepted_drift is None:
        refuse_drift(suite, drift)
    if drift or grid is None:
        check_data(suite)
        fetched = locked_pins(suite, locked)
        grid = Grid(suite, tier, build_lock(suite, *versions, fetched))
    return Locked(loaded, grid, drift)


def check_data(suite: Suite, fetched: Mapping[str, Path] | None = None) -> None:
    """Hold every data file against its declaration; done whenever its bytes are new.

    Of data sets that do not stand in its folder, those in `fetched` are looked into: name -> the
    folder that the path starts from.

    Raises:
        DataError: a missing column, NaN, infinity or a repeated key, with file and line.
    """
    from harness.data.pinned import check_table

    roots = {name: suite.root for name, one in suite.data.items() if one.in_suite}
    for name, root in {**roots, **(fetched or {})}.items():
        check_table(root, suite.data[name])


def cells(locked: Locked, where: str | None) -> Iterator[Cell]:
    """The cells of the tier, or those that `where` selects."""
    return (locked.grid.cell(ordinal, name) for ordinal, name in locked.grid.ids(where))


def store_of(request: Request) -> Store:
    """The store of the workspace."""
    from harness.run.store import Store

    return Store(request.workspace / "store")


def plan(locked: Locked) -> Plan:
    """What the store has of the request, and what it lacks."""
    from harness.run.plan import make_plan

    request = locked.loaded.request
    return make_plan(locked.grid, store_of(request).finished(), where=request.where)


def choose_backend(loaded: Loaded) -> Choice:
    """What the cells of the request are to run in."""
    from harness.run.containers import Choice, choose, open_backend

    tier = loaded.tier
    if tier.container == "auto":
        return choose(tier.image, gpus=tier.resources.gpus > 0)
    return Choice(open_backend(tier.container, tier.image), {})


def run(
    locked: Locked,
    planned: Plan,
    *,
    backend: Backend | None = None,
    on_event: Callable[[Event], None] | None = None,
    only: str | None = None,
) -> RunOutcome:
    """Run the cells that the plan lacks, or only the one whose id begins with `only`.

    What is finished is left alone. Cells run in `backend`, or in what the request chooses.

    Raises:
        SuiteError: `only` begins the id of no unfinished cell, or of several.
        InfrastructureError: store or host fail. What has finished is kept.
    """
    if not planned.todo and only is None:
        from harness.run.outcome import nothing_to_do

        return nothing_to_do()
    from harness.run.provenance import collect as collect_provenance
    from harness.run.scheduler import run_cells

    loaded = locked.loaded
    gpus = gpu_groups(loaded)
    todo = 1 if only is not None else planned.todo or 1
    workers = min(loaded.request.workers, len(gpus) or loaded.request.workers, todo)
    provenance = collect_provenance()
    if locked.drift:
        accepted = {
            "reason": loaded.request.accepted_drift,
            "differences": list(map(str, locked.drift)),
        }
        provenance = {**provenance, "accepted_drift": accepted}
    chosen = planned.cells() if only is None else [one_cell(locked, planned, only)]
    data = readable_data(locked, chosen)
    if data.origins:
        provenance = {**provenance, "data": dict(data.origins)}
    return run_cells(
        chosen,
        store_of(loaded.request),
        backend or choose_backend(loaded).backend,
        data.root,
        workers=workers,
        limits=limits_of(loaded.tier, planned.budget.cell_limit_s, workers),
        gpus=gpus,
        provenance=provenance,
        on_event=on_event,
        command=partial(rerun_command, loaded.request),
    )


def limits_of(tier: Tier, wall_s: float | None, workers: int) -> Limits:
    """What each cell of a tier may use; what it does not say of memory is shared by the workers."""
    from harness.run.containers import Limits
    from harness.run.containers.container import memory_of_machine

    asked = tier.resources
    memory = memory_of_machine() / workers if asked.memory_gb is None else asked.memory_gb * 1e9
    return Limits(
        wall_s=wall_s,
        memory_bytes=int(memory),
        # No engine gives more cores than there are, and some refuse to be asked.
        cpus=None if asked.cpus is None else min(asked.cpus, os.cpu_count() or asked.cpus),
        pids=asked.pids,
        disk_bytes=int((_DISK_GB if asked.disk_gb is None else asked.disk_gb) * 1e9),
    )


def gpu_groups(loaded: Loaded) -> list[tuple[str, ...]]:
    """The GPUs of this machine or of the request, in groups of as many as a cell asks for.

    Raises:
        InfrastructureError: there are fewer than one cell asks for.
    """
    from harness.run.slots import share_out

    each, asked = loaded.tier.resources.gpus, loaded.request.gpus
    if each == 0:
        return []
    if asked is None:
        from harness.run.health import gpus_here

        # Parts of a GPU (MIG) have its index, and only their UUID is their own.
        asked = tuple(
            gpu.uuid if gpu.uuid.startswith("MIG-") else str(gpu.index) for gpu in gpus_here()
        )
    return share_out(asked, each)


def readable_data(locked: Locked, chosen: Iterable[Cell]) -> Staged:
    """The folder that cells read from: the suite's own, unless they need data that stand elsewhere.

    Raises:
        InfrastructureError: the workspace or the download cache cannot be written.
    """
    from harness.cell.contract import mapping_at
    from harness.data.stage import Staged, stage

    suite, pins = locked.loaded.suite, locked.grid.lock.data
    if all(one.in_suite for one in suite.data.values()):
        return Staged(suite.root, {})
    pinned = (mapping_at(mapping_at(cell.document, "pins"), "data") for cell in chosen)
    names = sorted({name for data in pinned for name in data})
    folder = locked.loaded.request.workspace / "data" / suite.name
    return stage({name: suite.data[name] for name in names}, pins, suite.root, folder)


def one_cell(locked: Locked, planned: Plan, prefix: str) -> Cell:
    """The unfinished cell whose id begins with `prefix`.

    Raises:
        SuiteError: there is none, or there are several.
    """
    found = [cell for cell in planned.cells() if cell.id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    raise SuiteError(
        f"{len(found) or 'no'} unfinished cells have an id that begins with {prefix!r}",
        where="--cell",
        expected="the id of one cell that is still to be run",
        found=", ".join(cell.id[:16] for cell in found[:4]) or None,
        hint=f"harness expand {locked.loaded.request.suite} --tier {locked.loaded.tier.name}",
    )


def rerun_command(request: Request, cell: Cell, _store: Store) -> str:
    """The command that runs one cell alone, in this workspace."""
    words = ["harness", "run", request.suite, "--tier", request.tier, "--cell", cell.id[:12]]
    return shlex.join([*words, "--workspace", str(request.workspace)])


def collect(locked: Locked) -> Collected:
    """Read every finished cell of the request, and note the cells of the tier that are not there.

    Raises:
        InfrastructureError: a file of a finished cell is damaged.
    """
    from harness.collect import curve_table, labels_of, read_cells

    request, suite = locked.loaded.request, locked.loaded.suite
    if suite.curves is None:
        raise SuiteError(
            "the suite says nothing of how cells become curves",
            where=str(suite.path),
            hint="add `curves: {labels: ..., columns: ...}`",
        )
    store = store_of(request)
    finished = store.finished()
    chosen = {cell_id for _, cell_id in locked.grid.ids(request.where)}
    present, absent = [], []
    for cell in cells(locked, None):
        if cell.id in chosen and cell.id in finished:
            present.append(cell)
            continue
        labels = labels_of(cell, suite.curves)
        if cell.id not in chosen:
            absent.append(Absent(cell, labels, "missing", "not selected by --where"))
        elif (failure := store.last_failure(cell.id)) is not None:
            message = str((failure.error or {}).get("message", "failed"))
            absent.append(Absent(cell, labels, failure.status.value, message))
        else:
            absent.append(Absent(cell, labels, "missing", "not run yet"))
    results = read_cells(store, present, suite.curves)
    return Collected(locked, results, curve_table(results) if results else None, absent)


def fit(collected: Collected) -> Fitted:
    """Do every analysis of the suite.

    Raises:
        SuiteError: an analysis takes several curves for one, or predicts what it has fitted.
        DataError: an analysis has all its cells and cannot be fitted all the same.
    """
    from harness.fitting import analyse

    absent = [one.labels for one in collected.absent]
    suite = collected.locked.loaded.suite
    labels = suite.curves.label_names if suite.curves else ()
    return Fitted(
        collected,
        {one.name: analyse(one, collected.curves, labels, absent) for one in suite.analyses},
    )


def check(fitted: Fitted) -> Checked:
    """Hold the numbers against the golden file; a first run writes it, and is not a success.

    With cells missing or quantities without a golden entry the verdict is inconclusive at best.
    """
    from harness.checking import objective_ratio, predict, quantities_of, with_missing
    from harness.verdict.compare import compare, unjudged
    from harness.verdict.model import Level, Verdict, overall

    loaded = fitted.collected.locked.loaded
    quantities, known = quantities_of(fitted), golden(loaded)
    comparisons: Sequence[Comparison] = ()
    if known is not None:
        found = with_missing(known, quantities, fitted)
        comparisons = compare(
            known, found, partial(objective_ratio, fitted), partial(predict, fitted)
        )
    without_entry = unjudged(known, quantities, loaded.suite.judge)
    verdict = overall(comparisons)
    absent = fitted.collected.absent
    if (without_entry or absent) and verdict is not Verdict.NOT_REPRODUCED:
        verdict = Verdict.INCONCLUSIVE
    # Only a whole tier, as it was locked, may become a golden, and a trained one only by seeds that
    # it does not judge (`recording`).
    trained = Level(loaded.tier.level) is Level.R3
    recorded = {} if absent or fitted.collected.locked.drift or trained else without_entry
    return Checked(
        fitted,
        quantities,
        comparisons,
        verdict,
        without_entry,
        recorded,
        known,
        expected_of(loaded.tier),
    )


@contextmanager
def timed(timing: dict[str, float], step: str) -> Iterator[None]:
    """Add the seconds of the block to `timing`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        timing[step] = timing.get(step, 0.0) + time.perf_counter() - started


def report(checked: Checked, timing: Mapping[str, float]) -> Path:
    """Write the report folder, named by suite, tier and time; returns the path of report.html.

    If the last report was of the same inputs it is returned as it is.
    """
    from harness.report.write import write_report
    from harness.reporting import report_input

    collected = checked.fitted.collected
    loaded = collected.locked.loaded
    finished = [one.cell.id for one in collected.results]
    inputs, last = _inputs_and_last(collected.locked, finished, collected.absent)
    if last is not None:
        return last.page
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    run_id = f"{loaded.suite.name}-{loaded.tier.name}-{now}"
    folder = loaded.request.workspace / "reports" / run_id
    return write_report(report_input(checked, run_id, timing, inputs), folder)


def unchanged(locked: Locked) -> LastReport | None:
    """The last report, if all cells are finished and it was made of them and of all else as it is.

    Fits and figures of a run that has nothing to do would be the same again.
    """
    chosen = [cell.id for cell in cells(locked, locked.loaded.request.where)]
    return _inputs_and_last(locked, chosen, ())[1]


def _inputs_and_last(
    locked: Locked, finished: Sequence[str], absent: Sequence[Absent]
) -> tuple[str, LastReport | None]:
    from harness.report.last import last_report
    from harness.reporting import inputs_sha256

    loaded = locked.loaded
    golden = golden_path(loaded.suite, loaded.tier.name)
    inputs = inputs_sha256(locked, finished, absent, golden, store_of(loaded.request))
    name = f"{loaded.suite.name}-{loaded.tier.name}"
    return inputs, last_report(loaded.request.workspace / "reports", name, inputs)


def exit_code(verdict: Verdict, tier: Tier, *, as_expected: bool) -> ExitCode:
    """The exit code of a verdict, or of whether it is what the suite expects of the tier."""
    from harness.verdict import expectation
    from harness.verdict.model import EXIT_CODES

    if as_expected:
        return expectation.exit_code(verdict, expected_of(tier))
    return EXIT_CODES[verdict]


def expected_of(tier: Tier) -> Expected | None:
    """The verdict that the suite expects of a tier; None where it says nothing."""
    from harness.verdict.expectation import Expected
    from harness.verdict.model import Verdict

    foretold = tier.expect
    return Expected(Verdict(foretold.verdict), foretold.reason) if foretold else None
