"""Stored generations: what a model answered and how it was scored then, as one Parquet file.

Whoever doubts a score can score the answers again without the model (`harness rescore`). The file
is whole or not there; equal generations give equal bytes with one version of pyarrow.

Imports pyarrow; a cell imports this module when it has something to store.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.cell.evaluate.sample import Answers
    from harness.data.rows import Row

FORMAT: Final = 1  # never change what a number means: add one
FILE: Final = "generations.parquet"  # its name in a cell's folder
_FORMAT_KEY: Final = b"rl-scaling-harness.generations"
_COMPAT_KEY: Final = b"rl-scaling-harness.compat"
_AGAIN: Final = "run the cell again; only a file that `write_generations` wrote can be read"


def _schema() -> pa.Schema:
    text, whole = pa.string(), pa.int64()
    columns = [
        ("question", whole),
        ("data_source", text),
        ("ability", text),
        ("split", text),
        ("index", text),
        ("difficulty", whole),
        ("prompt", text),
        ("ground_truth", text),
        ("extra_info", text),
        ("sample", whole),
        ("response", text),
        ("tokens", whole),
        ("finished", pa.bool_()),
        ("score", pa.float64()),
        ("acc", pa.bool_()),
        ("pred", text),
        ("reason", text),
        ("scorer", text),
        ("step", whole),
    ]
    return pa.schema(
        [pa.field(name, kind, nullable=name == "difficulty") for name, kind in columns]
    )


_SCHEMA: Final = _schema()


@dataclass(frozen=True, slots=True)
class Generation:
    """One response to one question.

    Attributes:
        question: its number in the file, from 0; responses to one question stand together.
        data_source, ability, split, index: of the question; `index` is the data set's own, as text.
        difficulty: as the data set grades it; None where it does not.
        prompt: messages, {"role", "content"} each. ground_truth, extra_info: as in the data set.
        sample: the response's number among those to its question, from 0.
        tokens: of the response, its end token included. finished: whether it ended by itself.
        score, acc, pred, reason: the scorer's outcome then. scorer: its name/version.
        step: of the checkpoint that answered, in steps of reinforcement learning.
    """

    question: int
    data_source: str
    ability: str
    split: str
    index: str
    difficulty: int | None
    prompt: Sequence[dict[str, str]]
    ground_truth: Any
    extra_info: dict[str, Any]
    sample: int
    response: str
    tokens: int
    finished: bool
    score: float
    acc: bool
    pred: str
    reason: str
    scorer: str
    step: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many of the n responses to a question are right: from c of n follows pass@k."""

    question: int
    data_source: str
    ability: str
    split: str
    index: str
    difficulty: int | None
    n: int
    c: int


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes:
        compat: the policy under which the responses were scored.
        generations: in the file's order.
    """

    path: Path
    compat: str
    generations: Sequence[Generation]


def write_generations(
    path: Path, parts: Iterable[tuple[str, Answers]], step: int, *, compat: str = "strict"
) -> None:
    """Write the answers of all parts to one file, whole or not at all.

    Args:
        parts: (split, answers) pairs.
        step: of the checkpoint that answered.
        compat: the policy under which they were scored.

    Raises:
        OSError: the disk refuses; what stood at `path` is still there.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
    question = 0
    for split, answers in parts:
        for place, row in enumerate(answers.rows):
            asked = {"question": question, **_of_question(row, split, place)}
            for sample in range(answers.n):
                spot = place * answers.n + sample
                said = _of_response(answers, spot)
                for name, value in {**asked, **said, "sample": sample, "step": step}.items():
                    columns[name].append(value)
            question += 1
    told = {_FORMAT_KEY: str(FORMAT).encode(), _COMPAT_KEY: compat.encode()}
    table = pa.Table.from_pydict(columns, schema=_SCHEMA.with_metadata(told))
    _replace(path, table)


