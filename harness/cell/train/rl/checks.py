"""What is checked of a model before it is trained, and while it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.cell.contract import DivergedError
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.cell.train.rl.policy import Policy
    from harness.data.rows import Row


class Prompts:
    """Prompts as token ids, each encoded once."""

    def __init__(self, policy: Policy, room: int) -> None:
        """Read prompts by the policy's tokenizer.

        Args:
            room: tokens that a response may take.
        """
        self._policy, self._room = policy, room
        self._longest = context_length(policy)
        self._known: dict[int, tuple[Row, list[int]]] = {}

    def check(self, rows: Iterable[Row]) -> None:
        """Refuse what would fail in the middle of a run; raises as a call does."""
        for row in rows:
            self(row)

    def __call__(self, row: Row) -> list[int]:
        """The prompt of a row.

        Raises:
            DataError: no tokens at all, or too many for the model to hold with a response.
        """
        known = self._known.get(id(row))
        if known is None:
            ids = self._policy.encode(row.messages)
            check_length(ids, self._room, self._longest, row)
            known = self._known[id(row)] = row, ids  # with the row, whose id then stays its own
        return known[1]


def context_length(policy: Policy) -> int | None:
    """Tokens of the longest sequence that the model was made for; None where it does not tell."""
    longest = getattr(policy.causal_lm.config, "max_position_embeddings", None)
    return longest if isinstance(longest, int) else None


def check_length(prompt: Sequence[int], room: int, longest: int | None, row: Row) -> None:
    """Refuse a prompt that is empty, or that with `room` tokens more is too long.

    Raises:
        DataError: at the row.
    """
    if not prompt:
        raise DataError(
            "a prompt without a token",
            where=row.where,
            hint="correct the row, or the chat template of the tokenizer",
        )
    if longest is not None and len(prompt) + room > longest:
        raise DataError(
            "the model cannot hold a prompt with its response",
            where=row.where,
            expected=f"at most {longest} tokens",
            found=f"{len(prompt)} of the prompt and {room} of the response",
            hint="take the row out, lower `train.max_new_tokens`, or raise `model.positions`",
        )


@torch.no_grad()
def check_finite(policy: Policy, prompt: Sequence[int], step: int, where: str) -> None:
    """Refuse to measure a model that an update has spoilt: its answers would be counted as wrong.

    A loss tells of an update only when the next one comes, and after the last one none does. The
    squares of weights count, not they: states are normalised by their squares, and those of large
    weights would be divided by infinity to 0, which looks like a number.

    Raises:
        DivergedError: a weight's square, or what is said to `prompt`, is not finite.
    """
    squares = torch.stack([one.float().square().sum() for one in policy.trainable()])
    found = "weights that are not finite, or too large to be squared"
    if bool(torch.isfinite(squares).all()):
        ids = torch.tensor([list(prompt)], device=policy.device)
        if bool(torch.isfinite(policy.causal_lm(input_ids=ids, use_cache=False).logits).all()):
            return
        found = "logits that are not finite"
    raise DivergedError(
        f"training diverged at step {step}: {found}",
        where=where,
        found=found,
        hint="lower `lr`, raise `kl.coef`, or train in float32",
    )
