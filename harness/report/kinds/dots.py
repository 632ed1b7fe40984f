"""Kind `dots`: a row for each value of a column, a marker for each series, whatever their order.

No line joins the rows, since what lies between two benchmarks means nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.drawing import Drawing, figure_kind
from harness.report.kinds import canvas, panels
from harness.report.numbers import value_label
from harness.report.style import GRID, SERIES, TEXT, key_title, looks_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from harness.analysis import Curves
    from harness.report.model import FigureDeclaration, ReportInput

_ROW, _BOTTOM = 0.22, 0.52
_LETTER, _MOST = 0.075, 2.2  # inches of a letter of a row's name, and of the longest shown
_GAP = 0.15


@figure_kind("dots", needs=("x", "y"), takes=("group", "where", "labels"))
def draw(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw `x` in a row for each value of `y`, numbers in their order, as `labels` names them."""
    x, y, group = declaration.x or "", declaration.y or "", declaration.group
    rows = panels.rows_of(declaration, report, numbers=(x,))
    values = [value for (value,), _ in rows.groups([y])]
    names = [_named(declaration, y, value) for value in values]
    series = [value for (value,), _ in rows.groups([group])] if group else []
    looks = looks_for(series) if series else {None: SERIES[0]}
    told = {value: _named(declaration, group or "", value) for value in series}
    across = panels.column_label(declaration, x)
    key = panels.key_width(list(told.values())) or canvas.LEFT / 2
    left = max(canvas.LEFT, min(_LETTER * max(map(len, names)), _MOST) + _GAP)
    top = 0.42 + canvas.LINE
    figure = canvas.sheet(top + _ROW * len(values) + _BOTTOM)
    lines = [f"{across} by {panels.column_label(declaration, y)}"]
    canvas.heading(figure, declaration.title or declaration.name, lines, left=left)
    axes = canvas.place(
        figure,
        left=left,
        top=top,
        width=canvas.WIDTH - left - key - _GAP,
        height=_ROW * len(values),
    )
    _draw_rows(axes, rows, (x, y, group), values, looks)
    axes.set_yticks(range(len(values)), names, fontsize=TEXT)
    axes.set_xlabel(across)
    if group:
        handles = [canvas.point_handle(told[value], looks[value]) for value in series]
        title = declaration.labels.get(group) or key_title(group)
        canvas.key(figure, canvas.WIDTH - key, top, title, handles)
    caption = "" if declaration.caption else f"{len(rows):,} values, one marker each."
    alt = f"{across} of {', '.join(names)}"
    alt += f" for {', '.join(told.values())}." if told else "."
    return Drawing(figure, caption, alt, canvas.dark_of(looks))


def _named(declaration: FigureDeclaration, column: str, value: Any) -> str:
    plain = value_label(column, value)
    return declaration.labels.get(plain, plain)


def _draw_rows(
    axes: Axes,
    rows: Curves,
    columns: tuple[str, str, str | None],
    values: Sequence[Any],
    looks: dict[Any, Any],
) -> None:
    """Markers of each series, the first row at the top, on a line as wide as the row's values."""
    x, y, group = columns
    place = {value: row for row, value in enumerate(values)}
    for (value,), part in rows.groups([y]):
        ends = float(part[x].min()), float(part[x].max())
        axes.hlines(place[value], *ends, color=GRID, linewidth=2.5, zorder=1)
    parts: list[tuple[Any, Curves]] = [(None, rows)]
    if group is not None:
        parts = [(key[0], part) for key, part in rows.groups([group])]
    for value, part in parts:
        at = np.array([place[one] for one in part[y].tolist()], dtype=float)
        canvas.draw_points(axes, part[x], at, looks[value], hollow=True, size=5)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.03)
