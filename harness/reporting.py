"""What the report is given: the values of a run, put together, and the commands that repeat it."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness.errors import SuiteError
from harness.report.model import CellError, LockDrift, ReportInput, SummaryNumbers
from harness.run.provenance import collect as collect_provenance
from harness.run.record import RECORD_FILE
from harness.spec.expression import compile_expression
from harness.spec.lock import LOCK_NAME
from harness.spec.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.collect import CellResult
    from harness.run.store import Store
    from harness.spec.measures import Figure, Summary
    from harness.spec.suite import Suite
    from harness.steps import Absent, Checked, Collected, Locked, Request
    from harness.verdict.model import Quantity


def check_figures(suite: Suite) -> None:
    """Refuse figures that cannot be drawn whatever the cells give, before cells are run for them.

    Raises:
        SuiteError: with the line of the figure: an unknown kind, a key that it needs or that says
            nothing to it, a column that is not there.
    """
    import harness.report.kinds  # noqa: F401 - they register themselves
    from harness.report.drawing import figure_kinds

    for number, figure in enumerate(suite.figures):
        if figure.kind not in figure_kinds():
            raise SuiteError(
                f"no kind of figure is named {figure.kind!r}",
                where=suite.at("figures", number, "kind"),
                expected="one of " + ", ".join(figure_kinds()),
                hint=did_you_mean(figure.kind, figure_kinds()),
            )
        _check_keys(suite, number, figure)
        _check_columns(suite, number, figure)


def _check_keys(suite: Suite, number: int, figure: Figure) -> None:
    from harness.report.drawing import keys_of

    keys = keys_of(figure.kind)
    for key in keys.needs:
        if not getattr(figure, key):
            raise SuiteError(
                f"a figure of the kind {figure.kind!r} without `{key}`",
                where=suite.at("figures", number),
                expected=", ".join(keys.needs),
                hint=f"add `{key}`, or choose another kind",
            )
    known = {"name", "kind", "title", "caption", *keys.needs, *keys.takes}
    for key in sorted(figure.model_fields_set - known):
        raise SuiteError(
            f"`{key}` says nothing to a figure of the kind {figure.kind!r}",
            where=suite.at("figures", number, key),
            expected="one of " + ", ".join([*keys.needs, *keys.takes]),
            hint=f"remove `{key}`, or choose another kind",
        )


def _check_columns(suite: Suite, number: int, figure: Figure) -> None:
    table = suite.curves
    columns = table.names if table is not None else ()
    for key in ("x", "y", "group", "panels"):
        name = getattr(figure, key)
        if name is not None and name not in columns:
            raise SuiteError(
                f"figure {figure.name!r} shows a column that `curves` has not",
                where=suite.at("figures", number, key),
                expected="one of " + ", ".join(columns),
                found=name,
                hint=did_you_mean(name, columns),
            )
    if figure.where is not None:
        compile_expression(figure.where, columns, where=suite.at("figures", number, "where"))


def check_parameters(suite: Suite) -> None:
    """Refuse parameters that none of the laws concerned has, before cells are run for them.

    Raises:
        SuiteError: with the line of `params` of a figure or table, or `profile` of an analysis.
    """
    from harness.analysis.laws import get_law
    from harness.analysis.laws.law import SharedSlopeLaw

    for number, analysis in enumerate(suite.analyses):
        shared = [one.name for one in get_law(analysis.law).shared]
        _known_parameters(analysis.profile, shared, suite.at_analysis(number, "profile"))
    for key in ("figures", "tables"):
        for number, shown in enumerate(getattr(suite, key)):
            patterns = [*shown.fits, *([shown.fit] if getattr(shown, "fit", None) else [])]
            laws = {
                get_law(one.law)
                for one in suite.analyses
                if any(fnmatchcase(one.name, pattern) for pattern in patterns)
            }
            known = {one.name for law in laws for one in (*law.shared, *law.per_curve)}
            if any(isinstance(law, SharedSlopeLaw) for law in laws):
                known |= {"k", "E0"}  # their fits tell both of each curve, free or not
            _known_parameters(shown.params, sorted(known), suite.at(key, number, "params"))


def _known_parameters(names: Sequence[str], known: Sequence[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise SuiteError(
                f"no parameter is named {name!r}",
                where=where,
                expected="one of " + ", ".join(known) if known else "none: the law shares none",
                hint=did_you_mean(name, known),
            )


def inputs_sha256(
    locked: Locked, cells: Iterable[str], absent: Sequence[Absent], golden: Path, store: Store
) -> str:
    """Of all that a report of these cells is made of: equal hashes stand for equal reports.

    That is the cells' records, the suite's file, lock and golden, what was asked, this harness, the
    machine, and the libraries that compute and draw.

    Args:
        cells: ids of the finished ones; absent: those that are not finished.
    """
    suite, request = locked.loaded.suite, locked.loaded.request
    files = [suite.path, suite.root / LOCK_NAME, golden]
    done = [store.folder(one) / RECORD_FILE for one in sorted(set(cells))]
    # Which words asked for the report changes nothing in it.
    machine = {key: told for key, told in collect_provenance().items() if key != "command"}
    code = Path(harness.__file__).parent.rglob("*.py")
    told = [
        *(file.read_bytes() if file.is_file() else b"" for file in (*files, *done)),
        *(f"{file} {file.stat().st_mtime_ns}".encode() for file in sorted(code)),
        repr([(one.cell.id, one.status, one.message) for one in absent]).encode(),
        repr((request, machine)).encode(),
    ]
    digest = sha256()
    for one in told:
        digest.update(sha256(one).digest())
    return digest.hexdigest()


def report_input(
    checked: Checked, run_id: str, timing: Mapping[str, float], inputs: str
) -> ReportInput:
    """Everything that the report of this run says; `inputs` as `inputs_sha256` gives it."""
    collected = checked.fitted.collected
    locked = collected.locked
    loaded = locked.loaded
    suite, request = loaded.suite, loaded.request
    analyses = checked.fitted.analyses
    done = {name: one.outcome for name, one in analyses.items() if one.outcome is not None}
    drift = None
    if locked.drift:
        drift = LockDrift(tuple(map(str, locked.drift)), request.accepted_drift or "")
    return ReportInput(
        suite=suite.name,
        version=suite.version,
        title=suite.title,
        tier=loaded.tier.name,
        level=loaded.tier.level,
        run_id=run_id,
        inputs_sha256=inputs,
        verdict=checked.verdict,
        comparisons=checked.comparisons,
        fits={name: one.fit for name, one in done.items()},
        resamples={name: one.resample for name, one in done.items() if one.resample is not None},
        points=done,
        extrapolations={name: one.extrapolations for name, one in done.items()},
        held_out={name: one.held_out_errors for name, one in done.items()},
        rivals={name: one.rivals for name, one in done.items() if one.rivals},
        profiles={name: one.profiles for name, one in done.items() if one.profiles},
        fit_notes={name: one.notes for name, one in done.items() if one.notes},
        figures=suite.figures,
        tables=suite.tables,
        curves=collected.curves,
        incomplete={
            name: one.incomplete for name, one in analyses.items() if one.incomplete is not None
        },
        cell_errors=[
            CellError(one.cell.id, one.status, one.message)
            for one in collected.absent
            if one.status != "missing"
        ],
        provenance={**collect_provenance(), "cells": _where_cells_ran(collected.results)},
        timing=timing,
        drift=drift,
        notes=_notes(checked),
        rerun=_rerun(request),
        not_recomputed=checked.golden.not_recomputed if checked.golden else (),
        refused=checked.golden.refused if checked.golden else (),
        expected=checked.expected,
        limits=suite.limits,
        summaries={one.name: _numbers(one, checked.quantities) for one in suite.summaries},
    )


def _where_cells_ran(results: Sequence[CellResult]) -> list[str]:
    """How many cells ran in what: the engine, its version, the image and the id of it that ran."""
    places = {one.cell.id: _place(one.container) for one in results}
    return [f"{count} {place}" for place, count in sorted(Counter(places.values()).items())]


def _place(container: Mapping[str, object]) -> str:
    if container.get("digest") is None:
        return "as processes"
    told = "in {backend} {engine}, image {image} ({digest})"
    return told.format_map(defaultdict(lambda: "?", container))


def _numbers(summary: Summary, quantities: Mapping[str, Quantity]) -> SummaryNumbers:
    """The summary's quantities by their labels: summary/NAME/LABEL/LABEL."""
    values = {}
    for name, quantity in quantities.items():
        kind, _, rest = name.partition("/")
        head, _, labels = rest.partition("/")
        if kind == "summary" and head == summary.name and quantity.value is not None:
            values[tuple(labels.split("/", max(len(summary.by) - 1, 0)))] = quantity.value
    return SummaryNumbers(summary.by, values)


