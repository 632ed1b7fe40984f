"""The verbs of the pipeline. Each imports what it needs when it runs, so that --help is quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.app import app, print_json
from harness.cli.options import (
    DEFAULT_TIER,
    DEFAULT_WORKSPACE,
    AcceptDrift,
    AsExpected,
    AsJson,
    Container,
    DryRun,
    Everything,
    Gpus,
    Image,
    Reason,
    SuiteName,
    Tier,
    Where,
    Workers,
    Workspace,
    request,
)
from harness.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.last import LastReport
    from harness.run.containers import Choice
    from harness.run.outcome import RunOutcome
    from harness.run.plan import Plan
    from harness.steps import Checked, Locked


@app.command()
def plan(
    suite: SuiteName,
    *,
    tier: Tier = DEFAULT_TIER,
    where: Where = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    accept_drift: AcceptDrift = False,
    reason: Reason = "",
    power: Annotated[
        bool, typer.Option("--power", help="Say how many seeds each margin takes, and their cost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which cells are finished, which are to be run, and what that is expected to cost."""
    from harness import pipeline

    asked = request(suite, tier, where, workspace, accept_drift=accept_drift, reason=reason)
    locked = pipeline.lock(pipeline.load(asked))
    if power:
        _show_power(locked, as_json=as_json)
    else:
        _show_plan(pipeline.plan(locked), as_json=as_json)


