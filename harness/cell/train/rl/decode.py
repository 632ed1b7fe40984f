"""Sampling with a key-value cache, written for the shapes of reinforcement learning.

Every prompt of a group is read once and its cache is repeated for the group's responses; rows that
have ended leave the batch. For Qwen2 and Llama the steps are computed here from the model's own
weights, with the maps that read the same input joined into one: at batch 64 a small model spends
most of its time between operations, and this needs a fifth of theirs. Any other architecture goes
through its own forward pass and cache. Both give the probabilities that `Policy.log_probs` gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cell.train.rl.policy import Policy

_FUSED = frozenset({"qwen2", "llama"})


@dataclass(frozen=True)
class Sampling:
    """How responses are drawn.

    Attributes:
        temperature: 0 takes the likeliest token.
        max_new_tokens: where a response that has not ended is cut off.
        seed: of the uniform draws, one for each row and token, whatever the batch.
    """

    temperature: float
    max_new_tokens: int
    seed: int = 0


class _Cache(Protocol):
    """A model's memory of the rows that are being continued."""

    def step(self, tokens: Tensor) -> Tensor:
        """Read one token for each row (R,); returns (R, V) logits of the next."""

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these, in this order; a row may come several times."""


@torch.no_grad()
def generate(
    policy: Policy, prompts: Sequence[Sequence[int]], repeats: int, sampling: Sampling
) -> list[list[int]]:
    """Draw `repeats` responses to each prompt.

    Args:
        prompts: P lists of token ids.

    Returns:
        P * repeats lists of token ids, those of one prompt together; a response that ended holds
        its end token, one that was cut off does not.
    """
    rows, length = len(prompts) * repeats, sampling.max_new_tokens
    device = policy.device
    cache, logits = _read_prompts(policy, prompts, length)
    width = max(map(len, prompts))
    policy.meter.read(len(prompts), width, 1)
    cache.keep(torch.arange(len(prompts), device=device).repeat_interleave(repeats))
    logits = logits.repeat_interleave(repeats, dim=0)
    uniform = _uniform(rows, length, sampling, device)
    tokens = torch.full((rows, length), policy.eos, dtype=torch.long, device=device)
    lengths = torch.full((rows,), length, dtype=torch.long, device=device)
    active = torch.arange(rows, device=device)
    alive = torch.ones(rows, dtype=torch.bool, device=device)
    for position in range(length):
        drawn = _draw(logits, None if uniform is None else uniform[active, position], sampling)
        # A row that has ended and is still carried along keeps its end token.
        drawn = torch.where(alive, drawn, policy.eos)
        tokens[active, position] = drawn
        ended = alive & (drawn == policy.eos)
        lengths[active[ended]] = position + 1
        alive = alive & ~ended
        left = int(alive.sum())
        if left == 0 or position + 1 == length:
            break
        if left <= 0.8 * len(alive):
            kept = alive.nonzero().squeeze(1)
            cache.keep(kept)
            active, drawn = active[kept], drawn[kept]
            alive = torch.ones(left, dtype=torch.bool, device=device)
        logits = cache.step(drawn)
        policy.meter.step(len(drawn), width + position + 1)
    return [row[:end] for row, end in zip(tokens.tolist(), lengths.tolist(), strict=True)]


def _uniform(rows: int, length: int, sampling: Sampling, device: str) -> Tensor | None:
    if sampling.temperature == 0:
        return None
    source = torch.Generator().manual_seed(sampling.seed)
    return torch.rand(rows, length, generator=source).to(device)


def _draw(logits: Tensor, uniform: Tensor | None, sampling: Sampling) -> Tensor:
    """One token for each row: by inversion of the distribution function, or the likeliest."""
    if uniform is None:
        return logits.argmax(dim=-1)
    weights = torch.softmax(logits.float() / sampling.temperature, dim=-1).cumsum(dim=-1)
    # The last sum may lie a rounding error below 1; the draw is scaled to it.
    drawn = torch.searchsorted(weights, (uniform * weights[:, -1]).unsqueeze(1), right=True)
    return drawn.squeeze(1).clamp(max=logits.shape[-1] - 1)


def _read_prompts(
    policy: Policy, prompts: Sequence[Sequence[int]], room: int
) -> tuple[_Cache, Tensor]:
    """A cache that holds the prompts, padded on their left, and the logits of what comes next."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), policy.pad, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    attended = torch.arange(width) >= (width - lengths).unsqueeze(1)
    ids, attended = ids.to(policy.device), attended.to(policy.device)
    model = policy.causal_lm
    kind = getattr(model.config, "model_type", "")
    config = model.config
    is_plain = (
        kind in _FUSED
        and config.hidden_act == "silu"
        and not getattr(config, "use_sliding_window", False)
        and not getattr(config, "mlp_bias", False)
    )
    cache: Any = (_FusedCache if is_plain else _ModelCache)(policy, attended, room)
    return cache, cache.read(ids)


