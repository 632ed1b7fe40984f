"""Qwen2 and Llama computed from their own weights, for many short responses to few prompts.

A minibatch of reinforcement learning holds responses of unequal length, several to one prompt. Here
the tokens of each prompt are read once for all responses to it, and padding takes part in nothing
but attention: states are the rows of one matrix, prompts first, without gaps. That gives what the
Hugging Face module gives, up to rounding errors, and so do the gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

if TYPE_CHECKING:
    from harness.cell.train.rl.policy import Batch

_KINDS = frozenset({"qwen2", "llama"})
# Up to so many attention weights of one layer (64 MiB of float32) are held for the gradient.
_SMALL = 1 << 24


def is_plain(config: Any) -> bool:
    """Whether a model of this configuration is computed by the functions of this module."""
    return (
        getattr(config, "model_type", "") in _KINDS
        and config.hidden_act == "silu"
        and not getattr(config, "use_sliding_window", False)
        and not getattr(config, "mlp_bias", False)
    )


@dataclass(frozen=True)
class Layer:
    """Weights of one layer as (output, input) matrices; `qkv` and `gate_up` are joined.

    The two halves of each head of queries and keys, which are rotated against each other, alternate
    here: a rotation is then one product of complex numbers. Scores are the same in any order.
    """

    norm1: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    out_bias: Tensor | None
    norm2: Tensor
    gate_up: Tensor
    down: Tensor


def joined(layer: Any) -> Layer:
    """The weights of a Hugging Face layer; gradients flow back to them."""
    attention, mlp = layer.self_attn, layer.mlp
    q, k, v = (merged(one) for one in (attention.q_proj, attention.k_proj, attention.v_proj))
    size = attention.head_dim
    biases = None
    if q[1] is not None and k[1] is not None and v[1] is not None:
        biases = torch.cat([_alternating(q[1], size), _alternating(k[1], size), v[1]])
    out, out_bias = merged(attention.o_proj)
    return Layer(
        norm1=layer.input_layernorm.weight,
        qkv=torch.cat([_alternating(q[0], size), _alternating(k[0], size), v[0]]),
        qkv_bias=biases,
        out=out,
        out_bias=out_bias,
        norm2=layer.post_attention_layernorm.weight,
        gate_up=torch.cat([merged(mlp.gate_proj)[0], merged(mlp.up_proj)[0]]),
        down=merged(mlp.down_proj)[0],
    )


def _alternating(x: Tensor, size: int) -> Tensor:
    """Rows 0, S/2, 1, S/2 + 1, ... of every S rows."""
    return x.view(-1, 2, size // 2, *x.shape[1:]).transpose(1, 2).reshape(x.shape)


def merged(linear: Any) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a linear map, with its adapter added where it has one."""
    if not hasattr(linear, "lora_A"):
        return linear.weight, linear.bias
    weight = linear.base_layer.weight
    for name in linear.active_adapters:
        weight = weight + linear.get_delta_weight(name)
    return weight, linear.base_layer.bias


