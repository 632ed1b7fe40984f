"""Kinds `single`, `compare-source` and `compare-x`: parameters of fits against the curves' group.

A panel for each parameter. `single` shows one fit. `compare-source` lays fits of several sources
(base and instruct) into one panel, `compare-x` fits of one source against several abscissae (C and
D); fits that differ in the other respect too get a row of panels for each of its values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter

from harness.analysis.laws import get_law
from harness.report.drawing import Drawing, figure_kind
from harness.report.intervals import curve_interval, shared_interval
from harness.report.kinds import canvas
from harness.report.model import MissingError
from harness.report.numbers import significant, size_label, value_label
from harness.report.style import PAPER, SERIES, TEXT, formula, symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from harness.analysis.laws import Parameter
    from harness.report.kinds.canvas import Array, View
    from harness.report.model import FigureDeclaration, ReportInput
    from harness.report.style import Look

    Label = Callable[[View, Sequence[View]], str]

_COLUMNS = 2
_KEY, _GUTTER, _PANEL, _BOTTOM, _TITLE = 1.45, 0.80, 2.0, 0.52, 0.30
_MARGIN = 0.15  # right of the panels where there is no key
_NUDGE = 0.05  # decades between the points of two fits at one place
_LARGE = 1e5  # numbers of a tick that are not written out
_DECADES = 1.7  # positive values that spread further than this get a log axis


@dataclass(frozen=True, slots=True)
class _Panel:
    """One pair of axes: a parameter, and the fits whose values of it are drawn."""

    parameter: str
    row: str
    views: Sequence[tuple[str, View]]


@figure_kind("single", needs=("fit",), takes=("params",))
def draw_single(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw the parameters of the first fit that the declaration names."""
    name = canvas.fits_of(declaration, report)[0]
    return _draw(declaration, report, [name], series=_name, rows=_nothing, title=name)


@figure_kind("compare-source", needs=("fits",), takes=("params",))
def draw_sources(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw the same parameters of fits of several sources; a row for each abscissa."""
    names = canvas.fits_of(declaration, report)
    title = "Parameters by source"
    return _draw(declaration, report, names, series=_source, rows=_abscissa, title=title)


@figure_kind("compare-x", needs=("fits",), takes=("params",))
def draw_abscissae(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw the same parameters of fits against several abscissae; a row for each source."""
    names = canvas.fits_of(declaration, report)
    title = "Parameters by abscissa"
    return _draw(declaration, report, names, series=_abscissa, rows=_source, title=title)


def _name(view: View, _views: Sequence[View]) -> str:
    return view.name


def _nothing(_view: View, _views: Sequence[View]) -> str:
    return ""


def _abscissa(view: View, _views: Sequence[View]) -> str:
    return f"against {view.fit.x}"


def _source(view: View, views: Sequence[View]) -> str:
    """What is left of the name without the abscissa and without what all names have."""
    parts = [set(other.name.split("-")) for other in views]
    common = set.intersection(*parts) | {other.fit.x for other in views}
    return "-".join(part for part in view.name.split("-") if part not in common)


def _draw(
    declaration: FigureDeclaration,
    report: ReportInput,
    names: Sequence[str],
    *,
    series: Label,
    rows: Label,
    title: str,
) -> Drawing:
    views = [canvas.view_of(report, name) for name in names]
    group = views[0].fit.group
    panels = _panels(declaration, views, series, rows)
    if not panels:
        known = dict.fromkeys(p for view in views for p in (*view.fit.params, *view.fit.by_curve))
        raise MissingError(
            f"no fit of figure {declaration.name!r} has such a parameter",
            expected="one of " + ", ".join(known),
            found=", ".join(declaration.params),
            hint="correct `params` of the figure in the suite file",
        )
    looks = _looks([label for panel in panels for label, _ in panel.views])
    columns = min(_COLUMNS, len(panels))
    formulas = list(dict.fromkeys(formula(view.fit) for view in views))
    lines = formulas if len(formulas) == 1 else []
    above = 0.42 + 0.23 * len(lines)
    below = _PANEL + _BOTTOM
    rows_of_panels = -(-len(panels) // columns)
    height = above + rows_of_panels * (_TITLE + below)
    height = max(height, above + _TITLE + canvas.key_height(2 * len(looks)) + 0.1)
    figure = canvas.sheet(height)
    canvas.heading(figure, declaration.title or title, lines)
    key = _KEY if len(views) > 1 else _MARGIN
    room = canvas.WIDTH - canvas.LEFT - key - (columns - 1) * _GUTTER
    width = room / columns
    values = sorted({value for view in views for value in view.used})
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        axes = canvas.place(
            figure,
            left=canvas.LEFT + column * (width + _GUTTER),
            top=above + _TITLE + row * (_TITLE + below),
            width=width,
            height=_PANEL,
        )
        _draw_panel(axes, panel, looks)
        if panel.parameter in views[0].fit.params:
            _name_series(axes, [label for label, _ in panel.views])
        else:
            canvas.group_axis(axes, group, values, width)
        canvas.ordinate(axes, _axis(panel))
        if panel.row:
            axes.set_title(panel.row, fontsize=TEXT, loc="left", fontweight="bold")
    handles: list[Artist] = [canvas.point_handle(label, look) for label, look in looks.items()]
    if len(views) > 1:
        canvas.key(figure, canvas.WIDTH - _KEY, above + _TITLE, "", handles)
    dark = {look.color: look.dark for look in looks.values()}
    return Drawing(figure, _caption(views, panels), _alt(group, views, panels), dark)


def _panels(
    declaration: FigureDeclaration, views: Sequence[View], series: Label, rows: Label
) -> list[_Panel]:
    wanted = list(declaration.params)
    if not wanted:
        wanted = list(dict.fromkeys(name for view in views for name in view.fit.by_curve))
    if not wanted:
        wanted = list(dict.fromkeys(name for view in views for name in view.fit.params))
    by_row: dict[str, list[tuple[str, View]]] = {}
    for view in views:
        by_row.setdefault(rows(view, views), []).append((series(view, views) or view.name, view))
    panels = []
    for row, members in by_row.items():
        for name in wanted:
            having = [
                one for one in members if name in {**one[1].fit.by_curve, **one[1].fit.params}
            ]
            if having:
                panels.append(_Panel(name, row if len(by_row) > 1 else "", having))
    return panels


def _looks(labels: Sequence[str]) -> dict[str, Look]:
    return {label: SERIES[rank % len(SERIES)] for rank, label in enumerate(dict.fromkeys(labels))}


def _draw_panel(axes: Axes, panel: _Panel, looks: Mapping[str, Look]) -> None:
    middle = (len(panel.views) - 1) / 2
    drawn = []
    for rank, (label, view) in enumerate(panel.views):
        if panel.parameter in view.fit.params:
            x = np.array([float(rank)])
            value = np.array([view.fit.params[panel.parameter]])
            ends = [shared_interval(view.fit, view.resample, panel.parameter)]
        else:
            by_curve = view.fit.by_curve[panel.parameter]
            group = np.array(sorted(by_curve))
            x = group * 10 ** (_NUDGE * (rank - middle)) if group.min() > 0 else group
            value = np.array([by_curve[one] for one in group])
            ends = [curve_interval(view.fit, view.resample, panel.parameter, one) for one in group]
            _draw_law(axes, view, panel.parameter, group, looks[label])
        low, high = np.array(ends, dtype=float).T
        low, high = (np.where(np.isfinite(end), end, value) for end in (low, high))
        drawn.append(value)
        axes.errorbar(
            x,
            value,
            yerr=np.maximum([value - low, high - value], 0),
            linestyle="none",
            marker=looks[label].marker,
            markersize=5,
            color=looks[label].color,
            markerfacecolor=PAPER,
            markeredgewidth=1.2,
            elinewidth=1,
            capsize=2,
            zorder=4,
        )
    values = np.concatenate(drawn)
    if values.min() > 0 and np.log10(values.max() / values.min()) > _DECADES:
        canvas.log_ordinate(axes)
    elif np.abs(values).max() >= _LARGE:
        is_size = _unit(panel) == "parameters"
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda y, _: size_label(y) if is_size else significant(y, 3))
        )