class _ModelCache:
    """Any causal language model, through its own forward pass."""

    def __init__(self, policy: Policy, attended: Tensor, _room: int) -> None:
        self._model = policy.model
        self._attended = attended.long()
        self._past: Any = None
        self._next = attended.sum(dim=1, keepdim=True)

    def read(self, ids: Tensor) -> Tensor:
        positions = (self._attended.cumsum(dim=1) - 1).clamp(min=0)
        return self._forward(ids, positions)

    def step(self, tokens: Tensor) -> Tensor:
        self._attended = torch.cat([self._attended, self._attended.new_ones(len(tokens), 1)], dim=1)
        logits = self._forward(tokens.unsqueeze(1), self._next)
        self._next = self._next + 1
        return logits

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        told = self._model(
            input_ids=ids,
            attention_mask=self._attended,
            position_ids=positions,
            past_key_values=self._past,
            use_cache=True,
            logits_to_keep=1,
        )
        self._past = told.past_key_values
        logits: Tensor = told.logits[:, -1]
        return logits

    def keep(self, rows: Tensor) -> None:
        self._past.batch_select_indices(rows)
        self._attended, self._next = self._attended[rows], self._next[rows]


@dataclass(frozen=True)
class _Layer:
    """Weights of one layer as (output, input) matrices; `qkv` and `gate_up` are joined."""

    norm1: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    out_bias: Tensor | None
    norm2: Tensor
    gate_up: Tensor
    down: Tensor


class _FusedCache:
    """Qwen2 and Llama: RMS norm, rotary positions, grouped-query attention, gated SiLU."""

    def __init__(self, policy: Policy, attended: Tensor, room: int) -> None:
        model, config = policy.causal_lm, policy.causal_lm.config
        self._layers = [_joined(layer) for layer in model.model.layers]
        self._embedding = model.model.embed_tokens.weight
        self._norm = model.model.norm.weight
        self._head = model.lm_head.weight
        self._eps = config.rms_norm_eps
        self._heads, self._groups = config.num_attention_heads, config.num_key_value_heads
        self._size = getattr(config, "head_dim", None) or config.hidden_size // self._heads
        rows, self._width = attended.shape
        shape = (len(self._layers), 2, rows, self._groups, self._width + room, self._size)
        self._memory = self._embedding.new_zeros(shape)
        self._attended = attended
        self._bias = _as_bias(functional.pad(attended, (0, room), value=True), self._embedding)
        self._next = attended.sum(dim=1)
        self._cos, self._sin = self._rotations(model, int(self._next.max()) + room)
        self._filled = 0

    def _rotations(self, model: Any, length: int) -> tuple[Tensor, Tensor]:
        """(length, head size) cosines and sines of all positions, from the model's own module."""
        positions = torch.arange(length, device=self._embedding.device).unsqueeze(0)
        cos, sin = model.model.rotary_emb(self._embedding[:1].unsqueeze(0), positions)
        return cos[0], sin[0]

    def read(self, ids: Tensor) -> Tensor:
        """The prompts (R, W); returns (R, V) logits."""
        positions = (self._attended.cumsum(dim=1) - 1).clamp(min=0)
        square = torch.ones(self._width, self._width, dtype=torch.bool, device=ids.device)
        # A padded place sees itself, so that its softmax has something to divide by.
        seen = (square.tril() & self._attended.unsqueeze(1)) | square.diag().diag()
        self._filled = self._width
        bias = _as_bias(seen.unsqueeze(1), self._embedding)
        return self._forward(ids, positions, bias, 0)[:, -1]

    def step(self, tokens: Tensor) -> Tensor:
        start, self._filled = self._filled, self._filled + 1
        bias = self._bias[:, None, None, : self._filled]
        logits = self._forward(tokens.unsqueeze(1), self._next.unsqueeze(1), bias, start)
        self._next = self._next + 1
        return logits[:, 0]

    def keep(self, rows: Tensor) -> None:
        used = self._memory[:, :, :, :, : self._filled]
        layers, two, _, groups, length, size = self._memory.shape
        memory = self._memory.new_empty((layers, two, len(rows), groups, length, size))
        memory[:, :, :, :, : self._filled] = used.index_select(2, rows)
        self._memory = memory
        self._bias, self._next = self._bias[rows], self._next[rows]

    def _forward(self, ids: Tensor, positions: Tensor, bias: Tensor, start: int) -> Tensor:
        rows, width = ids.shape
        end = start + width
        heads, groups, size = self._heads, self._groups, self._size
        cos, sin = self._cos[positions].unsqueeze(2), self._sin[positions].unsqueeze(2)
        x = functional.embedding(ids, self._embedding)
        for layer, memory in zip(self._layers, self._memory, strict=True):
            y = functional.rms_norm(x, x.shape[-1:], layer.norm1, self._eps)
            qkv = functional.linear(y, layer.qkv, layer.qkv_bias)
            qkv = qkv.view(rows, width, heads + 2 * groups, size)
            # Queries and keys are rotated together.
            rotated = _rotate(qkv[:, :, : heads + groups], cos, sin).transpose(1, 2)
            memory[0, :, :, start:end] = rotated[:, heads:]
            memory[1, :, :, start:end] = qkv[:, :, heads + groups :].transpose(1, 2)
            y = _attention(rotated[:, :heads], memory[0, :, :, :end], memory[1, :, :, :end], bias)
            y = y.transpose(1, 2).reshape(rows, width, heads * size)
            x = x + functional.linear(y, layer.out, layer.out_bias)
            y = functional.rms_norm(x, x.shape[-1:], layer.norm2, self._eps)
            gate, up = functional.linear(y, layer.gate_up).chunk(2, dim=-1)
            x = x + functional.linear(functional.silu(gate).mul_(up), layer.down)
        last = functional.rms_norm(x[:, -1:], x.shape[-1:], self._norm, self._eps)
        return functional.linear(last, self._head)


