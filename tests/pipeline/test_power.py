"""`harness plan --power`: seeds for each margin of a golden file, and what they cost."""

from __future__ import annotations

import csv
import json
from decimal import Decimal

import pytest

from tests.pipeline.conftest import edit

ROW = "table5/base/7B"


def rows(result) -> dict:
    assert result.code == 0
    return {one["entry"]: one for one in result.json}


def test_the_margins_of_table_5_are_half_the_distance_to_the_nearest_size(checkout) -> None:
    golden = json.loads((checkout / "golden/exp1/published.json").read_text())
    table = {
        tuple(one["id"].split("/")[1:]): one
        for one in golden["entries"]
        if one["id"].startswith("table5/")
    }
    assert len(table) == 14
    for (source, size), one in table.items():
        losses = [Decimal(o["printed"]) for (s, z), o in table.items() if s == source and z != size]
        gap = min(abs(loss - Decimal(one["printed"])) for loss in losses)
        assert one["margin"] == pytest.approx(float(gap / 2))


def test_seeds_and_cost_before_and_after_a_run(checkout, harness) -> None:
    edit(
        checkout / "suites/exp1/suite.yaml",
        "budget: {wall_s: 60}",
        "budget: {wall_s: 60, cell_s: 2}",
    )
    before = rows(harness("plan", "exp1", "--power", "--json"))[ROW]
    # By hand: sd = sqrt(p(1-p)/500) of p = .7148 (two successes and failures added) = .0202, which
    # is more than the printed .0147; three runs, so that the margin has to exceed
    # (t(.95, 2) + z(.9)) sd/sqrt(3) = 4.2015 * .01167.
    assert before["sd"] == pytest.approx(0.0202, abs=1e-4)
    assert before["least_margin"] == pytest.approx(4.2015 * 0.0202 / 3**0.5, rel=2e-3)
    assert before["margin"] > before["least_margin"]
    assert before["seeds"] > 2
    assert before["cells"] == 1
    assert before["cost_s"] == 2 * before["seeds"]
    assert before["flops"] is None

    assert harness("run", "exp1", "--where", "model.id == 'Qwen2.5-7B'").code == 0
    with (checkout / "suites/exp1/published/exp1_holdout.csv").open() as file:
        curve = {
            float(row["step"]): float(row["C_raw"])
            for row in csv.DictReader(file)
            if row["source"] == "base" and float(row["N"]) == 7e9
        }
    after = rows(harness("plan", "exp1", "--power", "--json"))
    assert after[ROW]["flops"] == pytest.approx(before["seeds"] * curve[max(curve)])
    assert after["table5/base/14B"]["flops"] is None


def test_what_no_number_of_seeds_can_do_is_said(checkout, harness) -> None:
    shown = harness("plan", "exp1", "--power")
    assert shown.code == 0
    assert "never: the margin lies below the golden's own uncertainty" in shown.out
    found = rows(harness("plan", "exp1", "--power", "--json"))
    for one in found.values():
        assert (one["seeds"] is None) == (one["reason"] != "")
        if one["reason"].startswith("never"):
            assert one["margin"] < one["least_margin"] * 1.001


def test_without_margins_there_is_nothing_to_plan(checkout, harness) -> None:
    golden = checkout / "golden/exp1/published.json"
    document = json.loads(golden.read_text())
    for one in document["entries"]:
        for key in ("margin", "margin_reason"):
            one.pop(key, None)
    golden.write_text(json.dumps(document))
    assert "no golden entry of this tier has a margin" in harness("plan", "exp1", "--power").out