def _of_question(row: Row, split: str, place: int) -> dict[str, Any]:
    return {
        "data_source": _text(row.data_source),
        "ability": _text(row.ability),
        "split": _text(split),
        "index": _text(row.extra_info.get("index", place)),
        "difficulty": row.difficulty,
        "prompt": json.dumps([dict(message) for message in row.messages]),
        "ground_truth": json.dumps(row.ground_truth),
        "extra_info": json.dumps(dict(row.extra_info)),
    }


def _of_response(answers: Answers, spot: int) -> dict[str, Any]:
    scored = answers.scored[spot]
    return {
        "response": _text(answers.texts[spot]),
        "tokens": answers.tokens[spot],
        "finished": answers.finished[spot],
        **{name: scored[name] for name in ("score", "acc")},
        **{name: _text(scored[name]) for name in ("pred", "reason", "scorer")},
    }


def _text(value: object) -> str:
    """Parquet's text is UTF-8, which has no lone surrogates."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _replace(path: Path, table: pa.Table) -> None:
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
            # The checksums of pages tell a flipped bit from an answer.
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if os.name == "posix":
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_generations(path: Path) -> Stored:
    """Read a file that `write_generations` wrote.

    Raises:
        DataError: missing, truncated, damaged, or something else than stored generations.
    """
    table = _read(path)
    told = table.schema.metadata or {}
    columns = table.to_pydict()
    documents = {
        name: _parsed(path, name, columns.pop(name))
        for name in ("prompt", "ground_truth", "extra_info")
    }
    columns |= documents
    names = _SCHEMA.names
    rows = zip(*(columns[name] for name in names), strict=True)
    generations = [Generation(*row) for row in rows]
    if not generations:
        raise DataError("the file holds no generations", where=str(path), hint=_AGAIN)
    return Stored(path, told.get(_COMPAT_KEY, b"strict").decode(), generations)


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise DataError("no generations stand there", where=str(path), hint=_AGAIN)
    try:
        schema = pq.read_schema(path)
        _check(path, schema)
        table = pq.read_table(path, page_checksum_verification=True)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            "the file cannot be read: it is truncated, damaged or no Parquet",
            where=str(path),
            found=f"{type(error).__name__}: {str(error).splitlines()[0]:.160}",
            hint=_AGAIN,
        ) from None
    return table


def _check(path: Path, schema: pa.Schema) -> None:
    stored = (schema.metadata or {}).get(_FORMAT_KEY)
    if stored != str(FORMAT).encode():
        raise DataError(
            "a Parquet file, but not of stored generations in this format",
            where=str(path),
            expected=f"format {FORMAT}",
            found=f"format {stored.decode(errors='replace')}" if stored else "no format",
            hint=_AGAIN,
        )
    if not schema.equals(_SCHEMA):
        differs = [field for field in _SCHEMA if field not in list(schema)]
        raise DataError(
            "other columns than stored generations have",
            where=str(path),
            expected=", ".join(f"{field.name}: {field.type}" for field in differs)
            or ", ".join(_SCHEMA.names),
            found=", ".join(schema.names),
            hint=_AGAIN,
        )


def _parsed(path: Path, name: str, texts: Sequence[str]) -> list[Any]:
    """Each text as JSON; the same text, as all responses to a question have, only once."""
    known: dict[str, Any] = {}
    for number, text in enumerate(texts):
        if text not in known:
            try:
                known[text] = json.loads(text)
            except ValueError as error:
                raise DataError(
                    f"column {name} is not JSON: {error}",
                    where=f"{path}, row {number}",
                    found=f"{text!r:.80}",
                    hint=_AGAIN,
                ) from None
    return [known[text] for text in texts]


def count_right(generations: Iterable[Generation]) -> list[Count]:
    """Responses and right ones question by question, in the order of the questions."""
    first: dict[int, Generation] = {}
    n: dict[int, int] = {}
    c: dict[int, int] = {}
    for one in generations:
        first.setdefault(one.question, one)
        n[one.question] = n.get(one.question, 0) + 1
        c[one.question] = c.get(one.question, 0) + one.acc
    return [
        Count(
            number,
            asked.data_source,
            asked.ability,
            asked.split,
            asked.index,
            asked.difficulty,
            n[number],
            c[number],
        )
        for number, asked in sorted(first.items())
    ]
