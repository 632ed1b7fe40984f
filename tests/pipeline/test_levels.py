"""Level R3 from the suite file to the report: seeds become samples, refits become bands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (1e9, 2e9, 4e9, 8e9, 16e9)
SEEDS = (0, 1, 2, 3)
MARGIN = {"margin": 0.03, "margin_reason": "set before any of these cells was run"}
SOURCE = {"source": "here", "place": "a test", "protocol": "the formula behind the data"}

SUITE = """\
schema: 1
name: seeds
version: 1
title: Curves of several seeds
sources: {here: {title: A test}}
data:
  curves: {path: curves.csv, columns: [N, seed, step, C, L], unique: [N, seed, step]}
axes:
  model: [SIZES]
  seed: [0, 1, 2, 3]
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
curves:
  labels: {N: model.N, seed: seed}
  columns: {step: step, C: flops, L: evals.loss}
analyses:
  - {name: law, law: loglinear_kn, x: C, y: L, group: N, resample: {by: curve, n: 400, seed: 0}}
summaries:
  - {name: final, field: L, take: last, by: [N]}
  - {name: overall, field: L, take: last, reduce: mean}
judge: ["summary/final/*"]
budget: {cell_s: 3}
"""


def truth(N: float, C: float) -> float:
    return float(10 ** (0.3 - 0.1 / (1 + 4e9 / N) * np.log10(C / 1e15) - 0.05 * np.log10(N / 1e9)))


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness) -> Path:
    """A suite of five sizes and four seeds, locked; the golden file is the test's."""
    folder = tmp_path / "suites/seeds"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["N,seed,step,C,L"]
    for N in SIZES:
        for seed in SEEDS:
            for step in range(1, 11):
                C = 1e15 * 2**step
                loss = truth(N, C) * (1 + 0.004 * rng.standard_normal())
                lines.append(f"{N!r},{seed},{step},{C!r},{loss!r}")
    (folder / "curves.csv").write_text("\n".join(lines) + "\n")
    models = ", ".join(f"{{id: m{rank}, N: {N!r}}}" for rank, N in enumerate(SIZES))
    (folder / "suite.yaml").write_text(SUITE.replace("SIZES", models))
    monkeypatch.chdir(tmp_path)
    assert harness("lock", "seeds").code == 0
    return tmp_path


def write_golden(root: Path, entries: list, bands: list) -> None:
    document = {
        "schema": 1,
        "suite": "seeds",
        "suite_version": 1,
        "tier": "micro",
        "level": "R3",
        "objective_slack_reason": "no optimiser was published",
        "entries": entries,
        "bands": bands,
    }
    path = root / "golden/seeds/micro.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def final(N: float, shift: float = 0.0, **changes: object) -> dict:
    name = f"{N / 1e9:g}B"
    return {
        "id": f"final/{name}",
        "group": "Final loss",
        "label": name,
        "quantity": f"summary/final/{name}",
        "kind": "published",
        "printed": f"{truth(N, 1e15 * 2**10) + shift:.4f}",
        "sd": 0.005,
        "runs": 5,
        **SOURCE,
        **MARGIN,
        **changes,
    }


OVERALL = {
    "id": "overall",
    "group": "Final loss",
    "label": "all sizes",
    "quantity": "summary/overall",
    "kind": "published",
    "printed": f"{np.mean([truth(N, 1e15 * 2**10) for N in SIZES]):.4f}",
    "sd": 0.002,
    "runs": 5,
    **SOURCE,
    **MARGIN,
}


def band(shift: float = 0.0) -> dict:
    x = [4e15, 64e15, 1024e15]
    return {
        "id": "band",
        "group": "The law",
        "fit": "law",
        "kind": "published",
        "N": list(SIZES),
        "x": x,
        "predicted": [[truth(N, C) + shift for C in x] for N in SIZES],
        "se": [[0.001] * len(x)] * len(SIZES),
        "margin": 0.1,
        "margin_reason": "set before any of these cells was run",
        **SOURCE,
    }


K_MAX = {
    "id": "K_max",
    "group": "The law",
    "label": "K_max",
    "quantity": "fit/law/K_max",
    "kind": "published",
    "printed": "0.2",
    **SOURCE,
}


def all_of(harness, *words: str):
    return harness("all", "seeds", "--tier", "micro", *words)


def verdicts(result) -> dict[str, str]:
    return {one["entry"]: one["verdict"] for one in result.json["comparisons"]}


def test_a_run_that_agrees_is_reproduced(seeds, harness) -> None:
    write_golden(seeds, [*map(final, SIZES), OVERALL, K_MAX], [band()])
    found = all_of(harness, "--json")
    shown = {one["entry"]: one for one in found.json["comparisons"]}
    judged = {name: one["verdict"] for name, one in shown.items()}
    assert judged.pop("K_max") == "inconclusive"
    assert set(judged.values()) <= {"reproduced", "drifted"}, shown
    assert found.code == 0
    assert shown["K_max"]["reported_only"] is True
    assert shown["final/4B"]["statistics"]["seeds"] == 4
    # Sizes are reduced within each seed, so that the sample is of seeds and not of cells.
    assert shown["overall"]["statistics"]["seeds"] == 4
    assert shown["band"]["statistics"]["df"] == 4
    page = next((seeds / "runs/reports").glob("*/report.html")).read_text()
    assert "90% interval of the difference" in page
    text = harness("check", "seeds", "--tier", "micro").out
    assert "margin is the largest difference that is still the same result" in text
    assert "4 seeds" in text
    assert "½ digit" not in text


def test_a_run_that_differs_is_not(seeds, harness) -> None:
    write_golden(seeds, [final(1e9, shift=0.5), *map(final, SIZES[1:])], [band(shift=-0.5)])
    found = all_of(harness, "--json")
    assert found.code == 1
    judged = verdicts(found)
    assert (judged["final/1B"], judged["band"]) == ("not_reproduced", "not_reproduced")


def test_what_was_not_set_before_the_run_is_not_judged(seeds, harness) -> None:
    bare = {"margin": None, "margin_reason": None}
    write_golden(seeds, [final(1e9, **bare), *map(final, SIZES[1:])], [])
    found = all_of(harness)
    assert found.code == 3
    assert "no margin was set before the run" in found.out


def test_part_of_the_seeds_is_part_of_the_tier(seeds, harness) -> None:
    write_golden(seeds, [*map(final, SIZES)], [])
    found = all_of(harness, "--where", "seed == 0", "--json")
    assert found.code == 3
    assert set(verdicts(found).values()) == {"inconclusive"}
    assert "a single seed" in found.out


def test_a_band_of_a_fit_that_is_not_made_is_a_mistake(seeds, harness) -> None:
    write_golden(seeds, [*map(final, SIZES)], [band() | {"fit": "lore"}])
    found = all_of(harness)
    assert found.code == 2
    assert "'lore', which the suite does not make" in found.err


def test_seeds_and_cost_are_planned_by_cells_of_one_seed(seeds, harness) -> None:
    write_golden(seeds, [final(1e9), OVERALL], [])
    one, overall = harness("plan", "seeds", "--tier", "micro", "--power", "--json").json
    assert (one["cells"], overall["cells"]) == (1, 5)
    assert one["seeds"] >= 2
    assert one["cost_s"] == 3 * one["seeds"]
    assert harness("run", "seeds", "--tier", "micro").code == 0
    one, *_ = harness("plan", "seeds", "--tier", "micro", "--power", "--json").json
    assert one["flops"] == pytest.approx(one["seeds"] * 1e15 * 2**10)
