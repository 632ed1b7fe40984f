"""What stands beside the verdict: what the suite expected, and what no run can find again."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING

import pytest

from harness.report.document import render_json
from harness.report.html import render_html
from harness.report.junit import render_junit
from harness.report.markdown import render_markdown
from harness.verdict.entry import NotRecomputed, Refusal
from harness.verdict.expectation import Expected
from harness.verdict.model import Verdict

if TYPE_CHECKING:
    from harness.report.model import ReportInput

TEXTS = {
    "html": lambda report: unescape(render_html(report, [])),
    "markdown": render_markdown,
    "json": lambda report: render_json(report, []),
    "junit": render_junit,
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_expected_verdict_is_told_everywhere(report: ReportInput, name: str) -> None:
    reason = "three single runs are behind it"
    as_it_came = replace(report, expected=Expected(report.verdict, reason))
    assert f"s the suite expects: {reason}" in TEXTS[name](as_it_came)
    other = replace(as_it_came, expected=Expected(Verdict.NOT_REPRODUCED, reason))
    assert "NOT AS EXPECTED: the suite expects not reproduced" in TEXTS[name](other)
    assert "xpect" not in TEXTS[name](report).replace('"expected": null', "")


@pytest.mark.parametrize("name", ["html", "markdown", "json"])
def test_what_is_not_recomputed_is_shown_with_its_reason(report: ReportInput, name: str) -> None:
    spread = NotRecomputed(
        id="table5/sd",
        group="Table 5: spread",
        label="0.5B",
        printed="0.0082",
        source="tan2025",
        place="Table 5",
        reason="the single runs were not published",
    )
    claim = spread.model_copy(
        update={"id": "claim", "printed": None, "between": ("0.2", "0.4"), "unit": "decades"}
    )
    refused = Refusal(what="Llama rows", match="llama", reason="the curves were partly predicted")
    text = TEXTS[name](replace(report, not_recomputed=[spread, claim], refused=[refused]))
    for word in (spread.reason, "0.0082", "decades", refused.what, refused.reason):
        assert word in text
    assert ("0.2 to 0.4" in text) or json.loads(text)["not_recomputed"][1]["between"]


@pytest.mark.parametrize("name", ["html", "markdown"])
def test_numbers_with_one_reason_share_a_line(report: ReportInput, name: str) -> None:
    scores = [
        NotRecomputed(
            id=f"score/{at}",
            group="Table 3: the model",
            label=f"benchmark {at}",
            printed=f"{at}.25",
            unit="%",
            source="paper",
            place="Table 3",
            reason="the answers of the model are published nowhere",
        )
        for at in range(17)
    ]
    text = TEXTS[name](replace(report, not_recomputed=scores))
    assert text.count(scores[0].reason) == 1
    assert "; ".join(f"benchmark {at}: {at}.25 %" for at in range(17)) in text


def test_it_is_never_counted(report: ReportInput) -> None:
    spread = NotRecomputed(
        id="x", group="g", label="l", printed="1", source="s", place="p", reason="r" * 20
    )
    before, after = report, replace(report, not_recomputed=[spread])
    assert render_junit(before) == render_junit(after)
    headlines = [json.loads(render_json(one, []))["headline"] for one in (before, after)]
    assert headlines[0] == headlines[1]


def test_junit_counts_an_expected_failure_as_the_failure_it_is(report: ReportInput) -> None:
    failed = replace(report.comparisons[0], verdict=Verdict.NOT_REPRODUCED)
    expected = Expected(Verdict.NOT_REPRODUCED, "as its own logs say")
    root = ET.fromstring(
        render_junit(
            replace(report, comparisons=[failed], verdict=failed.verdict, expected=expected)
        )
    )
    assert root.get("failures") == "1"
    [told] = root.findall("testsuite/properties/property[@name='expected_verdict']")
    assert told.get("value") == "as the suite expects: as its own logs say"