def _notes(checked: Checked) -> list[str]:
    """What a reader has to know besides the verdict."""
    notes = []
    if checked.fitted.collected.absent:
        count = len(checked.fitted.collected.absent)
        notes.append(f"{count} cells of the tier have no result in this run.")
    if checked.without_entry:
        notes.append(f"{len(checked.without_entry)} quantities have no golden entry.")
    return [*notes, *cell_warnings(checked.fitted.collected)]


_MOST_WARNINGS = 10


def cell_warnings(collected: Collected) -> list[str]:
    """What cells had to say of themselves, each cell once."""
    told: dict[str, str] = {}
    for one in collected.results:
        warnings = one.result.get("warnings")
        if isinstance(warnings, list) and warnings:
            told[one.cell.id] = f"Cell {one.cell.id[:12]}: {'; '.join(map(str, warnings))}."
    left = len(told) - _MOST_WARNINGS
    more = [f"{left} more cells have warnings, in their result.json."] if left > 0 else []
    return [*list(told.values())[:_MOST_WARNINGS], *more]


def _rerun(request: Request) -> tuple[str, ...]:
    """The commands that repeat this run: with the harness installed, and from a fresh checkout."""
    options = ["--tier", request.tier]
    if request.where:
        options += ["--where", request.where]
    if request.accepted_drift is not None:
        options += ["--accept-drift", "--reason", request.accepted_drift]
    command = shlex.join(["harness", "all", request.suite, *options])
    session = shlex.join(["nox", "-s", f"suite-{request.suite}", "--", *options])
    return (command, session) if request.suite.isidentifier() else (command,)
