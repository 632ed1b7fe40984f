"""Goldens from a tier's own seeds: what is recorded, what is refused, and what they then judge."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.pipeline.conftest import edit

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (1e9, 4e9)
GOLDEN_SEEDS, SEEDS, SHIFTED = range(8), range(10, 14), range(20, 24)
STEPS = range(1, 9)
MARGIN = 0.05
# How far the shifted seeds lie from the others, against a margin of 0.05.
SHIFT = 0.2

CUT = "1000000000.0,10,8,"

SUITE = """\
schema: 1
name: seeds
version: 1
title: Curves of several seeds
data:
  curves: {path: curves.csv, columns: [N, seed, step, C, L], unique: [N, seed, step]}
axes:
  model: [{id: small, N: 1e9}, {id: large, N: 4e9}]
  seed: [10, 11, 12, 13]
tiers:
  micro:
    level: R3
    engine: replay
    settings:
      curve:
        data: curves
        select: {N: "${model.N}", seed: "${seed}"}
        columns: {step: step, flops: C}
        evals: {loss: L}
    measure:
      curves:
        labels: {N: model.N, seed: seed}
        columns: {step: step, C: flops, L: evals.loss}
      analyses:
        - name: line
          law: loglinear
          x: C
          y: L
          run: seed
          space: log10
          resample: {by: seed, n: 200, seed: 0}
      summaries:
        - {name: final, field: L, take: last, by: [N]}
        - {name: first, field: L, take: first, by: [N]}
      judge: ["summary/final/*"]
      margins:
        - {match: "summary/final/4B", margin: 0.05, reason: of the large one before any run}
        - {match: "summary/*", margin: 0.06, reason: of all the others before any run}
      bands:
        - {fit: line, N: [1e9, 4e9], x: [4e15, 64e15], margin: 0.1, reason: of the line before any}
  golden: {extends: micro, axes: {seed: [{range: [0, 8]}]}}
  shifted: {extends: micro, axes: {seed: [20, 21, 22, 23]}}
