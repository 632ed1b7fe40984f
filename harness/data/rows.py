"""Rows of the Guru schema: problems with their reference answers, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HARDEST = 2**63  # stored generations keep difficulties in 64 bits


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
        if b"\\u" in line or b"\xed" in line:  # else there can be none
            _check_text(raw, where)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}", where=where) from None
    if not isinstance(raw, dict):
        raise DataError("a row is not an object", where=where, found=f"{raw!r:.80}")
    extra = raw.get("extra_info") or {}
    try:
        messages = tuple({"role": m["role"], "content": m["content"]} for m in raw["prompt"])
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
    return _checked(row)


def _check_text(raw: object, where: str) -> None:
    """Refuse halves of characters: no tokenizer reads them, and no file in UTF-8 holds them."""
    try:
        json.dumps(raw, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            "text with half of a surrogate pair, which is no character",
            where=where,
            found=f"{error.object[error.start]!a}",
            hint="write the whole character, or take the row out of the data set",
        ) from None


def _checked(row: Row) -> Row:
    """The row, its difficulty a plain whole number; raises where a field is of another type."""
    for message in row.messages:
        for key, value in message.items():
            if not isinstance(value, str):
                raise _wrong_type(f"prompt: {key}", "text", value, row.where)
    for key, told in (("split", row.split), ("solution", row.solution)):
        if not isinstance(told, str | None):
            raise _wrong_type(f"extra_info.{key}", "text", told, row.where)
    if row.difficulty is None:
        return row
    grade: object = row.difficulty
    is_whole = isinstance(grade, int) or (isinstance(grade, float) and grade.is_integer())
    if isinstance(grade, bool) or not is_whole or not abs(row.difficulty) < _HARDEST:
        raise _wrong_type("extra_info.difficulty", "a whole number", grade, row.where)
    return replace(row, difficulty=int(row.difficulty))


def _wrong_type(key: str, expected: str, value: object, where: str) -> DataError:
    return DataError(
        f"{key} is wrong",
        where=where,
        expected=f"{expected}, or none" if "." in key else expected,
        found=f"{value!r:.80}",
        hint="correct the row, or take it out of the data set",
    )
