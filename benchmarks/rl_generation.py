"""Tokens per CPU second of this project's sampler and of transformers' generate()."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.rl_models import load_checkpoint, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.cell.train.rl.policy import Policy

BATCH = 64
FIXED_TOKENS = 64  # of responses that do not end
ROLLOUT_TOKENS = 16  # at most, as the training compares them
SHAPES = {"fixed": (BATCH, 1, FIXED_TOKENS), "rollouts": (BATCH // 8, 8, ROLLOUT_TOKENS)}
ROUNDS = 5


@dataclass(frozen=True)
class Speed:
    """Useful tokens, those up to the end token with it, per CPU second: best of the rounds.

    Attributes:
        length: mean number of useful tokens of a response.
    """

    ours: float
    theirs: float
    length: float


def compare(folder: Path, name: str, kind: str) -> Speed:
    """Both draw the same number of responses to the same prompts, by turns.

    Args:
        kind: `fixed`, where no response can end, or `rollouts`, where they end as they like.
    """
    import torch

    torch.set_num_threads(1)
    count, repeats, length = SHAPES[kind]
    policy = load_checkpoint(folder, name)
    if kind == "fixed":
        policy = endless(policy)
    prompts = [policy.encode(row.messages) for row in read_rows(folder)[:count]]
    theirs = _transformers(policy, prompts, repeats, length)
    ours = _ours(policy, prompts, repeats, length)
    speeds: dict[str, list[float]] = {"ours": [], "theirs": []}
    lengths = []
    for seed in range(ROUNDS + 1):
        for who, draw in (("ours", ours), ("theirs", theirs)):
            start = time.process_time()
            tokens = draw(seed)
            seconds = time.process_time() - start
            if seed:  # memory is first taken in round 0
                speeds[who].append(tokens / seconds)
                lengths.append(tokens / count / repeats)
    mean = sum(lengths) / len(lengths)
    return Speed(max(speeds["ours"]), max(speeds["theirs"]), mean)


def endless(policy: Policy) -> Policy:
    """The same model with an end token that is never drawn."""
    from harness.cell.train.rl.policy import Policy

    class Endless(Policy):
        eos = -1

    policy.causal_lm.generation_config.eos_token_id = None
    return Endless(policy.model, policy.tokenizer, policy.device)


def _ours(
    policy: Policy, prompts: Sequence[Sequence[int]], repeats: int, length: int
) -> Callable[[int], int]:
    import torch

    from harness.cell.train.rl.decode import Sampling, generate

    def draw(seed: int) -> int:
        # As in a cell, where it costs a little: fresh memory is filled.
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        responses = generate(policy, prompts, repeats, Sampling(1.0, length, seed))
        torch.use_deterministic_algorithms(mode=False)
        return sum(map(len, responses))

    return draw


def _transformers(
    policy: Policy, prompts: Sequence[Sequence[int]], repeats: int, length: int
) -> Callable[[int], int]:
    import torch

    width = max(map(len, prompts))
    ids = torch.tensor([[policy.pad] * (width - len(one)) + list(one) for one in prompts])
    attended = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
    model: Any = policy.causal_lm

    @torch.no_grad()
    def draw(seed: int) -> int:
        torch.manual_seed(seed)
        told = model.generate(
            input_ids=ids,
            attention_mask=attended,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            num_return_sequences=repeats,
            max_new_tokens=length,
            pad_token_id=policy.pad,
        )[:, width:]
        ended = told == policy.eos
        # What comes after the end token is padding.
        return int((ended.cumsum(dim=1) - ended.long() == 0).sum())

    return draw
