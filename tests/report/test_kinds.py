"""Kinds of figure beside the fits: parameters, curves, set-ups, before and after."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest

import harness.report.kinds  # noqa: F401 - they register themselves
from harness.analysis import Curves, compare_laws, fit, held_out
from harness.errors import DataError
from harness.report.document import render_json
from harness.report.drawing import Keys, figure_kinds, keys_of
from harness.report.figures import Omitted, Rendered, render_figures
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.style import rc_params
from harness.report.tables import render_tables

from .conftest import Points, Wanted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.report.model import ReportInput

EVALS = ["holdout", "gsm8k", "val/zebra", "humaneval", "math"]


def _table() -> Curves:
    """Curves of two sources, three reuses and five evals, with a step and a loss that falls."""
    rows = []
    for source in ("base", "instruct"):
        for tau in (1.0, 5.0, 100.0):
            for rank, name in enumerate(EVALS):
                for step in range(1, 21):
                    loss = (0.9 - 0.1 * rank) * step ** -(0.03 + 0.001 * tau)
                    rows.append(
                        {
                            "source": source,
                            "tau": tau,
                            "eval": name,
                            "step": float(step),
                            "D": 512.0 * step,
                            "ErrRate": loss * (1 + 0.01 * np.sin(step * tau)),
                        }
                    )
    return Curves.from_rows(rows)


TABLE = _table()
FIGURES = [
    Wanted("one", "single", fit="base-step-free"),
    Wanted("sources", "compare-source", fits=("*-step-free",)),
    Wanted("both", "compare-source", fits=("*-free",), params=("k",)),
    Wanted("abscissae", "compare-x", fits=("base-*-free",)),
    Wanted(
        "evals", "curves", x="step", y="ErrRate", group="tau", panels="eval",
        where='source == "base"',
    ),
    Wanted(
        "smooth", "curves", x="D", y="ErrRate", group="source", smooth="spline",
        where='eval == "holdout" and tau == 5',
    ),
    Wanted("setup", "rectangles", group="tau", x="D"),
    Wanted(
        "sides", "prepost", x="tau", y="ErrRate", panels="eval", where='source == "base"'
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def many(report: ReportInput) -> ReportInput:
    fits, points = {}, {}
    for source in ("base", "instruct"):
        rows = TABLE.where((TABLE["source"] == source) & (TABLE["eval"] == "holdout"))
        for x in ("step", "D"):
            name = f"{source}-{x}-free"
            fits[name] = fit(rows, "loglinear", x=x, group="tau", space="log10")
            points[name] = Points(rows, rows.where(np.zeros(len(rows), dtype=bool)))
    return replace(
        report, fits=fits, points=points, resamples={}, extrapolations={}, curves=TABLE,
        figures=FIGURES,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rendered(many: ReportInput) -> dict[str, Rendered]:
    found = {one.name: one for one in render_figures(many)}
    assert all(isinstance(one, Rendered) for one in found.values())
    return found  # type: ignore[return-value]


def _drawn(report: ReportInput, wanted: Wanted) -> Figure:
    with mpl.rc_context(rc_params()):
        figure = figure_kinds()[wanted.kind](wanted, report).figure
        figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("wanted", FIGURES, ids=lambda one: one.name)
def test_no_text_is_cut_off_or_lies_on_other_text(many: ReportInput, wanted: Wanted) -> None:
    figure = _drawn(many, wanted)
    from matplotlib.text import Text

    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible()
    ]
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.overlaps(b), f"{one!r} lies on {other!r}"


def test_the_same_run_gives_the_same_bytes(
    many: ReportInput, rendered: dict[str, Rendered]
) -> None:
    for again in render_figures(many):
        assert isinstance(again, Rendered)
        first = rendered[again.name]
        assert (again.svg, again.pdf, again.png) == (first.svg, first.pdf, first.png)


def test_every_colour_has_a_counterpart_on_a_dark_page(rendered: dict[str, Rendered]) -> None:
    from harness.report.style import DARK_INKS

    for figure in rendered.values():
        used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", figure.svg))
        assert used <= set(DARK_INKS) | set(figure.dark), figure.name


def test_parameters_stand_where_the_fits_have_them(many: ReportInput) -> None:
    figure = _drawn(many, Wanted("one", "single", fit="base-step-free", params=("k",)))
    slopes = many.fits["base-step-free"].by_curve["k"]
    (bars,) = figure.axes[0].containers
    x, y = bars.lines[0].get_data()  # type: ignore[attr-defined]
    assert np.allclose(x, sorted(slopes))
    assert np.allclose(y, [slopes[tau] for tau in sorted(slopes)])


def test_sources_share_panels_and_abscissae_have_their_own(many: ReportInput) -> None:
    figure = _drawn(many, FIGURES[2])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["against step", "against D"]
    assert all(len(axes.containers) == 2 for axes in figure.axes)


def test_bars_that_understate_say_so(rendered: dict[str, Rendered]) -> None:
    assert "understate" in rendered["sources"].caption


def test_panels_hold_the_points_of_their_value(many: ReportInput) -> None:
    figure = _drawn(many, FIGURES[4])
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "gsm8k", "holdout", "humaneval", "math", "zebra"
    ]  # fmt: skip
    first = figure.axes[0]
    points = [line for line in first.lines if line.get_linestyle() == "None"]
    for line, tau in zip(points, (1.0, 5.0, 100.0), strict=True):
        wanted = TABLE.where(
            (TABLE["eval"] == "gsm8k") & (TABLE["source"] == "base") & (TABLE["tau"] == tau)
        )
        assert np.array_equal(line.get_ydata(), wanted["ErrRate"])


def test_smoothed_lines_are_told_from_fits(rendered: dict[str, Rendered]) -> None:
    assert "for the eye; they enter no fit" in rendered["smooth"].caption
    assert "enter no fit" not in rendered["evals"].caption


def test_rectangles_cut_the_same_total(many: ReportInput, rendered: dict[str, Rendered]) -> None:
    axes = _drawn(many, FIGURES[6]).axes[0]
    boxes = [path.get_extents() for one in axes.collections for path in one.get_paths()]
    by_row: dict[float, list[float]] = {}
    for box in boxes:
        by_row.setdefault(round(float(box.y0), 6), []).append(float(box.width))
    assert sorted(map(len, by_row.values())) == [1, 5, 100]
    for widths in by_row.values():
        assert np.isclose(sum(widths), 512 * 20)
        assert np.allclose(widths, widths[0])
    assert "D_total = 10,240 samples" in rendered["setup"].caption


def test_before_and_after_are_the_two_values_of_a_column(many: ReportInput) -> None:
    sides = Curves.from_rows(
        {"N": N, "which": which, "ErrRate": 0.9 if which == "pre" else 0.5}
        for N in (1e9, 7e9)
        for which in ("post", "pre")
    )
    report = replace(many, curves=sides)
    wanted = Wanted("x", "prepost", x="N", y="ErrRate", group="which")
    axes = _drawn(report, wanted).axes[0]
    markers = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert [line.get_ydata().tolist() for line in markers] == [[0.9, 0.9], [0.5, 0.5]]
    three = replace(report, curves=Curves({**sides.columns, "which": np.array(list("abca"))}))
    with pytest.raises(DataError, match="two sides"):
        _drawn(three, wanted)


def test_points_that_the_run_lacks_leave_the_figure_out(many: ReportInput) -> None:
    asked = [
        Wanted("none", "curves", x="step", y="ErrRate", where="tau == 3"),
        Wanted("setup", "rectangles", group="tau", x="D", where="tau == 3"),
    ]
    for report in (replace(many, figures=asked), replace(many, figures=asked, curves=None)):
        assert [type(one) for one in render_figures(report)] == [Omitted, Omitted]


def test_a_loss_of_zero_has_a_linear_axis(many: ReportInput) -> None:
    zero = Curves({**TABLE.columns, "ErrRate": np.where(TABLE["step"] == 20, 0, TABLE["ErrRate"])})
    figure = _drawn(replace(many, curves=zero), FIGURES[4])
    assert {axes.get_yscale() for axes in figure.axes} == {"linear"}


def test_kinds_say_which_keys_they_know() -> None:
    assert keys_of("curves").needs == ("x", "y")
    assert keys_of("single") == Keys(needs=("fit",), takes=("params",))


def test_parameters_that_no_fit_has_leave_the_figure_out_with_those_it_could_show(
    many: ReportInput,
) -> None:
    asked = [Wanted("p", kind, fits=("*-step-free",), params=("zeta",)) for kind in _PARAMETERS]
    for one in render_figures(replace(many, figures=asked)):
        assert isinstance(one, Omitted)
        assert "such a parameter" in one.reason


_PARAMETERS = ("single", "compare-source", "compare-x")


def test_tables_set_parameters_of_curves_with_the_flags_of_their_fits(many: ReportInput) -> None:
    wanted = [
        Wanted("own", "table", fits=("*-step-free",)),
        Wanted("k", "table-compact", fits=("*-free",), params=("k",)),
    ]
    fits = {**many.fits}
    fitted = fits["base-step-free"]
    flagged = replace(fitted.certificate, flags=("few_points", "on_bound:k/5"))
    fits["base-step-free"] = replace(fitted, certificate=flagged)
    text = dict(render_tables(replace(many, fits=fits, tables=wanted)))
    assert r"$k$ by $\tau$ & base-step-free$^{a,b}$ & instruct-step-free \\" in text["own"]
    assert r"$E_0$ by $\tau$" in text["own"]
    assert r"$^{b}$ on\_bound:k: the parameter ended on a bound" in text["own"]
    assert "(tau 5)" in text["own"]
    assert "E_0" not in text["k"]
    slope = fitted.by_curve["k"][5.0]
    (line,) = [one for one in text["own"].splitlines() if one.startswith("5 & ")][:1]
    assert float(line.split("&")[1].split(r"\pm")[0].strip(" $")) == pytest.approx(slope, abs=1e-3)


def test_the_page_shows_what_was_held_out_and_what_rivals_say(many: ReportInput) -> None:
    rows = TABLE.where((TABLE["source"] == "base") & (TABLE["eval"] == "holdout"))
    one = many.fits["base-step-free"]
    rivals = [one, fit(rows, "power", x="step", group="tau", space="log10")]
    full = replace(
        many,
        figures=[],
        tables=[],
        held_out={"base-step-free": held_out(one, rows)},
        rivals={"base-step-free": compare_laws(rivals, rows)},
        fit_notes={"base-step-free": ["the rival chinchilla is not fitted"]},
    )
    page, summary = render_html(full, []), render_markdown(full)
    document = json.loads(render_json(full, []))
    for text in (page, summary):
        assert "last part of log step" in text
        assert "power" in text
    assert "the rival chinchilla is not fitted" in page
    assert "loglinear leaves parameters free for every tau, and so knows no other" in page
    told = document["fits"]["base-step-free"]
    assert {row["part"] for row in told["held_out"]} == {"last", "largest"}
    assert [row["law"] for row in told["rivals"]]
    assert told["by_curve"]["k"][0].keys() == {"tau", "value"}
