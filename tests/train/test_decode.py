"""Decoding: against transformers, against whole reads of every prefix, and what always holds.

The models are tiny and their weights random, but wide enough apart that no likeliest token hangs on
a rounding error.
"""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from harness.cell.train.rl import decode
from harness.cell.train.rl.decode import Sampling, generate
from harness.cell.train.rl.policy import Policy, add_adapters, make_batch
from harness.cell.train.rl.settings import Lora
from tests.train.support import tiny_config

PAD, EOS = 0, 1
VOCABULARY = 24

# Grouped queries, heads of another size than hidden / heads, biases, untied heads, and two that go
# through their own forward pass: one that normalises queries, one that sees a window only.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("qwen2", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "qwen2-every-head": ("qwen2", {"num_key_value_heads": 4}),
    "llama": ("llama", {"num_key_value_heads": 1, "head_dim": 6}),
    "llama-biases": ("llama", {"num_key_value_heads": 2, "attention_bias": True}),
    "qwen3": ("qwen3", {"num_key_value_heads": 2, "head_dim": 6}),
    "mistral": ("mistral", {"num_key_value_heads": 2, "sliding_window": 4}),
}
FUSED = ("qwen2", "qwen2-every-head", "llama", "llama-biases")
every_model = pytest.mark.parametrize("name", MODELS)

PROMPTS = [[5, 9, 2, 11, 7, 3, 19], [4], [8, 21, 6], [13, 2, 2, 17, 10]]


def make_policy(
    name: str, *, eos: int = EOS, pad: int = PAD, vocabulary: int = VOCABULARY, seed: int = 0
) -> Policy:
    from transformers import AutoModelForCausalLM

    kind, options = MODELS[name]
    config = tiny_config(kind, vocabulary=vocabulary, spread=0.4, **options)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).eval()  # type: ignore[no-untyped-call]
    # Biases and norms begin at 0 and 1, where leaving one out would not be seen.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return Policy(model, SimpleNamespace(eos_token_id=eos, pad_token_id=pad), "cpu")


@torch.no_grad()
def next_logits(policy: Policy, tokens: list[int]) -> Tensor:
    """(V,) logits after these tokens: one whole read, without padding, cache or neighbours."""
    logits: Tensor = policy.model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
    return logits


def slow_generate(
    policy: Policy, prompts: list[list[int]], repeats: int, sampling: Sampling
) -> list[list[int]]:
    """Row by row, every token from a read of the whole prefix, by inversion of the same draws."""
    length = sampling.max_new_tokens
    source = torch.Generator().manual_seed(sampling.seed)
    uniform = torch.rand(len(prompts) * repeats, length, generator=source).tolist()
    responses = []
    for row, draws in enumerate(uniform):
        response: list[int] = []
        while len(response) < length and policy.eos not in response:
            logits = next_logits(policy, prompts[row // repeats] + response)
            if sampling.temperature == 0:
                response.append(int(logits.argmax()))
                continue
            p = torch.softmax(logits.double() / sampling.temperature, dim=0).tolist()
            total, token = p[0], 0
            while total <= draws[len(response)] and token < len(p) - 1:
                token += 1
                total += p[token]
            response.append(token)
        responses.append(response)
    return responses


def trimmed(response: list[int], eos: int) -> list[int]:
    """Up to and with the first end token."""
    return response[: response.index(eos) + 1] if eos in response else response


# Greedy


@every_model
@pytest.mark.parametrize("eos", [EOS, "met"])
def test_greedy_is_transformers_generate(name: str, eos: int | str) -> None:
    policy = make_policy(name, eos=-1)
    sampling = Sampling(temperature=0.0, max_new_tokens=10)
    endless = generate(policy, PROMPTS, 1, sampling)
    # One that a response meets halfway, or whichever it is.
    policy.tokenizer.eos_token_id = endless[0][3] if eos == "met" else eos
    width = max(map(len, PROMPTS))
    padded = torch.tensor([[PAD] * (width - len(one)) + one for one in PROMPTS])
    attended = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in PROMPTS])
    told = policy.model.generate(  # type: ignore[operator]
        padded,
        attention_mask=attended,
        do_sample=False,
        max_new_tokens=10,
        eos_token_id=policy.eos,
        pad_token_id=PAD,
    )
    expected = [trimmed(row, policy.eos) for row in told[:, width:].tolist()]
    assert generate(policy, PROMPTS, 1, sampling) == expected
    assert eos == EOS or len(expected[0]) < 10


@every_model
def test_repeats_of_a_greedy_response_are_the_same_and_stand_together(name: str) -> None:
    policy = make_policy(name)
    sampling = Sampling(temperature=0.0, max_new_tokens=6)
    once = generate(policy, PROMPTS, 1, sampling)
    assert generate(policy, PROMPTS, 3, sampling) == [one for one in once for _ in range(3)]