def _draw_law(axes: Axes, view: View, parameter: str, group: Array, look: Look) -> None:
    """A line through what the law ties together; free values have none, only a faint guide."""
    fit = view.fit
    free = {one.name for one in get_law(fit.law).per_curve}
    formulas = {"k": fit.slope, "E0": fit.intercept}
    if parameter in free or parameter not in formulas:
        values = np.array([fit.by_curve[parameter][one] for one in group])
        axes.plot(group, values, color=look.color, linewidth=0.7, alpha=0.45, zorder=2)
        return
    x = canvas.grid_between(group, 80)
    axes.plot(
        x, [formulas[parameter](float(one)) for one in x], color=look.color, linewidth=1.4, zorder=3
    )


def _name_series(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)


def _parameters(view: View) -> dict[str, Parameter]:
    """The law's parameters; k and E0 of a line have their meaning where a law ties them, too."""
    law = get_law(view.fit.law)
    lines = get_law("loglinear").per_curve
    return {one.name: one for one in (*lines, *law.shared, *law.per_curve)}


def _unit(panel: _Panel) -> str:
    known = _parameters(panel.views[0][1]).get(panel.parameter)
    return known.unit if known is not None else "1"


def _axis(panel: _Panel) -> str:
    unit = _unit(panel)
    name = symbol(panel.parameter)
    return name if unit == "1" else f"{name} ({unit.replace('log10 of L', 'log₁₀ L')})"


def _caption(views: Sequence[View], panels: Sequence[_Panel]) -> str:
    meanings = {name: one.meaning for view in views for name, one in _parameters(view).items()}
    shown = dict.fromkeys(panel.parameter for panel in panels)
    parts = [f"{symbol(name)}: {meanings[name]}" for name in shown if name in meanings]
    resampled = [view for view in views if view.resample is not None]
    drawn = [view.resample for view in resampled if view.resample is not None]
    given = [one for one in drawn if not one.withheld]
    if given:
        methods = dict.fromkeys(f"{one.n} refits, resampled by {one.method}" for one in given)
        parts.append(f"bars: 95% of {' or '.join(methods)}")
    notes = dict.fromkeys(one.note for one in drawn if one.withheld)
    parts += [f"without a bar: {note}" for note in notes]
    if len(resampled) < len(views):
        parts.append(
            ("elsewhere" if resampled else "bars")
            + " ± 2 least-squares standard errors, which take the points of a curve for "
            "independent and so understate"
        )
    return "; ".join(parts) + "."


def _alt(group: str, views: Sequence[View], panels: Sequence[_Panel]) -> str:
    values = ", ".join(value_label(group, one) for one in sorted(views[0].fit.r2_by_curve))
    shown = ", ".join(dict.fromkeys(panel.parameter for panel in panels))
    names = ", ".join(view.name for view in views)
    return f"Fitted parameters {shown} against {group} ({values}) of the fits {names}."
