"""Kind `scaling`: learning curves of all sizes, one law through them, residuals beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.laws import get_law
from harness.report.describe import objective_in_words
from harness.report.drawing import Drawing, figure_kind
from harness.report.intervals import curve_interval
from harness.report.kinds import canvas, panels
from harness.report.numbers import format_value, significant, value_label
from harness.report.style import (
    GRID,
    MUTED,
    SHADE,
    formula,
    key_title,
    size_looks,
    symbol,
    unit_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.typing import LineStyleType

    from harness.analysis import Extrapolation
    from harness.report.kinds.canvas import Array, View
    from harness.report.model import FigureDeclaration, ReportInput
    from harness.report.style import Look

_PLOT_WIDTH = canvas.WIDTH - canvas.LEFT - canvas.KEY
_RIGHT = canvas.LEFT + _PLOT_WIDTH
_FEW_VALUES, _FEW_CURVES = 12, 4  # values of single curves that a heading shows
_TOP, _MAIN, _GAP, _RESIDUALS, _BOTTOM = 0.54, 3.05, 0.12, 0.95, 0.52


@figure_kind("scaling", needs=("fit",), takes=("labels",))
def draw(declaration: FigureDeclaration, report: ReportInput) -> Drawing:
    """Draw the first fit that the declaration names."""
    view = canvas.view_of(report, canvas.fits_of(declaration, report)[0])
    looks = size_looks(view.sizes)
    lines = [formula(view.fit), *_told(view)]
    top = _TOP + canvas.LINE * len(lines)
    figure = canvas.sheet(top + _MAIN + _GAP + _RESIDUALS + _BOTTOM)
    main = canvas.place(figure, left=canvas.LEFT, top=top, width=_PLOT_WIDTH, height=_MAIN)
    below = canvas.place(
        figure,
        left=canvas.LEFT,
        top=top + _MAIN + _GAP,
        width=_PLOT_WIDTH,
        height=_RESIDUALS,
    )
    canvas.heading(figure, declaration.title or view.name, lines)
    draw_curves(main, view, looks)
    _draw_residuals(below, view, looks)
    canvas.log_abscissa(below, main.get_xlim())
    canvas.log_abscissa(main, main.get_xlim(), labels=False)
    canvas.ordinate(main, panels.column_label(declaration, view.fit.y))
    below.set_xlabel(panels.column_label(declaration, view.fit.x))
    canvas.ordinate(below, canvas.RESIDUAL)
    whole = {N for N in looks if N not in view.used}
    group = view.fit.group
    handles = canvas.curve_handles(group, looks, whole)
    end = canvas.key(figure, _RIGHT, top, key_title(group), handles)
    canvas.key(figure, _RIGHT, end + 0.05, "", _handles(view))
    return Drawing(figure, _caption(view), _alt(view), canvas.dark_of(looks))


def parameters(view: View) -> list[str]:
    """Shared parameters with their intervals and units."""
    parts = []
    for parameter, value in view.fit.params.items():
        lo, hi = interval(view, parameter)
        text = f"{symbol(parameter)} = {format_value(value, lo, hi)}"
        unit = unit_of(view.fit, parameter)
        # A unit that depends on another parameter says more in the law's page than on a figure.
        parts.append(text if unit.startswith("of ") else f"{text} {unit}".rstrip())
    own = [symbol(parameter.name) for parameter in get_law(view.fit.law).per_curve]
    return parts or [f"every curve has its own {', '.join(own)}"]


def _told(view: View) -> list[str]:
    """The lines of parameters: the shared ones, and those of each curve where they are few."""
    fit = view.fit
    few = 0 < len(fit.by_curve) * len(view.used) <= _FEW_VALUES and len(view.used) <= _FEW_CURVES
    if not few:
        return canvas.flowed(parameters(view))
    shared = parameters(view) if fit.params else []
    own = [_of_curves(view, one, intervals=True) for one in fit.by_curve]
    # Intervals stand in the table of the report too, where there is room for all of them.
    if max(map(len, own)) > canvas.MOST_LETTERS:
        own = [_of_curves(view, one, intervals=False) for one in fit.by_curve]
    return canvas.flowed([*shared, *own])


def _of_curves(view: View, parameter: str, *, intervals: bool) -> str:
    """`A = 1.05 ± 0.17 (500), 0.76 ± 0.12 (1000)`: a parameter's value in each curve."""
    fit = view.fit
    told = []
    for N, value in sorted(fit.by_curve[parameter].items()):
        ends = curve_interval(fit, view.resample, parameter, N)
        text = format_value(value, *ends) if intervals else significant(value, 3)
        told.append(f"{text} ({value_label(fit.group, N)})" if len(view.used) > 1 else text)
    return f"{symbol(parameter)} = {', '.join(told)}"


