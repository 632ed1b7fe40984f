"""The application object that the verbs register with, and what they all print with."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Rerun published scaling laws of RL post-training and judge the result.",
    epilog="Exit codes: 0 reproduced (or drifted inside the margin), 1 not reproduced, 2 usage, "
    "3 inconclusive, 4 lock drift, 5 infrastructure.",
)
golden_app = typer.Typer(no_args_is_help=True, help="Golden files.", rich_markup_mode=None)
store_app = typer.Typer(
    no_args_is_help=True, help="The store of finished cells.", rich_markup_mode=None
)
app.add_typer(golden_app, name="golden")
app.add_typer(store_app, name="store")


def _show_version(value: bool) -> None:  # noqa: FBT001 - the signature is typer's
    if value:
        from harness import __version__

        typer.echo(f"rl-scaling-harness {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Carry the options that come before a verb."""


def print_json(value: Any) -> None:
    """Print what a program may read; NaN becomes null, since JSON has none."""
    typer.echo(json.dumps(plain(value), indent=1, allow_nan=False))


def plain(value: Any) -> Any:
    """JSON for what the pipeline returns: dataclasses, paths, sets, NumPy numbers and arrays."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    return str(value)
