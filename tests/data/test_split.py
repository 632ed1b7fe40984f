"""The split of MMLU: held against the sizes that its authors tell, and against a plain recipe."""

from __future__ import annotations

import csv
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.split import three_parts

STORED = Path(__file__).parents[3] / "shared" / "data" / "published" / "star"


def mmlu() -> dict[str, np.ndarray]:
    return three_parts(14042, seed=0, held_out=0.2, test=0.5)


def test_mmlu_has_the_published_sizes() -> None:
    assert {name: len(part) for name, part in mmlu().items()} == {
        "train": 11233,
        "validation": 1404,
        "test": 1405,
    }


def test_a_plain_recipe_gives_the_same_rows() -> None:
    order = [int(row) for row in np.random.default_rng(0).permutation(14042)]
    apart, train = order[: ceil(14042 * 0.2)], order[ceil(14042 * 0.2) :]
    again = [apart[int(place)] for place in np.random.default_rng(0).permutation(len(apart))]
    parts = mmlu()
    assert parts["train"].tolist() == train
    assert parts["test"].tolist() == again[:1405]
    assert parts["validation"].tolist() == again[1405:]


def test_the_stored_responses_are_to_the_first_questions_of_train() -> None:
    if not STORED.is_dir():
        pytest.skip(f"the stored responses are not at {STORED}")
    with (STORED / "generate_128.csv").open(newline="", encoding="utf-8") as file:
        asked = [int(row["indices"]) for row in csv.DictReader(file)]
    assert asked == mmlu()["train"][:128].tolist()


@given(
    rows=st.integers(0, 500),
    seed=st.integers(0, 2**32),
    held_out=st.floats(0.01, 0.99),
    test=st.floats(0.01, 0.99),
)
def test_every_row_is_in_one_part(rows: int, seed: int, held_out: float, test: float) -> None:
    parts = three_parts(rows, seed=seed, held_out=held_out, test=test)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(rows))
