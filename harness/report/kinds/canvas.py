"""What the kinds of figure share: a sheet measured in inches, loss axes, curves and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from harness.report.model import declared_fits
from harness.report.numbers import MINUS, TIMES, superscript, value_label
from harness.report.style import INK, MUTED, PAPER, SHADE, SMALL, TEXT, TITLE, axis_label

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.typing import LineStyleType

    from harness.analysis import Curves, Extrapolation, Fit, Resample
    from harness.report.model import FigureDeclaration, ReportInput
    from harness.report.style import Look

Array = npt.NDArray[np.float64]

WIDTH, LEFT, KEY = 7.0, 0.80, 1.52  # inches: sheet, left margin, column of keys on the right
LEVEL = 0.95
FEW = 30  # points of a curve up to which each can be seen; more are a cloud
LINE = 0.23  # inches of a line of the heading
_LETTER = 0.075  # inches of a letter in it on average
MOST_LETTERS = int((WIDTH - LEFT) / _LETTER)
RESIDUAL = f"Observed {MINUS} law"
_LOSS_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
_FEW_DECADES, _FEW_FOLD, _MOST_DECIMALS = 2.6, 6.0, 3
_FEWEST_TICKS = 3
_ROWS_PER_KEY_COLUMN = 20
_KEY_COLUMN, _SAMPLE, _ROW, _LINE = 0.75, 0.22, 0.158, 0.135


@dataclass(frozen=True, slots=True)
class View:
    """A fit with everything of the run that belongs to it; curves by their value of its group."""

    name: str
    fit: Fit
    used: dict[float, Curves]
    held_out: dict[float, Curves]
    resample: Resample | None
    extrapolations: Sequence[Extrapolation]

    @property
    def sizes(self) -> list[float]:
        """The values of the group of all curves seen, fitted or held out, small to large."""
        return sorted({*self.used, *self.held_out, *(e.N for e in self.extrapolations)})


def fits_of(declaration: FigureDeclaration, report: ReportInput) -> list[str]:
    """Names of the fits that a figure shows: its `fit`, then its `fits`.

    Raises:
        MissingFitError: this run could not make one of them.
    """
    one = [declaration.fit] if declaration.fit else []
    return declared_fits([*one, *declaration.fits], report)


def view_of(report: ReportInput, name: str) -> View:
    """Gather a fit's points by curve, its resamples and its extrapolations."""
    fit = report.fits[name]
    points = report.points[name]
    return View(
        name=name,
        fit=fit,
        used=_by_size(points.used, fit),
        held_out=_by_size(points.held_out, fit),
        resample=report.resamples.get(name),
        extrapolations=report.extrapolations.get(name, ()),
    )


def sheet(height: float, *, width: float = WIDTH) -> Figure:
    """An empty figure of that many inches; axes are placed on it in inches from its top left."""
    return Figure(figsize=(width, height))


def place(figure: Figure, *, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches. Fixed places need no layout pass and never move."""
    sheet_width, sheet_height = figure.get_size_inches()
    return figure.add_axes(
        (
            left / sheet_width,
            1 - (top + height) / sheet_height,
            width / sheet_width,
            height / sheet_height,
        )
    )


def heading(figure: Figure, title: str, lines: Sequence[str], *, left: float = LEFT) -> None:
    """Title in bold and lines under it, flush left with the axes."""
    width, height = figure.get_size_inches()
    x = left / width
    figure.text(x, 1 - 0.30 / height, title, fontsize=TITLE, fontweight="bold")
    for row, line in enumerate(lines):
        figure.text(x, 1 - (0.55 + LINE * row) / height, line, fontsize=TEXT)


def flowed(parts: Sequence[str]) -> list[str]:
    """Parts on as few lines as the sheet has room for beside its margins."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]},   {part}" if lines else part
        if lines and len(joined) <= MOST_LETTERS:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines


def log_axes(axes: Axes, x: Sequence[Array], y: Sequence[Array]) -> None:
    """Log-log axes fitted to the data, with plain decimals on the loss axis."""
    axes.set_yscale("log")
    low, high = span(y, 0.05)
    axes.set_ylim(low, high)
    if high / low > _FEW_FOLD:
        ticks = _thin(_ticks(low, high, (1, 2, 5)), 8)
    else:
        ticks = _thin(_ticks(low, high, _LOSS_STEPS), 8)
    if len(ticks) < _FEWEST_TICKS:
        ticks = _even(low, high, 5)
    decimals = max(len(f"{tick:g}".partition(".")[2]) for tick in ticks)
    style = f".{decimals}f" if decimals <= _MOST_DECIMALS else "g"
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FixedFormatter([f"{tick:,{style}}" for tick in ticks]))
    axes.yaxis.set_minor_locator(NullLocator())
    log_abscissa(axes, span(x, 0.03))


