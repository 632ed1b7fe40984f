"""What `harness fit TABLE` prints: the fit, how far it can be trusted, and what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from harness.cli.show import console
from harness.report.describe import (
    flags_in_words,
    next_basin_in_words,
    objective_in_words,
    starts_in_words,
)
from harness.report.document import fit_document, held_out_document, profile_document
from harness.report.held import HEADS, RIVAL_HEADS, held_rows, rival_rows
from harness.report.intervals import curve_interval, kind_of_interval, shared_interval
from harness.report.numbers import format_value, significant
from harness.report.style import formula, symbol, unit_of
from harness.tablefit.fitting import told_group

if TYPE_CHECKING:
    from collections.abc import Collection

    from rich.console import JustifyMethod

    from harness.analysis import Fit, Resample
    from harness.tablefit.fitting import TableFit


def document(found: TableFit) -> dict[str, Any]:
    """The result as data."""
    return {
        "fit": fit_document(found.fit, found.resample),
        "held_out": [held_out_document(found.fit, one) for one in found.held_out],
        "rivals": list(found.rivals),
        "profiles": [profile_document(one) for one in found.profiles],
        "notes": list(found.notes),
    }


def print_fit(found: TableFit) -> None:
    """Print the fit for a person."""
    fit = found.fit
    screen = console()
    screen.print(Text(f"{fit.law}  ", style="bold").append(formula(fit), style="not bold"))
    screen.print(f"{fit.n:,} points of {_counted(fit)}; {objective_in_words(fit)}")
    for table in (_parameters(found), _curves(fit, found.resample)):
        if table.row_count:
            screen.print(table)
    told = ", ".join(f"{value:.3f}" for value in fit.r2_by_curve.values())
    if len(fit.r2_by_curve) > 1:
        screen.print(
            f"R2 pooled over all points: {fit.r2:.4f} (of each curve: {told})", soft_wrap=True
        )
    certificate = fit.certificate
    screen.print(
        f"objective {significant(fit.objective, 7)}, gradient "
        f"{significant(certificate.gradient_norm, 2)}, condition number "
        f"{significant(certificate.condition_number, 3)}; {starts_in_words(fit)}, "
        f"{next_basin_in_words(fit)}",
        soft_wrap=True,
    )
    if found.held_out:
        screen.print(_held_out(found))
    if found.rivals:
        screen.print(_rivals(found))
    for one in found.profiles:
        text = format_value(fit.params[one.parameter], one.low, one.high)
        screen.print(
            f"profile likelihood, {one.level:.0%}: {symbol(one.parameter)} = {text}"
            + (f" ({one.note})" if one.note else ""),
            soft_wrap=True,
        )
    flags = flags_in_words(fit, found.resample)
    if not flags:
        screen.print("no flags", style="green")
    for flag, meaning in flags:
        screen.print(
            Text(f"! {flag}: ", style="yellow").append(meaning, style="default"), soft_wrap=True
        )
    for note in found.notes:
        screen.print(f"note: {note}", soft_wrap=True)


def _counted(fit: Fit) -> str:
    count = len(fit.r2_by_curve)
    return f"{count} curve" if count == 1 else f"{count} curves"


def _table(*heads: str, words: Collection[str] = ()) -> Table:
    """Columns of numbers, right-aligned, but for the first and those of `words`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for rank, head in enumerate(heads):
        justify: JustifyMethod = "right" if rank and head not in words else "left"
        table.add_column(head, justify=justify, overflow="fold")
    return table


def _parameters(found: TableFit) -> Table:
    """Shared parameters with intervals."""
    fit, resample = found.fit, found.resample
    table = _table("parameter", f"value ({kind_of_interval(resample)})", "unit")
    for name, value in fit.params.items():
        text = format_value(value, *shared_interval(fit, resample, name))
        table.add_row(symbol(name), text, unit_of(fit, name))
    return table


def _curves(fit: Fit, resample: Resample | None) -> Table:
    """A row for each curve: its own parameters, and how well the law describes it."""
    table = _table(fit.group, *(symbol(name) for name in fit.by_curve), "R2")
    for value, r2 in sorted(fit.r2_by_curve.items()):
        cells = []
        for name, values in fit.by_curve.items():
            ends = curve_interval(fit, resample, name, value)
            cells.append(format_value(values[value], *ends))
        table.add_row(told_group(fit, value), *cells, f"{r2:.3f}")
    return table


def _held_out(found: TableFit) -> Table:
    table = _table(*HEADS, words=(HEADS[1], HEADS[2], HEADS[-1]))
    for row in held_rows(found.fit, found.held_out):
        table.add_row(*row.cells)
    return table


def _rivals(found: TableFit) -> Table:
    """The law asked for and its rivals on the same points, the least BIC first."""
    table = _table(*RIVAL_HEADS, words=RIVAL_HEADS[-1:])
    for row in rival_rows(found.rivals):
        table.add_row(*row)
    return table
