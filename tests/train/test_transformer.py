"""The engine's own reading of Qwen2 and Llama: the module's numbers, its gradients, its FLOPs."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from harness.cell.train.rl import policy as policies
from harness.cell.train.rl import transformer
from harness.cell.train.rl.garbage import not_collected
from harness.cell.train.rl.policy import Batch, Critic, Policy, make_batch
from tests.train.support import tiny_config

VOCABULARY = 24
# Tied and untied heads, grouped queries and none, heads of a size of their own, biases.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("qwen2", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "qwen2-every-head": ("qwen2", {"num_key_value_heads": 4}),
    "llama": ("llama", {"num_key_value_heads": 1, "head_dim": 6, "rms_norm_eps": 1e-3}),
    "llama-biases": ("llama", {"num_key_value_heads": 2, "attention_bias": True}),
}
every_model = pytest.mark.parametrize("name", MODELS)


def make_policy(name: str, dtype: torch.dtype = torch.float32) -> Policy:
    from transformers import AutoModelForCausalLM

    kind, options = MODELS[name]
    config = tiny_config(kind, vocabulary=VOCABULARY, spread=0.3, **options)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()  # type: ignore[no-untyped-call]
    # Biases and norms begin at 0 and 1, where leaving one out would not be seen.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    tokenizer = SimpleNamespace(eos_token_id=1, pad_token_id=0)
    return Policy(model.to(dtype), tokenizer, "cpu")


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Prompts that come once or several times, in any order; responses of any length, 0 as well."""
    tokens = st.integers(0, VOCABULARY - 1)
    prompts = draw(st.lists(st.lists(tokens, min_size=1, max_size=6), min_size=1, max_size=4))
    asked = draw(st.lists(st.sampled_from(prompts), min_size=1, max_size=7))
    responses = [draw(st.lists(tokens, max_size=5)) for _ in asked]
    return make_batch(asked, responses, 0, "cpu")


def numbers(
    policy: Policy, batch: Batch, weight: Tensor, temperature: float = 0.7
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Log-probabilities, entropies, and gradients of a weighted sum of both."""
    logp, entropy = policy.log_probs(batch, temperature, with_entropy=True)
    assert entropy is not None
    policy.model.zero_grad(set_to_none=True)
    torch.autograd.backward((weight * (logp + 0.5 * entropy)).sum())
    gradients = [
        torch.zeros_like(one) if one.grad is None else one.grad for one in policy.trainable()
    ]
    return logp.detach(), entropy.detach(), gradients


def by_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "is_plain", lambda _: False)


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Equal but for rounding errors, which are of the size of the largest numbers."""
    scale = max(1.0, float(expected.detach().abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * scale)


@every_model
@settings(deadline=None, max_examples=15)
@given(batch=batches(), seed=st.integers(0, 99))
def test_numbers_and_gradients_are_the_modules(name: str, batch: Batch, seed: int) -> None:
    policy = make_policy(name)
    source = torch.Generator().manual_seed(seed)
    weight = torch.randn(batch.mask.shape, generator=source)
    found = numbers(policy, batch, weight)
    with pytest.MonkeyPatch.context() as patch:
        by_the_module(patch)
        expected = numbers(policy, batch, weight)
    for mine, theirs in zip(found[:2], expected[:2], strict=True):
        assert_near(mine, theirs)
        assert not mine[~batch.mask].any()
    for mine, theirs in zip(found[2], expected[2], strict=True):
        assert_near(mine, theirs)


@every_model
def test_large_attention_takes_another_way_to_the_same_numbers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy(name)
    batch = make_batch([[5, 9, 2], [4], [4]], [[3, 1], [8, 8, 8, 1], [7]], 0, "cpu")
    weight = torch.ones(batch.mask.shape)
    expected = numbers(policy, batch, weight)
    monkeypatch.setattr(transformer, "_SMALL", 0)
    found = numbers(policy, batch, weight)
    for mine, theirs in zip((*found[:2], *found[2]), (*expected[:2], *expected[2]), strict=True):
        assert_near(mine, theirs)


@every_model
def test_a_critics_values_and_gradients_are_the_modules(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    critic = Critic(make_policy(name))
    with torch.no_grad():
        critic.head.weight.normal_(generator=torch.Generator().manual_seed(1))
    batch = make_batch([[5, 9, 2], [4], [4]], [[3, 1], [8, 8, 8, 1], [7]], 0, "cpu")

    def told() -> tuple[Tensor, ...]:
        values = critic.values(batch)
        return values, *torch.autograd.grad(values.sum(), list(critic.parameters()))

    found = told()
    by_the_module(monkeypatch)
    for mine, theirs in zip(found, told(), strict=True):
        assert_near(mine, theirs)


@every_model
def test_in_bfloat16_it_is_as_near_to_the_truth_as_the_module(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make_batch([[5, 9, 2], [4], [4]], [[3, 1], [8, 8, 8, 1], [7]], 0, "cpu")
    policy = make_policy(name, torch.bfloat16)
    exact = make_policy(name, torch.bfloat16)
    exact.model.float()
    with torch.no_grad():
        truth = exact.log_probs(batch, 1.0)[0]
        mine = policy.log_probs(batch, 1.0)[0]
        by_the_module(monkeypatch)
        theirs = policy.log_probs(batch, 1.0)[0]
    assert (mine - truth).abs().max() < max(0.05, 2 * float((theirs - truth).abs().max()))


@every_model
@pytest.mark.parametrize("with_gradient", [False, True])
def test_the_meter_counts_what_torch_counts(name: str, with_gradient: bool) -> None:
    policy = make_policy(name)
    batch = make_batch([[5, 9, 2], [4], [4]], [[3, 1], [8, 8, 8, 1], [7]], 0, "cpu")
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(with_gradient):
        logp, _ = policy.log_probs(batch, 1.0)
        if with_gradient:
            torch.autograd.backward(logp.sum())
    # The angles of the rotations, which transformers makes by a product, are no part of the count.
    longest = int(transformer.Plan.of(batch).positions.max()) + 1
    angles = 2 * transformer.phases(policy.causal_lm.model, 1).shape[1] * longest
    assert policy.meter.total == counter.get_total_flops() - angles


def test_a_prompt_is_read_once_for_all_its_responses() -> None:
    policy = make_policy("qwen2")
    prompt, response = list(range(2, 22)), [3, 4]
    flops = []
    for count in (1, 8):
        before = policy.meter.total
        policy.log_probs(make_batch([prompt] * count, [response] * count, 0, "cpu"), 1.0)
        flops.append(policy.meter.total - before)
    assert flops[1] < 2 * flops[0]


@pytest.mark.parametrize("was_on", [True, False])
def test_garbage_is_looked_for_again_after_the_block(was_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        with pytest.raises(KeyError), not_collected():  # noqa: PT012
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()