def _as_bias(seen: Tensor, like: Tensor) -> Tensor:
    """0 where something is seen, else -inf."""
    return torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill(
        ~seen, float("-inf")
    )


def _attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Grouped-query attention of q (R, heads, W, S) over k and v (R, groups, L, S).

    `bias` is 0 where a place is seen, else -inf, and broadcasts to (R, 1, W, L). For one token
    (W = 1) the heads of a group are the rows of one product, which is up to twice as fast on a CPU
    as the fused kernel, made for long queries.
    """
    rows, heads, width, size = q.shape
    groups = k.shape[1]
    if width > 1:
        return functional.scaled_dot_product_attention(
            q, k, v, attn_mask=bias, enable_gqa=heads != groups
        )
    flat = (rows * groups, -1, size)
    shared = q.reshape(rows * groups, heads // groups, size) * size**-0.5
    scores = torch.bmm(shared, k.reshape(flat).transpose(1, 2))
    scores = scores.view(rows, heads, 1, -1).add_(bias)
    weights = torch.softmax(scores, dim=-1).view(rows * groups, heads // groups, -1)
    return torch.bmm(weights, v.reshape(flat)).view(rows, heads, 1, size)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) on (R, W, heads, S): halves rotate against each other."""
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * cos, torch.cat((-second, first), dim=-1), sin)


def _joined(layer: Any) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    parts = [_merged(one) for one in (attention.q_proj, attention.k_proj, attention.v_proj)]
    biases = [bias for _, bias in parts if bias is not None]
    out, out_bias = _merged(attention.o_proj)
    return _Layer(
        norm1=layer.input_layernorm.weight,
        qkv=torch.cat([weight for weight, _ in parts]),
        qkv_bias=torch.cat(biases) if biases else None,
        out=out,
        out_bias=out_bias,
        norm2=layer.post_attention_layernorm.weight,
        gate_up=torch.cat([_merged(mlp.gate_proj)[0], _merged(mlp.up_proj)[0]]),
        down=_merged(mlp.down_proj)[0],
    )


def _merged(linear: Any) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a linear map, with its adapter added where it has one."""
    if not hasattr(linear, "lora_A"):
        return linear.weight, linear.bias
    weight = linear.base_layer.weight
    for name in linear.active_adapters:
        weight = weight + linear.get_delta_weight(name)
    return weight, linear.base_layer.bias
