"""Kinds of LaTeX table in a registry: `table` with R2 per curve, `table-compact` in one line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.errors import SuiteError
from harness.report import latex
from harness.report.describe import flags_in_words, interval_in_words
from harness.report.intervals import curve_interval, shared_interval
from harness.report.model import MissingError, declared_fits
from harness.report.numbers import common_exponent, format_value, is_withheld, value_label
from harness.report.summaries import summaries_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.report.model import ReportInput, TableDeclaration

    Build = Callable[[TableDeclaration, Sequence[str], Sequence[str], ReportInput], str]

_KINDS: dict[str, Build] = {}
# Kinds that show no fit.
_OF_SUMMARIES: dict[str, Callable[[TableDeclaration, ReportInput], str]] = {
    "table-summaries": summaries_table
}
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
        if declaration.kind not in _KINDS and declaration.kind not in _OF_SUMMARIES:
            raise SuiteError(
                f"table {declaration.name!r} is of an unknown kind",
                expected=f"one of {', '.join(sorted([*_KINDS, *_OF_SUMMARIES]))}",
                found=declaration.kind,
                hint="correct the kind in the suite file's tables",
            )
        try:
            if declaration.kind in _OF_SUMMARIES:
                yield declaration.name, _OF_SUMMARIES[declaration.kind](declaration, report)
                continue
            names = declared_fits(declaration.fits, report)
        except MissingError as error:
            yield declaration.name, f"% not set: {' '.join(error.message.split())}\n"
            continue
        params = _params(declaration, names, report)
        yield declaration.name, _KINDS[declaration.kind](declaration, names, params, report)


@table_kind("table")
def full_table(
    declaration: TableDeclaration, names: Sequence[str], params: Sequence[str], report: ReportInput
) -> str:
    """Parameters with intervals, and below them R2 per curve with the pooled one at the end."""
    curves = sorted({curve for name in names for curve in report.fits[name].r2_by_curve})
    marks = _Marks(names, report)
    blocks = _parameter_blocks(names, params, report, marks, points=True)
    if len(curves) <= _MOST_SIZES:
        blocks.append(_r2_by_curve(names, curves, report))
    else:
        blocks.append(_r2_ranges(names, report))
    notes = [*marks.notes(), *_open_intervals(names, params, report)]
    caption = _caption(report, names, r2=True)
    return latex.floating(blocks, notes, caption=caption, label=declaration.name)


@table_kind("table-compact")
def compact_table(
    declaration: TableDeclaration, names: Sequence[str], params: Sequence[str], report: ReportInput
) -> str:
    """Parameters with intervals only."""
    marks = _Marks(names, report)
    blocks = _parameter_blocks(names, params, report, marks, points=False)
    notes = [*marks.notes(), *_open_intervals(names, params, report)]
    caption = _caption(report, names, r2=False)
    return latex.floating(blocks, notes, caption=caption, label=declaration.name)


class _Marks:
    """A letter for each flag that a fit of the table has, to stand beside its name."""

    def __init__(self, names: Sequence[str], report: ReportInput) -> None:
        self._flags = {
            name: flags_in_words(report.fits[name], None) for name in names if name in report.fits
        }
        told = dict.fromkeys(flag for flags in self._flags.values() for flag in flags)
        self._letters = {flag: _letter(rank) for rank, flag in enumerate(told)}

    def beside(self, name: str) -> str:
        """The fit's name as LaTeX, with its marks."""
        letters = ",".join(self._letters[flag] for flag in self._flags[name])
        return latex.escape(name) + (f"$^{{{letters}}}$" if letters else "")

    def notes(self) -> list[str]:
        """What each mark says."""
        return [
            f"$^{{{letter}}}$ {latex.escape(flag)}: {latex.escape(meaning)}."
            for (flag, meaning), letter in self._letters.items()
        ]


def _letter(rank: int) -> str:
    """a to z, then aa, ab, ..."""
    head, tail = divmod(rank, 26)
    return (_letter(head - 1) if head else "") + chr(ord("a") + tail)


def _params(
    declaration: TableDeclaration, names: Sequence[str], report: ReportInput
) -> Sequence[str]:
    """What the declaration names, else the shared parameters, else those of each curve."""
    if declaration.params:
        return declaration.params
    fits = [report.fits[name] for name in names]
    shared = dict.fromkeys(parameter for fit in fits for parameter in fit.params)
    return list(shared or dict.fromkeys(parameter for fit in fits for parameter in fit.by_curve))


