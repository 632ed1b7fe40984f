"""What the micro tasks of lm-eval ask: rows of a cell's data set as documents, and their scoring.

The YAML files in `tasks/micro` name these functions. A document carries its row as JSON text, since
a column of a Hugging Face data set has one type, and the ground truths of rows need not.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.data.rows import Row, load_rows
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A letter that stands for an option: before a colon, a dot or a bracket, and after nothing else.
_OPTION: Final = re.compile(r"(?<![^\s(])([A-Z])(?=[:.)])")


def questions(*, data: str, ability: str, split: str, **_: object) -> dict[str, Any]:
    """Documents of one ability and split, in the file's order, to be answered in words.

    Args:
        data: path of the JSON lines; `evaluate` hands it through the task manager's metadata.

    Returns:
        split -> data set with `question`, `target` and `row`.

    Raises:
        DataError: the file cannot be read, has no such rows, or a prompt has several messages.
    """
    rows = _rows(Path(data), ability, split)
    return _data_set(split, [_document(row) for row in rows])


def choices(*, data: str, ability: str, split: str, **_: object) -> dict[str, Any]:
    r"""Documents to be answered by the likeliest of `choices`, `\boxed{A}` and so on.

    The letters are those that the prompt offers, and `gold` is the place of the right one.

    Raises:
        DataError: as `questions`; also where the reference answer is no letter that is offered.
    """
    documents = []
    for row in _rows(Path(data), ability, split):
        letters = sorted(set(_OPTION.findall(row.messages[0]["content"])))
        if row.ground_truth not in letters:
            raise DataError(
                "the reference answer is not among the options",
                where=row.where,
                expected=f"one of {', '.join(letters)}" if letters else "options like `A:` or `A.`",
                found=f"{row.ground_truth!r:.40}",
            )
        offered = [rf"\boxed{{{letter}}}" for letter in letters]
        gold = letters.index(row.ground_truth)
        documents.append({**_document(row), "choices": offered, "gold": gold})
    return _data_set(split, documents)


def process_results(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, float]:
    """`acc` and `score` of what was generated, by the scorer of the row's data source."""
    from reward_scorers.lm_eval import process_results as scored

    return scored(json.loads(doc["row"]), results)


def _document(row: Row) -> dict[str, Any]:
    kept = {
        "data_source": row.data_source,
        "ground_truth": row.ground_truth,
        "extra_info": dict(row.extra_info),
    }
    return {
        "question": row.messages[0]["content"],
        "target": row.solution or json.dumps(row.ground_truth),
        "row": json.dumps(kept),
    }


def _rows(path: Path, ability: str, split: str) -> list[Row]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError("the rows cannot be read", where=str(path), found=str(error)) from None
    chosen = [
        row
        for row in load_rows(content, str(path))
        if row.ability == ability and row.split == split
    ]
    if not chosen:
        raise DataError(
            f"no rows of ability {ability!r} in split {split!r}",
            where=str(path),
            hint="leave the task out of `evaluation.lm_eval`, or generate such rows",
        )
    for row in chosen:
        if [message["role"] for message in row.messages] != ["user"]:
            raise DataError(
                "lm-eval's micro tasks ask questions of one message",
                where=row.where,
                expected="one message of the user",
                found=", ".join(message["role"] for message in row.messages),
            )
    return chosen


def _data_set(split: str, documents: list[dict[str, Any]]) -> dict[str, Any]:
    from datasets import Dataset

    return {split: Dataset.from_list(documents)}
