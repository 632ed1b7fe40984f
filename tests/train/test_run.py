"""A whole run of the engine: what it leaves, that it repeats, that it learns."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from harness.cell import contract
from harness.cell.__main__ import main
from harness.cell.contract import DivergedError
from harness.cell.train.rl import run
from harness.cell.train.rl.run import FINAL
from harness.errors import DataError, InfrastructureError
from reward_scorers import versions
from tests.train.support import (
    MEASURED,
    NO_SHAPE,
    STEPS,
    VARIANTS,
    Finished,
    environment,
    finished,
    merged,
    toy_rows,
    train,
    train_with,
    write_spec,
)

if TYPE_CHECKING:
    from pathlib import Path

    import torch

every_variant = pytest.mark.parametrize("name", VARIANTS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return train_with(tmp_path_factory.mktemp("plain"), {"evaluation": {"final_samples": 2}})


# What it leaves


def test_a_line_for_every_step_and_one_before_the_first(plain: Finished) -> None:
    assert [line["step"] for line in plain.lines] == list(range(STEPS + 1))
    told = {"samples", "unique_samples", "tokens", "flops", "flops_counted", "evals", "step"}
    learnt = {"reward", "same_reward", "response_length", "finished"}
    learnt |= {"loss", "entropy", "clip_fraction", "approx_kl", "grad_norm"}
    assert set(plain.lines[0]) == told
    assert all(set(line) == told | learnt | set(MEASURED) for line in plain.lines[1:])


def test_evaluations_come_first_last_and_every_so_often(plain: Finished) -> None:
    asked = [line["step"] for line in plain.lines if line["evals"]]
    assert asked == [0, 2, 4, 5]
    for line in plain.lines:
        if line["evals"]:
            rate, error = (line["evals"][f"heldout.{one}"] for one in ("pass_at_1", "ErrRate"))
            assert error == pytest.approx(1 - rate)
            assert line["evals"]["heldout.pass_at_2"] >= rate


def test_samples_tokens_and_flops_are_totals(plain: Finished) -> None:
    parameters = plain.result["parameters"]
    before = dict.fromkeys(("samples", "tokens", "flops", "flops_counted"), 0)
    assert {name: plain.lines[0][name] for name in before} == before
    for line, last in zip(plain.lines[1:], plain.lines, strict=False):
        assert line["samples"] == 4 * line["step"]
        # 16 responses of this mean length, and as many prompts of a token or more.
        responses = round(16 * line["response_length"])
        assert line["tokens"] - last["tokens"] >= responses + 16
        assert line["flops"] == pytest.approx(6 * parameters * line["tokens"])
        assert line["flops_counted"] > last["flops_counted"]
    for name in before:
        assert plain.result[name] == plain.lines[-1][name]


@pytest.mark.parametrize(("tau", "order"), [(1, "shuffled"), (3, "shuffled"), (5, "curriculum")])
def test_different_problems_are_counted(tmp_path: Path, tau: int, order: str) -> None:
    """D / tau of them in the end, however often each is seen."""
    changes = {"problems": {"tau": tau, "order": order}, "warm_up": {"steps": 0}}
    told = [line["unique_samples"] for line in train_with(tmp_path, changes).lines]
    different = -(-4 * STEPS // tau)
    assert told == [min(4 * step, different) for step in range(STEPS + 1)]


def test_the_result_tells_the_last_evaluation(plain: Finished) -> None:
    assert plain.result["status"] == "ok"
    assert plain.result["steps"] == STEPS + 1
    evals = plain.result["evals"]
    assert plain.lines[-1]["evals"].items() <= evals.items()
    counts = plain.result["counts"]["heldout"]
    assert counts["n"] == 2
    rate = sum(counts["c"]) / (2 * len(counts["c"]))
    assert evals["final.heldout.pass_at_1"] == pytest.approx(rate)


@pytest.mark.parametrize("changes", [{}, VARIANTS["lora"]], ids=["full", "lora"])
def test_the_checkpoint_is_a_hugging_face_folder(tmp_path: Path, changes: dict[str, Any]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done = train_with(tmp_path, changes)
    model = AutoModelForCausalLM.from_pretrained(done.out / FINAL)
    tokenizer = AutoTokenizer.from_pretrained(done.out / FINAL)
    assert sum(one.numel() for one in model.parameters()) == done.result["parameters"]
    assert len(tokenizer) <= model.config.vocab_size
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "1+2="}], tokenize=False, add_generation_prompt=True
    )
    assert text == "1+2=\n"
    if not changes:
        assert weights_sha256(model) == done.result["weights_sha256"]


def weights_sha256(model: torch.nn.Module) -> str:
    digest = sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


# Repeating


@every_variant
def test_one_seed_gives_one_run(tmp_path: Path, name: str) -> None:
    spec = write_spec(tmp_path, VARIANTS[name])
    first = train(tmp_path, spec, "first")
    assert train(tmp_path, spec, "second").outcome == first.outcome


def test_another_seed_gives_another_run(tmp_path: Path, plain: Finished) -> None:
    other = train_with(tmp_path, {"seed": 8, "evaluation": {"final_samples": 2}})
    assert other.result["weights_sha256"] != plain.result["weights_sha256"]
    assert other.curve != plain.curve


def test_evaluations_do_not_move_the_training(tmp_path: Path, plain: Finished) -> None:
    seldom = train_with(tmp_path, {"evaluation": {"every": 100, "questions": 1, "samples": 1}})
    assert seldom.result["weights_sha256"] == plain.result["weights_sha256"]
    assert seldom.result["flops_counted"] == plain.result["flops_counted"]


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": {"kl": {"coef": 0.5}}},
        {"algorithm": {"kl": {"coef": 0.5, "place": "reward"}, "name": "reinforce_plus_plus"}},
        {"algorithm": {"name": "reinforce_plus_plus"}},
        {"algorithm": {"name": "ppo"}},
        {"algorithm": {"entropy": 0.1}},
        {"algorithm": {"epochs": 2}},
        {"train": {"weight_decay": 0.5}},
        {"train": {"temperature": 0.7}},
        {"train": {"lr_warm_up": 5}},
        {"problems": {"order": "curriculum"}},
        {"problems": {"tau": 5}},
    ],
    ids=lambda one: json.dumps(one),
)
def test_settings_are_not_ignored(tmp_path: Path, plain: Finished, changes: dict[str, Any]) -> None:
    assert train_with(tmp_path, changes).result["weights_sha256"] != plain.result["weights_sha256"]


# Learning


# Enough answers for any seed, and a model large enough for adapters.
LONGER: dict[str, Any] = {
    "seed": 8,
    "model": {"hidden": 32, "intermediate": 64},
    "warm_up": {"steps": 100},
    "problems": {"tau": 3},
    "algorithm": {"prompts": 8, "rollout_n": 8, "minibatches": 4},
    "train": {"steps": 7, "lr": 4e-3},
    "evaluation": {"every": 1, "questions": 4, "samples": 8},
}


@every_variant
def test_right_answers_become_more(tmp_path: Path, name: str) -> None:
    """One answer of the four that the warm-up taught is right."""
    done = train_with(tmp_path, merged(LONGER, VARIANTS[name]))
    right = [line["evals"]["heldout.pass_at_1"] for line in done.lines]
    assert right[0] < 0.4
    assert sum(right[-3:]) / 3 > right[0] + 0.15


def test_without_reward_nothing_is_learnt(tmp_path: Path) -> None:
    weights = set()
    for steps in (0, 3):
        root = tmp_path / str(steps)
        root.mkdir()
        done = train_with(root, {"train": {"steps": steps}}, rows=toy_rows(truth="9"))
        weights.add(done.result["weights_sha256"])
    assert len(weights) == 1


def test_an_entropy_bonus_keeps_answers_random(tmp_path: Path) -> None:
    entropies = []
    for weight in (0.0, 0.3):
        root = tmp_path / str(weight)
        root.mkdir()
        done = train_with(root, {"algorithm": {"entropy": weight}})
        entropies.append(done.lines[-1]["entropy"])
    assert entropies[1] > entropies[0]


def test_a_penalty_keeps_the_policy_near_the_reference(tmp_path: Path) -> None:
    far = []
    for weight in (1e-6, 1.0):
        root = tmp_path / str(weight)
        root.mkdir()
        kl = {"coef": weight, "form": "low_var_kl"}
        done = train_with(root, {"algorithm": {"kl": kl}, "train": {"steps": 10}})
        assert done.lines[1]["kl"] == pytest.approx(0, abs=1e-6)
        far.append(sum(line["kl"] for line in done.lines[1:]))
    assert far[1] < far[0]


# Warnings


@pytest.mark.parametrize(("truth", "value"), [("9", 0), ("5", 1)])
def test_steps_that_teach_nothing_are_warned_of(tmp_path: Path, truth: str, value: int) -> None:
    rows = [{**row, "extra_info": {**row["extra_info"]}} for row in toy_rows(truth=truth)]
    for row in rows:
        row["extra_info"]["solution"] = "\\boxed{5}"
    changes = {"warm_up": {"steps": 150}, "train": {"temperature": 0.5}}
    done = train_with(tmp_path, changes, rows=rows)
    assert [line["reward"] for line in done.lines[1:]] == [value] * STEPS
    assert all(line["same_reward"] == 1 for line in done.lines[1:])
    (warning,) = done.result["warnings"]
    assert f"every reward was {value} in {STEPS} of {STEPS} steps" in warning


def test_answers_that_never_end_are_cut_off(tmp_path: Path) -> None:
    done = train_with(tmp_path, {"warm_up": {"steps": 0}, "train": {"max_new_tokens": 2}})
    assert all(line["finished"] == 0 for line in done.lines[1:])
    assert all(line["response_length"] == 2 for line in done.lines[1:])
    assert "warm_up_loss" not in done.result


def test_no_steps_are_an_evaluation(tmp_path: Path) -> None:
    done = train_with(tmp_path, {"train": {"steps": 0}})
    assert [line["step"] for line in done.lines] == [0]
    assert done.result["samples"] == 0
    assert done.result["evals"] == done.lines[0]["evals"]


# Faults


def test_an_update_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="diverged at step") as caught:
        train_with(tmp_path, {"train": {"lr": 1e30}})
    assert "lower `lr`" in str(caught.value.hint)
    assert not (tmp_path / "out" / contract.RESULT_FILE).exists()


def test_a_critic_that_is_not_finite_ends_the_run_at_its_step(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"diverged at step [1-9]"):
        train_with(tmp_path, {"algorithm": {"name": "ppo", "critic": {"lr": 1e30}}})


@pytest.mark.parametrize("lr", [1e37, 1e20, 1e300])
def test_a_last_update_that_is_not_finite_is_not_measured(tmp_path: Path, lr: float) -> None:
    """No loss comes after it, and answers of such a model would only look wrong.

    Weights of 1e20 are finite, and their squares are not, by which states are normalised.
    """
    changes = {"train": {"lr": lr, "steps": 1}, "algorithm": {"minibatches": 1}}
    with pytest.raises(DivergedError, match="diverged at step 1"):
        train_with(tmp_path, changes)
    assert not (tmp_path / "out" / FINAL).exists()
    assert len((tmp_path / "out" / contract.METRICS_FILE).read_text().splitlines()) == 1


def test_a_warm_up_whose_last_update_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as caught:
        train_with(tmp_path, {"warm_up": {"lr": 1e37, "steps": 1}})
    assert caught.value.where == "settings.warm_up"


def test_a_warm_up_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="warm-up step"):
        train_with(tmp_path, {"warm_up": {"lr": 1e30}})


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown setting": ({"train": {"stpes": 3}}, "unknown setting settings.train.stpes"),
    "unknown section": ({"optimizer": {}}, "unknown setting settings.optimizer"),
    "wrong type": ({"train": {"steps": "many"}}, "settings.train.steps is wrong"),
    "unknown algorithm": ({"algorithm": {"name": "dpo"}}, "`name` must be one of"),
    "minibatches": ({"algorithm": {"minibatches": 3}}, "must divide"),
    "policy": ({"compat": "lenient"}, "`compat` must be one of strict"),
    "parameters": ({"model": {"parameters": 1000}}, "another size"),
    "tau": ({"train": {"steps": 11}}, "too few training problems"),
    "domain": ({"problems": {"domains": {"logic": 1}}}, "no questions of domain 'logic'"),
    "penalty": ({"algorithm": {"kl": {"coef": 1, "place": "reward"}}}, "place: loss"),
    "seed": ({"seed": -1}, "`seed` must be 0 to 4294967295"),
    "final split": (
        {"evaluation": {"final_samples": 2, "final_splits": ["ood"]}},
        "no questions of domain 'math' in split 'ood'",
    ),
    "task": ({"evaluation": {"lm_eval": ["nosuch"]}}, "no task 'nosuch'"),
    "rows of a task": (
        {"evaluation": {"lm_eval": ["micro_code"]}},
        "no rows of ability 'codegen' in split 'heldout'",
    ),
    "prompt": ({"model": {"positions": 9}}, "of the prompt and 6 of the response"),
    "solution": (
        {"model": {"positions": 9}, "train": {"max_new_tokens": 2}},
        "of the prompt and 5 of the response",
    ),
    "data": ({"problems": {"data": "nothing"}}, "'nothing' is not pinned"),
    "model data": ({"model": {"data": "nothing"}}, "'nothing' is not pinned"),
    "checkpoint": ({"model": {**NO_SHAPE, "data": "rows"}}, "no architecture for them"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_is_refused(tmp_path: Path, name: str) -> None:
    changes, message = REFUSED[name]
    with pytest.raises(DataError) as caught:
        train_with(tmp_path, changes)
    assert message in str(caught.value)
    assert not (tmp_path / "out" / contract.METRICS_FILE).exists()


def test_the_number_of_parameters_that_is_told_is_the_one_to_write(
    tmp_path: Path, plain: Finished
) -> None:
    right = {"model": {"parameters": plain.result["parameters"]}, "train": {"steps": 0}}
    assert train_with(tmp_path, right).result["parameters"] == plain.result["parameters"]


def test_a_row_without_solution_is_named(tmp_path: Path) -> None:
    rows = [dict(row) for row in toy_rows()]
    rows[2]["extra_info"] = {"split": "train"}
    with pytest.raises(DataError, match="reference solution") as caught:
        train_with(tmp_path, {}, rows=rows)
    assert caught.value.where == "rows.jsonl:3"


@pytest.mark.parametrize("split", ["train", "heldout", "ood"])
def test_a_broken_reference_answer_is_named_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    monkeypatch.delattr(run, "warm_up")
    rows = [dict(row) for row in toy_rows(train=20)]
    rows.append({**rows[0], "extra_info": {**rows[0]["extra_info"], "split": "ood"}})
    broken = [row["extra_info"]["split"] for row in rows].index(split)
    rows[broken]["reward_model"] = {"ground_truth": ""}
    final = {"final_samples": 1, "final_splits": ["ood"]}
    with pytest.raises(DataError, match="cannot be scored") as caught:
        train_with(tmp_path, {"evaluation": final}, rows=rows)
    assert caught.value.where == f"rows.jsonl:{broken + 1}"


def test_what_is_asked_in_the_end_is_checked_in_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scorer of the final split, and a benchmark that is not at hand."""
    monkeypatch.delattr(run, "warm_up")
    rows = [dict(row) for row in toy_rows()]
    split = {**rows[0]["extra_info"], "split": "ood"}
    rows.append({**rows[0], "data_source": "stem__web", "extra_info": split})
    final = {"final_samples": 1, "final_splits": ["ood"]}
    with pytest.raises(DataError, match="which is not pinned"):
        train_with(tmp_path, {"evaluation": final}, rows=rows, scorers={"math": versions()["math"]})
    (tmp_path / "other").mkdir()
    with pytest.raises(InfrastructureError, match="a task of lm-eval cannot be loaded"):
        train_with(tmp_path / "other", {"evaluation": {"lm_eval": ["gsm8k"]}})


