"""The interface as a whole: `compute_score`, `score_batch` and what trainers call."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reward_scorers
from reward_scorers import (
    GroundTruthError,
    ScorerError,
    UnknownSourceError,
    compute_score,
    score_batch,
)
from reward_scorers.lm_eval import process_results
from reward_scorers.trl import reward
from tests.scorers import scorers_of_ours
from tests.scorers.patience import ENDLESS_S

ROOT = Path(__file__).parents[2]
GURU = ROOT.parent / "shared" / "data" / "guru_online_eval"
OURS = "tests__behave"
TYPES = {"score": float, "acc": bool, "pred": str, "reason": str, "fraction": float, "scorer": str}
CHOICE = {"data_source": "stem__supergpqa", "ground_truth": "B"}

assert scorers_of_ours  # its route is needed


def row(text: str, truth: Any = "B", source: str = OURS, **extra: Any) -> dict[str, Any]:
    return {
        "data_source": source,
        "solution_str": text,
        "ground_truth": truth,
        "extra_info": extra or None,
    }


# --- compute_score


def test_a_score_has_the_same_keys_and_types_for_every_text() -> None:
    for text in ("Answer: B", "Answer: C", "no answer", ""):
        found = compute_score("stem__supergpqa", text, "B")
        assert {key: type(value) for key, value in found.items()} == TYPES
    assert compute_score("stem__supergpqa", "Answer: B", "B")["score"] == 1.0


def test_the_scorer_and_its_version_are_told() -> None:
    assert compute_score(OURS, "B", "B")["scorer"] == "tests/behave/3"


@pytest.mark.parametrize("text", [None, float("nan"), b"B", 7, ["B"]])
def test_a_completion_that_is_no_text_is_an_empty_one(text: Any) -> None:
    found = compute_score(OURS, text, "B")
    assert (found["score"], found["pred"]) == (0.0, "")


def test_what_is_told_can_be_written_as_utf_8() -> None:
    compute_score(OURS, "\ud800", "B")["pred"].encode("utf-8")


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("nix", "B", "B"), {}, UnknownSourceError),
        ((OURS, "B", None), {}, GroundTruthError),
        ((OURS, "B", "B"), {"compat": "lax"}, ValueError),
        ((OURS, "B", "B"), {"timeout_s": 0}, ValueError),
    ],
)
def test_what_is_not_the_models_fault_is_an_error(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        compute_score(*arguments, **options)


def test_threads_get_the_scores_that_one_gets() -> None:
    texts = [f"Answer: {letter}" for letter in "ABCD"] * 50

    def score(text: str) -> float:
        return compute_score("stem__supergpqa", text, "B")["score"]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(score, texts))
    assert found == [score(text) for text in texts]
    assert sum(found) == 50


@pytest.mark.parametrize(
    ("text", "truth"), [(r"\boxed{\frac{2}{4}}", "0.5"), (r"\boxed{(x+1)^2}", "x^2+2x+1")]
)
def test_a_grader_in_a_thread_does_not_call_all_wrong(text: str, truth: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda _: compute_score("math__math", text, truth)["score"], range(8))
        assert list(found) == [1.0] * 8


# --- score_batch

BATCH = [
    row("B"),
    row("Answer: B", source="stem__supergpqa"),
    row("C"),
    row(""),
    row("\ud800\0 " * 10),
    {**row("B"), "ground_truth": "C"},
    {"data_source": OURS, "solution_str": "B", "reward_model": {"ground_truth": "B"}},
]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_scores_as_its_rows_do_in_their_order(workers: int) -> None:
    rows = BATCH * 30
    single = [
        compute_score(
            one["data_source"],
            one["solution_str"],
            (one if "ground_truth" in one else one["reward_model"])["ground_truth"],
        )
        for one in rows
    ]
    assert score_batch(iter(rows), workers=workers) == single


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text() | st.sampled_from(["Answer: B", "B"])))
def test_workers_score_as_this_process_does(texts: list[str]) -> None:
    rows = [row(text, source="stem__supergpqa") for text in texts]
    assert score_batch(rows, workers=2) == score_batch(rows)


def test_a_batch_of_none() -> None:
    assert score_batch([]) == score_batch([], workers=2) == []


@pytest.mark.parametrize(
    "truth",
    [(1, "a"), {1: None}, [float("nan")], b"\xff", 1 << 70, np.array([[1, 2]]), {"a": {"b"}}],
)
def test_workers_get_what_this_process_has(truth: Any) -> None:
    rows = [row("what", truth, index=3, options=("x", "y"))]
    assert score_batch(rows, workers=2) == score_batch(rows)


def test_workers_are_other_processes_and_stay() -> None:
    first, second = (
        {found["pred"] for found in score_batch([row("where")] * 100, workers=2)} for _ in "12"
    )
    assert str(os.getpid()) not in first
    assert len(first | second) <= 2


def test_a_row_that_hangs_scores_0_and_the_others_as_ever() -> None:
    rows = [row("B"), row("sleep"), row("B"), row("C"), row("sleep too"), row("B")]
    begun = time.monotonic()
    found = score_batch(rows, workers=2, timeout_s=0.5)
    assert time.monotonic() - begun < ENDLESS_S
    assert [one["score"] for one in found] == [1, 0, 1, 0, 0, 1]
    assert found[1]["reason"] == found[4]["reason"] == "out of time"
    assert {key: type(value) for key, value in found[1].items()} == TYPES


def test_a_row_that_kills_its_worker_scores_0_and_the_others_as_ever() -> None:
    found = score_batch([row("B"), row("abort"), row("B")], workers=2)
    assert [one["score"] for one in found] == [1, 0, 1]
    assert "died" in found[1]["reason"]


BROKEN = [row("B"), row("B", None), {"solution_str": "B"}, 7, row("B", source="nix"), row("B")]


@pytest.mark.parametrize("workers", [1, 2])
def test_one_broken_row_loses_no_other(workers: int) -> None:
    found: list[Any] = score_batch(BROKEN, workers=workers, errors="return")
    assert [found[0]["score"], found[5]["score"]] == [1, 1]
    kinds = [GroundTruthError, ScorerError, ScorerError, UnknownSourceError]
    assert [type(one) for one in found[1:5]] == kinds
    assert "found nothing" in str(found[1])
    assert "found solution_str" in str(found[2])
    assert "found int" in str(found[3])


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_broken_row_is_named(workers: int) -> None:
    with pytest.raises(GroundTruthError, match=r"row 1: .* \(3 more rows have errors\)"):
        score_batch(BROKEN, workers=workers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be 1 or more"),
        ({"errors": "ignore"}, "'raise' or 'return'"),
        ({"workers": 2, "judge": lambda **_: True}, "judge cannot be sent"),
        ({"compat": "lax"}, "compat must be one of"),
        ({"workers": 2, "timeout_s": -1}, "must be positive"),
    ],
)
def test_arguments_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_batch([row("B")], **options)


def test_what_cannot_be_sent_to_a_worker_is_an_error_of_its_row() -> None:
    found: list[Any] = score_batch([row("B", lambda: None), row("B")], workers=2, errors="return")
    assert "use workers=1" in str(found[0])
    assert found[1]["score"] == 1


def in_daemon(results: multiprocessing.Queue) -> None:
    rows = [row("Answer: B", source="stem__supergpqa")] * 10
    results.put([found["score"] for found in score_batch(rows, workers=2)])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_batch_in_a_daemonic_process(method: str) -> None:
    score_batch([row("B")], workers=2)  # the workers of this process are not the child's
    context = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=in_daemon, args=(results,), daemon=True)
    process.start()
    assert results.get(timeout=60) == [1.0] * 10
    process.join()


def test_a_batch_of_the_data_of_guru() -> None:
    if not GURU.is_dir():
        pytest.skip(f"the data of Guru are not at {GURU}")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(GURU / "stem__supergpqa_200.parquet").to_pylist()
    for one in rows:
        one["solution_str"] = f"Answer: {one['reward_model']['ground_truth']}"
    there = score_batch(rows, workers=2)
    assert there == score_batch(rows)
    assert [one["score"] for one in there] == [1.0] * 200


# --- verl, TRL and lm-eval


def test_loaded_by_its_path_as_verl_loads_it(tmp_path: Path) -> None:
    # verl 0.9.1, utils/import_utils.py: the module is not entered in sys.modules. What it returns
    # goes column by column into arrays, so that every row needs the same keys (reward_loop.py).
    program = f"""
