"""FLOPs of a decoder-only transformer of Qwen2's shape: 2 m n k for each matrix product.

Norms, rotations, softmax and the like are not counted: they are no matrix products. Where all
weights are trained, a pass with its gradient costs three times the pass alone, and four times where
activations are computed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """A transformer's sizes, as in `Qwen2Config`.

    Attributes:
        layers, hidden, intermediate: how many, their width, that of their gated maps.
        heads, kv_heads, head_dim: of queries, of keys and values, and the size of each.
        vocab: rows of the embedding and of the head.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int

    @classmethod
    def of(cls, config: Any) -> Shape:
        """The shape that a Hugging Face configuration describes."""
        heads = config.num_attention_heads
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            intermediate=config.intermediate_size,
            heads=heads,
            kv_heads=getattr(config, "num_key_value_heads", None) or heads,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
            vocab=config.vocab_size,
        )


def full_flops(shape: Shape, tokens: int, logits: int) -> int:
    """One sequence of `tokens` read at once, with the head at `logits` of its places.

    Attention is counted in full, T x T, as dense kernels do it, padding included.
    """
    return pass_flops(shape, tokens, tokens * tokens, logits)


def pass_flops(shape: Shape, tokens: int, pairs: int, logits: int) -> int:
    """Any number of tokens whose attention makes `pairs` products of a query and a key a head."""
    layers = shape.layers * (tokens * _maps(shape) + _attention(shape, pairs))
    return layers + logits * 2 * shape.hidden * shape.vocab


def step_flops(shape: Shape, length: int) -> int:
    """One token more of a sequence that has `length` with it, keys and values being kept."""
    layers = shape.layers * (_maps(shape) + _attention(shape, length))
    return layers + 2 * shape.hidden * shape.vocab


def six_nd(parameters: int, tokens: int) -> float:
    """6 N tokens: forward and backward of N parameters (Kaplan et al. 2020, sec. 2.1)."""
    return 6.0 * parameters * tokens


def _maps(shape: Shape) -> int:
    """The linear maps of one layer, for one token."""
    queries = shape.heads * shape.head_dim
    keys = shape.kv_heads * shape.head_dim
    attention = shape.hidden * (queries + 2 * keys) + queries * shape.hidden
    return 2 * (attention + 3 * shape.hidden * shape.intermediate)


def _attention(shape: Shape, pairs: int) -> int:
    """Scores and weighted values of one layer."""
    return 2 * 2 * pairs * shape.heads * shape.head_dim
