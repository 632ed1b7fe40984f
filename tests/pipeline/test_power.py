"""`harness plan --power`: seeds for each margin of a golden file, and what they cost."""

from __future__ import annotations

import csv
import json
import shutil
from decimal import Decimal

import pytest

from tests.pipeline.conftest import ROOT, edit

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
    with (checkout / "suites/exp1/published/exp1_holdout.csv").open() as file:
        curve = {
            float(row["step"]): float(row["C_raw"])
            for row in csv.DictReader(file)
            if row["source"] == "base" and float(row["N"]) == 7e9
        }
    # Before a run, the published curve says what one seed has cost.
    assert before["flops"] == pytest.approx(before["seeds"] * curve[max(curve)])

    assert harness("run", "exp1", "--where", "model.id == 'Qwen2.5-7B'").code == 0
    after = rows(harness("plan", "exp1", "--power", "--json"))
    assert after[ROW]["flops"] == before["flops"]
    assert after["table5/base/14B"]["flops"] > before["flops"]


def test_a_suite_whose_curves_count_no_flops_has_no_cost_before_a_run(checkout, harness) -> None:
    edit(checkout / "suites/exp1/suite.yaml", "flops: C_raw, tokens", "work: C_raw, tokens")
    edit(checkout / "suites/exp1/suite.yaml", "    C: flops", "    C: work")
    assert harness("lock", "exp1").code == 0
    assert rows(harness("plan", "exp1", "--power", "--json"))[ROW]["flops"] is None


def test_what_no_number_of_seeds_can_do_is_said(checkout, harness) -> None:
    shown = harness("plan", "exp1", "--power")
    assert shown.code == 0
    assert "never: the margin lies below the golden's own uncertainty" in shown.out
    found = rows(harness("plan", "exp1", "--power", "--json"))
    with_margin = [one for one in found.values() if one["margin"] is not None]
    assert len(with_margin) == 14
    for one in with_margin:
        assert (one["seeds"] is None) == (one["reason"] != "")
        if one["reason"].startswith("never"):
            assert one["margin"] < one["least_margin"] * 1.001


@pytest.fixture
def everything(tmp_path, monkeypatch):
    """All suites and goldens."""
    for part in ("suites", "golden"):
        shutil.copytree(ROOT / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)
    return tmp_path


SUITES = ["crossdomain", "exp1", "exp2", "grpo", "guru", "reptile", "star"]


@pytest.mark.parametrize("suite", SUITES)
def test_every_quantity_has_seeds_or_a_reason_why_not(everything, harness, suite) -> None:
    golden = json.loads((everything / f"golden/{suite}/published.json").read_text())
    found = rows(harness("plan", suite, "--power", "--json"))
    assert list(found) == [one["id"] for one in golden["entries"]]
    for entry in golden["entries"]:
        need = found[entry["id"]]
        assert need["margin"] == entry.get("margin")
        if need["margin"] is None:
            assert need["seeds"] is None
            assert need["reason"].startswith("no margin: ")
            assert need["cost_s"] is need["flops"] is None
            # No other spread is told than one that the source prints.
            assert need["sd"] == entry.get("sd")
    shown = harness("plan", suite, "--power")
    assert shown.code == 0
    assert "No margin" in shown.out
    assert ("Seeds for 80% power" in shown.out) == (suite == "exp1")


def test_the_reason_is_that_of_the_quantity(everything, harness) -> None:
    reptile = rows(harness("plan", "reptile", "--power", "--json"))
    claims = [one for name, one in reptile.items() if name.startswith("claim/")]
    assert claims
    assert all("prints no spread between runs" in one["reason"] for one in claims)
    assert "claimed range" in claims[0]["reason"]
    assert "no seed moves it" in reptile["fit/500/A"]["reason"]
    guru = rows(harness("plan", "guru", "--power", "--json"))
    assert "other printed numbers" in guru["table3/average/GURU-7B"]["reason"]
    exp1 = rows(harness("plan", "exp1", "--power", "--json"))
    assert "fits the published points again" in exp1["table6/base-C-inter/K_max"]["reason"]


def test_stored_responses_have_no_seeds(everything, harness) -> None:
    found = rows(harness("plan", "star", "--tier", "responses", "--power", "--json"))
    assert found
    assert all("whatever the seed" in one["reason"] for one in found.values())


def test_without_a_golden_file_there_is_nothing_to_plan(checkout, harness) -> None:
    (checkout / "golden/exp1/published.json").unlink()
    assert "this tier has no golden file" in harness("plan", "exp1", "--power").out
