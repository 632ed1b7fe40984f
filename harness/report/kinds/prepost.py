"""Kind `prepost`: values before and after training against model size, a panel for each eval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import DataError
from harness.report.drawing import Drawing, figure_kind
from harness.report.kinds import canvas, panels
from harness.report.style import MUTED, PAPER, SERIES, symbol

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.analysis import Curves
    from harness.report.kinds.canvas import Array
    from harness.report.kinds.panels import Place
    from harness.report.model import FigureDeclaration, ReportInput

# Names of the two sides, as columns of published tables spell them.
_BEFORE = ("pre", "before", "base")
_FIRST, _LAST = "first point", "last point"
_KEYS = {_FIRST: "first", _LAST: "last"}


@figure_kind("prepost", needs=("x", "y"), takes=("group", "panels", "where", "labels"))
def draw(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw two values for each place on x, joined.

    `group` is a column with two values, one of them `pre` or `before`. Without it the first and the
    last point of each curve, in the order of the column `step` or else of the rows, are the sides,
    which `labels` can name as `first` and `last`.
    """
    rows = panels.rows_of(declaration, report)
    x, y = declaration.x or "", declaration.y or ""
    sides = _sides(declaration, rows)
    names = [declaration.labels.get(_KEYS.get(side, side), side) for side in sides]
    up = panels.column_label(declaration, y)
    lines = [f"{up} before and after training"]
    key = panels.key_width(names)
    figure, places = panels.lay_out(declaration, rows, lines, key=key)
    for place in places:
        _draw_panel(place, declaration, sides)
        panels.abscissa(place, panels.column_label(declaration, x))
        if place.left:
            canvas.ordinate(place.axes, up)
    handles = [canvas.point_handle(name, look) for name, look in zip(names, SERIES, strict=False)]
    canvas.key(figure, canvas.WIDTH - key, panels.key_top(lines), "", handles)
    before, after = names
    caption = f"Each line joins {before} and {after} of one {symbol(x)}."
    panes = ", ".join(place.title for place in places if place.title)
    alt = f"{up} against {x}, {before} and {after}" + (f", in panels {panes}." if panes else ".")
    return Drawing(figure, caption, alt, {look.color: look.dark for look in SERIES[:2]})


def _sides(declaration: FigureDeclaration, rows: Curves) -> tuple[str, str]:
    if declaration.group is None:
        return _FIRST, _LAST
    values = [str(value) for value in np.unique(rows[declaration.group])]
    if len(values) != 2:
        raise DataError(
            f"figure {declaration.name!r} needs two sides, before and after",
            expected=f"two values of {declaration.group}",
            found=", ".join(values),
            hint="narrow `where`, or leave `group` out to take the first and the last point",
        )
    before = next((value for value in values if value in _BEFORE), values[0])
    (after,) = (value for value in values if value != before)
    return before, after


def _draw_panel(place: Place, declaration: FigureDeclaration, sides: tuple[str, str]) -> None:
    x = declaration.x or ""
    at: list[float] = []
    pairs: list[tuple[float, float]] = []
    for (value,), part in place.rows.groups([x]):
        pair = _pair(declaration, part, sides)
        if pair is not None:
            at.append(float(value))
            pairs.append(pair)
    across, ends = np.array(at), np.array(pairs).reshape(-1, 2)
    if not len(across):
        return
    place.axes.vlines(across, ends.min(1), ends.max(1), color=MUTED, linewidth=1.1, alpha=0.7)
    for side in (0, 1):
        _draw_side(place.axes, across, ends[:, side], side)
    canvas.group_axis(place.axes, x, at, place.width)
    place.axes.margins(y=0.12)


def _draw_side(axes: Axes, x: Array, y: Array, side: int) -> None:
    look = SERIES[side]
    axes.plot(x, y, color=look.color, linewidth=0.8, alpha=0.5)
    axes.plot(
        x,
        y,
        linestyle="none",
        marker=look.marker,
        markersize=4.5,
        markerfacecolor=PAPER,
        markeredgecolor=look.color,
        zorder=3,
    )


def _pair(
    declaration: FigureDeclaration, part: Curves, sides: tuple[str, str]
) -> tuple[float, float] | None:
    """Mean of each side at one place, or None where a side is missing."""
    y = declaration.y or ""
    if declaration.group is not None:
        names = np.array([str(value) for value in part[declaration.group]])
        values: list[Any] = [part[y][names == side] for side in sides]
    else:
        # Rows stand in the order of training where nothing counts the steps.
        steps = part["step"] if "step" in part.names else np.arange(len(part))
        order = np.argsort(steps, kind="stable")
        values = [part[y][order[:1]], part[y][order[-1:]]]
    if not all(len(one) for one in values):
        return None
    return float(np.mean(values[0])), float(np.mean(values[1]))
