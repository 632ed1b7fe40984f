from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harness.cell.evaluate.documents import process_results, questions
from harness.cell.evaluate.lm_eval import evaluate
from harness.cell.evaluate.sample import answer
from harness.cell.train.rl.decode import Sampling
from harness.cell.train.rl.policy import Policy
from harness.cell.train.rl.rewards import Rewards
from harness.errors import DataError, InfrastructureError
from reward_scorers import versions
from tests.evaluate.support import as_rows, fitted_policy, row, sums, tiny_policy, write_rows

if TYPE_CHECKING:
    from pathlib import Path

TASKS = ("micro_math", "micro_logic", "micro_code", "micro_stem")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    others = [row(name) for name in ("logic", "codegen", "stem")]
    return write_rows(tmp_path / "rows.jsonl", [*sums(55), *others, row("math", "train")])


def ask(policy: Policy, data: Path, *tasks: str, **options: Any) -> dict[str, float]:
    options = {"max_new_tokens": 8, **options}
    return evaluate(policy.causal_lm, policy.tokenizer, tasks, data=data, **options)


def samples(folder: Path, task: str) -> list[dict[str, Any]]:
    lines = (folder / f"samples_{task}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_greedy_answers_are_those_of_our_own_sampler(data: Path, tmp_path: Path) -> None:
    policy = fitted_policy()
    rows = as_rows(sums(55))
    rewards = Rewards(pinned={"math": versions()["math"]})
    own = answer(policy, rows, 1, Sampling(0.0, 8), rewards)

    found = ask(policy, data, "micro_math", log_samples_to=tmp_path / "log")

    assert [one["resps"][0][0] for one in samples(tmp_path / "log", "micro_math")] == own.texts
    accuracy = own.summary()["pass_at_1"]
    assert 0 < accuracy < 1, "the model must answer some questions and not others"
    assert found["lm_eval.micro_math.acc"] == pytest.approx(accuracy, abs=1e-12)


def test_a_checkpoint_folder_gives_the_numbers_of_its_model(data: Path, tmp_path: Path) -> None:
    policy = fitted_policy()
    policy.save(tmp_path / "checkpoint")
    tasks = ("micro_math", "micro_stem")
    stored = evaluate(tmp_path / "checkpoint", None, tasks, data=data, max_new_tokens=8)
    assert stored == ask(policy, data, *tasks)


def test_all_micro_tasks_give_their_metrics_and_logs(data: Path, tmp_path: Path) -> None:
    found = ask(tiny_policy(), data, *TASKS, limit=2, log_samples_to=tmp_path / "log")
    assert set(found) == {
        *(f"lm_eval.{task}.{name}" for task in TASKS[:3] for name in ("acc", "score")),
        "lm_eval.micro_stem.acc",
    }
    assert all(0 <= value <= 1 for value in found.values())
    assert {len(samples(tmp_path / "log", task)) for task in TASKS} == {1, 2}
    (stem,) = samples(tmp_path / "log", "micro_stem")
    assert stem["arguments"] == [
        ["color of dax? A:red B:blue\n", rf"\boxed{{{letter}}}"] for letter in "AB"
    ]


def test_multiple_choice_takes_the_likeliest_option(data: Path, tmp_path: Path) -> None:
    policy = tiny_policy()
    found = ask(policy, data, "micro_stem")
    prompt = policy.encode([{"role": "user", "content": "color of dax? A:red B:blue"}])
    scores = []
    for letter in "AB":
        said = policy.tokenizer(rf"\boxed{{{letter}}}")["input_ids"]
        with torch.no_grad():
            logits = policy.causal_lm(torch.tensor([[*prompt, *said]])).logits[0]
        places = range(len(prompt) - 1, len(prompt) + len(said) - 1)
        logp = logits.log_softmax(-1)
        scores.append(sum(logp[i, t].item() for i, t in zip(places, said, strict=True)))
    assert found["lm_eval.micro_stem.acc"] == float(scores[1] > scores[0])


def test_the_model_and_tokenizer_are_handed_back_as_they_were(data: Path) -> None:
    policy = tiny_policy()
    weights = copy.deepcopy(policy.causal_lm.state_dict())
    padding = policy.tokenizer.padding_side
    policy.causal_lm.train()
    ask(policy, data, "micro_math", limit=1)
    assert policy.causal_lm.training
    assert policy.tokenizer.padding_side == padding
    after = policy.causal_lm.state_dict()
    assert all(torch.equal(weights[name], after[name]) for name in weights)


def test_the_environment_is_as_before(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    before = dict(os.environ)
    with pytest.raises(DataError):
        ask(tiny_policy(), data.parent / "nothing.jsonl", "micro_math")
    assert {name: os.environ.get(name) for name in before} == before
    assert "HF_HUB_OFFLINE" not in os.environ


@pytest.mark.parametrize("ability", ["math", "logic", "codegen"])
def test_reference_solutions_score_one_and_others_none(tmp_path: Path, ability: str) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [row(ability)])
    (document,) = questions(data=str(path), ability=ability, split="heldout")["heldout"]
    assert process_results(document, [document["target"]]) == {"acc": 1.0, "score": 1.0}
    assert process_results(document, ["no idea"]) == {"acc": 0.0, "score": 0.0}


def test_no_task_needs_no_model(data: Path) -> None:
    assert evaluate(None, None, (), data=data) == {}


BROKEN: list[tuple[str, list[dict[str, Any]], str]] = [
    ("micro_code", [row("math")], "no rows of ability 'codegen'"),
    ("micro_math", [row("math", "train")], "no rows of ability 'math' in split 'heldout'"),
    ("micro_stem", [row("stem", truth="C")], "not among the options"),
    ("micro_stem", [row("stem", prompt="which?")], "not among the options"),
    (
        "micro_math",
        [{**row("math"), "prompt": [{"role": "system", "content": "x"}] * 2}],
        "one message",
    ),
    ("micro_math", [row("math", prompt="1+" * 60)], "cannot hold a prompt"),
]


@pytest.mark.parametrize(("task", "rows", "message"), BROKEN, ids=[case[2] for case in BROKEN])
def test_rows_that_cannot_be_asked_are_told(
    tmp_path: Path, task: str, rows: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        ask(tiny_policy(), write_rows(tmp_path / "rows.jsonl", rows), task)


def test_a_tokenizer_without_template_is_told(data: Path) -> None:
    policy = tiny_policy()
    bare = copy.deepcopy(policy.tokenizer)
    bare.chat_template = None
    with pytest.raises(DataError, match="chat template"):
        ask(Policy(policy.model, bare, "cpu"), data, "micro_math")


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_broken_checkpoint_is_told(data: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "checkpoint"
    if damage == "truncated":
        tiny_policy().save(folder)
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DataError, match="checkpoint"):
        evaluate(folder, None, ("micro_math",), data=data)


def test_an_unknown_backend_and_a_missing_vllm_are_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="no backend 'tpu'"):
        evaluate(tmp_path, None, ("micro_math",), data=data, backend="tpu")
    monkeypatch.setattr(
        "harness.cell.evaluate.lm_eval.find_spec", lambda name: None if name == "vllm" else name
    )
    with pytest.raises(DataError, match="pip install vllm"):
        evaluate(tmp_path, None, ("micro_math",), data=data, backend="vllm")


def test_programs_are_not_run_outside_the_sandbox(tmp_path: Path, data: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.yaml").write_text(
        "task: mine\nunsafe_code: true\ntest_split: heldout\ndoc_to_text: question\n"
        "doc_to_target: target\ndataset_kwargs: {ability: math, split: heldout}\n"
        "custom_dataset: !function harness.cell.evaluate.documents.questions\n"
        "process_results: !function harness.cell.evaluate.documents.process_results\n"
        "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
    )
    options: dict[str, Any] = {"folders": [tmp_path / "tasks"], "limit": 1}
    with pytest.raises(DataError, match="outside the sandbox"):
        ask(tiny_policy(), data, "mine", **options)
    found = ask(tiny_policy(), data, "mine", **options, allow_unsafe_code=True)
    assert "lm_eval.mine.acc" in found


def test_a_benchmark_whose_data_is_not_at_hand_is_told_without_network(data: Path) -> None:
    with pytest.raises(InfrastructureError, match="cannot be loaded") as caught:
        ask(tiny_policy(), data, "gsm8k")
    assert caught.value.where == "gsm8k"
