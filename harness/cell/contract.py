"""The cell contract, seen from inside the cell: what is read, what is written, in which order.

A cell reads `spec.json` and the data sets pinned in it, writes `metrics.jsonl` (one JSON object
per step) into its folder, and `result.json` last. Any image that does the same can serve. A cell
that fails leaves `error.json` instead, where it can.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TextIO

from harness.errors import DataError, HarnessError, InfrastructureError

if TYPE_CHECKING:
    from types import TracebackType

CONTRACT_SCHEMA = 1
METRICS_FILE = "metrics.jsonl"
RESULT_FILE = "result.json"
ERROR_FILE = "error.json"
DATA_VARIABLE = "HARNESS_DATA"

# Exit statuses of a cell. Any other means that the engine crashed; its log says how.
FINISHED = 0
FAILED = 1
USAGE = 2
HOST_FAILED = 5

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A data set whose bytes are those of the lock.

    Attributes:
        path: as the suite writes it, relative to the suite's folder; for messages.
        content: the bytes whose SHA-256 was checked.
    """

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class CellContext:
    """One cell as its engine sees it.

    Attributes:
        document: the whole spec.json.
        out: the folder of this cell's results, empty at the start.
        data_root: the folder that the paths of pinned data sets start from.
    """

    document: Mapping[str, object]
    out: Path
    data_root: Path

    @property
    def settings(self) -> Mapping[str, object]:
        """The tier's settings, resolved for this cell."""
        return mapping_at(self.document, "settings")

    def metrics(self) -> MetricsWriter:
        """A new writer of metrics.jsonl, to be used in a `with` block."""
        return MetricsWriter(self.out / METRICS_FILE)

    def read_data(self, name: str) -> PinnedFile:
        """Read the pinned data set `name` and check its SHA-256.

        Raises:
            DataError: not pinned, missing, outside the data folder, or with other bytes.
        """
        pins = mapping_at(mapping_at(self.document, "pins"), "data")
        if name not in pins:
            raise DataError(
                f"data set {name!r} is not pinned for this cell",
                where="spec.json",
                expected=f"one of {', '.join(sorted(pins)) or '(none)'}",
                hint="declare it under `data:` in suite.yaml, then `harness lock`",
            )
        pin = mapping_at(pins, name)
        path = str(pin["path"])
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise DataError("a pinned path leaves the suite's folder", where=path)
        file = self.data_root / path
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            from harness.data.stage import NOTE_SUFFIX

            note = file.with_name(file.name + NOTE_SUFFIX)
            why = f": {note.read_text(encoding='utf-8')}" if note.is_file() else ""
            raise DataError(
                f"data set {name!r} is missing{why}",
                where=path,
                expected=f"a file in {self.data_root}",
            ) from None
        found = hashlib.sha256(content).hexdigest()
        if found != pin["sha256"]:
            raise DataError(
                f"data set {name!r} is not the one that the lock pins",
                where=path,
                expected=f"sha256 {pin['sha256']}",
                found=f"sha256 {found}",
                hint="restore the file, or accept it: `harness lock --accept-drift --reason ...`",
            )
        return PinnedFile(path, content)


class MetricsWriter:
    """Writes metrics.jsonl line by line, so that a long cell can be watched."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO
        self._last_step = -1
        self.steps = 0
        self.evals: dict[str, object] = {}

    def __enter__(self) -> MetricsWriter:
        self._file = self._path.open("x", encoding="utf-8", buffering=1)
        return self

    def write(self, step: int, *, evals: Mapping[str, float], **columns: float) -> None:
        """Append the line of one step.

        Args:
            step: optimiser steps done so far; larger than in the line before.
            evals: metric name (`<eval>.<metric>`) -> value at this step.
            columns: further numbers, such as samples, tokens, flops (cumulative), reward, loss.

        Raises:
            DataError: the steps do not increase, or a number is not finite.
        """
        if step <= self._last_step:
            raise DataError(f"step {step} follows step {self._last_step}", where=METRICS_FILE)
        try:
            line = json.dumps({"step": step, **columns, "evals": evals}, allow_nan=False)
        except ValueError:
            raise DataError(
                f"a number of step {step} is not finite",
                where=METRICS_FILE,
                found=repr({**columns, **evals}),
            ) from None
        self._file.write(line + "\n")
        self._last_step = step
        self.steps += 1
        self.evals.update(evals)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def mapping_at(parent: Mapping[str, object], key: str) -> Mapping[str, object]:
    """The mapping under `key` of a spec; absent is empty.

    Raises:
        DataError: something else stands there.
    """
    value = parent.get(key, {})
    if not isinstance(value, Mapping):
        raise DataError(f"`{key}` is not a mapping", where="spec.json", found=f"{value!r:.80}")
    return value


def read_spec(path: Path) -> Mapping[str, object]:
    """The document of a cell.

    Raises:
        DataError: unreadable, not JSON, not an object, or of a schema that this version lacks.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"the spec cannot be read: {error}", where=str(path)) from None
    if not isinstance(document, dict) or document.get("schema") != CONTRACT_SCHEMA:
        raise DataError(
            "not a cell's spec",
            where=str(path),
            expected=f'an object with "schema": {CONTRACT_SCHEMA}',
        )
    return document


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write a JSON file that is either absent or whole, also after a crash."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def error_report(error: HarnessError) -> dict[str, object]:
    """What error.json says of a failure."""
    return {
        "schema": CONTRACT_SCHEMA,
        "kind": type(error).__name__,
        "message": error.message,
        "where": error.where,
        "expected": error.expected,
        "found": error.found,
        "hint": error.hint,
    }


def host_failure(error: OSError) -> InfrastructureError | None:
    """The error to report for a disk that failed, or None where the engine is to blame."""
    if error.errno not in DISK_ERRORS:
        return None
    return InfrastructureError(
        f"the disk failed inside the cell: {error.strerror}", where=str(error.filename or "")
    )
