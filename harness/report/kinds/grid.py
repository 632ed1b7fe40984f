"""Kind `grid`: several fits side by side, small, with one key for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.drawing import Drawing, figure_kind
from harness.report.kinds import canvas
from harness.report.kinds.scaling import draw_curves, parameters, r2_sentence
from harness.report.style import SMALL, TEXT, key_title, size_looks

if TYPE_CHECKING:
    from harness.report.model import FigureDeclaration, ReportInput

_COLUMNS = 2
_KEY = 0.95
_GUTTER, _PANEL, _BOTTOM, _LINE = 0.68, 2.05, 0.52, 0.19


@figure_kind("grid", needs=("fits",))
def draw(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw every fit that the declaration names, two in a row."""
    views = [canvas.view_of(report, name) for name in canvas.fits_of(declaration, report)]
    above = 0.15 + _LINE * (1 + max(len(parameters(view)) for view in views))
    looks = size_looks([N for view in views for N in view.sizes])
    columns = min(_COLUMNS, len(views))
    rows = -(-len(views) // columns)
    height = max(rows * (above + _PANEL + _BOTTOM), above + canvas.key_height(len(looks)) + _BOTTOM)
    room = canvas.WIDTH - canvas.LEFT - _KEY - (columns - 1) * _GUTTER
    width = room / columns
    figure = canvas.sheet(height)
    for place, view in enumerate(views):
        row, column = divmod(place, columns)
        left = canvas.LEFT + column * (width + _GUTTER)
        top = above + row * (above + _PANEL + _BOTTOM)
        axes = canvas.place(figure, left=left, top=top, width=width, height=_PANEL)
        draw_curves(axes, view, looks, size=2.4)
        canvas.label_axes(axes, view.fit, y=column == 0)
        lines = [view.name, *parameters(view)]
        for number, line in enumerate(lines):
            axes.text(
                0,
                1 + (0.09 + _LINE * (len(lines) - 1 - number)) / _PANEL,
                line,
                transform=axes.transAxes,
                fontsize=SMALL if number else TEXT,
                fontweight="normal" if number else "bold",
            )
    group = views[0].fit.group
    handles = canvas.curve_handles(group, looks)
    canvas.key(figure, canvas.WIDTH - _KEY, above, key_title(group), handles)
    caption = " ".join(f"{view.name}: {r2_sentence(view)}." for view in views)
    names = ", ".join(view.name for view in views)
    alt = f"Small log-log panels of test loss with the fitted law: {names}."
    return Drawing(figure, caption, alt, canvas.dark_of(looks))