def interval(view: View, parameter: str) -> tuple[float | None, float | None]:
    """The resampling interval of a parameter, or (None, None)."""
    if view.resample is None:
        return None, None
    return view.resample.intervals.get(parameter, (None, None))


def draw_curves(axes: Axes, view: View, looks: dict[float, Look], *, size: float = 3.4) -> None:
    """Points, band and law of each curve, with what was held out and how it is predicted."""
    fit = view.fit
    parts = [*view.used.values(), *view.held_out.values()]
    predicted = [e.predicted for e in view.extrapolations]
    across = [part[fit.x] for part in parts]
    up = [*(part[fit.y] for part in parts), *predicted]
    scale = canvas.linear_ordinate if _is_plain(view, up) else canvas.log_axes
    scale(axes, across, up)
    _shade(axes, view)
    for N, part in view.used.items():
        x = canvas.grid_between(part[fit.x])
        canvas.draw_points(axes, part[fit.x], part[fit.y], looks[N], size=size)
        canvas.draw_band(axes, x, N, view.resample, looks[N])
        canvas.draw_line(axes, x, fit.predict(x, N), looks[N])
    for N, part in view.held_out.items():
        canvas.draw_points(axes, part[fit.x], part[fit.y], looks[N], hollow=True, size=size)
        if N in view.used:
            ends = np.concatenate([[view.used[N][fit.x].max()], part[fit.x]])
            x = canvas.grid_between(ends)
            canvas.draw_band(axes, x, N, view.resample, looks[N])
            canvas.draw_line(axes, x, fit.predict(x, N), looks[N], "--")
    for found in _whole_curves(view):
        order = np.argsort(found.x)
        style: LineStyleType = "--" if found.kind == "calibrated" else ":"
        canvas.draw_line(axes, found.x[order], found.predicted[order], looks[found.N], style)


def _is_plain(view: View, up: Sequence[Array]) -> bool:
    """Whether y is no loss that a logarithm suits: at or below 0, or rising, as a reward does."""
    fit = view.fit
    if any((one <= 0).any() for one in up):
        return True
    ends = [(N, np.array([part[fit.x].min(), part[fit.x].max()])) for N, part in view.used.items()]
    rises = all(float(np.diff(fit.predict(x, N))[0]) > 0 for N, x in ends)
    return fit.space == "linear" and rises


def _whole_curves(view: View) -> list[Extrapolation]:
    """Predictions of curves of which no point was fitted; the fit itself cannot give these."""
    return [e for e in view.extrapolations if e.N not in view.used]


def _shade(axes: Axes, view: View) -> None:
    """Shade where the law extrapolates: one region if there is one, else a stripe per curve."""
    fit = view.fit
    continued = [N for N in view.held_out if N in view.used]
    region = _beyond(axes, view, continued) if continued else None
    if region is not None:
        axes.fill(*region, color=SHADE, linewidth=0, zorder=0.5)
    for N, part in view.held_out.items():
        if N not in view.used or region is None:
            axes.plot(
                part[fit.x],
                _smooth(part[fit.x], part[fit.y], log=axes.get_yscale() == "log"),
                color=SHADE,
                linewidth=18,
                solid_capstyle="round",
                zorder=0.5,
            )


