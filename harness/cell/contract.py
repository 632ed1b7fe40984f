"""The cell contract, seen from inside the cell: what is read, what is written, in which order.

A cell reads `spec.json` and the data sets pinned in it, writes `metrics.jsonl` (one JSON object
per step) into its folder, and `result.json` last. Any image that does the same can serve. A cell
that fails leaves `error.json` instead, where it can.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TextIO

from harness.cell.lease import hold_folder
from harness.cell.progress import ProgressTeller
from harness.errors import DataError, HarnessError, InfrastructureError
from harness.spec.folders import folder_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import BinaryIO

CONTRACT_SCHEMA = 1
METRICS_FILE = "metrics.jsonl"
RESULT_FILE = "result.json"
ERROR_FILE = "error.json"
DATA_VARIABLE = "HARNESS_DATA"
RESUME_VARIABLE = "HARNESS_RESUME"
CHECKPOINTED_FILE = "checkpointed.json"  # in the folder of checkpoints: the step of the last one

# Exit statuses of a cell. Any other means that the engine crashed; its log says how.
FINISHED = 0
FAILED = 1
USAGE = 2
HOST_FAILED = 5


class DivergedError(DataError):
    """The numbers of a computation are finite no more.

    A checkpoint made shortly before may hold them already, hence the next attempt begins anew.
    """

    resumable = False


DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # as libraries in Rust end what the system told them


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
        checkpoints: where `resume` is; None: nothing can be resumed here.
    """

    document: Mapping[str, object]
    out: Path
    data_root: Path
    checkpoints: Path | None = None
    _teller: ProgressTeller = field(
        default_factory=ProgressTeller, init=False, repr=False, compare=False
    )

    @property
    def settings(self) -> Mapping[str, object]:
        """The tier's settings, resolved for this cell."""
        return mapping_at(self.document, "settings")

    def metrics(self, kept: Sequence[Mapping[str, object]] = ()) -> MetricsWriter:
        """A new writer of metrics.jsonl, to be used in a `with` block.

        Args:
            kept: the lines up to the checkpoint that this attempt goes on from, as they were read
                from JSON: each with `step` and `evals`. They are written first.
        """
        return MetricsWriter(self.out / METRICS_FILE, kept)

    @property
    def resume(self) -> Path | None:
        """A folder for checkpoints, which outlives this attempt until the cell is finished.

        What an earlier attempt left stands there, and no other attempt uses it meanwhile. A name
        that begins with a dot is taken to be half-written. The folder is made when it is first
        asked for: most cells need none. None where nothing can be resumed.

        Raises:
            InfrastructureError: an earlier attempt at this cell is still alive.
        """
        if self.checkpoints is not None:
            hold_folder(self.checkpoints)
        return self.checkpoints

    def progress(self, step: int, total: int, **numbers: float) -> None:
        """Tell who watches that `step` of `total` steps are done; cheap, and never fails.

        Args:
            numbers: what to show beside it, such as reward; kept until told anew.
        """
        self._teller.tell(self.out, step, total, numbers)

    def checkpointed(self, step: int) -> None:
        """Say that the checkpoint of this step is whole, for messages; does not fail.

        An engine decides by its checkpoint alone what it goes on from.
        """
        if self.checkpoints is not None:
            with suppress(OSError):
                write_json(self.checkpoints / CHECKPOINTED_FILE, {"step": step})

    def read_data(self, name: str) -> PinnedFile:
        """Read the pinned data set `name` and check its SHA-256.

        Raises:
            DataError: not pinned, missing, outside the data folder, a folder, or with other bytes.
        """
        found = self.find_data(name)
        if isinstance(found, PinnedFile):
            return found
        raise DataError(
            f"data set {name!r} is a folder",
            where="spec.json",
            expected="a file",
            hint="name a file under `data:` in suite.yaml, then `harness lock`",
        )

    def find_data(self, name: str) -> PinnedFile | Path:
        """The pinned data set `name`: a file with its content, or where a checked folder stands.

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
        content = None
        try:
            if file.is_dir():
                found, _ = folder_sha256(file)
            else:
                content = file.read_bytes()
                found = hashlib.sha256(content).hexdigest()
        except FileNotFoundError:
            from harness.data.stage import NOTE_SUFFIX

            note = file.with_name(file.name + NOTE_SUFFIX)
            why = f": {note.read_text(encoding='utf-8')}" if note.is_file() else ""
            raise DataError(
                f"data set {name!r} is missing{why}",
                where=path,
                expected=f"a file in {self.data_root}",
            ) from None
        if found != pin["sha256"]:
            raise DataError(
                f"data set {name!r} is not the one that the lock pins",
                where=path,
                expected=f"sha256 {pin['sha256']}",
                found=f"sha256 {found}",
                hint="restore the file, or accept it: `harness lock --accept-drift --reason ...`",
            )
        return file if content is None else PinnedFile(path, content)


class MetricsWriter:
    """Writes metrics.jsonl line by line, so that a long cell can be watched.

    Attributes:
        steps: lines so far, those kept from an earlier attempt included.
        evals: the last value of each eval.
    """

    def __init__(self, path: Path, kept: Sequence[Mapping[str, object]] = ()) -> None:
        self._path = path
        self._kept = tuple(kept)
        self._file: TextIO
        self._last_step = -1
        self.steps = 0
        self.evals: dict[str, object] = {}

    def __enter__(self) -> MetricsWriter:
        self._file = self._path.open("x", encoding="utf-8", buffering=1)
        try:
            for line in self._kept:
                self._append(line)
        except BaseException:
            self._file.close()
            raise
        return self

    def write(self, step: int, *, evals: Mapping[str, float], **columns: float) -> None:
        """Append the line of one step.

        Args:
            step: optimiser steps done so far; larger than in the line before.
            evals: metric name (`<eval>.<metric>`) -> value at this step.
            columns: further numbers, such as samples, tokens, flops (cumulative), reward, loss.

        Raises:
            DataError: the steps do not increase.
            DivergedError: a number is not finite.
        """
        self._append({"step": step, **columns, "evals": evals})

    def _append(self, line: Mapping[str, object]) -> None:
        step = line.get("step")
        if not isinstance(step, int) or step <= self._last_step:
            raise DataError(f"step {step} follows step {self._last_step}", where=METRICS_FILE)
        try:
            text = json.dumps(line, allow_nan=False)
        except ValueError:
            raise DivergedError(
                f"a number of step {step} is not finite",
                where=METRICS_FILE,
                found=_not_finite({**line, **mapping_at(line, "evals")}),
            ) from None
        self._file.write(text + "\n")
        self._last_step = step
        self.steps += 1
        self.evals.update(mapping_at(line, "evals"))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _not_finite(numbers: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {value}"
        for name, value in numbers.items()
        if isinstance(value, float) and not math.isfinite(value)
    )


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
    content = json.dumps(value, allow_nan=False).encode()
    write_whole(path, lambda file: file.write(content))


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Put a file in its place once its bytes are on the disk; until then the old one is there.

    Args:
        write: writes the content into the file that it is given.

    Raises:
        OSError: the disk refuses; nothing has changed under this name.
    """
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def sync_folders(folder: Path) -> None:
    """Wait until the names in a folder, and its own name, are on the disk."""
    for one in (folder, folder.parent):
        descriptor = os.open(one, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
        "resumable": getattr(error, "resumable", True),
    }


