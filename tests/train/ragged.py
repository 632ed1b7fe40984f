"""Random batches of responses of unequal length, padded on their right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor


@dataclass(frozen=True)
class Ragged:
    """A mask (B, T), group numbers (B,) and a source of random tensors that fit."""

    mask: Tensor
    groups: Tensor
    source: torch.Generator

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, (B, T) if no shape is given."""
        return torch.randn(shape or tuple(self.mask.shape), generator=self.source)

    def scores(self) -> Tensor:
        """(B,) rewards as scorers give them: most 0 or 1, some between."""
        raw = torch.rand(len(self.mask), generator=self.source)
        return torch.where(raw < 0.7, raw.round(), raw)


@st.composite
def ragged(draw: st.DrawFn, *, min_tokens: int = 2, empty_rows: bool = True) -> Ragged:
    """Batches of 1 to 7 responses of 0 to 6 tokens, at least `min_tokens` in all."""
    rows, width = draw(st.integers(1, 7)), draw(st.integers(1, 6))
    if rows * width < min_tokens:
        rows, width = max(rows, min_tokens), max(width, 1)
    shortest = 0 if empty_rows else 1
    lengths = draw(st.lists(st.integers(shortest, width), min_size=rows, max_size=rows))
    if sum(lengths) < min_tokens:
        lengths = [width] * rows
    groups = draw(st.lists(st.integers(3, 5), min_size=rows, max_size=rows))
    source = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    mask = torch.arange(width) < torch.tensor(lengths).unsqueeze(1)
    return Ragged(mask, torch.tensor(groups), source)
