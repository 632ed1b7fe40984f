"""report.html: one file that says everything, to everyone, without loading anything."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.report.figures import render_figures
from harness.report.html import render_html
from harness.report.model import CellError, LockDrift
from harness.report.svg import inline
from harness.verdict.model import Verdict, overall

from .conftest import Wanted, comparison

if TYPE_CHECKING:
    from harness.report.model import ReportInput
    from harness.verdict.model import Comparison


@pytest.fixture(scope="module")
def page(report: ReportInput) -> str:
    return render_html(report, list(render_figures(report)))


@pytest.fixture(scope="module")
def tree(page: str) -> ET.Element:
    return ET.fromstring(page)


def _tree_of(report: ReportInput) -> ET.Element:
    return ET.fromstring(render_html(replace(report, figures=[]), []))


def _text(node: ET.Element | None) -> str:
    assert node is not None
    return " ".join("".join(node.itertext()).split())


def _values(tree: ET.Element, attribute: str) -> list[str]:
    return [node.attrib[attribute] for node in tree.iter() if attribute in node.attrib]


def _verdict_table(tree: ET.Element) -> ET.Element:
    (table,) = tree.iterfind(".//table[@class='verdict']")
    return table


def test_nothing_is_loaded_and_nothing_runs(page: str, tree: ET.Element) -> None:
    loading = {"script", "link", "iframe", "object", "embed", "img", "image", "video", "base"}
    assert not loading & {node.tag for node in tree.iter()}
    assert not _values(tree, "src")
    assert not any(name.startswith("on") for node in tree.iter() for name in node.attrib)
    assert all(not re.match(r"[a-z]+:|//", href) for href in _values(tree, "href"))
    assert "@import" not in page
    known = {f"#{identity}" for identity in _values(tree, "id")}
    assert set(re.findall(r"url\(([^)]*)", page)) <= known


def test_links_within_the_page_arrive(tree: ET.Element) -> None:
    ids = Counter(_values(tree, "id"))
    assert max(ids.values()) == 1
    inside = {href[1:] for href in _values(tree, "href") if href.startswith("#")}
    assert {"verdict", "figures", "fits"} <= inside <= set(ids)


def test_the_page_says_what_the_words_of_its_tolerances_mean(report: ReportInput) -> None:
    halves = comparison(
        "fit/base-C-inter/K_max", Verdict.REPRODUCED, tolerance_reason="½ digit 0.05"
    )
    text = _text(_tree_of(replace(report, comparisons=[halves])))
    assert "½ digit is half a unit of the last printed digit" in text
    assert "slack is" not in text


def _refits(count: int) -> list[Comparison]:
    return [
        comparison(f"fit/free/k{n}", Verdict.REPRODUCED, kind="refit", group=f"refit {n}")
        for n in range(count)
    ]


def _row_names(table: ET.Element) -> list[str]:
    return [group.text or "" for group in table.iterfind(".//tr[@class='group']/th")]


def test_many_refits_that_agree_are_folded_and_one_that_does_not_is_in_sight(
    report: ReportInput,
) -> None:
    refits = _refits(40)
    refits[7] = replace(refits[7], verdict=Verdict.NOT_REPRODUCED)
    first, folded = _tree_of(replace(report, comparisons=[*report.comparisons, *refits])).iterfind(
        ".//table[@class='verdict']"
    )
    assert "refit 7" in _row_names(first)
    assert len(_row_names(first)) == 3
    assert len(_row_names(folded)) == 39


@pytest.mark.parametrize("count", [12, 40])
def test_refits_are_in_sight_where_there_is_nothing_else(report: ReportInput, count: int) -> None:
    table = _verdict_table(_tree_of(replace(report, comparisons=_refits(count))))
    assert len(_row_names(table)) == count


def test_figures_do_not_share_classes(tree: ET.Element) -> None:
    figures = [set(_values(svg, "class")) for svg in tree.iter("svg")]
    assert len(figures) == 5
    assert sum(map(len, figures)) == len(set().union(*figures))


def test_figures_follow_the_colour_scheme(page: str) -> None:
    light, dark = re.findall(r":root\{(--[0-9a-f]{6}:[^}]*)\}", page)
    declared = set(re.findall(r"--([0-9a-f]{6}):", light))
    assert declared == set(re.findall(r"--([0-9a-f]{6}):", dark))
    assert set(re.findall(r"var\(--([0-9a-f]{6})\)", page)) <= declared
    assert not re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", page)


def test_figures_tell_what_they_show(tree: ET.Element) -> None:
    for svg in tree.iter("svg"):
        assert svg.get("role") == "img"
        assert len(svg.get("aria-label", "")) > 30


def test_it_opens_with_the_verdict_and_the_counts(tree: ET.Element) -> None:
    assert _text(tree.find(".//header//p[@class='headline']")) == (
        "Drifted: of 3 published numbers, 2 reproduced and 1 drifted."
    )


def test_every_entry_says_its_verdict_in_words(report: ReportInput, tree: ET.Element) -> None:
    spans = [_text(span) for span in _verdict_table(tree).iter("span")]
    spelled = Counter(re.sub(r"^\W+", "", text).replace(" ", "_") for text in spans)
    expected = Counter(c.verdict.value for c in report.comparisons)
    expected.update(["drifted", "inconclusive_(1_declared)"])  # the two rows
    assert spelled == expected


def test_a_declared_misprint_shows_its_reason(tree: ET.Element) -> None:
    table = _text(_verdict_table(tree))
    assert table.count("declared misprint") == 1
    assert "every refit gives .9955" in table


def test_a_reason_that_holds_for_all_lines_of_a_row_stands_once(report: ReportInput) -> None:
    why = "declared incomplete_data: steps 1-3 were not plotted"
    lines = [
        comparison(f"fit/x/{name}", Verdict.INCONCLUSIVE, declared="incomplete_data", reason=why)
        for name in ("K_max", "N0")
    ]
    text = _text(_verdict_table(_tree_of(replace(report, comparisons=lines))))
    assert text.count("steps 1-3 were not plotted") == 1
    assert "declared incomplete data" in text


def test_pooled_r2_never_stands_alone(report: ReportInput, tree: ET.Element) -> None:
    lines = list(_verdict_table(tree).iter("tr"))
    pooled = [place for place, line in enumerate(lines) if _text(line).startswith("R2 ")]
    assert len(pooled) == 2
    for place in pooled:
        assert "R² per curve: 0.5B" in _text(lines[place + 1])
    tables = list(tree.iterfind(".//table[@class='r2']"))
    assert len(tables) == len(report.fits)
    for table in tables:
        heads = [_text(cell) for cell in table.iterfind("thead//th")]
        assert heads[-1] == "pooled"
        assert len(heads) > 2
    lone = [comparison("fit/unknown/R2", Verdict.REPRODUCED, found=0.99512345)]
    text = _text(_verdict_table(_tree_of(replace(report, comparisons=lone))))
    assert "0.995" not in text
    assert "withheld" in text


def test_extrapolations_are_shown_blind_and_calibrated(tree: ET.Element) -> None:
    kinds = [_text(row[2]) for row in tree.iterfind(".//section[@id='extrapolations']//tbody/tr")]
    assert Counter(kinds) == {"blind": 1, "calibrated": 1}


def test_text_from_outside_is_text(report: ReportInput) -> None:
    page = _tree_of(replace(report, title="<script>alert(1)</script>", notes=["a & b <b>"]))
    assert not list(page.iter("script"))
    assert _text(page.find(".//h1")) == "<script>alert(1)</script>"


def test_failed_cells_and_accepted_drift_stand_at_the_top(report: ReportInput) -> None:
    troubled = replace(
        report,
        cell_errors=[CellError("c0ffee" * 10, "error", "killed by signal 9")],
        drift=LockDrift(("numpy 2.4.0 -> 2.4.1",), "security release"),
        incomplete={"base-D-inter": "1 cell has no result"},
    )
    page = _tree_of(troubled)
    header = _text(page.find(".//header"))
    assert "killed by signal 9" in header
    assert "not a score" in header
    assert "security release" in header
    assert "numpy 2.4.0 -> 2.4.1" in header
    assert "base-D-inter is incomplete: 1 cell has no result" in _text(page)


def test_an_empty_run_still_has_a_page(report: ReportInput) -> None:
    empty = replace(
        report,
        comparisons=[],
        verdict=overall([]),
        fits={},
        resamples={},
        points={},
        extrapolations={},
        figures=[Wanted("gone", "scaling", fit="x")],
        tables=[],
        rerun=[],
        timing={},
        provenance={},
    )
    page = render_html(empty, list(render_figures(empty)))
    assert "no golden entries" in page
    assert "was not drawn" in page


def test_inlining_keeps_text_and_shortens_coordinates() -> None:
    svg = (
        '<svg viewBox="0 0 9 9"><metadata/></metadata>'
        '<g id="unused"><path id="m1" d="M 1.23456 7" style="fill: #1c2128"/></g>'
        '<use xlink:href="#m1" x="2.98765" style="fill: #abcdef"/><text>0.123456</text></svg>'
    )
    found = inline(svg, prefix="f1", alt='a "b" <c>', dark={"#1c2128": "#ffffff"})
    assert "0.123456" in found.element
    assert "1.23 7" in found.element
    assert "unused" not in found.element
    assert 'href="#f1-0"' in found.element
    assert "fill: var(--1c2128)" in found.css
    assert "fill: #abcdef" in found.css
    assert 'aria-label="a &quot;b&quot; &lt;c>"' in found.element
