"""An interval that refits were to give and cannot: told everywhere, and nowhere a plain number."""

from __future__ import annotations

import json
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.analysis import fit, resample
from harness.report import limits
from harness.report.document import render_json
from harness.report.figures import Rendered, render_figures
from harness.report.html import render_html
from harness.report.markdown import render_markdown
from harness.report.tables import render_tables

from .conftest import Points, Wanted

if TYPE_CHECKING:
    from harness.analysis import Curves
    from harness.report.model import ReportInput


@pytest.fixture(scope="module")
def two(report: ReportInput, published: Curves) -> ReportInput:
    """A fit of two curves, from which there is one draw."""
    base = published.where((published["source"] == "base") & np.isin(published["N"], [7e9, 7.2e10]))
    found = fit(base)
    return replace(
        report,
        fits={"two": found},
        resamples={"two": resample(found, base, n=100)},
        points={"two": Points(base, base.where(np.zeros(len(base), dtype=bool)))},
        extrapolations={},
        comparisons=[],
        figures=[
            Wanted("scaling", "scaling", fit="two"),
            Wanted("slopes", "slopes", fits=("two",)),
            Wanted("grid", "grid", fits=("two",)),
        ],
        tables=[Wanted("compact", "table-compact", fits=("two",), params=("K_max", "N0"))],
    )


@pytest.mark.parametrize("render", [lambda r: unescape(render_html(r, [])), render_markdown])
def test_a_page_says_of_each_number_that_it_has_no_interval(two, render) -> None:
    text = render(two)
    assert text.count("(no interval)") >= 2
    assert "95% of 100" not in text


def test_the_page_says_why(two) -> None:
    text = unescape(render_html(two, []))
    assert "few_units: no interval, since 2 things to draw from give 1 different draw" in text
    told = limits.sentences(two)
    assert any("are withheld: there are too few different things" in one for one in told)
    assert "few_units" in json.dumps(json.loads(render_json(two, [])))


def test_a_table_says_why(two) -> None:
    ((_, text),) = render_tables(two)
    assert text.count("(no interval)") == 2
    assert r"few\_units: no interval" in text
    assert r"95\% of" not in text


def test_no_figure_has_a_band(two) -> None:
    for drawn in render_figures(two):
        assert isinstance(drawn, Rendered)
        assert "95% of" not in drawn.svg
        assert "95% of" not in drawn.caption