def test_a_scorer_that_is_not_pinned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'math', which is not pinned"):
        train_with(tmp_path, {}, scorers={"arc": 1})


def test_the_command_tells_a_failure_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = write_spec(tmp_path, {"train": {"lr": 1e30}}), tmp_path / "out"
    out.mkdir()
    monkeypatch.setenv(contract.DATA_VARIABLE, str(tmp_path))
    assert main([str(spec), str(out)]) == contract.FAILED
    error = json.loads((out / contract.ERROR_FILE).read_bytes())
    assert error["kind"] == "DivergedError"
    assert error["resumable"] is False, "a state may hold what is not finite already"
    assert "diverged" in capsys.readouterr().err


def test_the_command_gives_what_the_function_gives(tmp_path: Path, plain: Finished) -> None:
    spec, out = write_spec(tmp_path, {"evaluation": {"final_samples": 2}}), tmp_path / "out"
    out.mkdir()
    variables = {**environment(), contract.DATA_VARIABLE: str(tmp_path)}
    variables.pop(contract.RESUME_VARIABLE, None)
    command = [sys.executable, "-m", "harness.cell", str(spec), str(out)]
    subprocess.run(command, check=True, env=variables, stdin=subprocess.DEVNULL)
    assert finished(out).outcome == plain.outcome
