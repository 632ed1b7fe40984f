"""What the commands do when something is off: exit codes, messages, and nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.conftest import edit

CURVES = Path("suites/exp1/published/exp1_holdout.csv")
GOLDEN = Path("golden/exp1/published.json")
SUITE = Path("suites/exp1/suite.yaml")


def test_a_changed_number_in_the_data_is_refused_before_anything_runs(checkout, harness) -> None:
    edit(CURVES, "0.9780099985", "0.8780099985")
    left = harness("run", "exp1")
    assert left.code == 4
    assert "data/holdout-curves/sha256" in left.err
    assert "harness lock exp1" in left.err
    assert not Path("runs").exists()


def test_drift_goes_on_with_a_reason_and_in_cells_of_its_own(checkout, harness) -> None:
    assert harness("run", "exp1").code == 0
    edit(CURVES, "0.9780099985", "0.9780099986")
    assert harness("run", "exp1", "--accept-drift").code == 2
    left = harness("run", "exp1", "--accept-drift", "--reason", "a better reading", "--json")
    assert left.code == 0
    assert left.json["computed"] == 14
    records = [
        json.loads(path.read_text()) for path in Path("runs").glob("store/cells/*/*/record.json")
    ]
    told = [record["provenance"].get("accepted_drift") for record in records]
    assert told.count(None) == 14
    assert {one["reason"] for one in told if one} == {"a better reading"}


def test_lock_prints_what_changed(checkout, harness) -> None:
    edit(CURVES, "0.9780099985", "0.9780099986")
    left = harness("lock", "exp1", "--dry-run")
    assert left.code == 4
    assert "data/holdout-curves/sha256: locked" in left.out
    assert harness("lock", "exp1").code == 0
    assert harness("lock", "exp1", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("1.274599715e+16", "nan", "C_raw"),
        ("1.274599715e+16", "inf", "C_raw"),
        (",2,1024,", ",1,1024,", "step"),
        ("ErrRate", "ErRate", "ErrRate"),
        ("base,500000000,3,", "base,500000000,", "row"),
    ],
)
def test_bad_data_cannot_be_locked(checkout, harness, before, after, told) -> None:
    edit(CURVES, before, after)
    left = harness("lock", "exp1")
    assert left.code == 2
    assert f"{CURVES}:" in left.err
    assert told in left.err
    accepted = harness("run", "exp1", "--accept-drift", "--reason", "whatever")
    assert accepted.code == 2
    assert not Path("runs").exists()


def test_another_published_number_is_not_reproduced(checkout, harness) -> None:
    edit(GOLDEN, '"printed": "13.1"', '"printed": "13.4"')
    harness("run", "exp1")
    left = harness("check", "exp1")
    assert left.code == 1
    assert "verdict: not_reproduced" in left.out


def test_an_unused_golden_entry_fails(checkout, harness) -> None:
    edit(GOLDEN, '"quantity": "fit/base-D-free/k/7B"', '"quantity": "fit/base-D-free/k/8B"')
    harness("run", "exp1")
    left = harness("check", "exp1")
    assert left.code == 1
    assert "unused golden entry" in left.out


def test_a_first_run_writes_goldens_and_fails(checkout, harness) -> None:
    GOLDEN.unlink()
    harness("run", "exp1")
    assert harness("check", "exp1", "--dry-run").code == 3
    assert not GOLDEN.exists()
    left = harness("check", "exp1")
    assert left.code == 3
    assert "have no golden entry" in left.err
    assert "NO GOLDEN FILE WAS THERE" in left.err
    assert f"git checkout -- {GOLDEN}" in left.err
    entries = json.loads(GOLDEN.read_text())["entries"]
    assert {entry["kind"] for entry in entries} == {"recorded"}
    assert harness("check", "exp1").code == 0


def test_a_first_run_leaves_drifted_recordings_as_they_are(checkout, harness) -> None:
    """A new pattern under `judge` must not be the way to bless a number that has moved."""
    GOLDEN.unlink()
    harness("run", "exp1")
    harness("check", "exp1")
    entries = json.loads(GOLDEN.read_text())["entries"]
    moved = next(one for one in entries if one["quantity"] == "fit/base-C-intra/N0")
    edit(GOLDEN, f'"printed": "{moved["printed"]}"', '"printed": "12345678.0"')
    edit(SUITE, "  - summary/pass-at-1/*\n", "  - summary/pass-at-1/*\n  - fit/base-C-full/n\n")
    assert harness("check", "exp1").code == 1
    assert '"printed": "12345678.0"' in GOLDEN.read_text()
    assert "recorded/fit/base-C-full/n" in GOLDEN.read_text()
    assert "git checkout" not in harness("check", "exp1").err
    assert harness("check", "exp1").code == 1


def test_part_of_a_tier_is_never_reproduced_and_never_a_golden(checkout, harness) -> None:
    document = json.loads(GOLDEN.read_text())
    document["entries"] = [e for e in document["entries"] if "/base" in e["id"]]
    GOLDEN.write_text(json.dumps(document))
    base = ("--where", 'model.source == "base"')
    harness("run", "exp1", *base)
    left = harness("check", "exp1", *base, "--json")
    assert {one["verdict"] for one in left.json["comparisons"] if not one["declared"]} == {
        "reproduced"
    }
    assert (left.code, left.json["verdict"]) == (3, "inconclusive")
    GOLDEN.unlink()
    left = harness("check", "exp1", *base)
    assert left.code == 3
    assert "which this run is not" in left.err
    assert not GOLDEN.exists()
    assert harness("golden", "update", "exp1", "--reason", "half of it").code == 2


def test_accepted_drift_is_told_and_never_a_golden(checkout, harness) -> None:
    GOLDEN.unlink()
    edit(CURVES, "0.9780099985", "0.9780099986")
    accepted = ("--accept-drift", "--reason", "a better reading")
    harness("run", "exp1", *accepted)
    left = harness("check", "exp1", *accepted, "--json")
    assert left.code == 3
    assert left.json["accepted_drift"]["reason"] == "a better reading"
    assert "holdout-curves/sha256" in left.json["accepted_drift"]["differences"][0]
    assert not GOLDEN.exists()
    assert "lock drift was accepted (a better reading)" in harness("check", "exp1", *accepted).out
    assert harness("check", "exp1", "--reason", "without accepting").code == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"suite": "exp1"', '"suite": "exp9"'),
        ('"suite_version": 2', '"suite_version": 1'),
        ('"tier": "published"', '"tier": "micro"'),
        ('"level": "R0"', '"level": "R3"'),
    ],
)
def test_a_golden_file_of_something_else_is_refused(checkout, harness, before, after) -> None:
    edit(GOLDEN, before, after)
    harness("run", "exp1")
    left = harness("check", "exp1")
    assert left.code == 2
    assert str(GOLDEN) in left.err
    assert harness("all", "exp1").code == 2


def test_a_crash_is_no_verdict(checkout, harness, monkeypatch) -> None:
    monkeypatch.setattr("harness.pipeline.load", lambda _request: 1 / 0)
    left = harness("check", "exp1")
    assert left.code == 5
    assert "ZeroDivisionError" in left.err
    assert "says nothing of any number" in left.err


def test_an_update_leaves_published_numbers_alone(checkout, harness) -> None:
    edit(GOLDEN, '"printed": "13.1"', '"printed": "13.4"')
    edit(SUITE, "  - summary/pass-at-1/*\n", "  - summary/pass-at-1/*\n  - fit/base-D-free/n\n")
    harness("lock", "exp1")
    harness("run", "exp1")
    assert harness("golden", "update", "exp1").code == 2
    left = harness("golden", "update", "exp1", "--reason", "count the points", "--dry-run")
    assert "recorded/fit/base-D-free/n: nothing -> 732.0" in left.out
    assert harness("golden", "update", "exp1", "--reason", "count the points").code == 0
    golden = json.loads(GOLDEN.read_text())
    assert golden["history"][0]["reason"] == "count the points"
    assert [e["printed"] for e in golden["entries"] if e["kind"] == "recorded"] == ["732.0"]
    assert any(e["printed"] == "13.4" for e in golden["entries"])
    assert harness("check", "exp1").code == 1


def test_a_selection_is_judged_only_where_it_is_complete(checkout, harness) -> None:
    left = harness("all", "exp1", "--where", 'model.source == "base"', "--json")
    assert left.code == 3
    verdicts = {one["entry"]: one for one in left.json["comparisons"]}
    assert verdicts["table6/base-C-inter/K_max"]["verdict"] == "reproduced"
    absent = verdicts["table6/instruct-C-intra/K_max"]
    assert absent["verdict"] == "inconclusive"
    assert "7 of the cells it needs have no result" in absent["reason"]
    assert "not_reproduced" not in {one["verdict"] for one in verdicts.values()}


def test_fits_on_part_of_the_sizes_are_not_compared(checkout, harness) -> None:
    harness("run", "exp1", "--where", "model.N >= 3e9")
    left = harness("check", "exp1", "--json")
    assert left.code == 3
    verdicts = {one["entry"]: one for one in left.json["comparisons"]}
    assert verdicts["table6/base-C-intra/K_max"]["verdict"] == "inconclusive"
    assert verdicts["table5/base/7B"]["verdict"] == "reproduced"


def test_a_column_that_no_step_of_a_cell_has_is_a_mistake(checkout, harness) -> None:
    harness("run", "exp1")
    edit(SUITE, "    length: response_length", "    length: respons_length")
    left = harness("fit", "exp1")
    assert left.code == 2
    assert "no field 'respons_length'" in left.err
    assert "response_length" in left.err


def test_a_failing_cell_is_an_infrastructure_failure_with_its_own_rerun(checkout, harness) -> None:
    edit(SUITE, "N: 72e9}", "N: 71e9}")
    harness("lock", "exp1")
    left = harness("run", "exp1")
    assert left.code == 5
    assert "1 of 14 cells have no result" in left.err
    rerun = next(line for line in left.err.splitlines() if "rerun:" in line).split("rerun: ")[1]
    again = harness(*rerun.split()[1:])
    assert again.code == 5
    status = harness("status", "exp1", "--json").json
    assert status["counts"] == {"ok": 13, "error": 1, "invalid": 0, "missing": 0}
    assert "no row" in status["failures"][0]["message"]


def test_a_damaged_file_is_named_set_aside_and_computed_again(checkout, harness) -> None:
    harness("run", "exp1")
    metrics = sorted(Path("runs/store/cells").glob("*/*/metrics.jsonl"))[3]
    edit(metrics, '"step": 7', '"step": 8')
    left = harness("check", "exp1")
    assert left.code == 5
    assert str(metrics) in left.err
    assert "harness store verify --quarantine" in left.err
    assert harness("store", "verify").code == 5
    assert harness("store", "verify", "--quarantine").code == 0
    assert harness("run", "exp1", "--json").json["computed"] == 1
    assert harness("check", "exp1").code == 0


def test_the_index_is_made_again(checkout, harness) -> None:
    harness("run", "exp1")
    Path("runs/store/index.sqlite").write_bytes(b"not a database")
    assert harness("store", "rebuild").out == "index rebuilt from 14 records\n"


def test_explain_shows_the_parts_of_an_identity(checkout, harness) -> None:
    cell = json.loads(harness("expand", "exp1", "--json").out.splitlines()[0])["id"]
    left = harness("explain", cell[:10])
    assert left.code == 0
    assert cell in left.out
    for part in ("suite_version: 2", "engine_version: 1", "Qwen2.5-0.5B", "sha256"):
        assert part in left.out
    assert harness("explain", "zz").code == 2
    assert "cells have an id that begins with ''" in harness("explain", "").err


def test_an_unknown_container_is_refused_by_line(checkout, harness) -> None:
    edit(SUITE, "container: process", "container: proces")
    left = harness("plan", "exp1")
    assert left.code == 2
    assert f"{SUITE}:" in left.err
    assert "did you mean `process`" in left.err


def test_an_unknown_kind_of_figure_is_refused_before_cells_run(checkout, harness) -> None:
    edit(SUITE, "name: overview, kind: grid", "name: overview, kind: gird")
    left = harness("all", "exp1")
    assert left.code == 2
    assert f"{SUITE}:" in left.err
    assert "did you mean `grid`?" in left.err
    assert not Path("runs").exists()


def test_nothing_run_yet_is_inconclusive(checkout, harness) -> None:
    left = harness("check", "exp1", "--json")
    assert left.code == 3
    assert {one["verdict"] for one in left.json["comparisons"]} == {"inconclusive"}
    assert {one["found"] for one in left.json["comparisons"]} == {None}


def test_json_holds_the_r2_of_the_curves_beside_the_pooled_ones(checkout, harness) -> None:
    harness("run", "exp1")
    told = harness("check", "exp1", "--json").json
    pooled = [c["quantity"] for c in told["comparisons"] if c["quantity"].endswith("/R2")]
    assert len(pooled) >= 16
    for quantity in pooled:
        assert len(told["r2_by_curve"][quantity.split("/")[1]]) >= 6


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("plan", "exq1"), 2, "did you mean `exp1`?"),
        (("plan", "exp1", "--tier", "publishd"), 2, "did you mean `published`?"),
        (("plan", "exp1", "--where", "modl.N > 1"), 2, "did you mean model.N"),
        (("plan", "exp1", "--where", "__import__('os')"), 2, "--where"),
        (("plan", "exp1", "--where", ""), 2, "--where"),
        (("plan", "exp1", "--where", "model.N"), 2, "no condition"),
        (("plan", "exp1", "--workspace", ""), 2, "--workspace"),
        (("store", "verify", "--workspace", "nowhere"), 2, "no store"),
        (("golden", "update", "exp1", "--reason", " "), 2, "--reason"),
        (("run", "exp1", "--cell", "zz"), 2, "harness expand exp1"),
        (("plan", "exp1", "--tier", ""), 2, "no tier"),
        (("report", "nowhere/suite.yaml"), 2, "harness"),
    ],
)
def test_mistakes_are_told_with_what_to_type(checkout, harness, words, code, told) -> None:
    left = harness(*words)
    assert (left.code, told in left.err) == (code, True), left.err


@pytest.mark.parametrize(
    "words",
    [
        ("suites",),
        ("expand", "exp1", "--where", "model.N == 72e9 and model.source == 'base'"),
        ("lock", "exp1"),
        ("plan", "exp1"),
        ("run", "exp1"),
        ("run", "exp1", "--dry-run"),
        ("all", "exp1", "--dry-run"),
        ("status", "exp1"),
        ("fit", "exp1"),
        ("check", "exp1"),
        ("schema",),
        ("store", "verify"),
        ("store", "rebuild"),
        ("golden", "update", "exp1", "--reason", "none", "--dry-run"),
        ("plan", "nothing"),
    ],
    ids=" ".join,
)
def test_every_verb_speaks_json(checkout, harness, words) -> None:
    Path("runs/store").mkdir(parents=True)
    assert harness(*words, "--json").json is not None


def test_a_dry_run_leaves_nothing_behind(checkout, harness) -> None:
    assert harness("all", "exp1", "--dry-run").code == 0
    assert "14 to be run" in harness("run", "exp1", "--dry-run").out
    assert not Path("runs").exists()


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_no_number_of_the_verdict_is_cut_however_narrow_the_screen(
    checkout, harness, monkeypatch, columns
) -> None:
    harness("run", "exp1")
    from rich.console import Console

    screen = Console(width=columns, force_terminal=False)
    monkeypatch.setattr("harness.cli.show.console", lambda **_: screen)
    told = harness("check", "exp1").out
    table = told[told.index("Verdict") :]
    assert "\N{HORIZONTAL ELLIPSIS}" not in table
    for text in ("2.107316", "17.3693", "0.569 0.556 0.521", "inconclusive [1]", "½ digit 0.0005"):
        assert text in table


def test_a_pipe_that_ends_early_is_no_verdict(checkout) -> None:
    command = f"{sys.executable} -m harness expand exp1 | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.count("Qwen2.5-0.5B") == 1
    assert done.returncode in (0, 128 + 13)
    assert done.stderr == ""


def test_one_broken_suite_hides_no_other(checkout, harness) -> None:
    Path("suites/broken").mkdir()
    Path("suites/broken/suite.yaml").write_text("schema: [\n")
    left = harness("suites")
    assert left.code == 0
    assert "exp1 v2 (published, micro, " in left.out
    assert "broken: cannot be read" in left.out
    cell = json.loads(harness("expand", "exp1", "--json").out.splitlines()[0])["id"]
    assert harness("explain", cell[:10]).code == 0


def test_a_suite_is_named_as_it_can_be_typed(checkout, harness) -> None:
    Path("suites/exp1").rename("suites/other")
    Path("suites/other/suite.lock").unlink()
    left = harness("plan", "other")
    assert left.code == 4
    assert "harness lock suites/other" in left.err
    assert harness("lock", "suites/other").code == 0


def test_unreadable_records_are_counted_when_the_index_is_made_again(checkout, harness) -> None:
    harness("run", "exp1")
    record = next(Path("runs/store/cells").glob("*/*/record.json"))
    record.write_bytes(record.read_bytes()[:100])
    left = harness("store", "rebuild")
    assert left.code == 5
    assert "1 finished cells have no readable record" in left.err


def test_a_huge_grid_is_refused_before_it_is_tried(checkout, harness) -> None:
    edit(SUITE, "  algorithm:\n", "  seed: {range: [0, 100000000000]}\n  algorithm:\n")
    left = harness("lock", "exp1")
    assert left.code == 2
    assert "1,400,000,000,000 points" in left.err


def test_a_pipe_as_data_is_refused_and_not_waited_for(checkout, harness) -> None:
    CURVES.unlink()
    os.mkfifo(CURVES)
    for verb in ("lock", "plan"):
        left = harness(verb, "exp1")
        assert left.code == 2
        assert "not a file" in left.err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom harness.cli import main\nsys.argv = ['harness', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'scipy', 'matplotlib', 'pydantic', 'ruamel'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
