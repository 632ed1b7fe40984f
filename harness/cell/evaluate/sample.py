"""Our own sampler: responses to problems, scored, and counted question by question.

Imports torch through the policy; a cell imports it when it evaluates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.pass_at_k import pass_at_k
from harness.cell.train.rl.decode import Sampling, generate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.cell.train.rl.policy import Policy
    from harness.cell.train.rl.rewards import Rewards
    from harness.data.rows import Row
    from reward_scorers import Scored


@dataclass(frozen=True)
class Answers:
    """n responses to each of Q questions, those of one question together (Q * n of each list).

    Attributes:
        rows: the questions (Q).
        n: responses to each.
        texts, tokens, finished, scored: of each response; `tokens` with its end token, `finished`
            whether it ended before it was cut off.
    """

    rows: Sequence[Row]
    n: int
    texts: Sequence[str]
    tokens: Sequence[int]
    finished: Sequence[bool]
    scored: Sequence[Scored]

    def counts(self) -> list[int]:
        """How many responses to each question are right (Q)."""
        return [
            sum(one["acc"] for one in self.scored[start : start + self.n])
            for start in range(0, len(self.scored), self.n)
        ]

    def of(self, domain: str) -> Answers:
        """The part that answers questions of one ability."""
        asked = [place for place, row in enumerate(self.rows) if row.ability == domain]
        spots = [place * self.n + i for place in asked for i in range(self.n)]
        return Answers(
            rows=[self.rows[place] for place in asked],
            n=self.n,
            texts=[self.texts[spot] for spot in spots],
            tokens=[self.tokens[spot] for spot in spots],
            finished=[self.finished[spot] for spot in spots],
            scored=[self.scored[spot] for spot in spots],
        )

    def summary(self) -> dict[str, float]:
        """pass@1, pass@k for powers of two up to n, and the error rate 1 - pass@1."""
        right = self.counts()
        told = {"pass_at_1": math.fsum(right) / (self.n * len(right))}
        k = 2
        while k <= self.n:
            values = pass_at_k([self.n] * len(right), right, k)
            told[f"pass_at_{k}"] = math.fsum(map(float, values)) / len(right)  # type: ignore[arg-type]
            k *= 2
        told["ErrRate"] = 1.0 - told["pass_at_1"]
        return told


def answer(
    policy: Policy,
    rows: Sequence[Row],
    n: int,
    sampling: Sampling,
    rewards: Rewards,
    *,
    batch: int = 1024,
    encode: Callable[[Row], Sequence[int]] | None = None,
) -> Answers:
    """Ask the policy every question n times and score what it says.

    Args:
        encode: token ids of a question; the policy's own way, unless given.
        batch: responses drawn at the same time, at most (but never less than one question's).
    """
    texts: list[str] = []
    tokens: list[int] = []
    finished: list[bool] = []
    at_once = max(1, batch // n)
    read = encode or (lambda row: policy.encode(row.messages))
    for start in range(0, len(rows), at_once):
        prompts = [read(row) for row in rows[start : start + at_once]]
        part = Sampling(sampling.temperature, sampling.max_new_tokens, sampling.seed + start)
        for response in generate(policy, prompts, n, part):
            texts.append(policy.decode(response))
            tokens.append(len(response))
            finished.append(response[-1] == policy.eos)
    scored = rewards([row for row in rows for _ in range(n)], texts)
    return Answers(rows, n, texts, tokens, finished, scored)
