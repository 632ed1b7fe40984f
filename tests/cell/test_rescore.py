"""Engine rescore: what the stored file decides is scored, and nothing else is."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import TYPE_CHECKING

import pytest

from harness.cell.contract import CellContext
from harness.cell.evaluate.rescore import rescore
from harness.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = ("question", "text", "answer", "score")
ROWS = [
    (7, "Thus\nAnswer: B", "B", 1.0),
    (3, "Answer: C", "C", 0.0),
    (5, "I do not know", "", 0.0),
    (1, "Answer: D\nNo.\nAnswer: A", "A", 1.0),
]
THEN = {"question": "question", "response": "text", "answer": "answer", "score": "score"}


@pytest.fixture
def run(tmp_path: Path):
    """Rescore rows; returns the result and the lines of metrics."""

    def of(rows, header=HEADER, *, columns=THEN, pinned=2, **settings):
        text = io.StringIO(newline="")
        csv.writer(text).writerows([header, *rows])
        content = text.getvalue().encode()
        (tmp_path / "stored.csv").write_bytes(content)
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        pin = {"path": "stored.csv", "sha256": hashlib.sha256(content).hexdigest()}
        document = {
            "settings": {
                "responses": {"data": "stored", **columns},
                "scorer": "multiple_choice",
                **settings,
            },
            "pins": {
                "data": {"stored": pin},
                "scorers": {} if pinned is None else {"multiple_choice": pinned},
            },
        }
        result = rescore(CellContext(document, out, tmp_path))
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return result, lines

    return of


def test_every_response_has_a_line_and_the_counts_add_up(run) -> None:
    result, lines = run(ROWS)
    assert [(line["question"], line["evals"]["accuracy"]) for line in lines] == [
        (7, 1.0),
        (3, 0.0),
        (5, 0.0),
        (1, 1.0),
    ]
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert [line["stored_score"] for line in lines] == [1.0, 0.0, 0.0, 1.0]
    told = {key: result[key] for key in ("total", "correct", "accuracy", "no_answer", "undecided")}
    assert told == {"total": 4, "correct": 2, "accuracy": 0.5, "no_answer": 1, "undecided": 0}
    assert (result["n_flips"], result["flips"]) == (0, [])


def test_a_right_answer_that_is_not_read_is_a_flip(run) -> None:
    result, _ = run([(7, "The answer is B", "B", 1.0)])
    assert result["correct"] == 0
    assert result["flips"] == [
        {"question": 7, "read": None, "stored": "B", "score": 0.0, "stored_score": 1.0}
    ]


@pytest.mark.parametrize("stored", ["B", ""])
def test_another_answer_than_the_wrong_one_is_undecided_and_not_right(run, stored) -> None:
    result, _ = run([(7, "Answer: A", stored, 0.0)])
    assert (result["correct"], result["undecided"], result["n_flips"]) == (0, 1, 1)
    assert result["flips"][0]["score"] is None


def test_an_answer_that_is_no_longer_read_decides_nothing_new(run) -> None:
    result, _ = run([(7, "It is B", "B", 0.0)])
    assert (result["correct"], result["undecided"], result["n_flips"]) == (0, 0, 1)


def test_right_answers_of_a_column_decide_everything(run) -> None:
    rows = [(1, "Answer: A", "A"), (2, "Answer: B", "C"), (3, "", "D")]
    columns = {"question": "question", "response": "text", "gold": "gold"}
    result, lines = run(rows, ("question", "text", "gold"), columns=columns)
    assert (result["correct"], result["undecided"], result["no_answer"]) == (1, 0, 1)
    assert "stored_score" not in lines[0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no responses"),
        ([(7, "Answer: B", "B", 0.5)], "says nothing of the right answer"),
        ([(7, "Answer: B", "", 1.0)], "says nothing of the right answer"),
        ([(7, "Answer: B", "blue", 1.0)], "the scorer cannot use this row"),
        ([("x", "Answer: B", "B", 1.0)], "no finite number"),
        ([(1.5, "Answer: B", "B", 1.0)], "not whole"),
        ([(7, "Answer: B", "B")], "another length"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(run, rows, message) -> None:
    with pytest.raises(DataError, match=message) as caught:
        run(rows)
    assert caught.value.where == f"stored.csv:{1 + len(rows)}"


@pytest.mark.parametrize("missing", sorted(THEN))
def test_columns_that_are_not_named_are_told(run, missing) -> None:
    with pytest.raises(DataError, match="other columns than are needed"):
        run(ROWS, columns={key: value for key, value in THEN.items() if key != missing})


@pytest.mark.parametrize(("pinned", "told"), [(1, "version 1"), (None, "multiple_choice")])
def test_a_scorer_that_is_not_pinned_is_not_used(run, pinned, told) -> None:
    with pytest.raises(DataError, match="not the one that the lock pins") as caught:
        run(ROWS, pinned=pinned)
    assert told in caught.value.expected


def test_an_unknown_scorer_is_told(run) -> None:
    with pytest.raises(DataError, match="not the one that the lock pins") as caught:
        run(ROWS, scorer="multiple_choise")
    assert caught.value.found == "no such scorer"


SPLIT = {"rows": 10, "seed": 0, "held_out": 0.2, "test": 0.5, "part": "train"}


def test_the_questions_are_held_against_the_split(run) -> None:
    import numpy as np

    train = np.random.default_rng(0).permutation(10)[2:].tolist()
    rows = [(question, "Answer: B", "B", 1.0) for question in train[:3]]
    result, _ = run(rows, split=SPLIT)
    assert result["split"] == {"train": 8, "validation": 1, "test": 1, "asked": 3}
    result, _ = run([rows[0], rows[2], rows[1]], split=SPLIT)
    assert result["split"]["asked"] == 1


@pytest.mark.parametrize(
    "change", [{"part": "all"}, {"rows": "10"}, {"seed": None}, {"test": True}]
)
def test_a_bad_split_is_told(run, change) -> None:
    with pytest.raises(DataError, match=rf"settings\.split\.{next(iter(change))}"):
        run(ROWS, split={**SPLIT, **change})
