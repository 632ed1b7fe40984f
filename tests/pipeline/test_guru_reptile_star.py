"""Suites guru, reptile and star, from the suite file to the verdict, as a user runs them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.verdict.golden import load_golden
from harness.verdict.model import Quantity, Verdict
from harness.verdict.numeric import judge_number

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
MIRROR = ROOT.parent / "shared" / "data" / "published"
ENGLISH = (902, 918, 908, 913, 939, 917, 922, 907, 882, 858, 833)
YORUBA = (183, 164, 170, 183, 178, 210, 219, 228, 260, 240, 240)
AWAY = {"HARNESS_OFFLINE": "1", "HARNESS_MIRROR": ""}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """`harness all` in a process of its own: exit code, what it told as JSON, standard error."""
    workspace = tmp_path_factory.mktemp("workspace")

    def harness(suite: str, *words: str, **environment: str) -> tuple[int, dict[str, Any], str]:
        command = [sys.executable, "-m", "harness", "all", suite, "--json", *words]
        command += ["--workspace", str(workspace / environment.get("HARNESS_OFFLINE", "0"))]
        clean = {**os.environ, "XDG_CACHE_HOME": str(workspace / "cache"), **environment}
        done = subprocess.run(
            command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False
        )
        return done.returncode, json.loads(done.stdout), done.stderr

    return harness


def counts(told: dict[str, Any]) -> dict[tuple[str, str], int]:
    return dict(Counter((one["kind"], one["verdict"]) for one in told["comparisons"]))


def found(told: dict[str, Any]) -> dict[str, float]:
    return {one["entry"]: one["found"] for one in told["comparisons"]}


def test_the_averages_of_guru_are_those_of_its_table(run) -> None:
    code, told, _ = run("guru", **AWAY)
    assert (code, told["verdict"]) == (0, "reproduced")
    assert counts(told) == {("published", "reproduced"): 8}
    # As an independent computation gave them from the printed scores.
    expected = [43.2941, 33.7612, 35.4253, 33.9729, 54.2406, 47.5318, 46.2453, 92.2]
    assert list(found(told).values()) == pytest.approx(expected, abs=5e-5)


def test_a_part_of_guru_is_not_taken_for_its_sum(run) -> None:
    code, told, _ = run(
        "guru", "--where", 'series.table == "table3" or series.id == "math"', **AWAY
    )
    assert (code, told["verdict"]) == (3, "inconclusive")
    assert counts(told) == {("published", "reproduced"): 7, ("published", "inconclusive"): 1}


def test_reptile_contradicts_its_claim_and_confirms_its_logs(run) -> None:
    code, told, _ = run("reptile", **AWAY)
    assert (code, told["verdict"]) == (1, "not_reproduced")
    assert counts(told) == {("published", "not_reproduced"): 2, ("refit", "reproduced"): 12}
    numbers = found(told)
    assert {name for name in numbers if name.startswith("claim/")} == {
        "claim/2000/beta",
        "claim/2000/R2_log",
    }
    assert numbers["fit/1000/A"] == pytest.approx(0.764455, abs=5e-7)
    assert numbers["fit/1000/beta"] == pytest.approx(-0.044892, abs=5e-7)
    assert numbers["fit/1000/R2_log"] == pytest.approx(0.691227, abs=5e-7)
    assert all(numbers[f"fit/{step}/beta"] < 0 for step in (500, 1000, 1500, 2000))
    assert told["as_expected"] is True
    assert run("reptile", "--as-expected", **AWAY)[0] == 0


def test_the_curves_of_star_are_whole_numbers_of_questions(run) -> None:
    code, told, _ = run("star", **AWAY)
    assert (code, told["verdict"]) == (0, "reproduced")
    assert counts(told) == {("transcribed", "reproduced"): 22, ("refit", "reproduced"): 4}
    values = list(found(told).values())[:22]
    assert values == pytest.approx([*ENGLISH, *YORUBA], rel=1e-12)
    english, yoruba = values[:11], values[11:]
    assert english[-1] < english[0] < max(english)
    assert yoruba[-1] > yoruba[0]
    # Means of the counts of the two figures, as whole numbers.
    counted = ENGLISH[1:6], ENGLISH[6:], YORUBA[1:6], YORUBA[6:]
    means = list(found(told).values())[22:]
    assert means == pytest.approx([sum(five) / 5 for five in counted], rel=1e-12)


def test_the_data_of_star_are_counts_and_what_follows_from_them() -> None:
    rows = table("star/published/validation.csv")
    assert list(rows[0]) == ["language", "iteration", "correct", "accuracy"]
    for language, right in (("english", ENGLISH), ("yoruba", YORUBA)):
        assert tuple(int(row["correct"]) for row in rows if row["language"] == language) == right
    assert all(float(row["accuracy"]) == int(row["correct"]) / 1404 for row in rows)


def test_the_counts_of_star_are_what_its_figures_show_to_the_precision_of_reading() -> None:
    path = MIRROR / "star" / "star_png_digitised.json"
    if not path.is_file():
        pytest.skip(f"the readings of the figures are not at {path}")
    read = json.loads(path.read_text("utf-8"))
    for curve, right in (("mmlu_en", ENGLISH), ("mmlu_yo", YORUBA)):
        shown = [1404 * accuracy for accuracy in read[curve]["val"]]
        assert shown == pytest.approx(right, rel=0, abs=0.15)


def test_counts_read_off_the_figures_alone_reproduce_nothing(run) -> None:
    code, told, _ = run("star", "--where", "iteration < 3", **AWAY)
    assert (code, told["verdict"]) == (3, "inconclusive")
    assert counts(told)["transcribed", "reproduced"] == 6


def table(path: str) -> list[dict[str, str]]:
    with (ROOT / "suites" / path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def beyond_reach(suite: str) -> dict[str, str]:
    golden = load_golden(ROOT / "golden" / suite / "published.json")
    assert golden is not None
    return {one.id: one.shown for one in golden.not_recomputed}


def test_the_measured_numbers_of_guru_and_reptile_are_shown_one_by_one() -> None:
    scores = {
        f"table3/{row['series']}/{row['benchmark']}": row["value"]
        for row in table("guru/published/table3.csv")
    }
    assert len(scores) == 7 * 17
    assert scores == {k: v for k, v in beyond_reach("guru").items() if k.startswith("table3/")}
    losses = {
        f"loss/{row['step']}/{row['N_tasks']}": float(row["loss"])
        for row in table("reptile/published/test_loss.csv")
    }
    shown = {k: float(v) for k, v in beyond_reach("reptile").items() if k.startswith("loss/")}
    assert len(losses) == 4 * 8
    assert losses == shown


def test_a_count_of_star_that_is_off_by_one_fails() -> None:
    golden = load_golden(ROOT / "golden/star/published.json")
    assert golden is not None
    for entry in golden.entries:
        for off in (-1, 0, 1):
            misread = Quantity(entry.quantity, (entry.value + off) * entry.scale)
            told = judge_number(entry, misread, golden.objective_slack)
            assert (told.verdict is Verdict.REPRODUCED) == (off == 0)


def test_the_stored_responses_of_star_are_scored_again(run) -> None:
    if not MIRROR.is_dir():
        pytest.skip(f"the stored responses are not in {MIRROR}")
    mirror = {"HARNESS_MIRROR": str(MIRROR), "HARNESS_OFFLINE": "true"}
    code, told, _ = run("star", "--tier", "responses", **mirror)
    assert (code, told["verdict"]) == (0, "reproduced")
    assert found(told) == {
        "responses/correct": 84,
        "responses/accuracy": 84 / 128,
        "responses/no-answer": 8,
        "responses/undecided": 1,
        "split/train": 11233,
        "split/validation": 1404,
        "split/test": 1405,
        "split/asked": 128,
    }


def test_without_its_responses_star_says_what_to_do(run) -> None:
    code, told, errors = run("star", "--tier", "responses", **AWAY)
    assert (code, told["verdict"]) == (5, "inconclusive")
    assert counts(told) == {("published", "inconclusive"): 7, ("refit", "inconclusive"): 1}
    for part in ("raw.githubusercontent.com/jakob-bjorner/star", "c8d9c90505", "HARNESS_MIRROR"):
        assert part in errors
    # The end of what is printed tells it too, since a table stands between.
    assert "HARNESS_MIRROR" in errors.split("have no result")[1]
