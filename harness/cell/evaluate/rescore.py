"""Engine `rescore`: stored responses of a model are scored again (level R1).

settings.responses says which columns of a pinned CSV file hold the responses, and settings.scorer
which registered scorer reads them. Either a column holds the right answers, or they follow from
what was stored beside the responses: the answer that was read then is right where it scored 1, and
wrong where it scored 0. In the second case a response of which the scorer now reads another answer
than the one that was wrong is undecided; it does not count as right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.cell.contract import CellContext, mapping_at
from harness.cell.engines import engine
from harness.data.table import Row, read_rows
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reward_scorers import Outcome, Score

_COLUMNS: Final = frozenset({"question", "response"})
_RIGHT: Final = frozenset({"gold"})  # the right answers
_THEN: Final = frozenset({"answer", "score"})  # what was read, and how it was scored


@dataclass(frozen=True, slots=True)
class _Scored:
    """One response: its question's number, its score now and then, what is read now and then."""

    question: int
    score: float
    then: float | None
    read: str | None
    stored: str | None
    is_decided: bool


@engine("rescore", version=1)
def rescore(cell: CellContext) -> Mapping[str, object]:
    """Write one line of metrics per response, in the file's order; `step` counts from 0.

    Returns:
        `total`, `correct`, `accuracy`; `no_answer` (responses in which none is stated),
        `undecided`; `flips` and `n_flips`, the responses that are read or scored otherwise than
        they were stored; `evals`; and with settings.split, `split` (see `_split`).

    Raises:
        DataError: where the file or the settings are wrong, as `file:line`.
    """
    section = mapping_at(cell.settings, "responses")
    columns = _columns(section)
    score = _scorer(cell)
    metric = str(cell.settings.get("metric", "accuracy"))
    file = cell.read_data(str(section["data"]))
    scored = []
    with cell.metrics() as metrics:
        for number, row in enumerate(read_rows(file.content, file.path, sorted(columns.values()))):
            one = _score_row(row, columns, score)
            then = {} if one.then is None else {"stored_score": one.then}
            metrics.write(number, evals={metric: one.score}, question=one.question, **then)
            scored.append(one)
    if not scored:
        raise DataError("no responses", where=f"{file.path}:1")
    result = _counts(scored, metric)
    if "split" in cell.settings:
        result["split"] = _split(cell, [one.question for one in scored])
    return result


def _columns(section: Mapping[str, object]) -> dict[str, str]:
    names = {key: str(value) for key, value in section.items() if key != "data"}
    if "data" not in section or names.keys() not in (_COLUMNS | _RIGHT, _COLUMNS | _THEN):
        raise DataError(
            "settings.responses names other columns than are needed",
            where="spec.json",
            expected="data, question, response, and either gold, or answer and score",
            found=", ".join(sorted(section)) or "nothing",
        )
    return names


def _scorer(cell: CellContext) -> Score:
    from reward_scorers import scorer, versions

    name = str(cell.settings.get("scorer"))
    pinned = mapping_at(mapping_at(cell.document, "pins"), "scorers").get(name)
    found = versions().get(name)
    if found is None or found != pinned:
        raise DataError(
            f"scorer {name!r} is not the one that the lock pins",
            where="spec.json",
            expected=f"version {pinned}"
            if pinned is not None
            else f"scorers: [{name}] in the tier",
            found=f"version {found}" if found is not None else "no such scorer",
            hint="name it under `scorers` of the tier, then `harness lock`",
        )
    return scorer(name).score


def _score_row(row: Row, columns: Mapping[str, str], score: Score) -> _Scored:
    question = row.number(columns["question"])
    if question != int(question):
        raise DataError("a question's number is not whole", where=row.where, found=str(question))
    text = row.fields[columns["response"]]
    if "gold" in columns:
        now = _outcome(row, score, text, row.fields[columns["gold"]])
        return _Scored(int(question), now["score"], None, now["pred"], None, is_decided=True)
    stored = row.fields[columns["answer"]] or None
    then = row.number(columns["score"])
    if then not in (0, 1) or (then == 1 and stored is None):
        raise DataError(
            "a stored score that says nothing of the right answer",
            where=row.where,
            expected="1 beside an answer that was right, or 0",
            found=f"{then} beside {stored or 'no answer'}",
        )
    if then == 1:
        now = _outcome(row, score, text, str(stored))
        return _Scored(int(question), now["score"], 1.0, now["pred"], stored, is_decided=True)
    read = _read(row, score, text, stored)
    decided = read is None or read == stored
    return _Scored(int(question), 0.0, 0.0, read, stored, is_decided=decided)


def _read(row: Row, score: Score, text: str, stored: str | None) -> str | None:
    """What the scorer reads; against which right answer it is scored does not matter."""
    return _outcome(row, score, text, stored or "A")["pred"]


def _outcome(row: Row, score: Score, text: str, gold: str) -> Outcome:
    try:
        return score(text, gold)
    except ValueError as error:
        raise DataError(f"the scorer cannot use this row: {error}", where=row.where) from None


def _counts(scored: Sequence[_Scored], metric: str) -> dict[str, object]:
    correct = sum(one.score == 1.0 for one in scored)
    accuracy = correct / len(scored)
    flips = list(_flips(scored))
    return {
        "steps": len(scored),
        "evals": {metric: accuracy},
        "total": len(scored),
        "correct": correct,
        "accuracy": accuracy,
        "no_answer": sum(one.read is None for one in scored),
        "undecided": sum(not one.is_decided for one in scored),
        "n_flips": len(flips),
        "flips": flips,
    }


def _flips(scored: Sequence[_Scored]) -> Iterator[dict[str, object]]:
    for one in scored:
        if one.then is not None and (one.read != one.stored or one.score != one.then):
            yield {
                "question": one.question,
                "read": one.read,
                "stored": one.stored,
                "score": one.score if one.is_decided else None,
                "stored_score": one.then,
            }


def _split(cell: CellContext, asked: Sequence[int]) -> dict[str, int]:
    """Sizes of the parts into which the questions were split.

    settings.split holds `rows`, `seed`, `held_out`, `test` (see harness.data.split) and `part`.
    `asked` counts the responses that answer, one after the other, the first questions of that part.
    """
    from harness.data.split import three_parts

    section = mapping_at(cell.settings, "split")
    parts = three_parts(
        int(_number(section, "rows")),
        seed=int(_number(section, "seed")),
        held_out=_number(section, "held_out"),
        test=_number(section, "test"),
    )
    part = section.get("part")
    if part not in parts:
        raise _bad_split("part", part, f"one of {', '.join(parts)}")
    first = parts[str(part)].tolist()[: len(asked)]
    differs = (place for place, row in enumerate(first) if row != asked[place])
    return {
        **{name: len(rows) for name, rows in parts.items()},
        "asked": next(differs, len(first)),
    }


def _number(section: Mapping[str, object], key: str) -> float:
    value = section.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _bad_split(key, value, "a number")
    return value


def _bad_split(key: str, value: object, expected: str) -> DataError:
    return DataError(
        f"settings.split.{key} is wrong", where="spec.json", expected=expected, found=repr(value)
    )