def _beyond(axes: Axes, view: View, continued: list[float]) -> tuple[Array, Array] | None:
    """Outline of the region beyond the last fitted points, unless fitted points would lie in it."""
    fit = view.fit
    ends = [float(view.used[N][fit.x].max()) for N in continued]
    losses = [float(fit.predict(np.array([x]), N)[0]) for x, N in zip(ends, continued, strict=True)]
    order = np.argsort(losses)
    x_ends, y_ends = np.array(ends)[order], np.array(losses)[order]
    x = np.concatenate([part[fit.x] for part in view.used.values()])
    y = np.concatenate([part[fit.y] for part in view.used.values()])
    up = np.log if axes.get_yscale() == "log" else np.asarray
    border = np.exp(np.interp(up(y), up(y_ends), np.log(x_ends)))
    if np.mean(x > border * 1.02) > 0.02:
        return None
    (_, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return (
        np.concatenate([[x_ends[0]], x_ends, [x_ends[-1], right, right]]),
        np.concatenate([[bottom], y_ends, [top, top, bottom]]),
    )


def _smooth(x: Array, y: Array, *, log: bool) -> Array:
    """A straight line on the sheet: the shade marks a curve and shall not follow its noise."""
    if len(x) < 3:
        return y
    slope, start = np.polyfit(np.log(x), np.log(y) if log else y, 1)
    smooth: Array = start + slope * np.log(x)
    return np.exp(smooth) if log else smooth


def _draw_residuals(axes: Axes, view: View, looks: dict[float, Look]) -> None:
    fit = view.fit
    axes.axhline(0, color=MUTED, linewidth=0.9, zorder=1.5)
    drawn = [np.zeros(1)]
    for N, part in view.used.items():
        residual = part[fit.y] - fit.predict(part[fit.x], N)
        canvas.draw_points(axes, part[fit.x], residual, looks[N], size=2.4)
        drawn.append(residual)
    for N, part in view.held_out.items():
        if N in view.used:
            residual = part[fit.y] - fit.predict(part[fit.x], N)
            canvas.draw_points(axes, part[fit.x], residual, looks[N], hollow=True, size=2.4)
            drawn.append(residual)
    for found in _whole_curves(view):
        if found.kind == "calibrated":
            residual = found.observed - found.predicted
            canvas.draw_points(axes, found.x, residual, looks[found.N], hollow=True, size=2.4)
            drawn.append(residual)
    largest = max(float(np.max(np.abs(np.concatenate(drawn)))), 1e-6) * 1.12
    axes.set_ylim(-largest, largest)
    axes.yaxis.set_major_locator(canvas.symmetric_ticks(largest))
    axes.grid(color=GRID)


def _handles(view: View) -> list[Artist]:
    handles = [canvas.mark_handle("fitted points")]
    if view.held_out:
        handles.append(canvas.mark_handle("held-out points", hollow=True))
    handles.append(canvas.line_handle("fit", "-"))
    if any(N in view.used for N in view.held_out):
        handles.append(canvas.line_handle("extrapolation", "--"))
    kinds = {e.kind for e in _whole_curves(view)}
    if "calibrated" in kinds:
        handles.append(canvas.line_handle("calibrated by\nits own E0", "--"))
    if "blind" in kinds:
        handles.append(canvas.line_handle("predicted blind", ":"))
    if view.held_out:
        handles.append(canvas.shade_handle("not fitted"))
    if view.resample is not None and not view.resample.withheld:
        handles.append(canvas.band_handle("95% of refits"))
    return handles


def _caption(view: View) -> str:
    fit = view.fit
    curves = "curve" if len(view.used) == 1 else "curves"
    sentences = [
        f"{fit.n} points of {len(view.used)} {curves} fitted: {objective_in_words(fit)}",
        r2_sentence(view),
    ]
    held = sum(len(part) for part in view.held_out.values())
    if held:
        sentences.append(f"{held} points (hollow) were held out of the fit")
    sentences.extend(
        f"{value_label(fit.group, found.N)} {found.kind}: RMSE {significant(found.rmse, 2)}"
        for found in _whole_curves(view)
    )
    if view.resample is not None and view.resample.withheld:
        sentences.append(f"no intervals and no band: {view.resample.note}")
    elif view.resample is not None:
        drawn = f"{view.resample.n} refits, resampled by {view.resample.method}"
        sentences.append(f"intervals and band: 95% of {drawn}")
    return "; ".join(sentences) + "."


def r2_sentence(view: View) -> str:
    """R2 of each curve and, beside it, the pooled one: never the second alone."""
    values = list(view.fit.r2_by_curve.values())
    pooled = f"pooled R² {view.fit.r2:.4f}"
    if not values:
        return "R² not shown, since there is none per curve"
    if len(values) == 1:
        return f"R² of the curve {values[0]:.3f} ({pooled})"
    return f"R² per curve {min(values):.3f} to {max(values):.3f} ({pooled})"


def _alt(view: View) -> str:
    group = view.fit.group
    values = ", ".join(value_label(group, one) for one in view.sizes)
    return (
        f"Learning curves of {view.name}: {view.fit.y} against {view.fit.x} "
        f"for {group} {values}, with the fitted law and a panel of residuals."
    )
