"""Kind `extrapolation`: curves that the fit has not seen, predicted blind and calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from harness.report.drawing import Drawing, figure_kind
from harness.report.kinds import canvas
from harness.report.numbers import significant, value_label
from harness.report.style import ACCENT, BLIND, INK, MUTED, PAPER, SHADE, TEXT, Look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.typing import LineStyleType

    from harness.analysis import Extrapolation
    from harness.report.kinds.canvas import View
    from harness.report.model import FigureDeclaration, ReportInput

_KEY = 1.75
_PLOT_WIDTH = canvas.WIDTH - canvas.LEFT - _KEY
_TOP, _MAIN, _GAP, _RESIDUALS, _BOTTOM = 0.86, 2.6, 0.12, 1.0, 0.52
_MARKERS = "oD^svP"

# What each kind of prediction has seen, its colour, its line and the marker of its residuals.
_KINDS: dict[str, tuple[str, str, LineStyleType, str]] = {
    "calibrated": ("slope predicted, E0\nfitted on these points", ACCENT, "--", "o"),
    "blind": ("these points not used\nin any way", BLIND, ":", "x"),
}


@figure_kind("extrapolation", needs=("fit",))
def draw(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw the extrapolations of the first fit that the declaration names."""
    view = canvas.view_of(report, canvas.fits_of(declaration, report)[0])
    if not view.extrapolations:
        return _nothing(view)
    figure = canvas.sheet(_TOP + _MAIN + _GAP + _RESIDUALS + _BOTTOM)
    main = canvas.place(figure, left=canvas.LEFT, top=_TOP, width=_PLOT_WIDTH, height=_MAIN)
    below = canvas.place(
        figure,
        left=canvas.LEFT,
        top=_TOP + _MAIN + _GAP,
        width=_PLOT_WIDTH,
        height=_RESIDUALS,
    )
    sizes = sorted({e.N for e in view.extrapolations})
    seen = ", ".join(value_label(view.fit.group, N) for N in sorted(view.used))
    names = ", ".join(value_label(view.fit.group, N) for N in sizes)
    title = declaration.title or f"{view.name}: {names} predicted"
    canvas.heading(figure, title, [f"Fitted on {seen}"])
    canvas.log_axes(
        main,
        [e.x for e in view.extrapolations],
        [*(e.observed for e in view.extrapolations), *(e.predicted for e in view.extrapolations)],
    )
    main.set_facecolor(SHADE)
    below.set_facecolor(SHADE)
    for axes in (main, below):
        axes.grid(color=PAPER)
    for rank, N in enumerate(sizes):
        _draw_curve(main, below, [e for e in view.extrapolations if e.N == N], _MARKERS[rank % 6])
    _finish(main, below, view)
    handles = _handles(view, sizes)
    canvas.key(figure, canvas.LEFT + _PLOT_WIDTH, _TOP, "", handles)
    return Drawing(figure, _caption(view), _alt(view))


def _draw_curve(main: Axes, below: Axes, predictions: list[Extrapolation], marker: str) -> None:
    first = predictions[0]
    canvas.draw_points(main, first.x, first.observed, Look(INK, INK, marker), hollow=True, size=4)
    for found in predictions:
        _, color, style, mark = _KINDS[found.kind]
        order = np.argsort(found.x)
        look = Look(color, color, mark)
        canvas.draw_line(main, found.x[order], found.predicted[order], look, style, 2.0)
        below.plot(
            found.x,
            found.observed - found.predicted,
            linestyle="none",
            marker=mark,
            markersize=3,
            markeredgecolor=color,
            markerfacecolor=PAPER,
            markeredgewidth=0.9,
        )


def _finish(main: Axes, below: Axes, view: View) -> None:
    canvas.log_abscissa(below, main.get_xlim())
    canvas.log_abscissa(main, main.get_xlim(), labels=False)
    canvas.label_axes(main, view.fit, x=False)
    canvas.label_axes(below, view.fit, y=False)
    canvas.ordinate(below, canvas.RESIDUAL)
    below.axhline(0, color=MUTED, linewidth=0.9, zorder=1.5)
    errors = np.concatenate([e.observed - e.predicted for e in view.extrapolations])
    largest = max(float(np.max(np.abs(errors))), 1e-6) * 1.12
    below.set_ylim(-largest, largest)
    below.yaxis.set_major_locator(canvas.symmetric_ticks(largest))


def _handles(view: View, sizes: list[float]) -> list[Artist]:
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=_MARKERS[rank % 6],
            markersize=5,
            markerfacecolor=PAPER,
            markeredgecolor=INK,
            label=f"{value_label(view.fit.group, N)} observed",
        )
        for rank, N in enumerate(sizes)
    ]
    for prediction in view.extrapolations:
        seen, color, style, mark = _KINDS[prediction.kind]
        label = (
            f"{value_label(view.fit.group, prediction.N)} {prediction.kind}:\n{seen}\n"
            f"RMSE {significant(prediction.rmse, 2)}"
        )
        handles.append(
            Line2D(
                [],
                [],
                color=color,
                linestyle=style,
                linewidth=2,
                marker=mark,
                markersize=4,
                markerfacecolor=PAPER,
                label=label,
            )
        )
    return handles


def _caption(view: View) -> str:
    errors = "; ".join(
        f"{value_label(view.fit.group, e.N)} {e.kind} ({e.law}): RMSE {significant(e.rmse, 2)}, "
        f"mean error {significant(float(np.mean(e.observed - e.predicted)), 2)}"
        for e in view.extrapolations
    )
    return (
        f"Predicted by {view.name}, which saw none of these points. {errors}. A calibrated "
        "prediction takes the offset E0 from the curve that it predicts, so that only the slope is "
        "tested; a blind one takes nothing from it."
    )


def _alt(view: View) -> str:
    sizes = ", ".join(
        value_label(view.fit.group, N) for N in sorted({e.N for e in view.extrapolations})
    )
    return (
        f"Observed test loss of {sizes} against {view.fit.x} with a blind and a calibrated "
        f"prediction by {view.name}, and a panel of errors."
    )


def _nothing(view: View) -> Drawing:
    figure = canvas.sheet(1.2)
    canvas.heading(figure, f"{view.name}: nothing to extrapolate to", [])
    text = "No curve of this run was held out of the fit as a whole."
    figure.text(canvas.LEFT / canvas.WIDTH, 0.45, text, fontsize=TEXT)
    return Drawing(figure, text, f"Empty figure: {text}")