@dataclass(frozen=True)
class _Block:
    """Rows of queries that see rows of keys, as places in the matrix of states.

    Attributes:
        queries: (R * T,), keys: (R * W,) places; padding points at place 0.
        seen: (R, T, W) bool. kept: the queries that are no padding, in the order of their states.
    """

    queries: Tensor
    keys: Tensor
    seen: Tensor
    kept: Tensor

    def bias(self, heads: int, groups: int, like: Tensor) -> Tensor:
        """(R * groups, heads / groups * T, W): 0 where a key is seen, else next to -inf."""
        rows, width, length = self.seen.shape
        bias = torch.zeros(self.seen.shape, dtype=like.dtype, device=like.device)
        # Not -inf: a padded query that sees nothing shall have finite weights.
        bias = bias.masked_fill_(~self.seen, torch.finfo(like.dtype).min / 2)
        shape = (rows, groups, heads // groups, width, length)
        return bias[:, None, None].expand(shape).reshape(rows * groups, -1, length)


@dataclass(frozen=True)
class Plan:
    """Which tokens of a batch are computed, and what they attend to.

    Attributes:
        ids, positions: (N,) of the tokens: the prompts', each once, then the responses' but the
            last of each, which predicts nothing.
        prompts, responses: attention among the one and of the other.
        predicting: (M,) places of the states that predict the M tokens of `batch.mask`, row by row.
    """

    ids: Tensor
    positions: Tensor
    prompts: _Block
    responses: _Block
    predicting: Tensor

    @property
    def pairs(self) -> int:
        """Query-key pairs whose products are computed, padding included."""
        return self.prompts.seen.numel() + self.responses.seen.numel()

    @classmethod
    def of(cls, batch: Batch) -> Plan:
        """Lay out a batch; costs no more than a few small tensors."""
        _, prompt_of = torch.unique(batch.same, return_inverse=True)
        count, width = int(prompt_of.max()) + 1, batch.prompt
        # The first row of each prompt stands for all; which one does not matter.
        first = prompt_of.new_empty(count).scatter_(
            0, prompt_of.flip(0), torch.arange(len(batch), device=prompt_of.device).flip(0)
        )
        known, going_on = batch.attended[first, :width], batch.mask[:, 1:]
        place = _places(known, 0)
        own = _places(going_on, int(known.sum()))
        ids = (batch.ids[first, :width][known], batch.ids[:, width:-1][going_on])
        positions = (batch.positions[first, :width][known], batch.positions[:, width:-1][going_on])
        keys = torch.cat([place[prompt_of], own], dim=1)
        among = known.unsqueeze(1) & _lower(width, known)
        before = known[prompt_of].unsqueeze(1).expand(-1, own.shape[1], -1)
        back = _lower(own.shape[1], known).expand(len(batch), -1, -1)
        last = place[prompt_of, -1].unsqueeze(1)
        return cls(
            torch.cat(ids),
            torch.cat(positions),
            _Block(place.flatten(), place.flatten(), among, known.flatten().nonzero()[:, 0]),
            _Block(
                own.flatten(),
                keys.flatten(),
                torch.cat([before, back], dim=2),
                going_on.flatten().nonzero()[:, 0],
            ),
            torch.cat([last, own], dim=1)[batch.mask],
        )


def _places(taken: Tensor, start: int) -> Tensor:
    """Numbers from `start` for the places taken (R, T), row by row, and 0 for all others."""
    numbers = taken.flatten().cumsum(0).view(taken.shape) + (start - 1)
    return numbers.masked_fill_(~taken, 0)


def _lower(size: int, like: Tensor) -> Tensor:
    return torch.ones(size, size, dtype=torch.bool, device=like.device).tril_()


def plain_states(backbone: Any, plan: Plan) -> Tensor:
    """(M, H) final hidden states that predict the responses' tokens.

    Args:
        backbone: the Hugging Face model without its head, of a kind that `is_plain`.
    """
    config = backbone.config
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    eps = config.rms_norm_eps
    x = functional.embedding(plan.ids, backbone.embed_tokens.weight)
    phase = phases(backbone, int(plan.positions.max()) + 1)[plan.positions].unsqueeze(1)
    blocks = (plan.prompts, plan.responses)
    biases = [block.bias(heads, groups, x) for block in blocks]
    for module in backbone.layers:
        layer = joined(module)
        y = functional.linear(rms_norm(x, layer.norm1, eps), layer.qkv, layer.qkv_bias)
        y = y.view(len(x), heads + 2 * groups, -1)
        q_k = rotate(y[:, : heads + groups], phase)
        parts = (q_k[:, :heads], q_k[:, heads:], y[:, heads + groups :])
        told = [_attend(*parts, block, bias) for block, bias in zip(blocks, biases, strict=True)]
        x = x + functional.linear(torch.cat(told), layer.out, layer.out_bias)
        y = functional.linear(rms_norm(x, layer.norm2, eps), layer.gate_up)
        x = torch.addmm(x, _Gate.apply(y), layer.down.t())  # type: ignore[no-untyped-call]
    return rms_norm(x.index_select(0, plan.predicting), backbone.norm.weight, eps)


def _attend(q: Tensor, k: Tensor, v: Tensor, block: _Block, bias: Tensor) -> Tensor:
    """(kept, heads * S) of the queries q (N, heads, S) in a block over k and v (N, groups, S)."""
    rows, width, length = block.seen.shape
    heads, groups, size = q.shape[1], k.shape[1], q.shape[2]
    # The heads of a group are rows of one product.
    q = q.index_select(0, block.queries).view(rows, width, groups, heads // groups, size)
    q = q.permute(0, 2, 3, 1, 4).reshape(rows * groups, -1, size)
    k, v = (
        one.index_select(0, block.keys).view(rows, length, groups, size).transpose(1, 2)
        for one in (k, v)
    )
    k, v = (one.reshape(rows * groups, length, size) for one in (k, v))
    if bias.numel() > _SMALL:
        # As one head for each group: the fused kernel, which holds no weights, wants four axes.
        q, k, v, bias = (one.unsqueeze(1) for one in (q, k, v, bias))
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    else:
        scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=size**-0.5)
        y = torch.bmm(torch.softmax(scores, dim=-1), v)
    y = y.view(rows, heads, width, size).transpose(1, 2).reshape(rows * width, heads * size)
    return y.index_select(0, block.kept)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Root mean square normalisation (Zhang and Sennrich 2019) of (N, H)."""
    return _RmsNorm.apply(x, weight, eps)  # type: ignore[no-any-return, no-untyped-call]


class _RmsNorm(torch.autograd.Function):
    """On a CPU a fourth of the time that torch's own gradient, made of many steps, takes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        known = x.float()
        scale = torch.rsqrt(known.square().mean(dim=-1, keepdim=True).add_(eps))
        normal = (known * scale).to(x.dtype)
        ctx.save_for_backward(normal, scale, weight)
        return normal * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        normal, scale, weight = ctx.saved_tensors
        per_place = upstream * normal
        along = (per_place @ weight).div_(len(weight)).unsqueeze(1)
        gradient = (upstream * weight).addcmul_(normal, along, value=-1.0).mul_(scale)
        return gradient.to(upstream.dtype), per_place.sum(dim=0), None


def phases(backbone: Any, length: int) -> Tensor:
    """(length, S / 2) complex: the rotations of all positions, from the model's own module."""
    weight = backbone.embed_tokens.weight
    positions = torch.arange(length, device=weight.device).unsqueeze(0)
    cos, sin = backbone.rotary_emb(weight[:1].detach().float().unsqueeze(0), positions)
    half = cos.shape[-1] // 2
    return torch.complex(cos[0, :, :half], sin[0, :, :half])


def rotate(x: Tensor, phase: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021): x (..., S) with alternating halves, phase (..., S / 2)."""
    pairs = torch.view_as_complex(x.float().view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * phase).flatten(-2).to(x.dtype)


class _Gate(torch.autograd.Function):
    """silu(gate) * up of (N, 2 I): gate and up side by side (Shazeer 2020)."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        share = torch.sigmoid(gate)
        gradient = torch.empty_like(gate_up)
        of_gate, of_up = gradient.chunk(2, dim=-1)
        torch.mul(gate, share, out=of_up)
        # d silu / d gate = s + g s (1 - s), with s the sigmoid of g.
        torch.addcmul(of_up, of_up, share, value=-1.0, out=of_gate)
        of_gate.add_(share).mul_(up).mul_(upstream)
        of_up.mul_(upstream)
        return gradient
