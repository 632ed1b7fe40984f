"""Each published suite but exp1, from the suite file to the verdict, as a user runs it.

What a suite is expected to find stands here once more, so that neither a golden file nor a suite
can lose a number unnoticed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# How many entries of each kind are reproduced, and what was declared.
EXPECTED = {
    "exp2": ({"published": 22, "refit": 20}, {"unknown_protocol": 2, "incomplete_data": 1}),
    "grpo": ({"transcribed": 16, "refit": 40}, {}),
    "crossdomain": ({"published": 14, "refit": 88}, {}),
}


def harness(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory):
    """The JSON of `harness all NAME` in one empty workspace, each suite run once."""
    workspace = tmp_path_factory.mktemp("workspace")
    known: dict[str, dict] = {}

    def run(name: str) -> dict:
        if name not in known:
            done = harness("all", name, "--workspace", str(workspace), "--json")
            assert done.returncode == 0, done.stderr
            known[name] = json.loads(done.stdout)
        return known[name]

    return run


@pytest.mark.parametrize("name", EXPECTED)
def test_the_verdict_and_what_it_rests_on(runs, name: str) -> None:
    kinds, declared = EXPECTED[name]
    told = runs(name)
    assert told["verdict"] == "reproduced"
    counted = [one for one in told["comparisons"] if one["declared"] is None]
    assert {one["verdict"] for one in counted} == {"reproduced"}
    assert Counter(one["kind"] for one in counted) == kinds
    held_back = [one for one in told["comparisons"] if one["declared"] is not None]
    assert {one["verdict"] for one in held_back} <= {"inconclusive"}
    assert Counter(one["declared"] for one in held_back) == declared


def found(told: dict, prefix: str) -> dict[str, float]:
    """Quantities by what follows the prefix in their name."""
    return {
        one["quantity"].removeprefix(prefix): one["found"]
        for one in told["comparisons"]
        if one["quantity"].startswith(prefix)
    }


@pytest.mark.parametrize(
    ("source", "at_25", "at_100"), [("base", -0.0032, 0.0198), ("instruct", 0.0255, 0.0565)]
)
def test_reuse_costs_nothing_for_long_in_base_and_soon_in_instruct(
    runs, source, at_25, at_100
) -> None:
    level = found(runs("exp2"), f"summary/last-10/{source}/")
    assert list(level) == ["1", "2", "5", "20", "25", "50", "100"]
    assert level["25"] - level["1"] == pytest.approx(at_25, abs=2e-4)
    assert level["100"] - level["1"] == pytest.approx(at_100, abs=2e-4)
    assert level["100"] == max(level.values())


@pytest.mark.parametrize(
    ("source", "at_equal_compute"),
    [("base", ["4", "8", "16", "32"]), ("instruct", ["8", "4", "16", "32"])],
)
def test_larger_groups_win_at_equal_data_and_lose_at_equal_compute(
    runs, source, at_equal_compute
) -> None:
    def order(x: str, log10_x: float) -> list[str]:
        k = found(runs("grpo"), f"fit/{source}-{x}/k/")
        E0 = found(runs("grpo"), f"fit/{source}-{x}/E0/")
        return sorted(k, key=lambda group: E0[group] - k[group] * log10_x)

    # 25,600 samples are step 50; 1e19 FLOPs is where G = 4 ends, and within all four curves.
    assert order("D", 4.408) == ["32", "16", "8", "4"]
    assert order("C", 19.0) == at_equal_compute
    level = found(runs("grpo"), f"summary/last-10/{source}/")
    assert sorted(level, key=level.__getitem__) == ["32", "16", "8", "4"]


def test_transfer_out_of_domain_is_the_choice_of_the_checkpoint_in_instruct(runs) -> None:
    def gain(source: str, domain: str, to: str) -> float:
        level = found(runs("crossdomain"), "summary/loss-")
        return level[f"before/{source}/{domain}"] - level[f"{to}/{source}/{domain}"]

    assert gain("instruct", "out-of-domain", "best") > 0.05
    assert abs(gain("instruct", "out-of-domain", "last-10")) < 0.005
    for source in ("base", "instruct"):
        for to in ("best", "last-10"):
            assert gain(source, "in-domain", to) > gain(source, "out-of-domain", to)


def test_training_makes_loss_fall_faster_with_size_on_every_evaluation(runs) -> None:
    slopes = found(runs("crossdomain"), "fit/")
    after = {name: value for name, value in slopes.items() if name.endswith("/k/1")}
    assert len(after) == 16
    for name, value in after.items():
        assert value > slopes[name.removesuffix("1") + "0"]
