"""Kind `curves`: one column of the curve table against another, as measured; needs no fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.smoothing import smooth
from harness.report.drawing import Drawing, figure_kind
from harness.report.kinds import canvas, panels
from harness.report.numbers import value_label
from harness.report.style import SERIES, key_title, looks_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.analysis import Curves
    from harness.report.kinds.canvas import Array
    from harness.report.kinds.panels import Place
    from harness.report.model import FigureDeclaration, ReportInput
    from harness.report.style import Look

_SMALL, _POINT, _CLOUD = 2.2, 3.2, 1.6
_ALONG = 120  # points of a smoothed line
_SMOOTH = {
    "spline": "smoothing splines in log x, by generalised cross-validation",
    "isotonic": "the nearest monotone curves",
    "segments": "straight segments in log x, their number by BIC",
    "paper": "splines and isotonic regression as in Tan et al.",
}


@figure_kind("curves", needs=("x", "y"), takes=("group", "panels", "where", "smooth", "labels"))
def draw(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw the points that the declaration asks for, curve by curve."""
    rows = panels.rows_of(declaration, report)
    x, y = declaration.x or "", declaration.y or ""
    values = [key[0] for key, _ in rows.groups([declaration.group])] if declaration.group else []
    looks = looks_for(values) if values else {None: SERIES[0]}
    across, up = (panels.column_label(declaration, column) for column in (x, y))
    lines = [f"{up} against {across}"]
    names = {value: _told(declaration, value) for value in values}
    key = panels.key_width(list(names.values()))
    figure, places = panels.lay_out(declaration, rows, lines, key=key)
    for place in places:
        _draw_panel(place, declaration, looks)
        panels.abscissa(place, across)
        if place.left:
            canvas.ordinate(place.axes, up)
    if declaration.group and values:
        joined = declaration.smooth is not None or any(
            _is_joined(p.rows, declaration) for p in places
        )
        handles = canvas.curve_handles(declaration.group, looks, names=names, joined=joined)
        title = declaration.labels.get(declaration.group) or key_title(declaration.group)
        canvas.key(figure, canvas.WIDTH - key, panels.key_top(lines), title, handles)
    return Drawing(
        figure,
        _caption(declaration, rows),
        _alt(declaration, values, places),
        canvas.dark_of(looks),
    )


def _draw_panel(place: Place, declaration: FigureDeclaration, looks: Mapping[Any, Look]) -> None:
    x, y = declaration.x or "", declaration.y or ""
    _scale(place, x, y)
    joined = _is_joined(place.rows, declaration)
    size = _POINT if place.width > 3 else _SMALL
    for value, part in _parts(place.rows, declaration):
        order = np.argsort(part[x], kind="stable")
        ordered, loss = part[x][order], part[y][order]
        few = len(ordered) <= canvas.FEW
        canvas.draw_points(
            place.axes,
            ordered,
            loss,
            looks[value],
            size=size + few if few or joined else _CLOUD,
            hollow=few and not declaration.smooth,
        )
        if declaration.smooth is not None:
            _draw_smooth(place, ordered, loss, looks[value], declaration.smooth)
        elif joined:
            place.axes.plot(
                ordered,
                loss,
                color=looks[value].color,
                linewidth=1.1 if few else 0.5,
                alpha=0.9 if few else 0.35,
            )


def _parts(rows: Curves, declaration: FigureDeclaration) -> list[tuple[Any, Curves]]:
    if not declaration.group:
        return [(None, rows)]
    return [(key[0], part) for key, part in rows.groups([declaration.group])]


def _is_joined(rows: Curves, declaration: FigureDeclaration) -> bool:
    """Whether a line leads from point to point.

    Rows stand in the order of training: several runs in one curve, or a column that turns back as
    a response length does, have no line through them.
    """
    parts = [part for _, part in _parts(rows, declaration) if len(part) > 1]
    return bool(parts) and all((np.diff(part[declaration.x or ""]) > 0).all() for part in parts)


def _draw_smooth(place: Place, x: Array, y: Array, look: Look, method: str) -> None:
    """A smoothed line where the points allow one."""
    if len(np.unique(x)) < 2 or x.min() <= 0:
        return
    at = canvas.grid_between(x, _ALONG)
    canvas.draw_line(place.axes, at, np.asarray(smooth(x, y, method)(at)), look, width=1.3)


def _scale(place: Place, x: str, y: str) -> None:
    """Log axes where all values are positive; a step 0 or a loss of 0 makes that axis linear."""
    across, up = place.rows[x], place.rows[y]
    if across.min() > 0 and up.min() > 0:
        canvas.log_axes(place.axes, [across], [up])
    elif across.min() > 0:
        canvas.log_abscissa(place.axes, canvas.span([across], 0.03))


def _told(declaration: FigureDeclaration, value: Any) -> str:
    """What the key calls a curve."""
    plain = value_label(declaration.group or "", value)
    return declaration.labels.get(plain, plain)


def _caption(declaration: FigureDeclaration, rows: Curves) -> str:
    sentences = [] if declaration.caption else [f"{len(rows):,} points as measured."]
    if declaration.smooth is not None:
        sentences.append(f"Lines: {_SMOOTH[declaration.smooth]}, for the eye; they enter no fit.")
    return " ".join(sentences)


def _alt(declaration: FigureDeclaration, values: list[Any], places: list[Place]) -> str:
    x, y = declaration.x or "", declaration.y or ""
    text = " against ".join(panels.column_label(declaration, column) for column in (y, x))
    if declaration.group:
        shown = ", ".join(_told(declaration, value) for value in values)
        text += f" for {declaration.group} {shown}"
    if len(places) > 1:
        text += f", in panels {', '.join(place.title for place in places)}"
    return text + "; points as measured."