# Sampled


@every_model
@pytest.mark.parametrize("temperature", [0.0, 0.6, 1.0, 1.7])
def test_every_token_is_that_of_a_read_of_the_whole_prefix(name: str, temperature: float) -> None:
    """Through the cache, through rows that end and leave, through groups that share a prompt."""
    policy = make_policy(name)
    sampling = Sampling(temperature=temperature, max_new_tokens=12, seed=7)
    found = generate(policy, PROMPTS, 4, sampling)
    assert found == slow_generate(policy, PROMPTS, 4, sampling)
    if temperature >= 1:
        assert len(set(map(len, found))) > 2


@pytest.mark.parametrize("name", FUSED)
def test_the_fused_steps_are_the_models_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy(name, eos=-1)
    sampling = Sampling(temperature=1.0, max_new_tokens=9, seed=3)
    draw = decode._draw
    seen: list[list[Tensor]] = []

    def note(logits: Tensor, uniform: Tensor | None, how: Sampling) -> Tensor:
        seen[-1].append(logits)
        return draw(logits, uniform, how)

    monkeypatch.setattr(decode, "_draw", note)
    drawn = []
    for is_plain in (True, False):
        if not is_plain:
            monkeypatch.setattr(decode, "is_plain", lambda _: False)
        seen.append([])
        drawn.append(generate(policy, PROMPTS, 2, sampling))
    assert drawn[0] == drawn[1]
    torch.testing.assert_close(torch.stack(seen[0]), torch.stack(seen[1]), rtol=1e-4, atol=2e-5)


@every_model
def test_a_response_does_not_depend_on_its_neighbours(name: str) -> None:
    policy = make_policy(name)
    sampling = Sampling(temperature=1.0, max_new_tokens=10, seed=5)
    alone = generate(policy, [[4, 18]], 3, sampling)
    for other in ([9], [3] * 6, list(range(2, 22))):
        assert generate(policy, [[4, 18], other], 3, sampling)[:3] == alone


@every_model
@pytest.mark.parametrize("pad", [EOS, 23])
def test_what_pads_is_never_read(name: str, pad: int) -> None:
    """Also where the end token pads, and stands in a prompt as chat templates have it."""
    prompts = [[*PROMPTS[0], EOS, 5], [4, EOS, 9], [7]]
    sampling = Sampling(temperature=1.0, max_new_tokens=8, seed=2)
    plain, other = make_policy(name), make_policy(name, pad=pad)
    found = generate(other, prompts, 2, sampling)
    assert found == generate(plain, prompts, 2, sampling)
    logp = []
    for policy in (plain, other):
        batch = make_batch(prompts, found[::2], policy.pad, "cpu")
        logp.append(policy.log_probs(batch, 1.0)[0][batch.mask])
    torch.testing.assert_close(logp[0], logp[1], rtol=0, atol=2e-5)


def test_a_response_that_ended_holds_its_end_token_and_one_cut_off_does_not() -> None:
    policy = make_policy("qwen2")
    sampling = Sampling(temperature=2.0, max_new_tokens=12, seed=1)
    responses = generate(policy, PROMPTS, 16, sampling)
    ended = [one for one in responses if one[-1] == EOS]
    cut = [one for one in responses if one[-1] != EOS]
    assert ended
    assert cut
    assert all(EOS not in one[:-1] and len(one) <= 12 for one in ended)
    assert all(EOS not in one and len(one) == 12 for one in cut)


def test_seeds_make_the_draws() -> None:
    policy = make_policy("qwen2")
    first, again, other = (
        generate(policy, PROMPTS, 4, Sampling(1.0, max_new_tokens=8, seed=seed))
        for seed in (11, 11, 12)
    )
    assert first == again
    assert first != other
    assert len(set(map(tuple, first))) > len(PROMPTS)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_those_of_the_softmax(temperature: float) -> None:
    """Of all responses of up to two tokens; those of another temperature are told apart."""
    policy = make_policy("qwen2", vocabulary=6, eos=2)
    prompt, count = [4, 5, 3], 4000
    found = generate(policy, [prompt], count, Sampling(temperature, max_new_tokens=2, seed=9))

    def probabilities(t: float) -> dict[tuple[int, ...], float]:
        first = torch.softmax(next_logits(policy, prompt) / t, dim=0).tolist()
        second = {
            a: torch.softmax(next_logits(policy, [*prompt, a]) / t, dim=0).tolist()
            for a in range(6)
            if a != 2
        }
        expected: dict[tuple[int, ...], float] = {(2,): first[2]}
        for a, b in product(second, range(6)):
            expected[a, b] = first[a] * second[a][b]
        return expected

    def statistic(expected: dict[tuple[int, ...], float]) -> tuple[float, int]:
        counts = dict.fromkeys(expected, 0)
        for one in found:
            counts[tuple(one)] += 1
        # What is rarer than 5 times is counted together, as the approximation asks.
        often = [one for one in expected if expected[one] * count >= 5]
        cells = [(counts[one], expected[one] * count) for one in often]
        rest = count - sum(n for n, _ in cells), count - sum(e for _, e in cells)
        cells += [rest] if rest[1] >= 5 else []
        return sum((n - e) ** 2 / e for n, e in cells), len(cells) - 1

    assert sum(probabilities(temperature).values()) == pytest.approx(1.0)
    value, freedom = statistic(probabilities(temperature))
    assert value < chi2.ppf(0.999, freedom)
    value, freedom = statistic(probabilities(1.3 * temperature))
    assert value > chi2.ppf(0.999, freedom)


