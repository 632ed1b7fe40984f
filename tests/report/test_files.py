"""The machine-readable files, the LaTeX tables, and how the folder comes to be."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfrastructureError, SuiteError
from harness.report.document import render_json
from harness.report.junit import render_junit
from harness.report.latex import escape
from harness.report.markdown import COMMENT_LIMIT, render_markdown
from harness.report.model import CellError, LockDrift
from harness.report.tables import render_tables
from harness.report.write import write_report
from harness.verdict.model import Verdict

from .conftest import Wanted, comparison, synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.analysis import Curves
    from harness.report.model import ReportInput


# Markdown


def _table_rows(markdown: str) -> list[list[str]]:
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]


def test_markdown_has_every_entry_and_whole_tables(report: ReportInput) -> None:
    markdown = render_markdown(report)
    rows = _table_rows(markdown)
    assert {len(row) for row in rows} <= {5, 6}
    verdicts = [row[-1] for row in rows if re.match(r" [✓≈?✗]", row[-1])]
    assert len(verdicts) == len(report.comparisons)
    assert "Drifted: of 3 published numbers" in markdown
    assert "blind" in markdown
    assert "calibrated" in markdown


def test_markdown_shows_pooled_r2_only_beside_r2_per_curve(report: ReportInput) -> None:
    for row in _table_rows(render_markdown(report)):
        if row[0].strip() == "R2":
            assert "R² per curve: 0.5B" in row[2]
    lone = replace(
        report, fits={}, comparisons=[comparison("fit/x/R2", Verdict.REPRODUCED, found=0.9951)]
    )
    assert "0.9951" not in render_markdown(lone)


def test_markdown_fits_a_comment_however_long_the_verdict(report: ReportInput) -> None:
    many = [comparison(f"fit/x{i}/K_max", Verdict.REPRODUCED, group=f"Row {i}") for i in range(300)]
    failed = comparison("fit/y/K_max", Verdict.NOT_REPRODUCED, group="The failed row")
    markdown = render_markdown(replace(report, comparisons=[*many, failed]))
    assert len(markdown) <= COMMENT_LIMIT
    assert "✗ not reproduced" in markdown


def test_markdown_cells_cannot_break_the_table(report: ReportInput) -> None:
    nasty = comparison("fit/x/K_max", Verdict.NOT_REPRODUCED, reason="a | b\n| <img> | c")
    rows = _table_rows(render_markdown(replace(report, comparisons=[nasty])))
    (row,) = [row for row in rows if "✗" in row[-1]]
    assert len(row) == 6
    assert "<img>" not in row[-1]


# JUnit


def _junit(report: ReportInput) -> ET.Element:
    return ET.fromstring(render_junit(report).encode())


def test_junit_maps_verdicts_to_outcomes(report: ReportInput) -> None:
    comparisons = [comparison(f"fit/x/{verdict}", verdict) for verdict in Verdict]
    errors = [CellError("c0ffee", "invalid", "host unhealthy")]
    root = _junit(replace(report, comparisons=comparisons, cell_errors=errors))
    outcome = {
        case.get("name"): [child.tag for child in case if child.tag != "system-out"]
        for case in root.iter("testcase")
    }
    assert outcome == {
        "table6/fit/x/reproduced": [],
        "table6/fit/x/drifted": [],
        "table6/fit/x/inconclusive": ["skipped"],
        "table6/fit/x/not_reproduced": ["failure"],
        "c0ffee": ["error"],
    }
    (skipped,) = root.iter("skipped")
    assert skipped.get("message") == "because it is inconclusive"


def test_junit_has_the_common_shape(report: ReportInput) -> None:
    root = _junit(replace(report, cell_errors=[CellError("c0ffee", "error", "disk full")]))
    assert root.tag == "testsuites"
    assert [suite.get("name") for suite in root] == [
        "Table 6: Base C inter",
        "Table 6: Base D intra",
        "cells",
    ]
    for element in (root, *root):
        assert int(element.get("tests", "-1")) == len(list(element.iter("testcase")))
        assert int(element.get("failures", "-1")) == len(list(element.iter("failure")))
        assert int(element.get("errors", "-1")) == len(list(element.iter("error")))
        assert int(element.get("skipped", "-1")) == len(list(element.iter("skipped")))
        assert float(element.get("time", "nan")) >= 0
    for case in root.iter("testcase"):
        assert case.get("classname")
        assert case.get("name")
        assert float(case.get("time", "nan")) >= 0


def test_junit_tells_accepted_drift(report: ReportInput) -> None:
    assert not list(_junit(report).iter("properties"))
    drift = LockDrift(("numpy: 2.4.0 -> 2.4.1", "law loglinear: 1 -> 2"), "a trial")
    for suite in _junit(replace(report, drift=drift)):
        assert suite[0].tag == "properties"
        assert [(one.get("name"), one.get("value")) for one in suite[0]] == [
            ("lock_drift_accepted", "a trial"),
            ("lock_drift", "numpy: 2.4.0 -> 2.4.1"),
            ("lock_drift", "law loglinear: 1 -> 2"),
        ]


@given(reason=st.text(st.characters(codec="utf-8"), min_size=1))
def test_junit_is_xml_whatever_a_message_holds(report: ReportInput, reason: str) -> None:
    failed = comparison("fit/x/K_max", Verdict.NOT_REPRODUCED, reason=reason)
    root = _junit(replace(report, comparisons=[failed]))
    assert len(list(root.iter("failure"))) == 1


# LaTeX


def _tex(report: ReportInput) -> dict[str, str]:
    return dict(render_tables(report))


def _columns(tabular: str) -> set[int]:
    rows = [line for line in tabular.splitlines() if line.endswith(r"\\")]
    return {len(re.split(r"(?<!\\)&", row)) for row in rows}


def test_tables_have_as_many_cells_as_columns(report: ReportInput) -> None:
    for text in _tex(report).values():
        tabulars = re.findall(r"\\begin\{tabular\}\{(.*?)\}\n(.*?)\\end\{tabular\}", text, re.S)
        assert tabulars
        for columns, body in tabulars:
            assert _columns(body) == {len(re.findall("[lr]", columns))}


def test_table_gives_intervals_and_r2_per_curve_before_pooled(report: ReportInput) -> None:
    text = _tex(report)["table6"]
    assert re.search(r"base-C-inter & \$0\.15\d?\^\{\+", text)
    assert r"$N_0$ ($10^{9}$)" in text
    assert "per curve & 0.5B & 1.5B & 3B & 7B & 14B & 32B & 72B & pooled" in text


def test_compact_table_has_no_r2(report: ReportInput) -> None:
    assert "R^2" not in _tex(report)["table6-compact"]


def _open(report: ReportInput, **intervals: tuple[float, float]) -> ReportInput:
    found = report.resamples["base-C-inter"]
    changed = replace(
        found, intervals={**found.intervals, **intervals}, note="no upper end to K_max"
    )
    return replace(report, resamples={**report.resamples, "base-C-inter": changed})


def test_an_open_interval_has_a_note_below_the_table(report: ReportInput) -> None:
    for ends in ((0.1, math.inf), (0.0, 0.2), (-math.inf, 0.2)):
        for text in _tex(_open(report, K_max=ends)).values():
            before, _, after = text.partition(r"base-C-inter: no upper end to K\_max.")
            assert r"\end{tabular}" in before
            assert r"\caption" in after
    assert "no upper end" not in "".join(_tex(_open(report, K_max=(0.1, 0.2))).values())


def test_many_curves_are_summed_up(alone: Callable[[Curves, str], ReportInput]) -> None:
    sizes = [0.5e9 * 1.3**rank for rank in range(20)]
    text = _tex(alone(synthetic(sizes), "loglinear"))["t"]
    assert "lowest & median & highest & pooled" in text


def test_a_table_of_missing_fits_says_so(report: ReportInput) -> None:
    wanted = replace(report, tables=[Wanted("t", "table", fits=("nothing-*",))])
    assert _tex(wanted)["t"].startswith("% not set: this run has no fit")
    with pytest.raises(SuiteError):
        _tex(replace(report, tables=[Wanted("t", "pie", fits=("*",))]))


def test_text_is_escaped_for_latex() -> None:
    assert escape("50% of a_b & c#{d}") == r"50\% of a\_b \& c\#\{d\}"
    assert escape("~\\^$") == r"\textasciitilde{}\textbackslash{}\textasciicircum{}\$"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_tables_compile(
    report: ReportInput, alone: Callable[[Curves, str], ReportInput], tmp_path: Path
) -> None:
    opened = _open(report, K_max=(0.1, math.inf), N0=(0.0, math.inf))
    tables = [*_tex(opened).values(), *_tex(alone(synthetic([7e9]), "loglinear")).values()]
    body = "\n".join(tables)
    source = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{body}"
    (tmp_path / "all.tex").write_text(source + "\\end{document}", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").exists()


# JSON


def test_json_keeps_floats_exactly(report: ReportInput) -> None:
    document = json.loads(render_json(report, []), parse_constant=pytest.fail)
    fit = report.fits["base-C-inter"]
    assert document["fits"]["base-C-inter"]["params"] == fit.params
    assert document["fits"]["base-C-inter"]["r2"] == fit.r2
    by_curve = {one["N"]: one["value"] for one in document["fits"]["base-C-inter"]["r2_by_curve"]}
    assert by_curve == fit.r2_by_curve
    first = document["rows"][0]["comparisons"][0]
    assert first["found"] == report.comparisons[0].found
    assert first["verdict"] == "reproduced"
    (blind, calibrated) = document["extrapolations"]["base-C-inter"]
    assert (blind["kind"], calibrated["kind"]) == ("blind", "calibrated")
    assert blind["predicted"] == report.extrapolations["base-C-inter"][0].predicted.tolist()


def test_json_has_no_numbers_that_json_lacks(report: ReportInput) -> None:
    odd = comparison("fit/x/K_max", Verdict.NOT_REPRODUCED, found=math.inf, difference=math.nan)
    text = render_json(replace(report, comparisons=[odd], drift=LockDrift(("a",), "b")), [])
    document = json.loads(text, parse_constant=pytest.fail)
    (found,) = document["rows"][0]["comparisons"]
    assert (found["found"], found["difference"]) == ("inf", "nan")
    assert document["drift"] == {"differences": ["a"], "reason": "b"}


# The folder


@pytest.fixture
def small(report: ReportInput) -> ReportInput:
    return replace(report, figures=[Wanted("slopes", "slopes", fits=("*-free", "*-full"))])


def test_the_folder_is_whole_and_alone(small: ReportInput, tmp_path: Path) -> None:
    page = write_report(small, tmp_path / "reports" / "run")
    folder = page.parent
    assert page == tmp_path / "reports" / "run" / "report.html"
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == [
        "figures/slopes.pdf",
        "figures/slopes.png",
        "figures/slopes.svg",
        "junit.xml",
        "report.html",
        "report.json",
        "summary.md",
        "tables/table6-compact.tex",
        "tables/table6.tex",
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    for href in re.findall(
        r'href="((?:figures|tables|report|summary|junit)[^"]*)"', page.read_text()
    ):
        assert (folder / href).exists()


def test_a_report_is_replaced_as_a_whole(small: ReportInput, tmp_path: Path) -> None:
    page = write_report(small, tmp_path / "run")
    (page.parent / "left-over.txt").write_text("old")
    first = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.*")}
    del first["left-over.txt"]
    write_report(small, tmp_path / "run")
    second = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.*")}
    assert first == second
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_a_killed_report_left_is_removed(small: ReportInput, tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".run-1.abcdefgh", ".run-2.ijklmnop", "run-0"))
    for folder in (old, new, other):
        folder.mkdir()
    for folder in (old, other):
        os.utime(folder, (0, 0))
    write_report(small, tmp_path / "run-3")
    assert not old.exists()
    assert new.exists()
    assert other.exists()


def test_a_failed_report_leaves_the_old_one(small: ReportInput, tmp_path: Path) -> None:
    page = write_report(small, tmp_path / "run")
    before = page.read_bytes()
    with pytest.raises(SuiteError):
        write_report(replace(small, tables=[Wanted("t", "pie", fits=("*",))]), tmp_path / "run")
    assert page.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_place_that_cannot_be_written_is_an_infrastructure_failure(
    small: ReportInput, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InfrastructureError) as caught:
        write_report(small, tmp_path / "file" / "run")
    assert "cannot write the report" in str(caught.value)
