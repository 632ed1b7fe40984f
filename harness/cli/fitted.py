"""What `harness fit TABLE` prints: the fit, how far it can be trusted, and what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from harness.cli.show import console
from harness.report.describe import flags_in_words, objective_in_words
from harness.report.document import fit_document
from harness.report.intervals import curve_interval, kind_of_interval, shared_interval
from harness.report.numbers import format_value, significant
from harness.report.style import formula, symbol, unit_of
from harness.tablefit.fitting import told_group

if TYPE_CHECKING:
    from harness.analysis import Fit, Resample
    from harness.tablefit.fitting import TableFit


def document(found: TableFit) -> dict[str, Any]:
    """The result as data."""
    return {"fit": fit_document(found.fit, found.resample), "notes": list(found.notes)}


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
    gap = certificate.second_gap
    screen.print(
        f"objective {significant(fit.objective, 7)}, gradient "
        f"{significant(certificate.gradient_norm, 2)}, condition number "
        f"{significant(certificate.condition_number, 3)}; {certificate.starts} starts, "
        f"{certificate.share_in_best:.0%} in the best basin, "
        + ("no other found" if gap is None else f"the next {gap:.2%} worse"),
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


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for rank, head in enumerate(heads):
        table.add_column(head, justify="right" if rank else "left")
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
