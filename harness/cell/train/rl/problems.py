"""Which problems a run trains on, in which order.

A run of S steps with B problems each draws D = S * B problems. With data reuse tau it has D / tau
different ones and goes through them tau times (Tan et al. 2025: the total is fixed, the number of
different problems is not). A batch is shared out between domains by their weights.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from harness.cell.train.rl.seeds import derived_seed
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.data.rows import Row


class Schedule:
    """The problems of every step, known from the start."""

    def __init__(
        self,
        rows: Sequence[Row],
        weights: Mapping[str, float],
        *,
        steps: int,
        batch: int,
        order: str,
        tau: int,
        seed: int,
    ) -> None:
        """Choose the problems.

        Args:
            rows: the training split.
            weights: ability -> share of every batch, in any unit.
            steps, batch: of the whole run; order, tau: see `settings.Problems`.

        Raises:
            DataError: too few problems of a domain for `tau`.
        """
        shares = _shares(weights, steps, batch)
        self._batches: list[list[Row]] = [[] for _ in range(steps)]
        for domain in sorted(weights):
            mine = [row for row in rows if row.ability == domain]
            total = sum(share[domain] for share in shares)
            chosen = _queue(mine, total, order, tau, derived_seed(seed, f"problems/{domain}"))
            if len(chosen) < total:
                raise DataError(
                    f"too few training problems of domain {domain!r}",
                    where="settings.problems",
                    expected=f"{-(-total // tau)} different ones for {total} draws at tau = {tau}",
                    found=str(len(mine)),
                    hint="raise `tau`, lower `steps` or `prompts`, or generate more",
                )
            start = 0
            for batch_rows, share in zip(self._batches, shares, strict=True):
                batch_rows.extend(chosen[start : start + share[domain]])
                start += share[domain]
        self._different = _count_different(self._batches)

    @property
    def rows(self) -> list[Row]:
        """All rows that are ever trained on, each once."""
        return list({id(row): row for batch in self._batches for row in batch}.values())

    def different(self, steps: int) -> int:
        """How many different problems the first `steps` steps train on: at the end D / tau."""
        return self._different[steps]

    def __getitem__(self, step: int) -> Sequence[Row]:
        """The problems of a step, counted from 0."""
        return self._batches[step]

    def __len__(self) -> int:
        return len(self._batches)


def _shares(weights: Mapping[str, float], steps: int, batch: int) -> list[dict[str, int]]:
    """How many problems of each domain every batch has: over all steps as near as can be.

    Places are given one by one. A domain may have the place t if it has less than its exact due of
    the first t; of those the one whose next problem falls due first has it (the quota method of
    Balinski and Young 1975). No domain is ever a whole problem ahead or behind, and none is taken
    back.
    """
    total = sum(weights.values())
    given = dict.fromkeys(weights, 0)
    shares = []
    for step in range(steps):
        before = dict(given)
        for place in range(step * batch + 1, (step + 1) * batch + 1):
            may = [name for name in weights if given[name] * total < weights[name] * place]
            given[min(may, key=lambda name: ((given[name] + 1) / weights[name], name))] += 1
        shares.append({name: given[name] - before[name] for name in weights})
    return shares


def _count_different(batches: Sequence[Sequence[Row]]) -> list[int]:
    """How many rows were drawn once or more before each step, and after the last."""
    seen: set[int] = set()
    counts = [0]
    for batch in batches:
        seen.update(map(id, batch))
        counts.append(len(seen))
    return counts


def _queue(rows: Sequence[Row], total: int, order: str, tau: int, seed: int) -> list[Row]:
    """`total` draws: the first `total / tau` rows of a shuffle, gone through `tau` times."""
    source = random.Random(seed)  # noqa: S311 - no secret
    shuffled = list(rows)
    source.shuffle(shuffled)
    unique = shuffled[: -(-total // tau)]
    if len(unique) * tau < total:
        return []
    queue: list[Row] = []
    for _ in range(tau):
        source.shuffle(unique)
        if order == "curriculum":
            unique.sort(key=lambda row: row.difficulty or 0)
        queue.extend(unique)
    return queue[:total]
