"""The verbs around the pipeline: looking at suites and cells, the lock, goldens, the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import app, golden_app, plain, print_json, store_app
from harness.cli.options import (
    DEFAULT_TIER,
    DEFAULT_WORKSPACE,
    AsJson,
    DryRun,
    SuiteName,
    Tier,
    Where,
    Workspace,
    request,
)
from harness.errors import ExitCode, HarnessError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.run.store import Store


def _labels(values: Mapping[str, object]) -> str:
    from harness.run.record import labels_of

    return " ".join(f"{axis}={value}" for axis, value in labels_of(values).items())


@app.command()
def suites(*, as_json: AsJson = False) -> None:
    """List the suites that a name finds."""
    from harness.spec.discovery import list_suites
    from harness.spec.load import load_suite

    listed, lines = [], []
    for name, path in list_suites().items():
        try:
            suite = load_suite(path)
        except HarnessError as error:
            # One broken suite must not hide the others.
            listed.append({"name": name, "path": path, "error": str(error)})
            lines.append(f"{name}: cannot be read\n  {error}")
            continue
        tiers = list(suite.tiers)
        about = {"name": suite.name, "version": suite.version, "title": suite.title}
        listed.append({**about, "tiers": tiers, "path": path})
        head = f"{suite.name} v{suite.version} ({', '.join(tiers)})"
        lines.append(f"{head}: {suite.title}\n  {path}")
    if as_json:
        print_json(listed)
    else:
        typer.echo("\n".join(lines) or "no suite was found")


@app.command()
def expand(
    suite: SuiteName,
    *,
    tier: Tier = DEFAULT_TIER,
    where: Where = None,
    as_json: AsJson = False,
) -> None:
    """List the cells of a tier: id and axis values."""
    from harness import pipeline

    locked = pipeline.lock(pipeline.load(request(suite, tier, where, DEFAULT_WORKSPACE)))
    for cell in pipeline.cells(locked, where):
        if as_json:
            typer.echo(json.dumps({"id": cell.id, "document": cell.document}, default=plain))
        else:
            typer.echo(f"{cell.id[:12]}  {_labels(cell.values)}")


@app.command()
def lock(
    suite: SuiteName,
    *,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> None:
    """Write suite.lock as things are now, and say what changed; --dry-run exits 4 on changes."""
    from harness.locking import relock

    told = relock(suite, dry_run=dry_run)
    if as_json:
        print_json({"path": told.path, "written": not dry_run, "changes": told.changes})
    else:
        for one in told.changes:
            typer.echo(str(one))
        verb = "would be " if dry_run else ""
        if told.is_new:
            typer.echo(f"{told.path}: {verb}written")
        elif told.changes:
            typer.echo(f"{told.path}: {len(told.changes)} entries {verb}changed")
        else:
            typer.echo(f"{told.path}: up to date")
    if dry_run and (told.is_new or told.changes):
        raise typer.Exit(int(ExitCode.LOCK_DRIFT))


@app.command()
def status(
    suite: SuiteName,
    *,
    tier: Tier = DEFAULT_TIER,
    where: Where = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Count the cells by status, and say why the failed ones failed."""
    from harness import pipeline
    from harness.inspection import status as read_status

    locked = pipeline.lock(pipeline.load(request(suite, tier, where, workspace)))
    told = read_status(locked)
    if as_json:
        print_json(told)
        return
    counts = ", ".join(f"{count} {name}" for name, count in told.counts.items() if count)
    typer.echo(f"{suite} {tier}: {counts}")
    for one in told.failures:
        typer.echo(f"  {one.cell[:12]} {_labels(one.labels)}: {one.status}: {one.message}")
        typer.echo(f"    rerun: {one.command}")


