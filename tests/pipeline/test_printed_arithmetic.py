"""Printed numbers of exp1 that follow from other printed ones: by hand, no cell holds them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from harness.verdict.entry import half_unit

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/exp1/published.json").read_text())
NOT_RECOMPUTED = {one["id"]: one for one in GOLDEN["not_recomputed"]}
SEMS = [name for name in NOT_RECOMPUTED if name.endswith("/sem")]


def test_there_are_fourteen_standard_errors() -> None:
    assert len(SEMS) == 14


@pytest.mark.parametrize("name", SEMS)
def test_a_standard_error_is_the_deviation_over_the_root_of_three_runs(name: str) -> None:
    sem = NOT_RECOMPUTED[name]["printed"]
    sd = NOT_RECOMPUTED[f"{name.removesuffix('sem')}sd"]["printed"]
    room = half_unit(sem) + half_unit(sd) / math.sqrt(3)
    assert float(sem) == pytest.approx(float(sd) / math.sqrt(3), abs=room)
    assert "square root of 3" in NOT_RECOMPUTED[name]["reason"]


def printed(head: str) -> dict[str, int]:
    return {
        name.removeprefix(head): int(one["printed"])
        for name, one in NOT_RECOMPUTED.items()
        if name.startswith(head)
    }


def test_the_evaluation_sets_add_up() -> None:
    sizes = printed("sizes/")
    assert sizes.pop("all") == sum(sizes.values()) == 2953
    assert sorted(sizes.values()) == [30, 40, 164, 200, 200, 500, 500, 1319]
    assert sum(printed("holdout/").values()) == sizes["holdout"]


def test_the_instruct_curves_lack_their_first_steps() -> None:
    entries = {one["id"]: one for one in GOLDEN["entries"]}
    # The base curves begin at step 1, the Instruct ones at step 4; they end at different steps.
    assert entries["refit/base-C-full/n"]["printed"] == "732"
    assert entries["refit/instruct-C-full/n"]["printed"] == "712"
    assert printed("train/") == {"rows": 53904}
