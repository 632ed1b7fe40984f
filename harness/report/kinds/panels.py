"""Points of the curve table as small panels, one for each value of a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.kinds import canvas
from harness.report.model import MissingError
from harness.report.numbers import value_label
from harness.report.style import TEXT, axis_label, symbol
from harness.selection import select

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.analysis import Curves
    from harness.report.model import FigureDeclaration, ReportInput

_KEY = 1.05
_FEW = 4  # up to so many panels, two in a row; beyond, three
_HEIGHTS = {1: 3.05, 2: 2.05, 3: 1.55}  # by panels in a row
_GUTTERS = {1: 0.0, 2: 0.62, 3: 0.52}
_TITLE, _BOTTOM, _LABEL = 0.30, 0.30, 0.22
_MARGIN = 0.15  # right of the panels where there is no key
_CHARACTER, _LETTER = 0.082, 0.07  # inches of a character on average, bold and not


@dataclass(frozen=True, slots=True)
class Place:
    """One panel: its axes, the rows in it, and where it stands."""

    axes: Axes
    rows: Curves
    title: str
    left: bool
    lowest: bool
    width: float


def rows_of(
    declaration: FigureDeclaration, report: ReportInput, numbers: Sequence[str] | None = None
) -> Curves:
    """The points that the declaration asks for, those with a gap in x or y left out.

    `numbers`: the columns that may have gaps, where not both of them hold numbers.

    Raises:
        MissingError: the run has none of them.
        DataError: a column is not there.
    """
    curves = report.curves
    assert declaration.x is not None
    assert declaration.y is not None
    if curves is not None and declaration.where is not None:
        curves = curves.where(select(curves, declaration.where))
    if curves is not None:
        for column in numbers or (declaration.x, declaration.y):
            curves = curves.where(np.isfinite(curves[column]))
    if curves is None or not len(curves):
        raise MissingError(
            f"this run has no points of {declaration.y} against {declaration.x}"
            + (f" where {declaration.where}" if declaration.where else ""),
            hint="run all cells of the tier, or correct `where` in the suite file",
        )
    return curves


def lay_out(
    declaration: FigureDeclaration, rows: Curves, lines: Sequence[str], *, key: float
) -> tuple[Figure, list[Place]]:
    """A sheet with a panel for each value of the column `panels`, numbers in their order.

    `key`: inches that the column of keys on the right takes.
    """
    parts: list[tuple[str, Curves]] = [("", rows)]
    if declaration.panels is not None:
        parts = [
            (panel_title(declaration.panels, value, declaration.labels), part)
            for (value,), part in rows.groups([declaration.panels])
        ]
    columns = 1 if len(parts) == 1 else 2 if len(parts) <= _FEW else 3
    height, gutter = _HEIGHTS[columns], _GUTTERS[columns]
    count = -(-len(parts) // columns)
    title = _TITLE if len(parts) > 1 else 0.12
    above = 0.38 + 0.23 * len(lines)
    figure = canvas.sheet(above + count * (title + height + _BOTTOM) + _LABEL)
    canvas.heading(figure, declaration.title or declaration.name, lines)
    room = canvas.WIDTH - canvas.LEFT - max(key, _MARGIN) - (columns - 1) * gutter
    width = room / columns
    places = []
    for rank, (name, part) in enumerate(parts):
        row, column = divmod(rank, columns)
        axes = canvas.place(
            figure,
            left=canvas.LEFT + column * (width + gutter),
            top=above + title + row * (title + height + _BOTTOM),
            width=width,
            height=height,
        )
        if name:
            axes.set_title(
                _shortened(name, width), fontsize=TEXT, loc="left", fontweight="bold", pad=4
            )
        lowest = rank + columns >= len(parts)
        places.append(Place(axes, part, name, column == 0, lowest, width))
    return figure, places


def key_width(labels: Sequence[str]) -> float:
    """Inches that a key with these entries takes."""
    longest = max(map(len, labels), default=0)
    return max(_KEY, 0.5 + _LETTER * longest) if labels else 0.0


def key_top(lines: Sequence[str]) -> float:
    """Inches from the top of the sheet to the key."""
    return 0.38 + 0.23 * len(lines) + 0.12


def column_label(declaration: FigureDeclaration, column: str) -> str:
    """What the figure calls a column: its own label, else the one that all figures have."""
    return declaration.labels.get(column) or axis_label(column)


def panel_title(column: str, value: Any, labels: Mapping[str, str]) -> str:
    """`holdout` of `evals/holdout`, but `N = 7B`: a number needs its column's name."""
    if value_label(column, value) in labels:
        return labels[value_label(column, value)]
    if isinstance(value, str):
        return value.rpartition("/")[2]
    return f"{symbol(column)} = {value_label(column, value)}"


def abscissa(place: Place, text: str) -> None:
    """Name the x axis, without the unit where the panel is too narrow for it."""
    if len(text) * _LETTER > place.width:
        text = text.partition(" (")[0]
    place.axes.set_xlabel(text if place.lowest else "")


def _shortened(text: str, inches: float) -> str:
    """A title that ends where its panel does."""
    most = int(inches / _CHARACTER)
    return text if len(text) <= most else text[: most - 1].rstrip("_ -") + "…"
