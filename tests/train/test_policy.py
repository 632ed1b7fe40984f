"""The policy and one update of it: what it reads, what it refuses, what moves its weights."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harness.cell.contract import PinnedFile
from harness.cell.train.rl.decode import Sampling, generate
from harness.cell.train.rl.learner import Learner, Rollout
from harness.cell.train.rl.policy import (
    Policy,
    add_adapters,
    load_policy,
    make_batch,
    micro_batches,
    open_policy,
)
from harness.cell.train.rl.settings import (
    AGGREGATIONS,
    Algorithm,
    Critic,
    Kl,
    Lora,
    Model,
    Train,
)
from harness.data.micro import micro_tokenizer
from harness.errors import DataError
from harness.spec.folders import folder_sha256
from tests.train.support import NO_SHAPE, train_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE = Model(hidden=16, layers=2, heads=2, kv_heads=1, intermediate=24)
TEXTS = ("1+1=", "7-2+3-1=", "sort 312", "5")
TEMPERATURE = 0.8
ALGORITHMS = ("grpo", "ppo", "reinforce_plus_plus", "reinforce_plus_plus_baseline")


def make_policy(seed: int = 3, spread: float = 4.0) -> Policy:
    """A random policy whose next tokens are not all alike."""
    policy = open_policy(SHAPE, seed, "cpu")
    with torch.no_grad():
        for parameter in policy.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(spread)
    return policy


def encode(policy: Policy) -> list[list[int]]:
    return [policy.encode([{"role": "user", "content": text}]) for text in TEXTS]


def make_rollout(policy: Policy, n: int = 4) -> Rollout:
    """n responses to each of the prompts, some cut off and some short, with scores of all kinds."""
    prompts = encode(policy)
    responses = generate(policy, prompts, n, Sampling(TEMPERATURE, 6, seed=1))
    responses = [one[: 1 + at % 6] for at, one in enumerate(responses)]
    repeated = [prompt for prompt in prompts for _ in range(n)]
    batch = make_batch(repeated, responses, policy.pad, "cpu")
    scores = torch.tensor([float(at % 3 == 0) for at in range(len(responses))])
    return Rollout(batch, scores, torch.arange(len(prompts)).repeat_interleave(n))


def updated(
    policy: Policy, rollout: Rollout, algorithm: Algorithm, settings: Train, seed: int = 0
) -> tuple[Policy, dict[str, float]]:
    """A copy of the policy after one update, and what was told of it."""
    learner = Learner(copy.deepcopy(policy), algorithm, settings, seed)
    return learner.policy, learner.update(rollout, 1)


def weights(policy: Policy) -> torch.Tensor:
    return torch.cat([one.detach().flatten() for one in policy.model.parameters()])


# Probabilities


@pytest.mark.parametrize("adapted", [False, True], ids=["plain", "adapters"])
def test_log_probs_are_those_at_which_the_responses_were_drawn(adapted: bool) -> None:
    policy = make_policy()
    if adapted:
        policy = add_adapters(policy, Lora(r=2), 5)
        with torch.no_grad():
            for one in policy.trainable():
                one.add_(0.3 * torch.randn_like(one))
    prompts = [prompt for prompt in encode(policy) for _ in range(2)]
    responses = generate(policy, encode(policy), 2, Sampling(TEMPERATURE, 7, seed=2))
    batch = make_batch(prompts, responses, policy.pad, "cpu")
    with torch.no_grad():
        logp, entropy = policy.log_probs(batch, TEMPERATURE, with_entropy=True)
        assert entropy is not None
        for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
            for at, token in enumerate(response):
                # The whole prefix alone: no padding, no cache, no neighbours.
                prefix = torch.tensor([prompt + response[:at]])
                logits = policy.model(input_ids=prefix, use_cache=False).logits[0, -1]
                log_p = torch.log_softmax(logits.double() / TEMPERATURE, dim=-1)
                assert float(logp[row, at]) == pytest.approx(float(log_p[token]), abs=1e-4)
                expected = float(-(log_p.exp() * log_p).sum())
                assert float(entropy[row, at]) == pytest.approx(expected, abs=1e-4)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    policy = make_policy()
    batch = make_rollout(policy).batch
    with torch.no_grad():
        whole, _ = policy.log_probs(batch, 1.0)
        for rows in ([0], [5, 3], [15, 0, 7]):
            part = batch.select(torch.tensor(rows))
            alone, _ = policy.log_probs(part, 1.0)
            width = part.mask.shape[1]
            assert torch.equal(part.mask, batch.mask[rows, :width])
            assert not batch.mask[rows, width:].any()
            torch.testing.assert_close(
                alone[part.mask], whole[rows, :width][part.mask], atol=1e-5, rtol=1e-5
            )


def test_a_batch_pads_prompts_left_and_responses_right() -> None:
    batch = make_batch([[5, 6, 7], [8]], [[1], [2, 3]], pad=0, device="cpu")
    assert batch.ids.tolist() == [[5, 6, 7, 1, 0], [0, 0, 8, 2, 3]]
    assert batch.mask.tolist() == [[True, False], [True, True]]
    assert batch.responses.tolist() == [[1, 0], [2, 3]]
    assert batch.positions[1, 2:].tolist() == [0, 1, 2]
    assert batch.positions[0, :4].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("count", "size"), [(7, 3), (6, 3), (5, 0), (2, 9), (1, 1)])
def test_micro_batches_are_all_rows_once(count: int, size: int) -> None:
    parts = list(micro_batches(count, size))
    assert [row for part in parts for row in part] == list(range(count))
    assert all(len(part) <= (size or count) for part in parts)


# Updates


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_micro_batches_give_the_update_of_the_whole(aggregation: str, name: str) -> None:
    policy = make_policy()
    rollout = make_rollout(policy)
    place = "reward" if name == "ppo" else "loss"
    algorithm = Algorithm(
        name, 4, 4, minibatches=2, aggregation=aggregation, entropy=0.1, kl=Kl(0.1, place=place)
    )
    whole, told = updated(policy, rollout, algorithm, Train(1, 1e-2, max_new_tokens=6))
    for size in (1, 3, 8):
        settings = Train(1, 1e-2, micro_batch=size, max_new_tokens=6)
        part, told_of_part = updated(policy, rollout, algorithm, settings)
        assert told_of_part == pytest.approx(told, rel=1e-3, abs=1e-5)
        # Adam divides by the gradient's own size: where it is next to 0, rounding is not.
        moved = (weights(whole) - weights(policy)).norm()
        assert (weights(part) - weights(whole)).norm() < 0.01 * moved


@pytest.mark.parametrize("name", ALGORITHMS)
def test_one_seed_gives_one_update_and_another_seed_another_order(name: str) -> None:
    policy = make_policy()
    rollout = make_rollout(policy)
    algorithm, settings = Algorithm(name, 4, 4, minibatches=4), Train(1, 1e-2)
    first, told = updated(policy, rollout, algorithm, settings)
    second, told_again = updated(policy, rollout, algorithm, settings)
    assert told == told_again
    assert torch.equal(weights(first), weights(second))
    other, _ = updated(policy, rollout, algorithm, settings, seed=1)
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.parametrize("name", ["grpo", "reinforce_plus_plus", "reinforce_plus_plus_baseline"])
def test_an_update_makes_rewarded_answers_likelier(name: str) -> None:
    policy = make_policy()
    rollout = make_rollout(policy)
    algorithm = Algorithm(name, 4, 4, minibatches=1)
    after, _ = updated(policy, rollout, algorithm, Train(1, 1e-3, temperature=TEMPERATURE))
    mask = rollout.batch.mask
    with torch.no_grad():
        before, now = (
            one.log_probs(rollout.batch, TEMPERATURE)[0].mul(mask).sum(dim=1)
            for one in (policy, after)
        )
    gained = now - before
    assert gained[rollout.scores == 1].mean() > gained[rollout.scores == 0].mean()


def test_equal_scores_in_every_group_move_nothing() -> None:
    policy = make_policy()
    rollout = make_rollout(policy)
    same = Rollout(rollout.batch, (rollout.groups % 2).float(), rollout.groups)
    after, told = updated(policy, same, Algorithm("grpo", 4, 4), Train(1, 1e-2))
    assert told["grad_norm"] == 0
    assert torch.equal(weights(after), weights(policy))


def test_a_penalty_leads_back_to_the_reference() -> None:
    policy = make_policy()
    rollout = make_rollout(policy)
    none = Rollout(rollout.batch, torch.zeros(16), rollout.groups)
    learner = Learner(policy, Algorithm("grpo", 4, 4, 1, kl=Kl(1.0)), Train(9, 1e-2), 0)
    with torch.no_grad():
        for one in policy.trainable():
            one.add_(0.05 * torch.randn(one.shape, generator=torch.Generator().manual_seed(1)))
    distances = [learner.update(none, step)["kl"] for step in range(1, 9)]
    assert distances[-1] < distances[0]


@pytest.mark.parametrize("place", ["loss", "reward"])
def test_a_penalty_is_taken_where_it_is_asked_for(place: str) -> None:
    policy = make_policy()
    rollout = make_rollout(policy)

    def after(coefficient: float) -> torch.Tensor:
        algorithm = Algorithm("reinforce_plus_plus", 4, 4, kl=Kl(coefficient, "k2", place))
        changed = Learner(copy.deepcopy(policy), algorithm, Train(1, 1e-2), 0)
        with torch.no_grad():
            for one in changed.policy.trainable():
                one.mul_(1.05)  # away from the reference, where there is nothing to penalise
        changed.update(rollout, 1)
        return weights(changed.policy)

    assert not torch.equal(after(1e-9), after(1.0))


def test_a_bonus_makes_the_policy_more_random() -> None:
    policy = make_policy()
    rollout = make_rollout(policy)
    none = Rollout(rollout.batch, torch.zeros(16), rollout.groups)
    learner = Learner(policy, Algorithm("grpo", 4, 4, 1, entropy=1.0), Train(9, 1e-2), 0)
    entropies = [learner.update(none, step)["entropy"] for step in range(1, 9)]
    assert entropies[-1] > entropies[0] + 0.01


def test_a_critic_alone_learns_during_its_warm_up() -> None:
    policy = make_policy()
    rollout = make_rollout(policy)
    algorithm = Algorithm("ppo", 4, 4, critic=Critic(lr=1e-2, warm_up=8, clip=0.0))
    learner = Learner(policy, algorithm, Train(9, 1e-2), 0)
    before = weights(policy).clone()
    losses = [learner.update(rollout, step)["value_loss"] for step in range(1, 9)]
    assert losses[-1] < losses[0]
    assert torch.equal(weights(policy), before)
    learner.update(rollout, 9)
    assert not torch.equal(weights(policy), before)


def test_adapters_alone_are_trained() -> None:
    policy = add_adapters(make_policy(), Lora(r=2), 5)
    rollout = make_rollout(policy)
    after, _ = updated(policy, rollout, Algorithm("grpo", 4, 4), Train(1, 1e-2))
    for (name, old), new in zip(
        policy.model.named_parameters(), after.model.parameters(), strict=True
    ):
        # A is multiplied by B, which begins at 0; B moves in the first minibatch already.
        assert "lora_" in name or torch.equal(old, new), name
    assert not torch.equal(weights(policy), weights(after))
    fewer = sum(one.numel() for one in policy.trainable())
    assert 0 < fewer < policy.n_parameters()


# Making and loading


def test_a_new_model_follows_from_its_seed() -> None:
    first, same, other = (open_policy(SHAPE, seed, "cpu") for seed in (1, 1, 2))
    assert torch.equal(weights(first), weights(same))
    assert not torch.equal(weights(first), weights(other))


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    policy = make_policy()
    policy.save(tmp_path / "saved")
    loaded = load_policy(tmp_path / "saved")
    assert torch.equal(weights(loaded), weights(policy))
    assert encode(loaded) == encode(policy)
    assert (loaded.eos, loaded.pad) == (policy.eos, policy.pad)


def test_saved_adapters_are_in_the_weights_and_the_policy_keeps_its_own(tmp_path: Path) -> None:
    policy = add_adapters(make_policy(), Lora(r=2), 5)
    with torch.no_grad():
        for one in policy.trainable():
            one.add_(0.3)
    batch = make_rollout(policy).batch
    policy.save(tmp_path / "saved")
    assert policy.has_adapters
    loaded = load_policy(tmp_path / "saved")
    with torch.no_grad():
        mine, theirs = (one.log_probs(batch, 1.0)[0] for one in (policy, loaded))
    torch.testing.assert_close(theirs[batch.mask], mine[batch.mask], atol=1e-3, rtol=1e-3)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "saved"
    open_policy(SHAPE, 1, "cpu").save(folder)
    return folder


def edit(folder: Path, name: str, **changes: object) -> None:
    document = json.loads((folder / name).read_text()) | changes
    kept = {key: value for key, value in document.items() if value is not ...}
    (folder / name).write_text(json.dumps(kept))


def shorten(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def leave_out_a_layer(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: one for name, one in tensors.items() if "layers.1.mlp" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def put_bert_there(folder: Path) -> None:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=400,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
    )
    make: Any = BertModel
    make(config).save_pretrained(folder)


def put_t5_there(folder: Path) -> None:
    edit(folder, "config.json", model_type="t5", architectures=["T5ForConditionalGeneration"])


def without_end_token(folder: Path) -> None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).exists():
            edit(folder, name, eos_token=None)


def more_tokens(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<{number}>" for number in range(100)])
    tokenizer.save_pretrained(folder)


def remove(*names: str) -> Callable[[Path], None]:
    def removed(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return removed


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (remove("config.json"), "no checkpoint stands there"),
    "no weights": (remove("model.safetensors"), "cannot be loaded"),
    "no tokenizer": (
        remove("tokenizer.json", "tokenizer_config.json"),
        "the tokenizer has no vocabulary",
    ),
    "no vocabulary": (remove("tokenizer.json"), "the tokenizer has no vocabulary"),
    "no chat template": (remove("chat_template.jinja"), "no chat template"),
    "truncated": (shorten, "cannot be loaded"),
    "bert": (put_bert_there, "the architecture BertLMHeadModel cannot be trained here"),
    "t5": (put_t5_there, "cannot be loaded"),
    "a layer short": (leave_out_a_layer, "are not those of its config.json"),
    "a layer too many": (
        lambda folder: edit(folder, "config.json", num_hidden_layers=3, layer_types=...),
        "are not those of its config.json",
    ),
    "another width": (
        lambda folder: edit(folder, "config.json", intermediate_size=32),
        "cannot be loaded",
    ),
    "config that is no JSON": (
        lambda folder: (folder / "config.json").write_text("{"),
        "cannot be loaded",
    ),
    "no end token": (without_end_token, "no end token"),
    "more tokens than embeddings": (more_tokens, "more tokens than the model has embeddings"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_checkpoint_is_refused(tmp_path: Path, saved: Path, name: str) -> None:
    damage, message = BROKEN[name]
    folder = tmp_path / "checkpoint"
    shutil.copytree(saved, folder)
    damage(folder)
    with pytest.raises(DataError) as caught:
        load_policy(folder)
    assert message in str(caught.value)
    assert caught.value.where == str(folder)
    assert caught.value.hint


def test_without_pad_token_the_end_token_pads(tmp_path: Path) -> None:
    first = train_with(tmp_path, {"train": {"steps": 1}})
    folder = first.out / "checkpoints" / "final"
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / file).exists():
            edit(folder, file, pad_token=...)
    policy = load_policy(folder)
    assert policy.pad == policy.eos
    second = tmp_path / "second"
    shutil.copytree(folder, second / "base")
    pins = {"base": {"path": "base", "sha256": folder_sha256(folder)[0]}}
    model = {**NO_SHAPE, "data": "base"}
    again = train_with(second, {"model": model, "warm_up": {"steps": 0}}, pins=pins)
    assert again.result["parameters"] == first.result["parameters"]
    assert again.lines[1]["finished"] > 0


def test_a_checkpoint_is_the_one_that_the_lock_pins(tmp_path: Path, saved: Path) -> None:
    shutil.copytree(saved, tmp_path / "base")
    pins = {"base": {"path": "base", "sha256": folder_sha256(saved)[0]}}
    edit(tmp_path / "base", "config.json", rms_norm_eps=0.5)
    with pytest.raises(DataError, match="not the one that the lock pins"):
        train_with(tmp_path, {"model": {**NO_SHAPE, "data": "base"}}, pins=pins)


def test_a_checkpoint_has_its_own_architecture(tmp_path: Path, saved: Path) -> None:
    shutil.copytree(saved, tmp_path / "base")
    pins = {"base": {"path": "base", "sha256": folder_sha256(saved)[0]}}
    with pytest.raises(DataError, match="and another architecture for it"):
        train_with(tmp_path, {"model": {"data": "base"}}, pins=pins)


# Pinned weights


def safetensors(policy: Policy) -> bytes:
    from safetensors.torch import save

    tensors = policy.model.state_dict()
    tensors.pop("lm_head.weight")
    return save({name: one.clone() for name, one in tensors.items()})


def test_pinned_weights_take_the_place_of_random_ones() -> None:
    policy = make_policy()
    file = PinnedFile("base.safetensors", safetensors(policy))
    for seed in (1, 2):
        assert torch.equal(weights(open_policy(SHAPE, seed, "cpu", file)), weights(policy))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (replace(SHAPE, intermediate=32), "cannot be loaded"),
        (replace(SHAPE, layers=3), "not those of the model"),
        (replace(SHAPE, layers=1), "not those of the model"),
    ],
    ids=["wider", "deeper", "shallower"],
)
def test_pinned_weights_of_another_shape_are_refused(model: Model, message: str) -> None:
    file = PinnedFile("base.safetensors", safetensors(make_policy()))
    with pytest.raises(DataError, match=message) as caught:
        open_policy(model, 0, "cpu", file)
    assert caught.value.where == "base.safetensors"


@pytest.mark.parametrize("content", [b"", b"garbage" * 9, b"\xff" * 64])
def test_pinned_weights_that_are_none_are_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="cannot be loaded"):
        open_policy(SHAPE, 0, "cpu", PinnedFile("base.safetensors", content))


def test_a_cell_begins_from_its_pinned_weights(tmp_path: Path) -> None:
    changes = {"model": {"data": "base", "layers": 2, "intermediate": 24}}
    content = safetensors(make_policy(spread=1.0))
    (tmp_path / "base.safetensors").write_bytes(content)
    pin = {"path": "base.safetensors", "sha256": sha256(content).hexdigest()}
    still = {"warm_up": {"steps": 0}, "train": {"steps": 0}}
    done = train_with(tmp_path, {**changes, **still}, pins={"base": pin})
    loaded = load_policy(done.out / "checkpoints" / "final")
    assert torch.equal(weights(loaded), weights(make_policy(spread=1.0)))


def test_the_number_of_parameters_is_checked() -> None:
    right = open_policy(SHAPE, 0, "cpu").n_parameters()
    open_policy(replace(SHAPE, parameters=right), 0, "cpu")
    with pytest.raises(DataError, match="another size") as caught:
        open_policy(replace(SHAPE, parameters=right + 1), 0, "cpu")
    assert f"parameters: {right}" in str(caught.value.hint)


def test_the_tokenizer_of_new_models_gives_texts_back() -> None:
    policy = Policy(torch.nn.Module(), micro_tokenizer(), "cpu", meter=object())  # type: ignore[arg-type]
    text = "\\boxed{12} Ünïcode\n\t 7"
    assert policy.decode(policy.tokenizer(text)["input_ids"]) == text
