"""Suite exp1 on its published tier, from the suite file to the verdict, as a user runs it."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    """`harness all exp1` in a process of its own, in an empty workspace."""
    workspace = tmp_path_factory.mktemp("workspace")
    command = [sys.executable, "-m", "harness", "all", "exp1", "--workspace", str(workspace)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return workspace, done


@pytest.fixture(scope="module")
def verdicts(run) -> list[dict]:
    workspace, _ = run
    command = ["check", "exp1", "--workspace", str(workspace), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout)["comparisons"]


def test_it_ends_well_and_says_so(run) -> None:
    workspace, done = run
    assert done.returncode == 0, done.stderr
    assert "verdict: reproduced" in done.stdout
    assert "14 of 14 cells in " in done.stderr
    [report] = workspace.glob("reports/exp1-published-*/report.html")
    assert f"report: {report}" in done.stdout.replace("\n", "")


def test_six_rows_of_table_6_are_reproduced_and_two_lack_their_data(verdicts) -> None:
    rows: dict[str, set] = {}
    for one in verdicts:
        if one["entry"].startswith("table6/"):
            rows.setdefault(one["group"], set()).add((one["verdict"], one["declared"]))
    assert len(rows) == 8
    incomplete = {("inconclusive", "incomplete_data")}
    lacking = {name for name, found in rows.items() if found == incomplete}
    assert lacking == {"Table 6: Instruct, C, inter", "Table 6: Instruct, D, inter"}
    misprint = rows.pop("Table 6: Base, C, intra")
    assert misprint == {("reproduced", None), ("inconclusive", "misprint")}
    assert all(rows[name] == {("reproduced", None)} for name in rows.keys() - lacking)


@pytest.mark.parametrize(
    ("prefix", "count"), [("table5/", 14), ("table4/", 14), ("slopes/", 7), ("plotted/", 74)]
)
def test_the_other_published_numbers(verdicts, prefix: str, count: int) -> None:
    found = [one for one in verdicts if one["entry"].startswith(prefix)]
    assert len(found) == count
    undeclared = [one for one in found if one["declared"] is None]
    assert {one["verdict"] for one in undeclared} == {"reproduced"}
    declared = Counter(one["declared"] for one in found if one["declared"])
    plotted = {"incomplete_data": 4, "unknown_protocol": 2}
    assert declared == (plotted if prefix == "plotted/" else {})
    assert len(undeclared) + declared.total() == count


@pytest.mark.parametrize(
    ("prefix", "count"), [("evals/", 140), ("length/", 28), ("free/", 21), ("refit/", 54)]
)
def test_independent_refits_agree(verdicts, prefix: str, count: int) -> None:
    found = [one for one in verdicts if one["entry"].startswith(prefix)]
    assert len(found) == count
    assert {one["kind"] for one in found} == {"refit"}
    assert {one["verdict"] for one in found if one["declared"] is None} == {"reproduced"}
    assert {one["declared"] for one in found} <= {None, "unknown_protocol"}


def test_every_fit_takes_the_points_that_its_protocol_leaves(verdicts) -> None:
    found = {one["entry"]: one["found"] for one in verdicts if one["label"] == "points"}
    assert len(found) == 11
    with (ROOT / "suites/exp1/published/exp1_holdout.csv").open(encoding="utf-8") as file:
        curves = Counter((row["source"], float(row["N"])) for row in csv.DictReader(file))
    for entry, points in found.items():
        source, _, window = entry.split("/")[1].split("-")
        most = 32e9 if window == "inter" else 72e9
        cut = {"base": 80, "instruct": 65}[source] if window == "intra" else 0
        left = [n - cut for (of, size), n in curves.items() if of == source and size <= most]
        assert points == sum(left)


def test_curves_left_out_say_several_times_the_error_that_points_say(verdicts) -> None:
    found = {one["entry"]: one["found"] for one in verdicts}
    by_curves = found["refit/base-C-full/loo_se/K_max"]
    assert 5 < by_curves / found["refit/base-C-full/se/K_max"] < 7


def test_the_law_fails_beyond_the_held_out_set_and_the_pooled_r2_hides_it(run) -> None:
    workspace, _ = run
    command = [sys.executable, "-m", "harness", "check", "exp1", "--workspace", str(workspace)]
    done = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    pooled = next(
        one["found"] for one in told["comparisons"] if one["entry"] == "evals/base-gsm8k-D/R2"
    )
    assert pooled > 0.94
    assert min(told["r2_by_curve"]["base-gsm8k-D"].values()) < -5


def test_the_law_stands_beside_its_rivals(run) -> None:
    workspace, _ = run
    (report,) = workspace.glob("reports/*/report.json")
    fits = json.loads(report.read_text())["fits"]
    for name in ("base-C-full", "base-D-full", "instruct-C-full", "instruct-D-full"):
        rivals = {one["law"]: one for one in fits[name]["rivals"]}
        assert set(rivals) == {"loglinear", "loglinear_kn", "loglinear_kn_e0"}
        law, free = rivals["loglinear_kn"], rivals["loglinear"]
        # Seven slopes in place of K_max and N0, five parameters more: n ln(F/F') - 5 ln n by hand.
        n = law["n"]
        by_hand = n * math.log(law["objective"] / free["objective"]) - 5 * math.log(n)
        assert law["delta_bic"] - free["delta_bic"] == pytest.approx(by_hand, rel=1e-6)
        # A size that has a slope of its own says nothing of another.
        assert free["rmse_blind"] == "nan"
        assert law["rmse_calibrated"] < 0.02


def test_spreads_between_runs_are_shown_as_beyond_reach() -> None:
    golden = json.loads((ROOT / "golden/exp1/published.json").read_text())
    beyond = golden["not_recomputed"]
    of_table_5 = [one["id"] for one in beyond if one["id"].startswith("table5/")]
    assert (len(of_table_5), len(beyond)) == (28, 55)
    finals = [one for one in golden["entries"] if one["id"].startswith("table5/")]
    assert {(one["runs"], one["questions"]) for one in finals} == {(3, 500)}


def test_parameters_agree_with_the_plotted_lines_to_a_thousandth(verdicts) -> None:
    lines = [
        one
        for one in verdicts
        if one["entry"].startswith("plotted/")
        and one["label"] in ("K_max", "N0")
        and one["declared"] is None
    ]
    assert len(lines) == 14
    for one in lines:
        assert one["found"] == pytest.approx(float(one["published"]), rel=1e-3)


def test_pooled_r2_never_stands_without_the_curves(run) -> None:
    _, done = run
    fits = done.stdout.split("Fits")[1].split("Held-out")[0]
    rows = [line for line in fits.splitlines() if "-intra" in line or "-inter" in line]
    assert len(rows) == 8
    # The pooled value and at least five of the curves' on the same line.
    assert all(line.count("0.") >= 6 for line in rows)


def test_72b_is_predicted_blind_and_calibrated(run) -> None:
    _, done = run
    held_out = done.stdout.split("Held-out sizes")[1].split("Verdict")[0]
    for fit in ("base-C", "base-D", "instruct-C", "instruct-D"):
        kinds = [line.split()[2] for line in held_out.splitlines() if f"{fit}-inter" in line]
        assert kinds == ["blind", "calibrated"]


def test_a_second_run_computes_nothing(run) -> None:
    workspace, _ = run
    records = {path: path.stat().st_mtime_ns for path in workspace.glob("store/cells/*/*/*")}
    command = [sys.executable, "-m", "harness", "run", "exp1", "--workspace", str(workspace)]
    done = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["computed"] == 0
    assert records == {
        path: path.stat().st_mtime_ns for path in workspace.glob("store/cells/*/*/*")
    }
    assert len(records) >= 14 * 4


def test_only_the_fits_behind_the_shown_numbers_come_before_the_verdict(run) -> None:
    workspace, done = run
    before = done.stdout.partition("\nVerdict")[0]
    assert "base-C-inter" in before
    assert "instruct-amc23-C" not in before
    assert "further fits" in before
    command = ["check", "exp1", "--workspace", str(workspace), "--everything"]
    whole = subprocess.run(
        [sys.executable, "-m", "harness", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.partition("\nVerdict")[0]
    # A number on a bound looks like any other, so its flag has to stand with it.
    after = whole.partition(" instruct-amc23-C ")[2].partition(" instruct-amc23-D ")[0]
    assert "on_bound:N0" in after
