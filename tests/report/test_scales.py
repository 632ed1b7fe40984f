"""What a figure of one fit shows: values of few curves, points to be seen, axes that suit y."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest

import harness.report.kinds  # noqa: F401 - they register themselves
from harness.analysis import Curves, fit
from harness.report.describe import objective_in_words
from harness.report.drawing import figure_kinds
from harness.report.figures import Rendered, render_figures
from harness.report.style import rc_params

from .conftest import Points, Wanted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.report.model import ReportInput


def _rewards(curves: int, floor: float = 0.1) -> Curves:
    return Curves.from_rows(
        {"N": float(N), "C": C, "reward": floor + 0.1 * (N + 4) / (1 + (5e3 / C) ** 1.2) * ripple}
        for N in range(1, curves + 1)
        for C, ripple in zip(np.geomspace(1e2, 1e6, 20), np.tile([1.0, 1.01], 10), strict=True)
    )


def _figure(report: ReportInput, rows: Curves, y: str = "reward", **options: str) -> Figure:
    wanted = Wanted("one", "scaling", fit="one")
    one = fit(rows, y=y, x="C", **options)  # type: ignore[arg-type]
    nothing = rows.where(np.zeros(len(rows), dtype=bool))
    alone = replace(report, fits={"one": one}, resamples={}, points={"one": Points(rows, nothing)})
    with mpl.rc_context(rc_params()):
        return figure_kinds()["scaling"](wanted, replace(alone, extrapolations={})).figure


def _heads(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


@pytest.mark.parametrize(("curves", "shown"), [(1, True), (2, True), (3, True), (6, False)])
def test_values_of_few_curves_stand_in_the_heading(
    report: ReportInput, curves: int, shown: bool
) -> None:
    rows = _rewards(curves)
    heads = _heads(_figure(report, rows, law="sigmoid"))
    assert ("every curve has its own" not in heads) == shown
    if shown:
        found = fit(rows, "sigmoid", x="C", y="reward").by_curve["A"]
        assert f"A = {found[1.0]:.2f}" in heads


def test_a_reward_has_a_plain_axis_and_a_loss_a_logarithmic_one(
    report: ReportInput, published: Curves
) -> None:
    assert _axes(_figure(report, _rewards(2), law="sigmoid")).get_yscale() == "linear"
    assert _axes(_figure(report, _rewards(2, floor=0.0), law="sigmoid")).get_yscale() == "linear"
    base = published.where(published["source"] == "base")
    assert _axes(_figure(report, base, y="ErrRate", law="loglinear_kn")).get_yscale() == "log"


def test_a_power_of_a_rising_loss_keeps_the_axis_of_its_own_space(report: ReportInput) -> None:
    figure = _figure(report, _rewards(2), law="power", space="log10")
    assert _axes(figure).get_yscale() == "log"


def _axes(figure: Figure) -> Axes:
    return figure.axes[0]


def test_few_points_can_be_seen(report: ReportInput, published: Curves) -> None:
    few = _axes(_figure(report, _rewards(2), law="sigmoid")).lines[0]
    base = published.where(published["source"] == "base")
    many = _axes(_figure(report, base, y="ErrRate", law="loglinear_kn")).lines[0]
    assert few.get_markersize() > many.get_markersize()
    assert (few.get_alpha() or 1) > 0.8 > (many.get_alpha() or 1)


def test_a_reward_is_not_called_a_loss() -> None:
    one = fit(_rewards(2), "sigmoid", x="C", y="reward")
    assert objective_in_words(one).startswith("least squares in reward,")
    assert "in L" not in objective_in_words(one)


def test_points_that_no_line_joins_have_no_line_in_the_key(report: ReportInput) -> None:
    rows = Curves.from_rows(
        {"N": N, "step": float(step), "length": 500.0 + 90 * np.sin(step), "ErrRate": 0.5}
        for N in (1e9, 7e9)
        for step in range(40)
    )
    asked = [
        Wanted("back", "curves", x="length", y="ErrRate", group="N"),
        Wanted("on", "curves", x="step", y="ErrRate", group="N"),
    ]
    for wanted, style in zip(asked, ("None", "-"), strict=True):
        with mpl.rc_context(rc_params()):
            figure = figure_kinds()["curves"](wanted, replace(report, curves=rows)).figure
        keys = [line for line in figure.get_children() if getattr(line, "get_marker", None)]
        assert {line.get_linestyle() for line in keys} == {style}  # type: ignore[attr-defined]
    drawn = list(render_figures(replace(report, curves=rows, figures=asked)))
    assert all(isinstance(one, Rendered) for one in drawn)