# Log-probabilities of what was drawn


@every_model
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_log_probs_are_those_of_reads_of_every_prefix(name: str, temperature: float) -> None:
    policy = make_policy(name)
    responses = [[3, 9, 20, EOS], [7], [2, 2, 14], [19, 5, 8, 6]]
    batch = make_batch(PROMPTS, responses, PAD, "cpu")
    with torch.no_grad():
        logp, entropy = policy.log_probs(batch, temperature, with_entropy=True)
    assert entropy is not None
    for row, (prompt, response) in enumerate(zip(PROMPTS, responses, strict=True)):
        for t, token in enumerate(response):
            logs = torch.log_softmax(
                next_logits(policy, prompt + response[:t]).double() / temperature, dim=0
            )
            assert float(logp[row, t]) == pytest.approx(float(logs[token]), abs=2e-5)
            expected = -float((logs.exp() * logs).sum())
            assert float(entropy[row, t]) == pytest.approx(expected, abs=2e-5)


@every_model
def test_log_probs_do_not_depend_on_neighbours(name: str) -> None:
    policy = make_policy(name)
    prompts, responses = [[4, 18], list(range(2, 22)), [9]], [[3, 7, EOS], [5] * 9, [8]]
    whole = make_batch(prompts, responses, PAD, "cpu")
    logp, _ = policy.log_probs(whole, 1.0)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        alone, _ = policy.log_probs(make_batch([prompt], [response], PAD, "cpu"), 1.0)
        selected, _ = policy.log_probs(whole.select(torch.tensor([row])), 1.0)
        assert alone.shape == selected.shape == (1, len(response))
        for other in (alone, selected):
            torch.testing.assert_close(other[0], logp[row, : len(response)], rtol=0, atol=2e-5)


def test_a_batch_is_laid_out_around_the_end_of_the_prompts() -> None:
    batch = make_batch([[5, 6, 7], [8]], [[9], [3, EOS]], PAD, "cpu")
    assert batch.ids.tolist() == [[5, 6, 7, 9, PAD], [PAD, PAD, 8, 3, EOS]]
    assert batch.mask.tolist() == [[True, False], [True, True]]
    assert batch.prompt == 3
    # A prompt's positions are those that it would have alone.
    assert [batch.positions[row][batch.attended[row]].tolist() for row in (0, 1)] == [
        [0, 1, 2, 3],
        [0, 1, 2],
    ]
    second = batch.select(torch.tensor([1]))
    assert second.ids.tolist() == [[8, 3, EOS]]
    assert (second.prompt, second.responses.tolist()) == (1, [[3, EOS]])


# Adapters


@pytest.mark.parametrize("name", ["qwen2", "llama-biases", "qwen3"])
def test_adapters_decode_and_score_as_the_merged_model(name: str) -> None:
    policy = add_adapters(make_policy(name), Lora(r=2, alpha=4), seed=0)
    plain = make_policy(name)
    source = torch.Generator().manual_seed(4)
    with torch.no_grad():  # fresh adapters are 0 and change nothing
        for parameter in policy.trainable():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=source))
    adapted = policy.frozen_copy()
    merged = Policy(adapted.model.merge_and_unload(), policy.tokenizer, "cpu")  # type: ignore[operator]
    sampling = Sampling(temperature=1.0, max_new_tokens=10, seed=6)
    found = generate(policy, PROMPTS, 2, sampling)
    assert found == generate(merged, PROMPTS, 2, sampling)
    assert found != generate(plain, PROMPTS, 2, sampling)
    batch = make_batch([one for one in PROMPTS for _ in range(2)], found, PAD, "cpu")
    ours, theirs = (one.log_probs(batch, 1.0)[0][batch.mask] for one in (policy, merged))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-5)


def test_fresh_adapters_change_nothing() -> None:
    sampling = Sampling(temperature=1.0, max_new_tokens=10, seed=6)
    expected = generate(make_policy("qwen2"), PROMPTS, 2, sampling)
    policy = add_adapters(make_policy("qwen2"), Lora(r=2, alpha=4), seed=0)
    assert generate(policy, PROMPTS, 2, sampling) == expected
