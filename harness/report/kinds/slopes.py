"""Kind `slopes`: k of each curve, free as points and as the saturating law has it as a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.report.drawing import Drawing, figure_kind
from harness.report.kinds import canvas
from harness.report.kinds.scaling import parameters
from harness.report.style import ACCENT, BLIND, INK, MUTED, PAPER, Look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.typing import LineStyleType

    from harness.report.kinds.canvas import Array, View
    from harness.report.model import FigureDeclaration, ReportInput

_KEY = 1.85
_PLOT_WIDTH = canvas.WIDTH - canvas.LEFT - _KEY
_MAIN, _BOTTOM = 3.1, 0.52
_LOOKS = (
    Look(ACCENT, ACCENT, "o"),
    Look(BLIND, BLIND, "D"),
    Look(INK, INK, "s"),
    Look(MUTED, MUTED, "^"),
)
_STYLES: tuple[LineStyleType, ...] = ("-", "--", "-.", ":")


@figure_kind("slopes", needs=("fits",))
def draw(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw the fits that the declaration names: a free fit and the law after it share a look."""
    views = [canvas.view_of(report, name) for name in canvas.fits_of(declaration, report)]
    group = views[0].fit.group
    free = [view for view in views if not view.fit.params and "k" in view.fit.by_curve]
    laws = [view for view in views if {"K_max", "N0"} <= set(view.fit.params)]
    top = 0.62 + 0.23 * len(laws)
    figure = canvas.sheet(top + _MAIN + _BOTTOM)
    axes = canvas.place(figure, left=canvas.LEFT, top=top, width=_PLOT_WIDTH, height=_MAIN)
    abscissa = ", ".join(dict.fromkeys(view.fit.x for view in views))
    canvas.heading(
        figure,
        declaration.title or f"Slopes k({group}) against log {abscissa}",
        [f"{view.name}:  {',   '.join(parameters(view))}" for view in laws],
    )
    sizes = sorted({N for view in views for N in view.used})
    handles: list[Artist] = []
    for rank, view in enumerate(laws):
        look, style = _LOOKS[rank % len(_LOOKS)], _STYLES[rank % len(_STYLES)]
        _draw_law(axes, view, look, style, canvas.grid_between(np.array(sizes), 120))
    for rank, view in enumerate(free):
        _draw_free(axes, view, _LOOKS[rank % len(_LOOKS)], nudge=1 + 0.05 * rank)
    for rank in range(max(len(free), len(laws))):
        look, style = _LOOKS[rank % len(_LOOKS)], _STYLES[rank % len(_STYLES)]
        if rank < len(free):
            handles.append(canvas.point_handle(f"{free[rank].name}:\nslope of each curve", look))
        if rank < len(laws):
            handles.append(canvas.line_handle(f"{laws[rank].name}:\nlaw", style, look.color))
    if any(view.resample is not None and not view.resample.withheld for view in laws):
        handles.append(canvas.band_handle("95% of refits"))
    canvas.group_axis(axes, group, sizes, _PLOT_WIDTH)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    canvas.ordinate(axes, "Slope k (decades of loss per decade)")
    canvas.key(figure, canvas.LEFT + _PLOT_WIDTH, top, "", handles)
    return Drawing(figure, _caption(free, laws), _alt(group, free, laws, abscissa))


def _draw_law(axes: Axes, view: View, look: Look, style: LineStyleType, N: Array) -> None:
    params = view.fit.params
    axes.plot(
        N, _saturating(params["K_max"], params["N0"], N), style, color=look.color, linewidth=1.6
    )
    refits = view.resample
    if refits is None or refits.withheld or not {"K_max", "N0"} <= set(refits.draws):
        return
    draws = refits.draws
    curves = _saturating(draws["K_max"][:, None], draws["N0"][:, None], N[None, :])
    tail = 50 * (1 - canvas.LEVEL)
    low, high = np.nanpercentile(curves, [tail, 100 - tail], axis=0)
    axes.fill_between(N, low, high, color=look.color, alpha=0.13, linewidth=0, zorder=1.6)
    axes.plot(N, low, N, high, style, color=look.color, linewidth=0.5, alpha=0.6, zorder=1.7)


def _draw_free(axes: Axes, view: View, look: Look, nudge: float) -> None:
    """Slopes with two standard errors; a few per cent aside, so that two sets do not hide bars."""
    slopes = view.fit.by_curve["k"]
    N = np.array(sorted(slopes))
    k = np.array([slopes[size] for size in N])
    errors = np.array([view.fit.se_by_curve["k"][size] for size in N])
    axes.errorbar(
        N * nudge,
        k,
        yerr=2 * errors,
        linestyle="none",
        marker=look.marker,
        markersize=5,
        color=look.color,
        markerfacecolor=PAPER,
        markeredgewidth=1.2,
        elinewidth=1,
        capsize=2,
        zorder=4,
    )


def _saturating(K_max: Array | float, N0: Array | float, N: Array) -> Array:
    """k(N) = K_max/(1 + N0/N) (Tan et al., arXiv 2509.25300v4)."""
    slope: Array = K_max / (1 + N0 / N)
    return slope


def _caption(free: list[View], laws: list[View]) -> str:
    parts = []
    if free:
        parts.append(
            "Points: a slope fitted to each curve alone, ± 2 least-squares standard errors, which "
            "take the points of a curve for independent and so understate"
        )
    if laws:
        parts.append("lines: k(N) = Kₘₐₓ/(1 + N₀/N) of the fit to all curves")
    return "; ".join(parts) + "." if parts else "No fit of this figure has slopes."


def _alt(group: str, free: list[View], laws: list[View], abscissa: str) -> str:
    names = ", ".join(view.name for view in [*free, *laws])
    return f"Slope k against {group} on a log axis, for the abscissa {abscissa}: {names}."
