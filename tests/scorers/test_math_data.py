"""The scorer of mathematics on real and constructed answers whose labels no grader has made."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reward_scorers.registry import Context, scorer
from tests.scorers.math_pairs import Pair, build
from tests.scorers.math_rewrites import value

DATA = Path(__file__).parents[3] / "shared" / "data"
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def data(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"{'/'.join(parts)} is not there")
    return path


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return build(data("math_eval_sets", "math500.jsonl"))


def is_right(text: str, truth: str) -> bool:
    return bool(scorer("math").score(text, truth, Context())["acc"])


def test_the_pairs_are_many_and_each_has_one_label(pairs: list[Pair]) -> None:
    counts = Counter(pair.right for pair in pairs)
    assert counts[True] > 1900
    assert counts[False] > 1900
    labels: dict[tuple[str, str], bool] = {}
    for pair in pairs:
        assert labels.setdefault((pair.gold, pair.answer), pair.right) == pair.right, pair


def test_labels_of_numbers_are_what_exact_arithmetic_says(pairs: list[Pair]) -> None:
    checked = 0
    for pair in pairs:
        gold, answer = value(pair.gold), value(pair.answer)
        if gold is not None and answer is not None:
            assert (gold == answer) == pair.right, pair
            checked += 1
    assert checked > 1000


def test_no_wrong_pair_passes_and_at_most_two_right_ones_fail(pairs: list[Pair]) -> None:
    wrong = [pair for pair in pairs if is_right(pair.text, pair.gold) != pair.right]
    assert not [pair for pair in wrong if not pair.right]
    assert len(wrong) <= 2, wrong


def test_solutions_of_gsm8k_are_scored_as_their_authors_labelled_them() -> None:
    wrong = []
    lines = data("gsm8k", "example_model_solutions.jsonl").read_text(encoding="utf-8")
    for row in map(json.loads, lines.splitlines()):
        gold = row["ground_truth"].rpartition("A: ")[2].strip()
        for model in MODELS:
            said = row[model]
            if is_right(said["solution"], gold) != said["is_correct"]:
                wrong.append((gold, said["solution"][-60:], said["is_correct"]))
    assert not wrong


def test_labelled_cases_of_other_graders() -> None:
    cases: list[dict[str, Any]] = json.loads(
        data("math_labelled", "cases_531.json").read_text(encoding="utf-8")
    )
    right = sum(is_right(case["pred"], case["gold"]) == bool(case["label"]) for case in cases)
    assert right / len(cases) >= 0.92