def host_failure(error: BaseException) -> InfrastructureError | None:
    """The error to report for a host that failed, or None where the engine is to blame.

    Libraries wrap what the system told them, so that the causes of an error are looked at too.
    """
    cause: BaseException | None = error
    while cause is not None:
        code = _error_number(cause)
        if code in DISK_ERRORS:
            return InfrastructureError(
                f"the disk failed inside the cell: {os.strerror(code)}",
                where=str(getattr(cause, "filename", None) or ""),
            )
        if code in _TOO_MANY_FILES:
            return InfrastructureError(
                f"the cell could open no more files: {os.strerror(code)}",
                hint="run fewer cells at a time (--workers), or raise `ulimit -n`",
            )
        if _is_out_of_memory(cause):
            return InfrastructureError(
                f"out of memory inside the cell: {str(cause).partition(chr(10))[0]:.200}",
                hint="run fewer cells at a time (--workers), or take a machine with more memory",
            )
        cause = cause.__cause__ or cause.__context__
    return None


def _error_number(error: BaseException) -> int:
    """The system's number of an error, 0 if it has none; safetensors and tokenizers write it."""
    if isinstance(error, OSError):
        return error.errno or 0
    told = _OS_ERROR.search(str(error))
    return int(told[1]) if told else 0


def _is_out_of_memory(error: BaseException) -> bool:
    """As Python, the system, torch on a CPU and torch on a GPU say it; torch is not imported."""
    if isinstance(error, MemoryError) or _error_number(error) == errno.ENOMEM:
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error).lower()
    return "OutOfMemoryError" in names or any(
        isinstance(error, RuntimeError) and words in text
        for words in ("can't allocate memory", "out of memory")
    )
