"""A tier that is known to come out otherwise than reproduced, from the command line."""

from __future__ import annotations

import json

from tests.pipeline.conftest import edit

TIER = "  published:\n    level: R0\n"
FORETOLD = '    expect: {{verdict: {}, reason: "the printed slope is another one"}}\n'


def test_a_foretold_failure_stays_one_and_passes_as_expected(checkout, harness) -> None:
    edit(
        checkout / "suites/exp1/suite.yaml",
        TIER,
        TIER + FORETOLD.format("not_reproduced"),
    )
    came_out_better = harness("all", "exp1", "--as-expected")
    assert came_out_better.code == 1
    assert "NOT AS EXPECTED: the suite expects not reproduced" in came_out_better.out
    assert harness("check", "exp1").code == 0

    golden = checkout / "golden/exp1/published.json"
    document = json.loads(golden.read_text())
    document["entries"][0]["printed"] = "0.235"
    golden.write_text(json.dumps(document))
    plain, asked = harness("check", "exp1"), harness("check", "exp1", "--as-expected")
    assert (plain.code, asked.code) == (1, 0)
    for one in (plain, asked):
        assert "verdict: not_reproduced" in one.out
        assert "as the suite expects: the printed slope is another one" in one.out
    shown = harness("check", "exp1", "--json").json
    assert shown["as_expected"] is True
    assert shown["expected"]["verdict"] == "not_reproduced"


def test_success_is_what_a_silent_suite_expects(checkout, harness) -> None:
    assert harness("all", "exp1", "--as-expected").code == 0
    assert harness("check", "exp1", "--where", "model.N < 2e9", "--as-expected").code == 3


def test_what_cannot_be_recomputed_is_counted_below_the_verdict(checkout, harness) -> None:
    golden = checkout / "golden/exp1/published.json"
    document = json.loads(golden.read_text())
    spread = {
        "id": "spread",
        "group": "Spread over runs",
        "label": "0.5B",
        "printed": "0.0082",
        "source": "tan2025",
        "place": "Table 5",
        "reason": "the single runs were not published",
    }
    document["not_recomputed"] = [*document.get("not_recomputed", []), spread]
    golden.write_text(json.dumps(document))
    done = harness("all", "exp1")
    assert done.code == 0
    assert "published numbers cannot be recomputed" in done.out
    [page] = (checkout / "runs/reports").glob("*/report.html")
    assert spread["reason"] in page.read_text()
