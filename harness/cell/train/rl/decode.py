"""Sampling with a key-value cache, written for the shapes of reinforcement learning.

Every prompt of a group is read once and its cache is repeated for the group's responses; rows that
have ended leave the batch. For Qwen2 and Llama the steps are computed here from the model's own
weights, with the maps that read the same input joined into one: at batch 64 a small model spends
most of its time between operations, and this needs a fifth of theirs. Any other architecture goes
through its own forward pass and cache. Both give the probabilities that `Policy.log_probs` gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from harness.cell.train.rl.garbage import not_collected
from harness.cell.train.rl.transformer import Layer, is_plain, joined, phases, rotate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cell.train.rl.policy import Policy

_JOINED = 4  # groups of heads whose products are one


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
@not_collected()
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
    policy.meter.read(len(prompts) * width, len(prompts) * width**2, len(prompts))
    if repeats > 1:
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
    make = _FusedCache if is_plain(policy.causal_lm.config) else _ModelCache
    cache: Any = make(policy, attended, room)
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


class _FusedCache:
    """Qwen2 and Llama: RMS norm, rotary positions, grouped-query attention, gated SiLU."""

    def __init__(self, policy: Policy, attended: Tensor, room: int) -> None:
        model, config = policy.causal_lm, policy.causal_lm.config
        self._layers = [_for_steps(joined(layer)) for layer in model.model.layers]
        self._embedding = model.model.embed_tokens.weight
        self._norm, self._head = model.model.norm.weight, model.lm_head.weight
        self._eps = config.rms_norm_eps
        self._heads, self._groups = config.num_attention_heads, config.num_key_value_heads
        self._size = model.model.layers[0].self_attn.head_dim
        rows, self._width = attended.shape
        # Products begin faster where rows of memory begin at multiples of 64 bytes.
        layers, length = len(self._layers), -(-(self._width + room) // 16) * 16
        self._parts = 1 if self._groups <= _JOINED else self._groups
        joint = self._groups // self._parts * self._size
        # As the products of a step read them: keys lie along the length, values across it.
        self._keys = self._embedding.new_zeros(layers, rows, self._groups * self._size, length)
        self._values = self._embedding.new_zeros(layers, rows, self._parts, length, joint)
        self._attended = attended
        self._bias = _as_bias(functional.pad(attended, (0, room), value=True), self._embedding)
        self._next = attended.sum(dim=1)
        self._phases = phases(model.model, int(self._next.max()) + room)
        self._filled = 0

    def read(self, ids: Tensor) -> Tensor:
        """The prompts (R, W); returns (R, V) logits."""
        rows, width = ids.shape
        heads, groups = self._heads, self._groups
        positions = (self._attended.cumsum(dim=1) - 1).clamp(min=0)
        phase = self._phases[positions].unsqueeze(2)
        square = torch.ones(width, width, dtype=torch.bool, device=ids.device)
        # A padded place sees itself, so that its softmax has something to divide by.
        seen = (square.tril() & self._attended.unsqueeze(1)) | square.diag().diag()
        bias = _as_bias(seen.unsqueeze(1), self._embedding)
        self._filled = width
        x = functional.embedding(ids.flatten(), self._embedding)
        for layer, keys, values in zip(self._layers, self._keys, self._values, strict=True):
            y = self._normal(x, layer.norm1)
            qkv = _linear(y, layer.qkv, layer.qkv_bias)
            qkv = qkv.view(rows, width, heads + 2 * groups, self._size)
            q_k, v = rotate(qkv[:, :, : heads + groups], phase), qkv[:, :, heads + groups :]
            q, k = q_k[:, :, :heads], q_k[:, :, heads:]
            keys[:, :, :width] = k.flatten(2).transpose(1, 2)
            values[:, :, :width] = v.reshape(rows, width, self._parts, -1).transpose(1, 2)
            q, k, v = (one.transpose(1, 2) for one in (q, k, v))
            y = functional.scaled_dot_product_attention(
                q, k, v, attn_mask=bias, enable_gqa=heads != groups
            )
            self._add_rest(x, y.transpose(1, 2).reshape(len(x), -1), layer)
        return self._logits(x.view(rows, width, -1)[:, -1])

    def step(self, tokens: Tensor) -> Tensor:
        rows, heads, groups, size = len(tokens), self._heads, self._groups, self._size
        place, self._filled = self._filled, self._filled + 1
        phase = self._phases[self._next].unsqueeze(1)
        bias = self._bias[:, None, : self._filled]
        queries = self._embedding.new_zeros(rows, heads, groups // self._parts * size)
        x = functional.embedding(tokens, self._embedding)
        for layer, keys, values in zip(self._layers, self._keys, self._values, strict=True):
            y = self._normal(x, layer.norm1)
            qkv = _linear(y, layer.qkv, layer.qkv_bias).view(rows, heads + 2 * groups, size)
            q_k = rotate(qkv[:, : heads + groups], phase)
            keys[:, :, place] = q_k[:, heads:].reshape(rows, -1)
            values[:, :, place] = qkv[:, heads + groups :].reshape(rows, self._parts, -1)
            self._own_group(queries).copy_(q_k[:, :heads].view(rows, groups, -1, size))
            self._add_rest(x, self._attend(queries, keys, values, bias), layer)
        self._next = self._next + 1
        return self._logits(x)

    def keep(self, rows: Tensor) -> None:
        length = self._filled
        keys, values = self._keys, self._values
        self._keys = keys.new_empty(len(keys), len(rows), *keys.shape[2:])
        self._keys[..., :length] = keys[..., :length].index_select(1, rows)
        self._values = values.new_empty(len(values), len(rows), *values.shape[2:])
        self._values[:, :, :, :length] = values[:, :, :, :length].index_select(1, rows)
        self._bias, self._next = self._bias[rows], self._next[rows]

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """(R, heads * S) of one query for each row and head; bias (R, 1, L).

        A few groups are joined into one product for each row: queries stand in blocks, with zeros
        where the keys of other groups are. Small products take longer to begin than to finish.
        """
        rows, heads, joint = queries.shape
        batch, length = rows * self._parts, bias.shape[-1]
        keys = keys.view(batch, joint, -1)[:, :, :length]
        values = values.view(batch, -1, joint)[:, :length]
        scores = torch.bmm(queries.view(batch, -1, joint), keys).mul_(self._size**-0.5)
        scores.view(rows, heads, length).add_(bias)
        told = torch.bmm(torch.softmax(scores, dim=-1), values)
        return self._own_group(told.view(rows, heads, joint)).reshape(rows, -1)

    def _own_group(self, x: Tensor) -> Tensor:
        """(R, groups, heads / groups, S) of blocks x (R, heads, joint groups * S)."""
        together = self._groups // self._parts
        blocks = x.view(len(x), self._parts, together, -1, together, self._size)
        return blocks.diagonal(dim1=2, dim2=4).movedim(-1, 2).flatten(1, 2)

    def _normal(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(x, x.shape[-1:], weight, self._eps)

    def _add_rest(self, x: Tensor, attended: Tensor, layer: Layer) -> None:
        """Add what attention and the gated maps of a layer have to say to x (N, H), in place."""
        x.addmm_(attended, layer.out)
        if layer.out_bias is not None:
            x.add_(layer.out_bias)
        gate, up = torch.mm(self._normal(x, layer.norm2), layer.gate_up).chunk(2, dim=-1)
        x.addmm_(functional.silu(gate).mul_(up), layer.down)

    def _logits(self, x: Tensor) -> Tensor:
        return functional.linear(self._normal(x, self._norm), self._head)


def _for_steps(layer: Layer) -> Layer:
    """The layer with matrices (input, output), which products with few rows read faster."""
    matrices = {name: getattr(layer, name).t() for name in ("qkv", "out", "gate_up", "down")}
    if layer.out.device.type == "cpu":
        matrices = {name: one.contiguous() for name, one in matrices.items()}
    return replace(layer, **matrices)


def _linear(x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    return torch.mm(x, matrix) if bias is None else torch.addmm(bias, x, matrix)


def _as_bias(seen: Tensor, like: Tensor) -> Tensor:
    """0 where something is seen, else -inf."""
    return torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill(
        ~seen, float("-inf")
    )
