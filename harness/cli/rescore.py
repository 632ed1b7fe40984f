"""The verb `rescore`: stored answers scored again by the scorers that are installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.app import app, print_json
from harness.cli.options import DEFAULT_WORKSPACE, AsJson, Workspace
from harness.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cell.evaluate.flips import Flip, Line, Rescored

_CELL_ID_LENGTH = 64
_LEAST_PREFIX = 4  # as much of a cell's id as may be typed
_SHOWN = 20  # flips; --json has all


@app.command()
def rescore(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TARGET]...",
            help="Files of generations, folders with such files, or ids of cells; "
            "by default all cells of the workspace.",
        ),
    ] = None,
    *,
    compat: Annotated[
        str | None,
        typer.Option(
            "--compat", help="strict or reasoning360 (default: what each file was scored under)."
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Scoring processes.")] = 1,
    workspace: Workspace = DEFAULT_WORKSPACE,
    everything: Annotated[
        bool, typer.Option("--everything", help="List every flip, however many there are.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score stored answers again and list every flip; exits 1 if there is any."""
    from reward_scorers.router import POLICIES

    if compat is not None and compat not in POLICIES:
        raise typer.BadParameter(f"one of {', '.join(POLICIES)}", param_hint="--compat")
    paths = _files(targets or [], workspace)

    from harness.cell.evaluate.flips import rescore_stored
    from harness.cell.evaluate.generations import read_generations

    found = rescore_stored(list(map(read_generations, paths)), compat=compat, workers=workers)
    if as_json:
        print_json({"files": paths, **vars(found)})
    else:
        _show(found, len(paths), everything=everything)
    if found.flips:
        raise typer.Exit(int(ExitCode.NOT_REPRODUCED))


def _files(targets: Sequence[str], workspace: Path) -> list[Path]:
    """The files of all targets, each once.

    Raises:
        DataError: nothing stands there, or it holds no generations.
    """
    from harness.errors import DataError

    if not targets:
        found = _below(workspace / "store" / "cells")
        if not found:
            raise DataError(
                "no cell of the workspace has stored generations",
                where=str(workspace),
                hint="name a file or a folder, or set `evaluation.final_samples` in the tier",
            )
        return found
    files: dict[Path, None] = {}
    for target in targets:
        files |= dict.fromkeys(_of_target(target, workspace))
    return list(files)


def _of_target(target: str, workspace: Path) -> list[Path]:
    from harness.errors import DataError

    path = Path(target)
    if path.is_file():
        return [path]
    folders = [path] if path.is_dir() else _cells(target, workspace)
    if len(folders) > 1:
        raise DataError(
            f"{len(folders)} cells begin with {target!r}",
            where=str(workspace),
            hint="type more of the id: " + ", ".join(folder.name[:12] for folder in folders[:5]),
        )
    found = [file for folder in folders for file in _below(folder)]
    if found:
        return found
    if folders:
        raise DataError(
            "no generations are stored there",
            where=str(folders[0]),
            hint="set `evaluation.final_samples` in the tier, and run the cells again",
        )
    raise DataError(
        f"{target!r} is no file, no folder and no finished cell",
        where=str(workspace),
        hint="`harness plan SUITE` says what is finished; --workspace names another store",
    )


def _cells(target: str, workspace: Path) -> list[Path]:
    """The folders of finished cells whose ids begin so."""
    from harness.run.store import Store

    if not _LEAST_PREFIX <= len(target) <= _CELL_ID_LENGTH or not target.isalnum():
        return []
    store = Store(workspace / "store")
    return [store.folder(name) for name in sorted(store.finished()) if name.startswith(target)]


def _below(folder: Path) -> list[Path]:
    from harness.cell.evaluate.generations import FILE

    return sorted(folder.rglob(FILE))


def _show(found: Rescored, n_files: int, *, everything: bool) -> None:
    from rich.text import Text

    from harness.cli.show import console

    out = console()
    out.print(_summary_table(found.summary))
    if found.flips:
        shown = found.flips if everything else found.flips[:_SHOWN]
        out.print(_flip_table(shown))
        if len(shown) < len(found.flips):
            out.print(Text(f"{len(found.flips) - len(shown)} more: --everything, or --json"))
    noun = "file" if n_files == 1 else "files"
    out.print(Text(f"{len(found.flips)} flips in {found.total} stored answers of {n_files} {noun}"))


def _summary_table(lines: Sequence[Line]) -> Any:
    table = _table("Data sources")
    for name in ("data source", "scored by", "now by"):
        table.add_column(name, overflow="fold")
    for name in ("answers", "right then", "right now", "gained", "lost", "read otherwise"):
        table.add_column(name, justify="right")
    for line in lines:
        counts = (line.total, line.right_then, line.right_now, line.gained, line.lost, line.reread)
        table.add_row(line.data_source, line.stored, line.now, *map(str, counts))
    return table


def _flip_table(flips: Sequence[Flip]) -> Any:
    from rich.text import Text

    table = _table("Flips")
    for name in ("question", "sample", "score", "read then", "read now", "scorer", "why now"):
        table.add_column(name, overflow="fold")
    for flip in flips:
        then, now = flip.stored, flip.now
        scorer = then.scorer if then.scorer == now.scorer else f"{then.scorer} -> {now.scorer}"
        cells = (
            f"{flip.data_source} {flip.split} {flip.index}",
            str(flip.sample),
            f"{then.score:g} -> {now.score:g}",
            _short(then.pred),
            _short(now.pred),
            scorer,
            _short(now.reason),
        )
        table.add_row(*map(Text, cells))  # what a model wrote is no markup
    return table


def _table(title: str) -> Any:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")


def _short(text: str, most: int = 60) -> str:
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= most else text[: most - 3] + "..."