def _parameter_blocks(
    names: Sequence[str],
    params: Sequence[str],
    report: ReportInput,
    marks: _Marks,
    *,
    points: bool,
) -> list[str]:
    """A block of all shared parameters, and one for each parameter that every curve has itself."""
    fits = [report.fits[name] for name in names]
    own = [p for p in params if any(p in fit.by_curve for fit in fits)]
    shared = [p for p in params if p not in own]
    blocks = [_of_curves(names, parameter, report, marks) for parameter in own]
    if shared or not own:
        blocks.insert(0, _shared(names, shared, report, marks, points=points))
    return blocks


def _shared(
    names: Sequence[str],
    params: Sequence[str],
    report: ReportInput,
    marks: _Marks,
    *,
    points: bool,
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
        fit, resample = report.fits[name], report.resamples.get(name)
        cells = [marks.beside(name)]
        for parameter in params:
            value = fit.params.get(parameter)
            ends = (None, None) if value is None else shared_interval(fit, resample, parameter)
            cells.append(format_value(value, *ends, style="latex", exponent=exponents[parameter]))
        if points:
            cells.append(str(fit.n))
        rows.append(cells)
    if points:
        head.append("$n$")
    return latex.tabular("l" + "r" * (len(head) - 1), head, rows)


def _of_curves(names: Sequence[str], parameter: str, report: ReportInput, marks: _Marks) -> str:
    """Curves down and fits across, or the other way round if that is narrower."""
    having = [name for name in names if parameter in report.fits[name].by_curve]
    fits = [report.fits[name] for name in having]
    curves = sorted({curve for fit in fits for curve in fit.by_curve[parameter]})
    values = [value for fit in fits for value in fit.by_curve[parameter].values()]
    exponent = common_exponent(values)
    cells = {
        (name, curve): format_value(
            fit.by_curve[parameter].get(curve),
            *(
                curve_interval(fit, report.resamples.get(name), parameter, curve)
                if curve in fit.by_curve[parameter]
                else (None, None)
            ),
            style="latex",
            exponent=exponent,
        )
        for name, fit in zip(having, fits, strict=True)
        for curve in curves
    }
    symbol = latex.parameter_head(parameter, exponent)
    labels = {curve: latex.escape(value_label(fits[0].group, curve)) for curve in curves}
    group = latex.parameter_head(fits[0].group, 0)
    if len(having) <= len(curves):
        head = [f"{symbol} by {group}", *(marks.beside(name) for name in having)]
        rows = [[labels[curve], *(cells[name, curve] for name in having)] for curve in curves]
    else:
        head = [f"{symbol} by {group}", *labels.values()]
        rows = [[marks.beside(name), *(cells[name, curve] for curve in curves)] for name in having]
    return latex.tabular("l" + "r" * (len(head) - 1), head, rows)


def _open_intervals(names: Sequence[str], params: Sequence[str], report: ReportInput) -> list[str]:
    """What the resampling says of itself, for each fit that shows an interval without an end, or
    none at all.
    """
    notes = []
    for name in names:
        resample = report.resamples.get(name)
        shown = [resample.intervals.get(p, (None, None)) for p in params] if resample else []
        lacking = [
            is_withheld(lo, hi) or hi == math.inf or lo in (0.0, -math.inf) for lo, hi in shown
        ]
        if resample and any(lacking):
            notes.append(f"{latex.escape(name)}: {latex.escape(resample.note)}.")
    return notes


def _r2_by_curve(names: Sequence[str], curves: Sequence[float], report: ReportInput) -> str:
    group = report.fits[names[0]].group
    head = ["$R^2$ per curve", *(value_label(group, one) for one in curves), "pooled"]
    rows = []
    for name in names:
        fit = report.fits[name]
        values = [fit.r2_by_curve.get(one) for one in curves]
        pooled = f"{fit.r2:.4f}" if fit.r2_by_curve else "--"
        rows.append([latex.escape(name), *(latex.fixed(v, 3) for v in values), pooled])
    return latex.tabular("l" + "r" * len(curves) + "|r", head, rows)


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


def _caption(report: ReportInput, names: Sequence[str], *, r2: bool) -> str:
    resamples = [report.resamples.get(name) for name in names]
    told = " or ".join(dict.fromkeys(interval_in_words(one) for one in resamples))
    text = (
        f"{latex.escape(report.title)} ({latex.escape(report.suite)} version {report.version}, "
        f"tier {latex.escape(report.tier)}). Intervals: {latex.escape(told)}."
    )
    if r2:
        text += " $R^2$ in linear loss, of each curve and pooled over all points."
    return text