@app.command()
def run(
    suite: SuiteName,
    *,
    tier: Tier = DEFAULT_TIER,
    where: Where = None,
    cell: Annotated[
        str | None, typer.Option("--cell", metavar="ID", help="Only the cell with this id.")
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    workers: Workers = None,
    container: Container = None,
    image: Image = None,
    gpus: Gpus = None,
    accept_drift: AcceptDrift = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run the cells that are not finished."""
    from harness import pipeline

    asked = request(
        suite,
        tier,
        where,
        workspace,
        workers=workers,
        accept_drift=accept_drift,
        reason=reason,
        container=container,
        image=image,
        gpus=gpus,
    )
    locked = pipeline.lock(pipeline.load(asked))
    planned = pipeline.plan(locked)
    if dry_run:
        if cell is not None:
            typer.echo(f"would run cell {pipeline.one_cell(locked, planned, cell).id}", err=True)
        _show_plan(planned, as_json=as_json)
        return
    outcome = _run_cells(locked, planned, quiet=as_json, only=cell)
    if as_json:
        print_json(
            {
                "finished_before": planned.finished,
                "counts": outcome.counts,
                "computed": outcome.computed,
                "failures": outcome.failures,
                "warned": outcome.warned,
            }
        )
    _leave_if_failed(outcome)


@app.command()
def check(
    suite: SuiteName,
    *,
    tier: Tier = DEFAULT_TIER,
    where: Where = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    everything: Everything = False,
    as_expected: AsExpected = False,
    accept_drift: AcceptDrift = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Hold the fits against the golden file; exits with the verdict's code."""
    from harness import pipeline

    asked = request(suite, tier, where, workspace, accept_drift=accept_drift, reason=reason)
    loaded = pipeline.load(asked)
    checked = pipeline.check(pipeline.fit(pipeline.collect(pipeline.lock(loaded))))
    _show_verdict(checked, everything=everything, as_json=as_json)
    _record_first_run(checked, dry_run=dry_run)
    code = pipeline.exit_code(checked.verdict, loaded.tier, as_expected=as_expected)
    raise typer.Exit(int(code))


@app.command()
def report(
    suite: SuiteName,
    *,
    tier: Tier = DEFAULT_TIER,
    where: Where = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    accept_drift: AcceptDrift = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Write the report of the cells that are finished: HTML, figures, tables, JUnit, JSON."""
    from harness import pipeline

    asked = request(suite, tier, where, workspace, accept_drift=accept_drift, reason=reason)
    timing: dict[str, float] = {}
    with pipeline.timed(timing, "fit"):
        fitted = pipeline.fit(pipeline.collect(pipeline.lock(pipeline.load(asked))))
    path = pipeline.report(pipeline.check(fitted), timing)
    if as_json:
        print_json({"report": path})
    else:
        typer.echo(f"report: {path}")


@app.command(name="all")
def everything(
    suite: SuiteName,
    *,
    tier: Tier = DEFAULT_TIER,
    where: Where = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    workers: Workers = None,
    container: Container = None,
    image: Image = None,
    gpus: Gpus = None,
    everything: Everything = False,
    as_expected: AsExpected = False,
    accept_drift: AcceptDrift = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Do it all: run what is missing, fit, check, report; exits with the verdict's code."""
    from harness import pipeline
    from harness.reporting import check_figures, check_parameters

    asked = request(
        suite,
        tier,
        where,
        workspace,
        workers=workers,
        accept_drift=accept_drift,
        reason=reason,
        container=container,
        image=image,
        gpus=gpus,
    )
    timing: dict[str, float] = {}
    with pipeline.timed(timing, "load and lock"):
        loaded = pipeline.load(asked)
        # What would spoil the end is told before cells run.
        pipeline.golden(loaded)
        check_parameters(loaded.suite)
        locked = pipeline.lock(loaded)
    with pipeline.timed(timing, "plan"):
        planned = pipeline.plan(locked)
        if planned.todo:
            check_figures(loaded.suite)
    if dry_run:
        _show_plan(planned, as_json=as_json)
        return
    with pipeline.timed(timing, "run"):
        outcome = _run_cells(locked, planned, quiet=as_json)
    may_be_short = not (planned.todo or everything or as_json)
    if may_be_short and (last := pipeline.unchanged(locked)) is not None:
        _show_unchanged(last)
        code = pipeline.exit_code(last.verdict, loaded.tier, as_expected=as_expected)
        raise typer.Exit(int(code))
    with pipeline.timed(timing, "collect"):
        collected = pipeline.collect(locked)
    with pipeline.timed(timing, "fit"):
        fitted = pipeline.fit(collected)
    with pipeline.timed(timing, "check"):
        checked = pipeline.check(fitted)
    path = pipeline.report(checked, timing)
    _show_verdict(checked, everything=everything, as_json=as_json, report=path)
    _record_first_run(checked, dry_run=False)
    if not as_json:
        typer.echo(f"report: {path}")
    _leave_if_failed(outcome)
    code = pipeline.exit_code(checked.verdict, loaded.tier, as_expected=as_expected)
    raise typer.Exit(int(code))


def _show_unchanged(last: LastReport) -> None:
    typer.echo("nothing has changed since the last report; --everything shows its tables again")
    typer.echo(f"verdict: {last.verdict.value}\n{last.headline}")
    for note in last.notes:
        typer.echo(note)
    typer.echo(f"report: {last.page}")


def _show_power(locked: Locked, *, as_json: bool) -> None:
    from harness.cli.show import console, power_table
    from harness.planning import needs

    found = needs(locked)
    if as_json:
        print_json(found)
    elif found:
        console().print(power_table(found))
    else:
        typer.echo("this tier has no golden file: see docs/add-a-golden.md")


def _show_plan(planned: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "total": planned.total,
                "finished": planned.finished,
                "todo": planned.todo,
                "cost_s": planned.cost_s,
                "budget_s": planned.budget.wall_s,
                "over_budget": planned.over_budget,
            }
        )
        return
    typer.echo(
        f"{planned.total:,} cells: {planned.finished:,} finished, {planned.todo:,} to be run"
    )
    if planned.cost_s is not None:
        typer.echo(f"expected: {planned.cost_s:g} s of cells, budget {planned.budget.wall_s} s")


def _run_cells(
    locked: Locked, planned: Plan, *, quiet: bool, only: str | None = None
) -> RunOutcome:
    from harness import pipeline

    if not quiet:
        typer.echo(
            f"{locked.loaded.suite.name}, tier {locked.loaded.tier.name}: {planned.total:,} cells, "
            f"{planned.finished:,} finished before",
            err=True,
        )
    if not planned.todo:
        return pipeline.run(locked, planned, only=only)
    from harness.cli.progress import shown

    workers = locked.loaded.request.workers
    choice = pipeline.choose_backend(locked.loaded)
    if not quiet:
        _tell_choice(choice, locked.loaded.tier.image)
    with shown(1 if only else planned.todo, workers, quiet=quiet) as add:
        outcome = pipeline.run(locked, planned, backend=choice.backend, on_event=add, only=only)
    _show_warnings(outcome)
    for failure in outcome.failures:
        typer.echo(
            f"cell {failure.cell.id[:12]} {failure.status}: {failure.message}\n"
            f"  log:   {failure.folder}\n  rerun: {failure.command}",
            err=True,
        )
    return outcome


def _tell_choice(choice: Choice, image: str) -> None:
    """What cells run in, unless it is the plain default; and why nothing stronger."""
    for name, reason in choice.passed_over.items():
        typer.echo(f"not in {name}: {reason.partition(chr(10))[0]}", err=True)
    if choice.backend.name != "process":
        typer.echo(f"cells run in {choice.backend.name}, image {image}", err=True)
    elif choice.passed_over:
        typer.echo("cells run as processes of this machine", err=True)


_MOST_WARNED = 5  # cells that are named for one warning


def _show_warnings(outcome: RunOutcome) -> None:
    """What finished cells found doubtful about their own numbers: each warning once."""
    by_text: dict[str, list[str]] = {}
    for one in outcome.warned:
        for text in one.warnings:
            by_text.setdefault(text, []).append(one.cell.id[:12])
    for text, cells in by_text.items():
        more = f" and {len(cells) - _MOST_WARNED} more" if len(cells) > _MOST_WARNED else ""
        typer.echo(f"warning: {text}\n  cells: {', '.join(cells[:_MOST_WARNED])}{more}", err=True)


def _show_verdict(
    checked: Checked, *, everything: bool, as_json: bool, report: Path | None = None
) -> None:
    from harness.cli.show import (
        behind_verdict,
        closing_line,
        console,
        fit_table,
        held_out_table,
        verdict_table,
    )
    from harness.verdict.expectation import is_expected

    if as_json:
        print_json(
            {
                "verdict": checked.verdict,
                "expected": checked.expected,
                "as_expected": is_expected(checked.verdict, checked.expected),
                "comparisons": checked.comparisons,
                # A pooled R2 is not to be read without those of the curves.
                "r2_by_curve": {
                    name: one.outcome.fit.r2_by_curve
                    for name, one in checked.fitted.analyses.items()
                    if one.outcome is not None
                },
                "without_entry": checked.without_entry,
                "accepted_drift": _accepted_drift(checked),
                "report": report,
            }
        )
        return
    screen = console()
    drift = _accepted_drift(checked)
    if drift is not None:
        screen.print(f"lock drift was accepted ({drift['reason']}):", style="yellow")
        for difference in drift["differences"]:
            screen.print(f"  {difference}", style="yellow", soft_wrap=True)
    analyses = checked.fitted.analyses
    shown = behind_verdict(checked.comparisons, analyses, everything=everything)
    tables = [fit_table(shown), held_out_table(shown)]
    screen.print(*[table for table in tables if table.row_count], sep="\n")
    if others := len(analyses) - len(shown):
        screen.print(f"{others} further fits: --everything or the report shows them\n")
    if checked.comparisons:
        screen.print(
            verdict_table(checked.comparisons, analyses, everything=everything, width=screen.width)
        )
    screen.print(closing_line(checked), soft_wrap=True)


def _accepted_drift(checked: Checked) -> dict[str, Any] | None:
    """The lock drift that this run went on with, and the reason given."""
    locked = checked.fitted.collected.locked
    if not locked.drift:
        return None
    reason = locked.loaded.request.accepted_drift
    return {"reason": reason, "differences": [str(one) for one in locked.drift]}


def _record_first_run(checked: Checked, *, dry_run: bool) -> None:
    """Write goldens for quantities that have none, and say that this is not a success."""
    if not checked.without_entry:
        return
    told = f"{len(checked.without_entry)} quantities have no golden entry"
    tier = checked.fitted.collected.locked.loaded.tier
    if tier.level == "R3":
        told += "; a trained tier's are made of other seeds: harness golden record --help"
    elif not checked.recorded:
        told += "; they are recorded from a whole tier as it was locked, which this run is not"
    elif dry_run:
        told += " and would be recorded"
    else:
        from harness.goldens import record_first_run

        path = record_first_run(checked)
        told += f"; this run's numbers were recorded in {path}"
        if checked.golden is None:
            told += (
                "\n  NO GOLDEN FILE WAS THERE, so that this run was held against nothing. If this "
                f"tier had one, bring it back: git checkout -- {path}"
            )
        told += "\n  next: check each against an independent source, then run again"
    typer.echo(told, err=True)


_MOST_CAUSES = 3  # why cells failed, told once more at the end


def _leave_if_failed(outcome: RunOutcome) -> None:
    if outcome.failures:
        causes = dict.fromkeys(one.message.partition("\n")[0] for one in outcome.failures)
        told = [
            f"{len(outcome.failures)} of {outcome.total} cells have no result:",
            *(f"  {cause}" for cause in list(causes)[:_MOST_CAUSES]),
        ]
        if len(causes) > _MOST_CAUSES:
            told.append(f"  and {len(causes) - _MOST_CAUSES} other causes, told above")
        told.append(
            "what is finished is kept; once this is mended, the same command goes on from here"
        )
        typer.echo("\n".join(told), err=True)
        raise typer.Exit(int(ExitCode.INFRASTRUCTURE))