def linear_ordinate(axes: Axes, x: Sequence[Array], y: Sequence[Array]) -> None:
    """A plain y axis over a logarithmic x axis, fitted to the data."""
    joined = np.concatenate([np.ravel(one) for one in y])
    low, high = float(joined.min()), float(joined.max())
    pad = 0.05 * (high - low) or 0.01
    axes.set_ylim(low - pad, high + pad)
    log_abscissa(axes, span(x, 0.03))


def log_ordinate(axes: Axes) -> None:
    """A log y axis for values of several decades, one tick a decade, in plain text."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = _thin(_ticks(low, high, (1,)), 6)
    if len(ticks) < 2:
        ticks = _thin(_ticks(low, high, (1, 2, 5)), 6)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FixedFormatter([power_label(tick) for tick in ticks]))
    axes.yaxis.set_minor_locator(NullLocator())


def log_abscissa(axes: Axes, limits: tuple[float, float], *, labels: bool = True) -> None:
    """A log x axis with a tick per decade, or at 1, 2 and 5 of each if there are few decades.

    The labels are plain text: parsing mathematics costs more than the rest of the figure.
    """
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    few = np.log10(limits[1] / limits[0]) < _FEW_DECADES
    ticks = _ticks(*limits, (1, 2, 5) if few else (1,))
    minor = [] if few else _ticks(*limits, (2, 5))
    most = max(int(_inches_wide(axes) / 0.55), 2)
    decades = _ticks(*limits, (1,))
    ticks = decades if len(ticks) > most and 2 <= len(decades) <= most else _thin(ticks, most)
    if len(ticks) < 2:
        ticks = _even(*limits, most)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    texts = [power_label(tick) if labels else "" for tick in ticks]
    axes.xaxis.set_major_formatter(FixedFormatter(texts))
    axes.xaxis.set_minor_locator(FixedLocator(minor))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=2)


def power_label(value: float) -> str:
    """A round number for a tick: 500, 20,000, 10¹⁸, or 2 times that."""
    if 1e-3 < value < 1e6:
        return f"{value:,g}" if value < 1e4 else f"{value:,.0f}"
    exponent = int(np.floor(np.log10(value) + 1e-9))
    mantissa = round(value / 10.0**exponent)
    return superscript(exponent) if mantissa == 1 else f"{mantissa}{TIMES}{superscript(exponent)}"


def label_axes(axes: Axes, fit: Fit, *, x: bool = True, y: bool = True) -> None:
    """Axis labels with units."""
    if x:
        axes.set_xlabel(axis_label(fit.x))
    if y:
        ordinate(axes, axis_label(fit.y))


def plain(value: float) -> str:
    """A count written out, with commas: 53,760."""
    return f"{value:,.0f}"


def ordinate(axes: Axes, label: str) -> None:
    """A y label at a fixed distance, so that panels under each other line up without a layout."""
    inches = _inches_wide(axes)
    axes.set_ylabel(label)
    axes.yaxis.set_label_coords(-0.58 / inches, 0.5)


def draw_points(
    axes: Axes, x: Array, y: Array, look: Look, *, hollow: bool = False, size: float = 3.4
) -> None:
    """Measured points: light where they are many, hollow where they were held out."""
    few = not hollow and len(x) <= FEW
    axes.plot(
        x,
        y,
        linestyle="none",
        marker=look.marker,
        markersize=size + 1.4 * few,
        markerfacecolor=PAPER if hollow else look.color,
        markeredgecolor=look.color,
        markeredgewidth=0.6 if hollow else 0.0,
        alpha=0.75 if hollow else 0.9 if few else 0.38,
        zorder=2.4 if hollow else 2.2,
    )


def draw_line(
    axes: Axes, x: Array, y: Array, look: Look, style: LineStyleType = "-", width: float = 1.5
) -> None:
    """A law over x; dashed or dotted where it extrapolates."""
    axes.plot(x, y, color=look.color, linestyle=style, linewidth=width, zorder=3)


def draw_band(axes: Axes, x: Array, N: float, resample: Resample | None, look: Look) -> bool:
    """The resampling band of one curve, where there is one; says whether it was drawn."""
    if resample is None or resample.withheld:
        return False
    low, high = resample.band(x, N, LEVEL)
    axes.fill_between(x, low, high, color=look.color, alpha=0.16, linewidth=0, zorder=1.6)
    return True


def key(figure: Figure, left: float, top: float, title: str, entries: Sequence[Artist]) -> float:
    """A key with its top left corner at a place in inches; returns where it ends.

    Set by hand, since Matplotlib's legend takes as long as everything else on the sheet.
    """
    if not entries:
        return top
    left += 0.12
    if title:
        _say(figure, left, top + _ROW / 2, title, fontweight="bold")
        top += _ROW
    rows = -(-len(entries) // -(-len(entries) // _ROWS_PER_KEY_COLUMN))
    lowest = top
    for first in range(0, len(entries), rows):
        y = top
        for entry in entries[first : first + rows]:
            y = _enter(figure, left, y, entry)
        lowest = max(lowest, y)
        left += _KEY_COLUMN
    return lowest + 0.12


def _enter(figure: Figure, left: float, top: float, entry: Artist) -> float:
    """Place one sample with its label; returns where the next one begins."""
    lines = _label(entry).split("\n")
    height = _ROW + _LINE * (len(lines) - 1)
    middle = top + height / 2
    width, sheet_height = figure.get_size_inches()
    entry.set_transform(figure.transFigure)
    x = np.array([left, left + _SAMPLE / 2, left + _SAMPLE]) / width
    y = 1 - middle / sheet_height
    if isinstance(entry, Rectangle):
        entry.set_bounds(x[0], y - 0.05 / sheet_height, x[2] - x[0], 0.10 / sheet_height)
    elif isinstance(entry, Line2D):
        entry.set_data(x, np.full(3, y))
        entry.set_markevery([1])
    figure.add_artist(entry)
    for number, line in enumerate(lines):
        _say(figure, left + _SAMPLE + 0.08, top + _ROW / 2 + _LINE * number, line)
    return top + height


def _say(figure: Figure, left: float, middle: float, text: str, **font: Any) -> None:
    width, height = figure.get_size_inches()
    place = (left / width, 1 - (middle + 0.3 * SMALL / 72) / height)
    figure.text(*place, text, fontsize=SMALL, **font)


def curve_handles(
    group: str,
    looks: Mapping[Any, Look],
    held_out: Collection[Any] = (),
    names: Mapping[Any, str] | None = None,
    *,
    joined: bool = True,
) -> list[Artist]:
    """Keys of curves in order, with the markers they have; hollow if all of it is held out.

    `names`: what they are called where that is not the value of their group. `joined`: whether
    the figure has a line for each, beside its points.
    """
    return [
        Line2D(
            [],
            [],
            color=look.color,
            marker=look.marker,
            markersize=4.5,
            markerfacecolor=PAPER if N in held_out else look.color,
            markeredgecolor=look.color,
            linewidth=1.5,
            linestyle="none" if not joined else "--" if N in held_out else "-",
            label=(names or {}).get(N, value_label(group, N)),
        )
        for N, look in sorted(looks.items())
    ]


def mark_handle(label: str, *, hollow: bool = False) -> Artist:
    """Key of a kind of point."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="o",
        markersize=4.5,
        markerfacecolor=PAPER if hollow else MUTED,
        markeredgecolor=MUTED,
        alpha=1.0 if hollow else 0.5,
        label=label,
    )


