"""Kinds of LaTeX table in a registry: `table` with R2 per curve, `table-compact` in one line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.errors import SuiteError
from harness.report import latex
from harness.report.model import MissingFitError, declared_fits
from harness.report.numbers import common_exponent, format_value, size_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.report.model import ReportInput, TableDeclaration

    Build = Callable[[TableDeclaration, Sequence[str], Sequence[str], ReportInput], str]

_KINDS: dict[str, Build] = {}
_MOST_SIZES = 8


def table_kind(name: str) -> Callable[[Build], Build]:
    """Register a function that sets one kind of table from fits and parameters."""

    def register(build: Build) -> Build:
        if name in _KINDS:
            msg = f"table kind {name!r} is registered twice"
            raise ValueError(msg)
        _KINDS[name] = build
        return build

    return register


def render_tables(report: ReportInput) -> Iterator[tuple[str, str]]:
    """Name and LaTeX text of every table that the suite declares.

    A table of fits that this run could not make says so in a comment.

    Raises:
        SuiteError: a declaration names an unknown kind.
    """
    for declaration in report.tables:
        if declaration.kind not in _KINDS:
            raise SuiteError(
                f"table {declaration.name!r} is of an unknown kind",
                expected=f"one of {', '.join(sorted(_KINDS))}",
                found=declaration.kind,
                hint="correct the kind in the suite file's tables",
            )
        try:
            names = declared_fits(declaration.fits, report)
        except MissingFitError as error:
            yield declaration.name, f"% not set: {' '.join(error.message.split())}\n"
            continue
        params = _params(declaration, names, report)
        yield declaration.name, _KINDS[declaration.kind](declaration, names, params, report)


@table_kind("table")
def full_table(
    declaration: TableDeclaration, names: Sequence[str], params: Sequence[str], report: ReportInput
) -> str:
    """Parameters with intervals, and below them R2 per curve with the pooled one at the end."""
    sizes = sorted({N for name in names for N in report.fits[name].r2_by_curve})
    blocks = [_parameters(names, params, report, points=True)]
    if len(sizes) <= _MOST_SIZES:
        blocks.append(_r2_by_size(names, sizes, report))
    else:
        blocks.append(_r2_ranges(names, report))
    notes = _open_intervals(names, params, report)
    return latex.floating(blocks, notes, caption=_caption(report, r2=True), label=declaration.name)


@table_kind("table-compact")
def compact_table(
    declaration: TableDeclaration, names: Sequence[str], params: Sequence[str], report: ReportInput
) -> str:
    """Parameters with intervals only."""
    block = _parameters(names, params, report, points=False)
    notes = _open_intervals(names, params, report)
    caption = _caption(report, r2=False)
    return latex.floating([block], notes, caption=caption, label=declaration.name)


def _params(
    declaration: TableDeclaration, names: Sequence[str], report: ReportInput
) -> Sequence[str]:
    if declaration.params:
        return declaration.params
    return list(dict.fromkeys(p for name in names for p in report.fits[name].params))


def _parameters(
    names: Sequence[str], params: Sequence[str], report: ReportInput, *, points: bool
) -> str:
    exponents = {
        parameter: common_exponent(
            [
                report.fits[name].params[parameter]
                for name in names
                if parameter in report.fits[name].params
            ]
        )
        for parameter in params
    }
    head = ["Fit", *(latex.parameter_head(p, exponents[p]) for p in params)]
    rows = []
    for name in names:
        resample = report.resamples.get(name)
        cells = [latex.escape(name)]
        for parameter in params:
            lo, hi = resample.intervals.get(parameter, (None, None)) if resample else (None, None)
            value = report.fits[name].params.get(parameter)
            cells.append(format_value(value, lo, hi, style="latex", exponent=exponents[parameter]))
        if points:
            cells.append(str(report.fits[name].n))
        rows.append(cells)
    if points:
        head.append("$n$")
    return latex.tabular("l" + "r" * (len(head) - 1), head, rows)


def _open_intervals(names: Sequence[str], params: Sequence[str], report: ReportInput) -> list[str]:
    """What the resampling says of itself, for each fit that shows an interval without an end."""
    notes = []
    for name in names:
        resample = report.resamples.get(name)
        shown = [resample.intervals.get(p, (None, None)) for p in params] if resample else []
        if resample and any(hi == math.inf or lo in (0.0, -math.inf) for lo, hi in shown):
            notes.append(f"{latex.escape(name)}: {latex.escape(resample.note)}.")
    return notes


def _r2_by_size(names: Sequence[str], sizes: Sequence[float], report: ReportInput) -> str:
    head = ["$R^2$ per curve", *(size_label(N) for N in sizes), "pooled"]
    rows = []
    for name in names:
        fit = report.fits[name]
        values = [fit.r2_by_curve.get(N) for N in sizes]
        pooled = f"{fit.r2:.4f}" if fit.r2_by_curve else "--"
        rows.append([latex.escape(name), *(latex.fixed(v, 3) for v in values), pooled])
    return latex.tabular("l" + "r" * len(sizes) + "|r", head, rows)


def _r2_ranges(names: Sequence[str], report: ReportInput) -> str:
    """For more curves than fit on a page: the worst, the middle and the best."""
    head = ["$R^2$ per curve", "lowest", "median", "highest", "pooled"]
    rows = []
    for name in names:
        fit = report.fits[name]
        values = sorted(fit.r2_by_curve.values())
        shown = [values[0], values[len(values) // 2], values[-1]] if values else [None] * 3
        pooled = f"{fit.r2:.4f}" if values else "--"
        rows.append([latex.escape(name), *(latex.fixed(v, 3) for v in shown), pooled])
    return latex.tabular("lrrr|r", head, rows)


def _caption(report: ReportInput, *, r2: bool) -> str:
    text = (
        f"{latex.escape(report.title)} ({latex.escape(report.suite)} version {report.version}, "
        f"tier {latex.escape(report.tier)}). Intervals: 95\\% of refits to resampled curves."
    )
    if r2:
        text += " $R^2$ in linear loss, of each curve and pooled over all points."
    return text
