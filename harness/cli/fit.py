"""The verb `fit`, on a suite's finished cells or on a table of one's own, and the verb `laws`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.app import app, print_json
from harness.cli.options import (
    DEFAULT_TIER,
    DEFAULT_WORKSPACE,
    AcceptDrift,
    AsJson,
    Reason,
    Tier,
    Workspace,
    request,
)

if TYPE_CHECKING:
    from harness.tablefit.fitting import Wish

_TABLE_ENDINGS = (".csv", ".parquet")
_OF_SUITES = ("tier", "workspace", "accept_drift", "reason")
_OF_BOTH = ("target", "where", "as_json")
_TABLE = "A table of your own"


def _for_tables(*names: str, **settings: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_TABLE, **settings)


@app.command()
def fit(
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="SUITE|TABLE",
            help="A suite, or a table: a .csv or .parquet file, - for CSV from standard input.",
        ),
    ],
    *,
    where: Annotated[
        str | None,
        typer.Option(
            "--where", metavar="EXPR", help="Keep cells of a suite, or rows of a table: 'N < 7e9'."
        ),
    ] = None,
    as_json: AsJson = False,
    tier: Tier = DEFAULT_TIER,
    workspace: Workspace = DEFAULT_WORKSPACE,
    accept_drift: AcceptDrift = False,
    reason: Reason = "",
    law: Annotated[str, _for_tables("--law", help="See `harness laws`.")] = "loglinear_kn",
    x: Annotated[str, _for_tables("--x", metavar="COLUMN", help="Abscissa.")] = "C",
    y: Annotated[str, _for_tables("--y", metavar="COLUMN", help="Loss.")] = "ErrRate",
    group: Annotated[
        str, _for_tables("--group", metavar="COLUMN", help="What tells curves apart.")
    ] = "N",
    one_curve: Annotated[
        bool, _for_tables("--one-curve", help="The table is one curve; no group.")
    ] = False,
    run: Annotated[
        str | None,
        _for_tables("--run", metavar="COLUMN", help="What tells runs of one curve apart."),
    ] = None,
    space: Annotated[
        str, _for_tables("--space", help="Residuals in L (linear), log10 L (log10) or relative.")
    ] = "linear",
    loss: Annotated[str, _for_tables("--loss", help="squares, huber or lad.")] = "squares",
    delta: Annotated[
        float | None, _for_tables("--delta", help="Where the Huber loss turns linear.")
    ] = None,
    weights: Annotated[
        str, _for_tables("--weights", help="What weighs the same: per_curve or per_point.")
    ] = "per_curve",
    drop_first: Annotated[
        int, _for_tables("--drop-first", min=0, help="Points cut from each curve's head.")
    ] = 0,
    drop_last: Annotated[
        int, _for_tables("--drop-last", min=0, help="Points cut from each curve's tail.")
    ] = 0,
    skip_gaps: Annotated[
        bool, _for_tables("--skip-gaps", help="Leave rows without x or y out.")
    ] = False,
    resample: Annotated[
        str | None,
        _for_tables(
            "--resample",
            metavar="curve|block|COLUMN|none",
            help="What is drawn for the intervals (default: curves, where there are 5 or more).",
        ),
    ] = None,
    draws: Annotated[int, _for_tables("--n", min=1, help="How often it is drawn.")] = 1000,
    seed: Annotated[int, _for_tables("--seed", min=0, help="Seed of the draws.")] = 0,
    rival: Annotated[
        list[str] | None, _for_tables("--rival", metavar="LAW", help="Compare with this law.")
    ] = None,
    profile: Annotated[
        list[str] | None,
        _for_tables("--profile", metavar="PARAMETER", help="Its profile-likelihood interval."),
    ] = None,
    figure: Annotated[
        Path | None,
        _for_tables("--figure", help="File of the figure: .svg, .pdf, .png [fit-LAW.svg]."),
    ] = None,
    no_figure: Annotated[bool, _for_tables("--no-figure", help="Draw none.")] = False,
) -> None:
    """Fit laws: a suite's, to its finished cells; or one, to a table of your own."""
    given = [
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if not is_table(target):
        _refuse(given, [*_OF_SUITES, *_OF_BOTH], "a table")
        asked = request(target, tier, where, workspace, accept_drift=accept_drift, reason=reason)
        _fit_suite(asked, as_json=as_json)
        return
    _refuse(given, [name for name in context.params if name not in _OF_SUITES], "a suite")
    if one_curve and "group" in given:
        raise typer.BadParameter("--group goes without --one-curve", param_hint="--group")
    if no_figure and figure is not None:
        raise typer.BadParameter("--figure goes without --no-figure", param_hint="--figure")
    from harness.tablefit.fitting import Wish

    # What is not said is left to the estimator, whose defaults these are.
    options = {
        "weights": weights,
        "space": space,
        "loss": loss,
        "delta": delta,
        "run": run,
        "drop_first": drop_first,
        "drop_last": drop_last,
    }
    wish = Wish(
        source=target,
        law=law,
        x=x,
        y=y,
        group=None if one_curve else group,
        where=where,
        skip_gaps=skip_gaps,
        options={name: value for name, value in options.items() if name in given},
        resample_by=resample,
        n=draws,
        seed=seed,
        rivals=tuple(rival or ()),
        profiles=tuple(profile or ()),
    )
    path = None if no_figure else figure or Path(f"fit-{law}.svg")
    _fit_table(wish, path, as_json=as_json)


def is_table(target: str) -> bool:
    """Whether the argument of `fit` means a table: a file, or what is called like one."""
    return (
        target == "-" or target.lower().endswith(_TABLE_ENDINGS) or Path(target).is_file()
    ) and not target.lower().endswith((".yaml", ".yml"))


def _refuse(given: list[str], known: list[str], other: str) -> None:
    foreign = [name for name in given if name not in known]
    if foreign:
        option = _SPELLED.get(foreign[0], "--" + foreign[0].replace("_", "-"))
        raise typer.BadParameter(f"it goes with {other}, which this is not", param_hint=option)


_SPELLED = {"draws": "--n"}


def _fit_suite(asked: Any, *, as_json: bool) -> None:
    from harness import pipeline
    from harness.checking import quantities_of
    from harness.cli.show import console, fit_table, held_out_table

    fitted = pipeline.fit(pipeline.collect(pipeline.lock(pipeline.load(asked))))
    if as_json:
        print_json(quantities_of(fitted))
        return
    tables = [fit_table(fitted.analyses), held_out_table(fitted.analyses)]
    console().print(*[table for table in tables if table.row_count], sep="\n")


def _fit_table(wish: Wish, path: Path | None, *, as_json: bool) -> None:
    from harness.cli.fitted import document, print_fit
    from harness.tablefit.drawing import check_format, write_figure
    from harness.tablefit.fitting import fit_table

    if path is not None:
        check_format(path)
    found = fit_table(wish)
    thinned = ""
    if path is not None:
        name = wish.law if wish.source == "-" else f"{Path(wish.source).stem}: {wish.law}"
        thinned = write_figure(found, name, path)
    if as_json:
        print_json({**document(found), "figure": path})
        return
    print_fit(found)
    if path is not None:
        typer.echo(f"figure: {path}" + (f" ({thinned})" if thinned else ""))


@app.command()
def laws(*, as_json: AsJson = False) -> None:
    """List the laws that a fit can use, with their formulas and parameters."""
    from harness.analysis.laws import get_law, law_names

    known = [get_law(name) for name in law_names()]
    if as_json:
        keys = ("name", "version", "formula", "source", "identifiability", "shared", "per_curve")
        print_json([{key: getattr(law, key) for key in keys} for law in known])
        return
    for law in known:
        typer.echo(f"{law.name} v{law.version}\n  {law.formula}")
        for kind, parameters in (("shared", law.shared), ("of each curve", law.per_curve)):
            for one in parameters:
                unit = "" if one.unit == "1" else f" ({one.unit})"
                typer.echo(f"  {one.name}{unit}, {kind}: {one.meaning}")
        typer.echo(f"  {law.identifiability}\n  {law.source}")