def point_handle(label: str, look: Look) -> Artist:
    """Key of one set of hollow points."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=look.marker,
        markersize=5,
        markerfacecolor=PAPER,
        markeredgecolor=look.color,
        label=label,
    )


def line_handle(label: str, style: LineStyleType, color: str = INK) -> Artist:
    """Key of a kind of line."""
    return Line2D([], [], linestyle=style, color=color, linewidth=1.5, label=label)


def band_handle(label: str) -> Artist:
    """Key of the resampling band."""
    return Rectangle((0, 0), 1, 1, facecolor=MUTED, alpha=0.25, linewidth=0, label=label)


def shade_handle(label: str) -> Artist:
    """Key of the shaded region."""
    return Rectangle((0, 0), 1, 1, facecolor=SHADE, edgecolor=MUTED, linewidth=0.4, label=label)


def dark_of(looks: Mapping[Any, Look]) -> dict[str, str]:
    """The colours of these looks on a dark page."""
    return {look.color: look.dark for look in looks.values()}


def grid_between(x: Array, points: int = 40) -> Array:
    """Abscissae evenly spaced in log x over the range of x, for drawing a law."""
    return np.geomspace(float(np.min(x)), float(np.max(x)), points)


def _inches_wide(axes: Axes) -> float:
    sheet_of_axes = axes.get_figure(root=True)
    assert sheet_of_axes is not None
    return float(axes.get_position().width * sheet_of_axes.get_size_inches()[0])


def _by_size(curves: Curves, fit: Fit) -> dict[float, Curves]:
    if len(curves) == 0:
        return {}
    return {float(key[0]): part for key, part in curves.groups([fit.group])}


def span(values: Sequence[Array], margin: float) -> tuple[float, float]:
    """Limits around all values, with a margin that is a share of their range in log space."""
    joined = np.concatenate([np.ravel(v) for v in values])
    low, high = np.log10(joined.min()), np.log10(joined.max())
    pad = max(margin * (high - low), 0.01)
    return float(10 ** (low - pad)), float(10 ** (high + pad))


def _ticks(low: float, high: float, steps: Sequence[float]) -> list[float]:
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    return [m * 10.0**d for d in decades for m in steps if low <= m * 10.0**d <= high]


def _even(low: float, high: float, most: int) -> list[float]:
    """Evenly spaced round numbers, for a log axis that spans little."""
    even = MaxNLocator(max(most, 3), steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(f"{tick:.9g}") for tick in even if low <= tick <= high]


def _thin(ticks: list[float], most: int) -> list[float]:
    return ticks if len(ticks) <= most else ticks[:: -(-len(ticks) // most)]


def _label(handle: Artist) -> str:
    return str(handle.get_label())


def key_height(count: int) -> float:
    """Inches that a key of so many one-line entries takes, its title included."""
    return _ROW * (1 + min(count, _ROWS_PER_KEY_COLUMN)) + 0.12


def apart(sizes: Sequence[float], inches: float, axis: tuple[float, float]) -> list[float]:
    """Those of the sizes, from the largest down, whose labels do not touch on a log axis."""
    per_decade = inches / float(np.log10(axis[1] / axis[0]))
    kept: list[float] = []
    for N in sorted(sizes, reverse=True):
        if not kept or float(np.log10(kept[-1] / N)) * per_decade > 0.5:
            kept.append(N)
    return kept[::-1]


def group_axis(axes: Axes, group: str, values: Sequence[float], inches: float) -> None:
    """A log axis of the values that tell curves apart, named where their labels do not touch."""
    if min(values) > 0:
        axes.set_xscale("log")
        pad = max(values[-1] / values[0], 1.5) ** 0.07
        axes.set_xlim(values[0] / pad, values[-1] * pad)
        named = apart(values, inches, axes.get_xlim())
    else:
        named = list(values)
    axes.set_xticks(named, [value_label(group, one) for one in named])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(axis_label(group))


def symmetric_ticks(largest: float) -> FixedLocator:
    """Ticks at minus a round number, zero and that number, for a panel of residuals."""
    power = 10.0 ** np.floor(np.log10(largest))
    step = max(m * power for m in (0.5, 1, 2, 5) if m * power <= largest)
    return FixedLocator([-step, 0, step])