"""


def loss(N: float, C: float) -> float:
    return float(10 ** (0.2 - 0.06 * np.log10(C / 1e15) - 0.05 * np.log10(N / 1e9)))


def finals(table: Path) -> dict[float, list[float]]:
    """Last losses of the golden's seeds, by size, as they stand in the table."""
    found: dict[float, list[float]] = {}
    for line in table.read_text().splitlines()[1:]:
        N, seed, step, _, value = map(float, line.split(","))
        if seed in GOLDEN_SEEDS and step == STEPS[-1]:
            found.setdefault(N, []).append(value)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness) -> Path:
    """The suite of two sizes and all seeds, not locked yet."""
    folder = tmp_path / "suites/seeds"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["N,seed,step,C,L"]
    for N in SIZES:
        for seed in (*GOLDEN_SEEDS, *SEEDS, *SHIFTED):
            for step in STEPS:
                C = 1e15 * 2.0**step
                noise = 1 + 0.005 * rng.standard_normal()
                value = loss(N, C) * noise + SHIFT * (seed in SHIFTED)
                lines.append(f"{N!r},{seed},{step},{C!r},{value!r}")
    (folder / "curves.csv").write_text("\n".join(lines) + "\n")
    (folder / "suite.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    return folder


def record(harness, *words: str, tier: str = "micro", source: str = "golden"):
    """Lock and run the suite as it stands, then record."""
    assert harness("lock", "seeds").code == 0
    run = harness("run", "seeds", "--tier", source)
    assert run.code == 0, run.err
    return record_only(harness, *words, tier=tier, source=source)


def record_only(harness, *words: str, tier: str = "micro", source: str = "golden"):
    asked = ("--tier", tier, "--from", source, "--reason", "before any run", *words)
    return harness("golden", "record", "seeds", *asked)


def golden_of(folder: Path, tier: str = "micro") -> Path:
    return folder.parent.parent / f"golden/seeds/{tier}.json"


def test_entries_are_means_over_seeds_with_the_suite_s_margins(folder, harness) -> None:
    told = record(harness, "--dry-run")
    assert (told.code, "would be written" in told.out) == (0, True), told.err
    assert not golden_of(folder).exists()
    told = record_only(harness)
    assert "2 entries and 1 bands written" in told.out
    golden = json.loads(golden_of(folder).read_text())
    head = [golden[key] for key in ("suite", "suite_version", "tier", "level")]
    assert head == ["seeds", 1, "micro", "R3"]
    values = finals(folder / "curves.csv")
    margins = {
        "4B": (0.05, "of the large one before any run"),
        "1B": (0.06, "of all the others before any run"),
    }
    heads = [(entry["group"], entry["label"]) for entry in golden["entries"]]
    assert heads == [("final", "N = 1B"), ("final", "N = 4B")]
    for entry in golden["entries"]:
        size = entry["quantity"].rpartition("/")[2]
        seeds = values[float(size.rstrip("B")) * 1e9]
        assert (entry["kind"], entry["runs"]) == ("recorded", 8)
        assert entry["quantity"] == f"summary/final/{size}"
        assert float(entry["printed"]) == pytest.approx(statistics.mean(seeds), rel=1e-5)
        assert entry["sd"] == pytest.approx(statistics.stdev(seeds), rel=1e-5)
        assert (entry["margin"], entry["margin_reason"]) == margins[size]
        assert "rtol" not in entry
    (change,) = golden["history"]
    assert change["reason"] == "before any run"
    assert len(change["entries"]) == 3


def test_bands_have_a_standard_error_at_each_point(folder, harness) -> None:
    assert record(harness).code == 0
    (band,) = json.loads(golden_of(folder).read_text())["bands"]
    assert (band["fit"], band["kind"], band["runs"], band["margin"]) == ("line", "recorded", 8, 0.1)
    assert (band["N"], band["x"]) == ([1e9, 4e9], [4e15, 64e15])
    for row, N in enumerate(band["N"]):
        for column, C in enumerate(band["x"]):
            se = band["se"][row][column]
            assert 0 < se < 0.005
            assert band["predicted"][row][column] == pytest.approx(loss(N, C), abs=6 * se)


def test_a_count_that_all_seeds_share_is_judged_exactly(folder, harness) -> None:
    edit(folder / "suite.yaml", "{name: final, field: L", "{name: final, field: step")
    assert record(harness).code == 0
    entries = json.loads(golden_of(folder).read_text())["entries"]
    assert [(one["printed"], one["tolerance"], "sd" in one) for one in entries] == [
        ("8", 0.001, False)
    ] * 2
    # One seed less one step.
    table = folder / "curves.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(one for one in lines if not one.startswith(CUT)) + "\n")
    assert harness("lock", "seeds").code == 0
    told = harness("all", "seeds", "--tier", "micro", "--json")
    judged = {one["entry"]: one["verdict"] for one in told.json["comparisons"]}
    assert judged["recorded/summary/final/4B"] == "reproduced"
    assert judged["recorded/summary/final/1B"] == "not_reproduced"


def test_it_judges_other_seeds(folder, harness) -> None:
    assert record(harness).code == 0
    assert record_only(harness, tier="shifted").code == 0
    same = harness("all", "seeds", "--tier", "micro", "--json")
    judged = {one["entry"]: one["verdict"] for one in same.json["comparisons"]}
    assert same.code == 0
    assert set(judged.values()) <= {"reproduced", "drifted"}, judged
    assert len(judged) == 3
    shifted = harness("all", "seeds", "--tier", "shifted", "--json")
    judged = {one["entry"]: one["verdict"] for one in shifted.json["comparisons"]}
    assert shifted.code == 1
    assert set(judged.values()) == {"not_reproduced"}, judged


def test_recording_again_keeps_what_was_said_before(folder, harness) -> None:
    assert record(harness).code == 0
    assert record_only(harness).code == 0
    golden = json.loads(golden_of(folder).read_text())
    assert len(golden["history"]) == 2
    assert len(golden["entries"]) == 2


def test_a_published_number_is_not_replaced(folder, harness) -> None:
    assert record(harness).code == 0
    path = golden_of(folder)
    edit(path, '"kind": "recorded"', '"kind": "published"')
    before = path.read_bytes()
    told = record_only(harness)
    assert (told.code, path.read_bytes() == before) == (2, True)
    assert "holds more than recorded numbers" in told.err
    assert "recorded/summary/final/" in told.err


def test_missing_cells(folder, harness) -> None:
    assert harness("lock", "seeds").code == 0
    assert harness("run", "seeds", "--tier", "golden", "--where", "seed < 6").code == 0
    told = record_only(harness)
    assert told.code == 2
    assert "4 cells of tier 'golden' have no result" in told.err
    assert "harness run seeds --tier golden" in told.err
    assert not golden_of(folder).exists()


# What the suite says before and after, and what is told.
REFUSED = {
    "fewer than eight seeds": (
        "{range: [0, 8]}",
        "{range: [0, 7]}",
        ("summary/final/1B has too few seeds", "at least 8", "7", "more values of `seed`"),
    ),
    "no seeds at all": (
        "by: [N]}\n        - {name: first",
        "by: [N, seed]}\n        - {name: first",
        ("has too few seeds", "one number, without seeds"),
    ),
    "no margin": (
        'match: "summary/*"',
        'match: "summary/first/*"',
        ("no margin for summary/final/1B", "`margins`"),
    ),
    "no spread": (
        "{name: final, field: L",
        "{name: final, field: C",
        ("all seeds give the same summary/final/1B", "take it out of `judge`"),
    ),
    "no refits": (
        "          resample: {by: seed, n: 200, seed: 0}\n",
        "",
        ("fit 'line' gives no band", "resample the analysis by seed"),
    ),
    "refits within one run": (
        "resample: {by: seed",
        "resample: {by: block",
        ("fit 'line' gives no band", "blocks of a single run"),
    ),
    "a size that no cell has": (
        "N: [1e9, 4e9], x",
        "N: [1e9, 5e9], x",
        ("fit 'line' gives no band",),
    ),
    "nothing to judge": (
        'judge: ["summary/final/*"]',
        'judge: ["summary/final/9B"]',
        ("`judge` names none of the numbers", "summary/final/9B"),
    ),
    "no judge": (
        '      judge: ["summary/final/*"]\n',
        "",
        ("`judge` names none of the numbers", "no patterns"),
    ),
    "other settings": (
        "  golden: {extends: micro,",
        "  golden: {extends: micro, settings: {curve: {evals: {other: L}}},",
        ("`settings` of tier 'golden' is not that of tier 'micro'", "`extends: micro`"),
    ),
    "shared seeds": (
        "{range: [0, 8]}",
        "{range: [3, 11]}",
        ("2 cells of tier 'golden' are cells of tier 'micro' too", "other values of `seed`"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_writes_nothing(name, folder, harness) -> None:
    before, after, parts = REFUSED[name]
    edit(folder / "suite.yaml", before, after)
    if name == "shared seeds":
        give_seeds_of_the_middle(folder / "curves.csv")
    told = record(harness)
    assert told.code == 2, told.out
    for part in parts:
        assert part in told.err, told.err
    assert "Traceback" not in told.err
    assert not golden_of(folder).exists()


def give_seeds_of_the_middle(table: Path) -> None:
    """Give seeds 8 and 9 the curves of 0 and 1."""
    lines = table.read_text().splitlines()
    for line in lines[1:]:
        N, seed, rest = line.split(",", 2)
        if seed in ("0", "1"):
            lines.append(f"{N},{int(seed) + 8},{rest}")
    table.write_text("\n".join(lines) + "\n")


def test_a_tier_does_not_judge_itself(folder, harness) -> None:
    told = record(harness, tier="golden")
    assert told.code == 2
    assert "16 cells of tier 'golden' are cells of tier 'golden' too" in told.err


def test_a_run_does_not_become_its_own_golden(folder, harness) -> None:
    assert record(harness).code == 0
    before = golden_of(folder).read_bytes()
    assert harness("run", "seeds", "--tier", "micro").code == 0
    told = harness("golden", "update", "seeds", "--tier", "micro", "--reason", "it drifted")
    assert told.code == 2
    assert "harness golden record seeds --tier micro --from" in told.err.replace("\n", " ")
    assert golden_of(folder).read_bytes() == before


def test_a_first_run_of_a_trained_tier_records_nothing(folder, harness) -> None:
    assert harness("lock", "seeds").code == 0
    told = harness("all", "seeds", "--tier", "micro")
    assert told.code == 3
    assert "harness golden record" in told.err
    assert not golden_of(folder).exists()


def test_a_reason_is_asked_for(folder, harness) -> None:
    asked = ("--tier", "micro", "--from", "golden", "--reason", " ")
    assert "say why" in harness("golden", "record", "seeds", *asked).err


def test_a_disk_without_space_is_no_statement_about_the_suite(folder, harness, monkeypatch) -> None:
    def full(golden, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.recording.save_golden", full)
    told = record(harness)
    assert told.code == 5
    assert "golden file cannot be written: No space left on device" in told.err
