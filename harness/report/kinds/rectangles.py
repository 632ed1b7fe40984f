"""Kind `rectangles`: how a data-reuse experiment cuts the same training into passes.

Tan et al., arXiv 2509.25300v4: D_unique x tau = D_total, so each row is as long as the others and
a larger tau repeats a smaller set more often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle

from harness.report.drawing import Drawing, figure_kind
from harness.report.kinds import canvas
from harness.report.model import MissingError
from harness.report.numbers import value_label
from harness.report.style import INK, PAPER, SMALL, TEXT, axis_label, size_looks, symbol
from harness.selection import select

if TYPE_CHECKING:
    from harness.report.model import FigureDeclaration, ReportInput

_ROW, _BAR, _TOP, _BOTTOM, _RIGHT = 0.34, 0.22, 0.72, 0.52, 1.45


@figure_kind("rectangles", needs=("group", "x"), takes=("where",))
def draw(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw a row for each value of `group`, tau; the largest value of `x` is D_total."""
    group, total = declaration.group or "", declaration.x or ""
    curves = report.curves
    if curves is not None and declaration.where is not None:
        curves = curves.where(select(curves, declaration.where))
    if curves is None or not len(curves):
        raise MissingError("this run has no points of the experiment that is to be shown")
    reuse = [float(value) for value in np.unique(curves[group])]
    D_total = float(np.nanmax(curves[total]))
    looks = size_looks(reuse)
    figure = canvas.sheet(_TOP + _ROW * len(reuse) + _BOTTOM)
    canvas.heading(
        figure,
        declaration.title or declaration.name,
        [f"{symbol(group)} passes over D_unique = D_total/{symbol(group)} samples"],
    )
    axes = canvas.place(
        figure,
        left=canvas.LEFT,
        top=_TOP,
        width=canvas.WIDTH - canvas.LEFT - _RIGHT,
        height=_ROW * len(reuse),
    )
    for row, tau in enumerate(reuse):
        middle = len(reuse) - row - 0.5
        unique = D_total / tau
        starts = np.arange(0.0, D_total * (1 - 1e-9), unique)
        height = _BAR / _ROW
        for shade, alpha in ((0, 0.85), (1, 0.45)):
            boxes = [
                Rectangle((start, middle - height / 2), min(unique, D_total - start), height)
                for start in starts[shade::2]
            ]
            axes.add_collection(
                PatchCollection(
                    boxes,
                    facecolor=looks[tau].color,
                    edgecolor=PAPER,
                    linewidth=0.4 if tau < 40 else 0.0,
                    alpha=alpha,
                )
            )
        axes.text(
            D_total * 1.02,
            middle,
            f"{canvas.plain(unique)} unique",
            fontsize=SMALL,
            color=INK,
            verticalalignment="center_baseline",
        )
    axes.set_xlim(0, D_total)
    axes.set_ylim(0, len(reuse))
    axes.set_yticks(
        [len(reuse) - row - 0.5 for row in range(len(reuse))],
        [f"{symbol(group)} = {value_label(group, tau)}" for tau in reuse],
        fontsize=TEXT,
    )
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    ticks = np.linspace(0, D_total, 5)
    axes.set_xticks(ticks, [canvas.plain(tick) for tick in ticks])
    axes.set_xlabel(axis_label(total))
    return Drawing(figure, _caption(group, D_total), _alt(group, reuse), canvas.dark_of(looks))


def _caption(group: str, D_total: float) -> str:
    name = symbol(group)
    return (
        f"Every row is one training run on D_total = {canvas.plain(D_total)} samples. Each block "
        f"is one pass over the same D_unique = D_total/{name} samples; light and dark only tell "
        "passes apart."
    )


def _alt(group: str, reuse: list[float]) -> str:
    values = ", ".join(value_label(group, one) for one in reuse)
    return f"Rows of equal length for {group} = {values}, each cut into as many equal passes."
