"""Every data source, on the rows of its data: the reference is right, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reward_scorers import score_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = Path(__file__).parents[3] / "shared" / "data"
EVALUATIONS = [
    *("aime2024", "amc2023", "gsm8k", "math__full_difficulty_ordered_test_500", "math__math_500"),
    *("math__sampled_1_100_512", "stem__supergpqa_200", "logic__zebra_puzzle_dataset_200"),
]


def boxed(truth: Any) -> str:
    return f"So it is $\\boxed{{{truth}}}$."


def tagged(truth: Any) -> str:
    return f"So it is\n<answer>{json.dumps(truth)}</answer>"


def plainly_tagged(truth: str) -> str:
    return f"<answer>{truth}</answer>"


def evaluation(name: str) -> list[dict[str, Any]]:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = DATA / "guru_online_eval" / f"{name}.parquet"
    if not path.is_file():
        pytest.skip(f"the rows are not at {path}")
    return list(parquet.read_table(path).to_pylist())


def rows_of(name: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for row in evaluation(name):
        yield row["data_source"], row["reward_model"]["ground_truth"], row["extra_info"]


def logic(name: str, source: str, key: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    path = DATA / "guru_format_logic" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"the rows are not at {path}")
    for row in json.loads(path.read_text("utf-8")):
        yield source, row[key], {}


def grids() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    folder = DATA / "arc_agi_1"
    if not folder.is_dir():
        pytest.skip(f"the tasks are not at {folder}")
    for path in sorted(folder.glob("*/*.json")):
        for test in json.loads(path.read_text("utf-8"))["test"]:
            yield "simulation__arcagi1", test["output"], {}


def choices() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    path = DATA / "math_eval_sets" / "mmlu_stem.jsonl"
    if not path.is_file():
        pytest.skip(f"the questions are not at {path}")
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        yield "mmlu", "ABCD"[row["answer"]], {"options": row["choices"]}


def outputs() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    path = DATA / "cruxeval" / "cruxeval.jsonl"
    if not path.is_file():
        pytest.skip(f"the rows are not at {path}")
    for line in path.read_text("utf-8").splitlines():
        yield "simulation__cruxeval-o", json.loads(line)["output"], {}


# References in the form of sources whose rows are not at hand, written here.
MADE: dict[str, list[Any]] = {
    "table__hitab": ["12.5", "italy", "1,204", "-3"],
    "table__multihier": ["0.25", "46.1", "1988"],
    "table__finqa": [0.093, 14.1, -2.5],
    "stem_web": ["oxygen", "9.8 m/s^2", "the mitochondrion", "\\frac{3}{4}"],
    "stem__web": ["carbon dioxide", "4.2"],
    "stem__gpqa": ["A", "B", "C", "D"],
    "stem__gpqa_diamond": ["D", "A"],
    "simulation__barc": [[[1, 2], [3, 4]], [[0]]],
    "simulation__arcagi2": [[[5, 5, 5]], [[5], [5]]],
    "logic__arcagi1": [[[7]], [[8]]],
}
PREDICTED = ['"output": 5', '"output": [1, null]', '"input": {"n": "5"}', '"output": true']


def made() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for source, truths in MADE.items():
        for truth in truths:
            yield source, truth, {}


def made_answer(truth: Any) -> str:
    return tagged(truth) if isinstance(truth, list) else boxed(truth)


def predicted() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for truth in PREDICTED:
        yield "simulation__codeio", truth, {}


def unnamed(truth: Any) -> Any:
    """A reference without a name in front: x=5 is 5."""
    return truth.removeprefix("x=") if isinstance(truth, str) else truth


SOURCES: dict[str, tuple[Callable[[], Iterator[tuple[str, Any, dict[str, Any]]]], Any]] = {
    name: (lambda name=name: rows_of(name), tagged if "zebra" in name else boxed)
    for name in EVALUATIONS
} | {
    "orders": (
        lambda: logic("puzzles_dataset", "logic__ordering_puzzle_dataset", "ground_truth"),
        tagged,
    ),
    "zebras": (
        lambda: logic("zebra_puzzles", "logic__zebra_puzzle_dataset", "ground_truth"),
        tagged,
    ),
    "graphs": (
        lambda: logic("graph_search", "logic__graph_logical_dataset", "correct_response"),
        plainly_tagged,
    ),
    "arc": (grids, tagged),
    "mmlu": (choices, boxed),
    "made here": (made, made_answer),
    "codeio": (predicted, lambda truth: f"```json\n{{{truth}}}\n```"),
    "cruxeval": (outputs, lambda truth: f"[ANSWER]{truth}[/ANSWER]"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_reference_is_right_and_nothing_and_that_of_another_row_are_not(name: str) -> None:
    rows_at, said = SOURCES[name]
    rows = list(rows_at())
    answers = {
        "reference": [said(truth) for _, truth, _ in rows],
        "nothing": ["" for _ in rows],
        "another": [said(rows[place - 1][1]) for place in range(len(rows))],
    }
    wrong: dict[str, list[Any]] = {what: [] for what in answers}
    for what, texts in answers.items():
        scored = score_batch(
            {"data_source": s, "solution_str": text, "ground_truth": truth, "extra_info": extra}
            for (s, truth, extra), text in zip(rows, texts, strict=True)
        )
        for place, one in enumerate(scored):
            same = what == "another" and unnamed(rows[place][1]) == unnamed(rows[place - 1][1])
            right = what == "reference" or same
            if one["acc"] is not right:
                wrong[what].append((rows[place - 1][1], rows[place][1]))
    assert not any(wrong.values()), wrong
