"""Rows of the Guru schema: problems with their reference answers, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Row:
    """One problem.

    Attributes:
        data_source: decides the scorer. ability: the domain.
        messages: the prompt, {"role", "content"} each.
        ground_truth, extra_info: what the scorer is given.
        split, difficulty, solution: of `extra_info`; None where the data set does not tell.
        where: `file:line`.
    """

    data_source: str
    ability: str
    messages: tuple[Mapping[str, str], ...]
    ground_truth: Any
    extra_info: Mapping[str, Any]
    split: str | None
    difficulty: int | None
    solution: str | None
    where: str


def load_rows(content: bytes, path: str) -> list[Row]:
    """Read JSON lines in the Guru row schema.

    Raises:
        DataError: a line that is not such a row, as `file:line`; no rows at all.
    """
    rows = []
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            rows.append(_row(line, f"{path}:{number}"))
    if not rows:
        raise DataError("no rows", where=path, expected="one JSON object a line")
    return rows


def _row(line: bytes, where: str) -> Row:
    try:
        raw = json.loads(line)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=where) from None
    if not isinstance(raw, dict):
        raise DataError("a row is not an object", where=where, found=f"{raw!r:.80}")
    extra = raw.get("extra_info") or {}
    try:
        messages = tuple(
            {"role": str(m["role"]), "content": str(m["content"])} for m in raw["prompt"]
        )
        row = Row(
            data_source=str(raw["data_source"]),
            ability=str(raw["ability"]),
            messages=messages,
            ground_truth=raw["reward_model"]["ground_truth"],
            extra_info=extra,
            split=extra.get("split"),
            difficulty=extra.get("difficulty"),
            solution=extra.get("solution"),
            where=where,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "not a row of the Guru schema",
            where=where,
            expected="data_source, prompt (messages), ability, reward_model.ground_truth",
            found=f"{type(error).__name__}: {error}",
        ) from None
    if not messages:
        raise DataError("a row without a prompt", where=where)
    return row