@app.command()
def explain(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Id of a cell, or its beginning.")],
    *,
    suite: Annotated[
        str | None, typer.Option("--suite", help="Look for it in this suite, not in all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a cell's identity is made of."""
    from harness.inspection import explain as find_cell

    told = find_cell(cell, suite)
    if as_json:
        print_json(told)
        return
    typer.echo(f"cell {told.cell.id}\n  = sha256 of the canonical JSON of:")
    for key, value in told.cell.document.items():
        typer.echo(f"  {key}: {json.dumps(value, sort_keys=True)}")
    typer.echo("  not in it: workspace, workers, container, paths of this machine")


@app.command()
def gc(
    *,
    workspace: Workspace = DEFAULT_WORKSPACE,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Remove the containers and folders of runs that ended abruptly."""
    from harness.cleaning import collect_garbage

    found = collect_garbage(workspace, dry_run=dry_run)
    if as_json:
        print_json(found)
        return
    for one in found.containers:
        typer.echo(f"{one.engine} container {one.id[:12]} of cell {one.cell}: {one.state}")
    for folder in found.folders:
        typer.echo(f"folder of a dead run: {folder}")
    for cell in found.checkpoints:
        typer.echo(f"checkpoints of finished cell {cell[:12]}")
    for engine, why in found.unasked.items():
        typer.echo(f"{engine} was not asked: {why}", err=True)
    count = len(found.containers) + len(found.folders) + len(found.checkpoints)
    typer.echo(f"{count} {'would be ' if dry_run else ''}removed")


@app.command()
def schema(*, as_json: AsJson = False) -> None:
    """Print the JSON Schema of suite files."""
    from harness.spec.schema import schema_text

    typer.echo(schema_text(), nl=False)


@golden_app.command("update")
def golden_update(
    suite: SuiteName,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the golden file.")],
    tier: Tier = DEFAULT_TIER,
    workspace: Workspace = DEFAULT_WORKSPACE,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Bring recorded entries to what the finished cells give; published entries stay."""
    from harness import pipeline
    from harness.goldens import update_goldens

    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    asked = request(suite, tier, None, workspace)
    checked = pipeline.check(pipeline.fit(pipeline.collect(pipeline.lock(pipeline.load(asked)))))
    changes = update_goldens(checked, reason, dry_run=dry_run)
    if as_json:
        print_json({"changes": changes, "written": bool(changes) and not dry_run})
        return
    for one in changes:
        typer.echo(f"{one.entry}: {one.before or 'nothing'} -> {one.after}")
    typer.echo(f"{len(changes)} recorded entries {'would change' if dry_run else 'changed'}")
    kept = [one for one in checked.comparisons if one.kind != "recorded"]
    beside = sum(one.verdict == "not_reproduced" for one in kept)
    typer.echo(
        f"{len(kept)} published and refit entries stay as they are, {beside} of them not reproduced"
    )


@golden_app.command("record")
def golden_record(
    suite: SuiteName,
    *,
    tier: Annotated[str, typer.Option("--tier", help="The tier that the golden file judges.")],
    source: Annotated[str, typer.Option("--from", help="The tier that holds its seeds.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the golden file.")],
    workspace: Workspace = DEFAULT_WORKSPACE,
    dry_run: DryRun = False,
) -> None:
    """Make a trained tier's golden file from another tier's seeds, with the suite's margins."""
    from harness import pipeline
    from harness.recording import record_golden

    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    target = pipeline.load(request(suite, tier, None, workspace))
    asked = request(suite, source, None, workspace)
    checked = pipeline.check(pipeline.fit(pipeline.collect(pipeline.lock(pipeline.load(asked)))))
    golden = record_golden(checked, target, reason, dry_run=dry_run)
    written = "would be written" if dry_run else "written"
    typer.echo(f"{len(golden.entries)} entries and {len(golden.bands)} bands {written}")


def _existing_store(workspace: Path) -> Store:
    """The store of a workspace that is there: one that is mistyped is not an empty one."""
    from harness.run.store import Store

    root = workspace / "store"
    if not root.is_dir():
        raise typer.BadParameter(f"there is no store in {workspace}", param_hint="--workspace")
    return Store(root)


@store_app.command("rebuild")
def store_rebuild(*, workspace: Workspace = DEFAULT_WORKSPACE, as_json: AsJson = False) -> None:
    """Make the index again from the records."""
    from harness.run.index import rebuild_index

    store = _existing_store(workspace)
    count = rebuild_index(store)
    unreadable = len(store.finished()) - sum(1 for _ in store.records())
    if as_json:
        print_json({"records": count, "unreadable": unreadable})
    else:
        typer.echo(f"index rebuilt from {count} records")
    if unreadable:
        typer.echo(
            f"{unreadable} finished cells have no readable record\n"
            "  next: harness store verify --quarantine",
            err=True,
        )
        raise typer.Exit(int(ExitCode.INFRASTRUCTURE))


@store_app.command("verify")
def store_verify(
    *,
    workspace: Workspace = DEFAULT_WORKSPACE,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Move damaged cells aside, to be run again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every file of every finished cell and compare its sha256; exits 5 on damage."""
    store = _existing_store(workspace)
    damages = list(store.verify())
    moved = {}
    if quarantine:
        moved = {one: store.quarantine(one) for one in {damage.cell_id for damage in damages}}
    if as_json:
        print_json({"damaged": damages, "quarantined": moved})
    else:
        for damage in damages:
            typer.echo(f"{damage.path}: {damage.reason}")
        for path in moved.values():
            typer.echo(f"moved to {path}")
        typer.echo(f"{len(damages)} damaged files in {len(store.finished()) + len(moved)} cells")
    if damages and not quarantine:
        typer.echo("next: harness store verify --quarantine, then harness run SUITE")
        raise typer.Exit(int(ExitCode.INFRASTRUCTURE))


@store_app.command("unfinished")
def store_unfinished(
    *,
    workspace: Workspace = DEFAULT_WORKSPACE,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove them; cells that are running keep theirs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the checkpoints that unfinished cells would go on from; --remove: begin anew."""
    store = _existing_store(workspace)
    found = list(store.unfinished())
    removed = store.sweep_unfinished(everything=True) if remove else []
    if as_json:
        print_json({"unfinished": found, "removed": removed})
        return
    for one in found:
        step = "no step told" if one.step is None else f"step {one.step}"
        state = "finished" if one.finished else "running" if one.running else "to be resumed"
        gone = ", removed" if one.cell_id in removed else ""
        typer.echo(f"{one.cell_id[:12]} {state}: {step}, {one.bytes:,} bytes, {one.folder}{gone}")
    typer.echo(f"{len(found)} cells with checkpoints, {len(removed)} removed")
