"""Kind `grid`: several fits side by side, small, with one key for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.figures import Drawing, figure_kind
from harness.report.kinds import canvas
from harness.report.kinds.scaling import draw_curves, parameters_line, r2_sentence
from harness.report.style import TEXT, size_looks

if TYPE_CHECKING:
    from harness.report.model import FigureDeclaration, ReportInput

_COLUMNS = 2
_KEY = 0.85
_GUTTER, _PANEL, _TOP, _BETWEEN, _BOTTOM = 0.68, 2.05, 0.62, 0.98, 0.52


@figure_kind("grid")
def draw(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw every fit that the declaration names, two in a row."""
    views = [canvas.view_of(report, name) for name in canvas.fits_of(declaration, report)]
    looks = size_looks([N for view in views for N in view.sizes])
    columns = min(_COLUMNS, len(views))
    rows = -(-len(views) // columns)
    height = _TOP + rows * _PANEL + (rows - 1) * _BETWEEN + _BOTTOM
    room = canvas.WIDTH - canvas.LEFT - _KEY - (columns - 1) * _GUTTER
    width = room / columns
    figure = canvas.sheet(height)
    for place, view in enumerate(views):
        row, column = divmod(place, columns)
        left = canvas.LEFT + column * (width + _GUTTER)
        top = _TOP + row * (_PANEL + _BETWEEN)
        axes = canvas.place(figure, left=left, top=top, width=width, height=_PANEL)
        draw_curves(axes, view, looks, size=2.4)
        canvas.label_axes(axes, view.fit, y=column == 0)
        axes.text(
            0,
            1 + 0.30 / _PANEL,
            view.name,
            transform=axes.transAxes,
            fontsize=TEXT,
            fontweight="bold",
        )
        axes.text(
            0,
            1 + 0.09 / _PANEL,
            parameters_line(view, units=False),
            transform=axes.transAxes,
            fontsize=8,
        )
    handles = canvas.size_handles(looks, set())
    canvas.key(figure, canvas.WIDTH - _KEY, _TOP, "Size N", handles)
    caption = " ".join(f"{view.name}: {r2_sentence(view)}." for view in views)
    names = ", ".join(view.name for view in views)
    alt = f"Small log-log panels of test loss with the fitted law: {names}."
    return Drawing(figure, caption, alt, canvas.dark_of(looks))
