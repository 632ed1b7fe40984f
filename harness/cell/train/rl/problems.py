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

    def __getitem__(self, step: int) -> Sequence[Row]:
        """The problems of a step, counted from 0."""
        return self._batches[step]

    def __len__(self) -> int:
        return len(self._batches)


def _shares(weights: Mapping[str, float], steps: int, batch: int) -> list[dict[str, int]]:
    """How many problems of each domain every batch has: over all steps as near as can be."""
    total = sum(weights.values())
    given = dict.fromkeys(weights, 0)
    shares = []
    for step in range(1, steps + 1):
        due = {name: weight / total * batch * step for name, weight in weights.items()}
        share = {name: int(due[name]) - given[name] for name in weights}
        behind = sorted(weights, key=lambda name: (int(due[name]) - due[name], name))
        for name in behind[: batch - sum(share.values())]:
            share[name] += 1
        given = {name: given[name] + share[name] for name in weights}
        shares.append(share)
    return shares


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
