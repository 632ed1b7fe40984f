"""Tables of single numbers: a row for each set of labels, a column for each summary."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.errors import SuiteError
from harness.report.model import SummaryNumbers
from harness.report.tables import render_tables
from tests.spec.support import BASE, make_suite

from .conftest import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.model import ReportInput

NUMBERS = {
    "gain": SummaryNumbers(("source", "N"), {("base", "7B"): -0.1234, ("a_b", "1B"): 0.5}),
    "compute": SummaryNumbers(("source", "N"), {("base", "7B"): 2.5e19}),
    "total": SummaryNumbers((), {("",): 91.9}),
    "by-size": SummaryNumbers(("N",), {("7B",): 1.0}),
    "none": SummaryNumbers(("N",), {}),
}


def _set(report: ReportInput, *names: str) -> str:
    wanted = Wanted("t", "table-summaries", summaries=names)
    return dict(render_tables(replace(report, tables=[wanted], summaries=NUMBERS)))["t"]


def test_summaries_stand_beside_each_other(report: ReportInput) -> None:
    text = _set(report, "gain", "compute")
    assert r"source & N & gain & compute ($10^{18}$) \\" in text
    assert r"base & 7B & $-0.1234$ & $25.00$ \\" in text
    assert r"a\_b & 1B & $0.5000$ & -- \\" in text


def test_a_number_without_labels_is_of_all(report: ReportInput) -> None:
    assert r"all & $91.90$ \\" in _set(report, "total")


def test_numbers_that_the_run_lacks_are_told_in_a_comment(report: ReportInput) -> None:
    assert _set(report, "none").startswith("% not set: this run has no numbers")


def test_different_labels_share_no_table(report: ReportInput) -> None:
    with pytest.raises(SuiteError, match="different labels"):
        _set(report, "gain", "by-size")


@pytest.mark.parametrize(
    "table",
    [
        "{name: t, kind: table}",
        "{name: t, kind: table-summaries}",
        "{name: t, kind: table-summaries, fits: ['*']}",
        "{name: t, kind: table-summaries, summaries: [no-such]}",
    ],
)
def test_a_table_of_nothing_is_refused_with_its_line(tmp_path: Path, table: str) -> None:
    line = next(one for one in BASE.splitlines() if "kind: table" in one)
    indent = line[: len(line) - len(line.lstrip())]
    with pytest.raises(SuiteError) as refused:
        make_suite(tmp_path, (line, f"{indent}- {table}"))
    assert "suite.yaml" in str(refused.value)
