"""Rewards, by reward_scorers and nothing else; an answer that was scored before is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import reward_scorers
from harness.errors import DataError, InfrastructureError
from reward_scorers.scoring import find_scorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.data.rows import Row
    from reward_scorers import Scored

_KEPT = 200_000


class Rewards:
    """Scores answers to rows under one policy.

    Scorers are functions of the row and the text, so that equal answers of a group, of which small
    models give many, are scored once. What runs programs goes to the sandbox, `workers` at a time.
    """

    def __init__(
        self, compat: str = "strict", *, pinned: Mapping[str, object], workers: int = 1
    ) -> None:
        """Check that the installed scorers are those of the lock.

        Args:
            pinned: scorer name -> version, as the cell's document pins them.

        Raises:
            DataError: a scorer is not installed, or in another version.
        """
        self._compat, self._workers, self._pinned = compat, workers, pinned
        self._known: dict[tuple[int, str], Scored] = {}
        installed = reward_scorers.versions()
        for name, version in pinned.items():
            if installed.get(name) != version:
                raise DataError(
                    f"scorer {name!r} is not the one that the lock pins",
                    where="spec.json",
                    expected=f"version {version}",
                    found=f"version {installed.get(name)}" if name in installed else "none",
                    hint="install the version of the lock, or `harness lock` the suite again",
                )

    def check(self, rows: Sequence[Row]) -> None:
        """Refuse rows whose scorer the tier does not pin: a change of it could move their scores.

        Raises:
            DataError: no scorer for a data source, or one that is not pinned.
        """
        for source in sorted({row.data_source for row in rows}):
            try:
                name = find_scorer(source, self._compat).name
            except reward_scorers.ScorerError as error:
                raise DataError(str(error), where=f"data source {source}") from None
            if name not in self._pinned:
                raise DataError(
                    f"data source {source!r} is scored by {name!r}, which is not pinned",
                    where="spec.json",
                    expected=f"scorers: [{name}, ...] in the tier",
                    hint="name it under `scorers` of the tier, then `harness lock`",
                )

    def check_truths(self, rows: Sequence[Row]) -> None:
        """Refuse broken reference answers now: scorers look at them before an empty answer.

        Raises:
            DataError: at the row.
        """
        self(rows, [""] * len(rows))

    def __call__(self, rows: Sequence[Row], texts: Sequence[str]) -> list[Scored]:
        """One score for each row and text.

        Raises:
            DataError: a row's reference answer is broken.
            InfrastructureError: the sandbox or a worker of the scorers failed, which says nothing
                of an answer.
        """
        keys = [(id(row), text) for row, text in zip(rows, texts, strict=True)]
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._known}
        if len(self._known) + len(new) > _KEPT:
            self._known.clear()
            new = dict(zip(keys, rows, strict=True))
        asked = [
            {
                "data_source": row.data_source,
                "solution_str": text,
                "ground_truth": row.ground_truth,
                "extra_info": row.extra_info,
            }
            for (_, text), row in new.items()
        ]
        try:
            found = reward_scorers.score_batch(
                asked, workers=self._workers, compat=self._compat, errors="return"
            )
        except reward_scorers.WorkerError as error:
            raise _lost(error) from error
        for (key, row), one in zip(new.items(), found, strict=True):
            if isinstance(one, reward_scorers.WorkerError):
                raise _lost(one)
            if isinstance(one, reward_scorers.ScorerError):
                raise DataError(
                    f"an answer cannot be scored: {one}",
                    where=row.where,
                    hint="correct the row, or take it out of the data set",
                )
            self._known[key] = one
        return [self._known[key] for key in keys]


def _lost(error: reward_scorers.WorkerError) -> InfrastructureError:
    return InfrastructureError(
        f"answers could not be scored: {error}",
        where="reward_scorers",
        hint="run the cell again; docs/sandbox.md tells what a sandbox needs",
    )
