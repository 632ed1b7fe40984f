"""Figures: what a reader must be able to tell from them, whatever the run was."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import matplotlib as mpl
import pytest

from harness.errors import SuiteError
from harness.report.drawing import figure_kinds
from harness.report.figures import Omitted, Rendered, render_figures
from harness.report.kinds import scaling
from harness.report.style import rc_params, size_looks

from .conftest import Wanted, synthetic

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from harness.analysis import Curves
    from harness.report.model import ReportInput

SIZES = [0.5e9, 1.5e9, 3e9, 7e9, 14e9, 32e9, 72e9]


@pytest.fixture(scope="module")
def rendered(report: ReportInput) -> dict[str, Rendered]:
    found = list(render_figures(report))
    assert all(isinstance(one, Rendered) for one in found)
    return {one.name: one for one in found if isinstance(one, Rendered)}


def test_every_declared_figure_is_drawn_in_three_formats(rendered: dict[str, Rendered]) -> None:
    assert list(rendered) == ["overview", "inter", "intra", "base-72B", "slopes"]
    for figure in rendered.values():
        ET.fromstring(figure.svg)
        assert figure.pdf.startswith(b"%PDF-")
        assert figure.png.startswith(b"\x89PNG")


def test_the_same_run_gives_the_same_bytes(
    report: ReportInput, rendered: dict[str, Rendered]
) -> None:
    once = replace(report, figures=[f for f in report.figures if f.name == "inter"])
    (again,) = render_figures(once)
    assert isinstance(again, Rendered)
    first = rendered["inter"]
    assert (again.svg, again.pdf, again.png) == (first.svg, first.pdf, first.png)


def test_no_text_is_smaller_than_eight_points(rendered: dict[str, Rendered]) -> None:
    for figure in rendered.values():
        sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", figure.svg)]
        assert sizes
        assert min(sizes) >= 8


def test_the_key_names_the_sizes_in_order(rendered: dict[str, Rendered]) -> None:
    for name in ("inter", "intra", "overview"):
        texts = [node.text for node in ET.fromstring(rendered[name].svg).iter() if node.text]
        labels = [text for text in texts if re.fullmatch(r"[\d.]+B", text)]
        assert labels == ["0.5B", "1.5B", "3B", "7B", "14B", "32B", "72B"]


def test_a_held_out_curve_is_predicted_blind_and_calibrated_in_words(
    rendered: dict[str, Rendered],
) -> None:
    for name in ("inter", "base-72B"):
        assert "blind" in rendered[name].svg
        assert "calibrated" in rendered[name].svg
        assert "blind" in rendered[name].caption
        assert "calibrated" in rendered[name].caption


def test_pooled_r2_stands_beside_r2_per_curve(rendered: dict[str, Rendered]) -> None:
    for figure in rendered.values():
        for sentence in re.split(r"[.;] ", figure.caption):
            if "pooled R²" in sentence:
                assert "R² per curve" in sentence or "R² of the curve" in sentence


def test_titles_say_the_law_and_its_parameters(rendered: dict[str, Rendered]) -> None:
    svg = rendered["inter"].svg
    assert "base-C-inter" in svg
    assert "log₁₀ C" in svg
    assert re.search(r"Kₘₐₓ = 0\.15", svg)
    assert re.search(r"N₀ = \(17 .*\) . 10⁹ parameters", svg)


@pytest.mark.parametrize("law", ["loglinear", "loglinear_kn"])
@pytest.mark.parametrize("count", [2, 20])
def test_few_and_many_curves_without_resampling_or_held_out_points(
    alone: Callable[[Curves, str], ReportInput], law: str, count: int
) -> None:
    sizes = [0.5e9 * 1.3**rank for rank in range(count)]
    found = list(render_figures(alone(synthetic(sizes), law)))
    assert [one.name for one in found] == ["scaling", "slopes", "extrapolation", "grid"]
    assert all(isinstance(one, Rendered) for one in found)


def test_one_curve_of_three_points(alone: Callable[[Curves, str], ReportInput]) -> None:
    found = list(render_figures(alone(synthetic([7e9], points=3), "loglinear")))
    assert all(isinstance(one, Rendered) for one in found)
    (scaled,) = [one for one in found if one.name == "scaling"]
    assert isinstance(scaled, Rendered)
    assert "R² of the curve" in scaled.caption


def test_a_figure_of_a_fit_that_the_run_lacks_is_left_out_with_the_reason(
    report: ReportInput,
) -> None:
    partial = replace(
        report,
        figures=[Wanted("gone", "scaling", fit="base-D-inter")],
        incomplete={"base-D-inter": "2 cells have no result"},
    )
    (found,) = render_figures(partial)
    assert isinstance(found, Omitted)
    assert "2 cells have no result" in found.reason


def test_an_unknown_kind_is_an_error_that_names_the_kinds(report: ReportInput) -> None:
    wrong = replace(report, figures=[Wanted("x", "pie", fit="base-C-full")])
    with pytest.raises(SuiteError) as caught:
        list(render_figures(wrong))
    assert "scaling" in str(caught.value)


def test_looks_differ_by_colour_and_by_marker() -> None:
    looks = size_looks([float(n) for n in range(1, 21)])
    assert len({look.color for look in looks.values()}) == 20
    assert len({(look.color, look.marker) for look in looks.values()}) == 20
    neighbours = list(looks.values())
    assert all(a.marker != b.marker for a, b in pairwise(neighbours))


def test_colours_are_ordered_in_lightness() -> None:
    looks = size_looks(SIZES)
    light = [_lightness(looks[N].color) for N in SIZES]
    assert light == sorted(light, reverse=True)


@pytest.mark.parametrize("name", ["overview", "inter", "intra", "base-72B", "slopes"])
def test_no_text_is_cut_off_or_lies_on_other_text(report: ReportInput, name: str) -> None:
    _text_is_readable(_drawn(report, name))


def _text_is_readable(figure: Figure) -> None:
    boxes = _text_boxes(figure)
    assert boxes
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.overlaps(b), f"{one!r} lies on {other!r}"


@pytest.mark.parametrize("name", ["scaling", "slopes", "extrapolation", "grid"])
@pytest.mark.parametrize("count", [1, 20])
def test_text_stays_apart_for_few_and_many_sizes(
    alone: Callable[[Curves, str], ReportInput], name: str, count: int
) -> None:
    sizes = [0.1e9 * 1.4**rank for rank in range(count)]
    law = "loglinear_kn" if count > 1 else "loglinear"
    _text_is_readable(_drawn(alone(synthetic(sizes), law), name))


def test_the_shaded_region_is_left_out_where_fitted_points_would_lie_in_it(
    report: ReportInput,
) -> None:
    view = scaling.canvas.view_of(report, "base-D-intra")
    axes = _drawn(report, "intra").axes[0]
    assert scaling._beyond(axes, view, list(view.held_out)) is not None
    swapped = replace(view, used=view.held_out, held_out=view.used)
    mixed = replace(swapped, used={**view.used, 0.5e9: view.held_out[0.5e9]})
    assert scaling._beyond(axes, mixed, list(mixed.held_out)) is None


def _drawn(report: ReportInput, name: str) -> Figure:
    (declared,) = [one for one in report.figures if one.name == name]
    with mpl.rc_context(rc_params()):
        figure = figure_kinds()[declared.kind](declared, report).figure
        figure.draw_without_rendering()
    return figure


def _text_boxes(figure: Figure) -> list:
    from matplotlib.text import Text

    return [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible()
    ]


def _lightness(color: str) -> float:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
