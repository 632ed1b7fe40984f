"""A cell that measures several things at each step is a curve of each: `curves: for`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SUITE = """\
schema: 1
name: pair
version: 1
title: Two evaluations of one run
data:
  points: {path: points.csv, columns: [seed, step, which, a, b]}
axes: {seed: [1, 2]}
tiers:
  published:
    level: R0
    engine: replay
    settings:
      curve:
        data: points
        select: {seed: "${seed}", which: curve}
        columns: {step: step}
        evals: {a: a, b: b}
      best:
        data: points
        select: {seed: "${seed}", which: best}
        evals: {a: a, b: b}
curves:
  labels: {run: seed}
  for: [{eval: a, domain: x}, {eval: b, domain: y}]
  columns: {step: step, L: "evals.${eval}"}
analyses:
  - {name: of-b, law: loglinear, x: step, y: L, group: run, where: 'eval == "b"', space: log10}
summaries:
  - {name: last, field: L, take: last, by: [run, eval]}
  - {name: best, field: "best.${eval}", by: [domain], reduce: mean}
  - {name: best-of-a, field: "best.${eval}", where: 'eval == "a"', by: [run]}
judge: [summary/*, fit/of-b/k/*, fit/of-b/n]
figures:
  - {name: both, kind: curves, x: step, y: L, group: run, panels: eval}
"""
A, B = {1: 0.9, 2: 0.8}, {1: 0.7, 2: 0.6}


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """The folder of the suite with its data, not locked yet."""
    rows = ["seed,step,which,a,b"]
    for seed in (1, 2):
        rows += [f"{seed},{x},curve,{A[seed] / x},{B[seed] / x**0.5}" for x in (1, 4, 16)]
        rows += [f"{seed},99,best,{A[seed]},{B[seed]}"]
    folder = tmp_path / "pair"
    folder.mkdir()
    (folder / "points.csv").write_text("\n".join(rows) + "\n")
    (folder / "suite.yaml").write_text(SUITE)
    return folder


@pytest.fixture
def everything(pair: Path, harness):
    """Run `harness all` of the suite with further options."""
    assert harness("lock", str(pair)).code == 0
    return lambda *words: harness(
        "all", str(pair), "--workspace", str(pair / "ws"), "--json", *words
    )


def test_each_record_is_a_curve_and_gives_summaries_their_fields(pair, everything) -> None:
    everything()
    golden = pair / "golden" / "published.json"
    found = {
        entry["quantity"]: float(entry["printed"])
        for entry in json.loads(golden.read_text())["entries"]
    }
    wanted = {
        "summary/last/1/a": 0.9 / 16,
        "summary/last/1/b": 0.7 / 4,
        "summary/last/2/a": 0.8 / 16,
        "summary/last/2/b": 0.6 / 4,
        "summary/best/x": 0.85,
        "summary/best/y": 0.65,
        "summary/best-of-a/1": 0.9,
        "summary/best-of-a/2": 0.8,
        "fit/of-b/k/1": 0.5,  # b falls as the root of the step, a as the step
        "fit/of-b/k/2": 0.5,
        "fit/of-b/n": 6,
    }
    assert found == pytest.approx(wanted)


def test_a_cell_without_result_counts_once_however_many_curves_it_would_have_brought(
    everything,
) -> None:
    everything()
    part = everything("--where", "seed == 1")
    assert part.code == 3
    reasons = {one["quantity"]: one["reason"] for one in part.json["comparisons"]}
    assert "1 of the cells it needs have no result" in reasons["fit/of-b/k/2"]
    assert "1 of the cells that it is made of" in reasons["summary/best/x"]
    assert "1 cells of the tier" in reasons["summary/last/2/b"]