import importlib.util, sys
sys.path[:] = [entry for entry in sys.path if entry != {str(ROOT)!r}]  # as if not installed
spec = importlib.util.spec_from_file_location("custom_module_1", {str(ROOT)!r}
    + "/reward_scorers/scoring.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
call = dict(data_source="stem__supergpqa", ground_truth="B", extra_info={{"num_turns": None}})
print(module.compute_score(solution_str="\\\\boxed{{B}}", **call, compat="reasoning360")["score"])
print(module.compute_score(solution_str="Answer: C", **call)["score"])
from reward_scorers import score_batch
print(score_batch([dict(call, solution_str="Answer: B")] * 3, workers=2)[2]["score"])
"""
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.stdout.split() == ["1.0", "0.0", "1.0"], found.stderr


def test_loaded_by_its_path_it_is_the_same_as_imported() -> None:
    file = Path(reward_scorers.__file__).with_name("scoring.py")
    spec = importlib.util.spec_from_file_location("custom_module_2", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.compute_score(OURS, "B", "B") == compute_score(OURS, "B", "B")


@pytest.mark.parametrize(
    "said",
    [
        "Answer: B",
        [{"role": "assistant", "content": "Answer: B"}],
        [{"role": "assistant", "content": "A?"}, {"role": "assistant", "content": "Answer: B"}],
        [{"role": "assistant", "content": [{"type": "text", "text": "Answer: B"}]}],
    ],
)
def test_trl_calls_with_columns_and_what_is_its_own(said: Any) -> None:
    columns = {"data_source": ["stem__supergpqa"] * 2, "trainer_state": None, "log_metric": print}
    completions = [said, [{"role": "assistant", "content": None}]]
    for truths in (
        {"ground_truth": ["B", "B"]},
        {"reward_model": [{"ground_truth": "B"}] * 2, "extra_info": [{"index": 1}, None]},
    ):
        found = reward(prompts=["?", "?"], completions=completions, **columns, **truths)
        assert found == [1.0, 0.0]
    strict = partial(reward, compat="strict", workers=2)
    assert strict(completions=completions, ground_truth=["B", "B"], **columns) == [1.0, 0.0]


def test_trl_without_references_or_with_odd_completions_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a column"):
        reward(["B"], [OURS])
    with pytest.raises(TypeError, match="a text or messages"):
        reward([7], [OURS], ["B"])
    with pytest.raises(ValueError, match="zip"):
        reward(["B", "B"], [OURS, OURS], ["B"])


def test_lm_eval_gets_metrics_of_a_document() -> None:
    assert process_results(CHOICE, ["Answer: B"]) == {"acc": 1.0, "score": 1.0}
    assert process_results(CHOICE, ["Answer: C"]) == {"acc": 0.0, "score": 0.0}
    guru = {"data_source": "stem__supergpqa", "reward_model": {"ground_truth": "B"}}
    repeats = ["Answer: B", "Answer: C", "", "Answer: B"]
    assert process_results(guru, [repeats]) == {"acc": 0.5, "score": 0.5}


def test_options_of_trl_are_those_of_a_function_with_a_name() -> None:
    configured = reward_scorers.trl.reward_with(compat="reasoning360")
    assert configured.__name__ == "reward"
    columns = {"data_source": ["table__finqa"], "ground_truth": ["0.12"]}
    assert configured(completions=["\\boxed{12}"], **columns, trainer_state=None) == [1.0]
    assert reward(["\\boxed{12}"], **columns) == [0.0]


@pytest.mark.parametrize("broken", [{"extra_info": "text"}, {"data_source": None}])
def test_a_row_that_is_not_made_as_rows_are_loses_no_other(broken: dict[str, Any]) -> None:
    good = {"data_source": "math__any", "solution_str": "\\boxed{5}", "ground_truth": "5"}
    found = score_batch([good, good | broken, good], errors="return")
    assert isinstance(found[1], reward_scorers.ScorerError)
    assert [one["score"] for one in (found[0], found[2])] == [1.0, 1.0]


def test_a_lone_surrogate_raises_under_no_policy() -> None:
    text = "\\boxed{\\mathbf{\ud800}}"
    for policy in ("strict", "reasoning360"):
        assert compute_score("math__any", text, "5", compat=policy)["score"] == 0.0
