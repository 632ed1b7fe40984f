"""FLOPs: exactly what torch counts in transformers' own models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.checkpoint import set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode

from harness.cell.train.rl.flops import Shape, full_flops, six_nd, step_flops
from harness.cell.train.rl.policy import Critic, add_adapters, make_batch, open_policy
from harness.cell.train.rl.settings import Lora, Model

transformers = pytest.importorskip("transformers")

# hidden, intermediate, layers, heads, kv heads, vocabulary
SIZES = [(32, 80, 2, 4, 2, 64), (48, 100, 3, 6, 6, 96), (24, 40, 1, 4, 1, 50)]
every_size = pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "x".join(map(str, sizes)))


def model_of(sizes: tuple[int, ...], kind: str = "Qwen2", **more: Any) -> Any:
    hidden, intermediate, layers, heads, kv_heads, vocabulary = sizes
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        vocab_size=vocabulary,
        max_position_embeddings=64,
        attn_implementation="eager",  # torch does not count the fused kernel of a CPU
        **more,
    )
    torch.manual_seed(0)
    return getattr(transformers, f"{kind}ForCausalLM")(config)


def count(function: Any, angles: int) -> int:
    """What torch counts, less the angles of the rotations, which transformers makes by a product.

    They are outer products of frequencies and positions, the same for all rows and layers.
    """
    with FlopCounterMode(display=False) as counter:
        function()
    return int(counter.get_total_flops()) - angles


def angles(model: Any, tokens: int) -> int:
    return 2 * (Shape.of(model.config).head_dim // 2) * tokens


def some_ids(rows: int, tokens: int) -> torch.Tensor:
    return torch.zeros(rows, tokens, dtype=torch.long)


@every_size
@pytest.mark.parametrize(("rows", "tokens", "kept"), [(1, 1, 1), (3, 7, 7), (2, 12, 5), (2, 5, 1)])
@torch.no_grad()
def test_a_full_pass(sizes: tuple[int, ...], rows: int, tokens: int, kept: int) -> None:
    model, ids = model_of(sizes), some_ids(rows, tokens)
    counted = count(lambda: model(ids, logits_to_keep=kept, use_cache=False), angles(model, tokens))
    assert rows * full_flops(Shape.of(model.config), tokens, kept) == counted


@every_size
@torch.no_grad()
def test_steps_with_a_cache(sizes: tuple[int, ...]) -> None:
    model, rows = model_of(sizes), 3
    shape = Shape.of(model.config)
    past = model(some_ids(rows, 6), use_cache=True).past_key_values
    for length in (7, 8, 9):
        counted = count(
            lambda: model(some_ids(rows, 1), past_key_values=past, use_cache=True), angles(model, 1)
        )
        assert rows * step_flops(shape, length) == counted


@every_size
@pytest.mark.parametrize(("recomputed", "times"), [(False, 3), (True, 4)])
def test_training_costs_three_times_a_pass_and_four_if_recomputed(
    sizes: tuple[int, ...], recomputed: bool, times: int
) -> None:
    """Recomputed are the layers, the head is not one; torch can leave their last product out."""
    model = model_of(sizes).train()
    if recomputed:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    shape = Shape.of(model.config)
    with set_checkpoint_early_stop(False):
        counted = count(
            lambda: model(some_ids(2, 9), use_cache=False).logits.sum().backward(), angles(model, 9)
        )
    layers, head = full_flops(shape, 9, 0), full_flops(shape, 9, 9) - full_flops(shape, 9, 0)
    assert 2 * (times * layers + 3 * head) == counted


def test_a_head_size_that_is_not_a_share_of_the_width() -> None:
    model = model_of(SIZES[0], kind="Llama", head_dim=20)
    with torch.no_grad():
        counted = count(lambda: model(some_ids(2, 5), use_cache=False), angles(model, 5))
    assert 2 * full_flops(Shape.of(model.config), 5, 5) == counted


def test_reading_token_by_token_costs_half_the_attention_of_a_square() -> None:
    """A cache spares what is masked anyway; all else is the same."""
    shape = Shape(layers=2, hidden=32, intermediate=80, heads=4, kv_heads=2, head_dim=8, vocab=64)
    tokens = 10
    pairs = tokens * tokens - sum(range(1, tokens + 1))
    spared = full_flops(shape, tokens, tokens) - sum(
        step_flops(shape, t + 1) for t in range(tokens)
    )
    assert spared == shape.layers * pairs * 2 * 2 * shape.heads * shape.head_dim


def test_without_attentions_own_part_a_large_model_takes_6_nd() -> None:
    """Qwen2.5-0.5B, whose head is its embedding: N are the weights that stand in products."""
    shape = Shape(
        layers=24, hidden=896, intermediate=4864, heads=14, kv_heads=2, head_dim=64, vocab=151_936
    )
    weights = (
        494_032_768 - 24 * (896 + 2 * 128 + 2 * 896) - 896
    )  # biases and norms multiply nothing
    attention = 24 * 2 * 2 * 128 * 128 * 14 * 64
    assert 3 * (full_flops(shape, 128, 128) - attention) == six_nd(weights, 128)


@pytest.mark.parametrize("has_adapters", [False, True])
def test_a_critic_trains_all_of_its_weights_whatever_the_policy_trains(has_adapters: bool) -> None:
    policy = open_policy(Model(hidden=16, layers=2, heads=2, kv_heads=1, intermediate=24), 1, "cpu")
    if has_adapters:
        policy = add_adapters(policy, Lora(r=2, alpha=4), 1)
    critic = Critic(policy)
    batch = make_batch([[5, 6, 7]], [[8, 9]], policy.pad, "cpu")
    with torch.no_grad():
        critic.values(batch)
    forward = policy.meter.total
    critic.values(batch)
    assert policy.meter.total - forward == 3 * forward
