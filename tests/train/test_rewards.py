"""Rewards of rows: the scorers' own scores, once for each answer, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import reward_scorers
from harness.cell.train.rl import rewards as module
from harness.cell.train.rl.rewards import Rewards
from harness.data.rows import Row, load_rows
from harness.errors import DataError, InfrastructureError
from reward_scorers import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PINNED = {"math": versions()["math"]}


def row(truth: object = "5", source: str = "math__toy") -> Row:
    raw = {
        "data_source": source,
        "prompt": [{"role": "user", "content": "2+3="}],
        "ability": "math",
        "reward_model": {"ground_truth": truth},
    }
    return load_rows(json.dumps(raw).encode(), "rows.jsonl")[0]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The answers that scorers are given, in order."""
    texts: list[str] = []
    score: Callable[..., Any] = reward_scorers.score_batch

    def recorded(rows: Sequence[Mapping[str, Any]], **options: Any) -> Any:
        texts.extend(one["solution_str"] for one in rows)
        return score(rows, **options)

    monkeypatch.setattr(reward_scorers, "score_batch", recorded)
    return texts


def test_scores_are_those_of_the_scorers_in_the_order_of_the_answers() -> None:
    five, seven = row("5"), row("7")
    rows, texts = [five, seven, five, seven], ["\\boxed{5}", "\\boxed{5}", "\\boxed{7}", "7"]
    found = Rewards(pinned=PINNED)(rows, texts)
    expected = [
        reward_scorers.compute_score(one.data_source, text, one.ground_truth, one.extra_info)
        for one, text in zip(rows, texts, strict=True)
    ]
    assert found == expected
    assert [one["score"] for one in found[:3]] == [1.0, 0.0, 0.0]


def test_an_answer_is_scored_once_for_each_row(asked: list[str]) -> None:
    rewards, five, seven = Rewards(pinned=PINNED), row("5"), row("7")
    first = rewards([five, five, seven], ["\\boxed{5}"] * 3)
    assert asked == ["\\boxed{5}"] * 2
    assert [one["score"] for one in first] == [1.0, 1.0, 0.0]
    assert rewards([seven, five], ["\\boxed{5}"] * 2) == [first[2], first[0]]
    assert len(asked) == 2


def test_no_more_is_remembered_than_there_is_room_for(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEPT", 3)
    rewards, five = Rewards(pinned=PINNED), row("5")
    for texts in (["\\boxed{1}", "\\boxed{5}"], ["\\boxed{5}", "\\boxed{2}", "\\boxed{3}"]) * 2:
        found = rewards([five] * len(texts), texts)
        assert [one["score"] for one in found] == [float("5" in text) for text in texts]
    assert len(asked) > 4


def test_nothing_asked_is_nothing_scored() -> None:
    assert Rewards(pinned=PINNED)([], []) == []


@pytest.mark.parametrize(
    ("pinned", "message"),
    [
        ({"math": 999}, "scorer 'math' is not the one that the lock pins"),
        ({"maths": 1}, "scorer 'maths' is not the one that the lock pins"),
    ],
)
def test_other_scorers_than_the_locks_are_refused(pinned: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Rewards(pinned=pinned)


def test_a_scorer_that_no_lock_pins_is_refused() -> None:
    with pytest.raises(DataError, match="'math', which is not pinned"):
        Rewards(pinned={}).check([row()])
    Rewards(pinned=PINNED).check([row()])


def test_a_data_source_without_scorer_is_refused() -> None:
    with pytest.raises(DataError, match="weather") as caught:
        Rewards(pinned=PINNED).check([row(source="weather__toy")])
    assert caught.value.where == "data source weather__toy"


@pytest.mark.parametrize("truth", ["", [], None])
def test_a_broken_reference_answer_names_its_row(truth: object) -> None:
    rows = [row(), row(), row(truth)]
    with pytest.raises(DataError, match="cannot be scored") as caught:
        Rewards(pinned=PINNED)(rows, ["\\boxed{5}"] * 3)
    assert caught.value.where == "rows.jsonl:1"


@pytest.mark.parametrize("is_raised", [True, False])
def test_a_lost_worker_is_no_fault_of_the_data(
    monkeypatch: pytest.MonkeyPatch, is_raised: bool
) -> None:
    """It is retried, and no answer has a score from it."""
    lost = reward_scorers.WorkerError("the sandbox failed")

    def fail(rows: Sequence[object], **_: object) -> list[reward_scorers.WorkerError]:
        if is_raised:
            raise lost
        return [lost] * len(rows)

    score = reward_scorers.score_batch
    monkeypatch.setattr(reward_scorers, "score_batch", fail)
    rewards, one = Rewards(pinned=PINNED), row()
    with pytest.raises(InfrastructureError, match="the sandbox failed"):
        rewards([one], ["\\boxed{5}"])
    monkeypatch.setattr(reward_scorers, "score_batch", score)
    assert rewards([one], ["\\boxed{5}"])[0]["score"] == 1.0


def test_a_broken_row_does_not_spoil_what_is_known() -> None:
    rewards, good, bad = Rewards(pinned=PINNED), row(), row("")
    before = rewards([good], ["\\boxed{5}"])
    with pytest.raises(DataError):
        rewards([bad, good], ["\\boxed{5}", "\\boxed{6}"])
    assert rewards([good, good], ["\\boxed{5}", "\\boxed{6}"])[0] == before[0]
