"""Figures speak in the words of the suite: titles, captions, and names of columns and values."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest

import harness.report.kinds  # noqa: F401 - they register themselves
from harness.analysis import Curves
from harness.report.drawing import figure_kinds
from harness.report.figures import Omitted, Rendered, render_figures
from harness.report.html import render_html
from harness.report.style import rc_params
from harness.spec.discovery import list_suites
from harness.spec.load import load_suite

from .conftest import Wanted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.report.model import ReportInput

SCORES = Curves.from_rows(
    {"model": model, "benchmark": float(place), "score": score, "part": "a"}
    for model, scores in (("small", (17.5, 77.25, 3.0)), ("large", (40.0, 90.0, 3.0)))
    for place, score in enumerate(scores)
)
DOTS = Wanted(
    "table3",
    "dots",
    x="score",
    y="benchmark",
    group="model",
    title="Scores of two models",
    labels={"0": "AIME24", "1": "MATH", "2": "Zebra", "score": "Score (%)", "small": "Small-7B"},
)


def _drawn(report: ReportInput, wanted: Wanted) -> Figure:
    with mpl.rc_context(rc_params()):
        return figure_kinds()[wanted.kind](wanted, report).figure


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_dots_name_their_rows_and_join_none(report: ReportInput) -> None:
    figure = _drawn(replace(report, curves=SCORES), DOTS)
    [axes] = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["AIME24", "MATH", "Zebra"]
    assert axes.get_xlabel() == "Score (%)"
    assert {"Small-7B", "large", "Scores of two models"} <= set(_texts(figure))
    assert {line.get_linestyle() for line in axes.lines} == {"None"}
    drawn = [(x, y) for line in axes.lines for x, y in zip(*line.get_data(), strict=True)]
    assert sorted(drawn) == sorted(zip(SCORES["score"], SCORES["benchmark"], strict=True))
    top, bottom = sorted(axes.get_ylim(), reverse=True)
    assert axes.get_ylim() == (top, bottom)  # the first row is at the top


def test_dots_take_names_from_a_column_of_text(report: ReportInput) -> None:
    names = np.array(["AIME24", "MATH", "Zebra"])[SCORES["benchmark"].astype(int)]
    rows = Curves({**SCORES.columns, "benchmark": names})
    [axes] = _drawn(replace(report, curves=rows), replace(DOTS, labels={})).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["AIME24", "MATH", "Zebra"]


def test_dots_without_points_are_left_out(report: ReportInput) -> None:
    asked = replace(DOTS, where="benchmark > 5")
    [one] = render_figures(replace(report, curves=SCORES, figures=[asked]))
    assert isinstance(one, Omitted)


def test_no_caption_shows_a_filter(report: ReportInput) -> None:
    asked = [
        Wanted("c", "curves", x="C", y="ErrRate", group="N", where="C > 0"),
        Wanted("p", "prepost", x="N", y="ErrRate", where="C > 0"),
    ]
    for one in render_figures(replace(report, figures=asked)):
        assert isinstance(one, Rendered)
        assert "C > 0" not in one.caption
        assert "where" not in one.caption


def test_a_suite_s_words_stand_on_figure_and_page(report: ReportInput) -> None:
    sides = {"first": "before RL", "last": "best checkpoint", "ErrRate": "Loss on tests"}
    asked = Wanted(
        "p", "prepost", x="N", y="ErrRate", title="Two ends", caption="Said once.", labels=sides
    )
    one = replace(report, figures=[asked])
    figure = _drawn(one, asked)
    assert {"before RL", "best checkpoint", "Two ends"} <= set(_texts(figure))
    assert figure.axes[0].get_ylabel() == "Loss on tests"
    [drawn] = render_figures(one)
    assert isinstance(drawn, Rendered)
    assert drawn.caption.startswith("Said once. Each line joins before RL and best checkpoint")
    page = render_html(one, [drawn])
    assert "<b>Two ends</b> Said once." in page


@pytest.mark.parametrize("name", list_suites())
def test_figures_of_points_have_titles_in_words(name: str) -> None:
    for figure in load_suite(list_suites()[name]).figures:
        if figure.kind in ("curves", "prepost", "rectangles", "dots"):
            assert figure.title is not None, figure.name
            assert re.fullmatch(r"[A-Z].* .*", figure.title), figure.title


def test_the_benchmarks_of_guru_are_those_of_its_table() -> None:
    suite = load_suite(list_suites()["guru"])
    [figure] = [one for one in suite.figures if one.name == "table3"]
    with (suite.root / "published/table3.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert figure.labels[row["index"]] == row["benchmark"]
