"""The record of one attempt at a cell, and the file format `record.json` that holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

RECORD_SCHEMA = 1

# The cell contract's file names, as harness.cell.contract writes them.
SPEC_FILE = "spec.json"
METRICS_FILE = "metrics.jsonl"
RESULT_FILE = "result.json"
ERROR_FILE = "error.json"
USAGE_FILE = "usage.json"
PROGRESS_FILE = "progress.json"
CHECKPOINTED_FILE = "checkpointed.json"
LOG_FILE = "log.txt"
RECORD_FILE = "record.json"


class Status(StrEnum):
    """What is known of a cell. Only `ok` has numbers; nothing else is ever read as a score."""

    OK = "ok"
    ERROR = "error"
    INVALID = "invalid"  # the host failed, not the cell
    MISSING = "missing"


class RecordError(ValueError):
    """A record.json that is not what was written."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When an attempt ran (UTC, ISO 8601) and how long, in seconds.

    `cpu_s` is user plus system time of the cell's process and the processes it waited for; None
    where a container was killed before it could tell.
    """

    started: str
    finished: str
    wall_s: float
    cpu_s: float | None


@dataclass(frozen=True, slots=True)
class Record:
    """One attempt at a cell.

    Attributes:
        labels: axis -> the value's id, or the value itself.
        files: path inside the cell's folder -> its `sha256` and its size in `bytes`.
        provenance: what the attempt ran on and with, and the cell's `warnings` if it had any.
        attempt: 1 for the first attempt in this store.
        error: for a failed attempt, `message` and, if known, `where`, `expected`, `found`, `hint`;
            and `kind`, one word for programs (harness.run.ending.Kind).
    """

    cell_id: str
    status: Status
    suite: str
    tier: str
    labels: Mapping[str, object]
    timing: Timing
    attempt: int
    files: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    provenance: Mapping[str, object] = field(default_factory=dict)
    error: Mapping[str, object] | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the cell found doubtful about its own numbers."""
        told = self.provenance.get("warnings", ())
        return tuple(map(str, told)) if isinstance(told, list | tuple) else ()

    def to_json(self) -> bytes:
        """The content of record.json; its last key `seal` is the SHA-256 of the rest."""
        body = {
            "schema": RECORD_SCHEMA,
            "cell_id": self.cell_id,
            "status": str(self.status),
            "suite": self.suite,
            "tier": self.tier,
            "labels": dict(self.labels),
            "attempt": self.attempt,
            "timing": {name: getattr(self.timing, name) for name in Timing.__slots__},
            "files": {name: dict(entry) for name, entry in self.files.items()},
            "provenance": dict(self.provenance),
            "error": None if self.error is None else dict(self.error),
        }
        text = _text(body)
        return f'{text[:-1]},"seal":"{_seal(text)}"}}\n'.encode()

    @classmethod
    def from_json(cls, content: bytes) -> Record:
        """Read a record.json.

        Raises:
            RecordError: not JSON, another schema, or changed since it was sealed.
        """
        try:
            body = json.loads(content)
            seal = body.pop("seal")
        except (ValueError, AttributeError, KeyError, TypeError):
            raise RecordError("it is not a sealed JSON object") from None
        if body.get("schema") != RECORD_SCHEMA:
            raise RecordError(f"schema {body.get('schema')!r}, this version reads {RECORD_SCHEMA}")
        if seal != _seal(_text(body)):
            raise RecordError("its content does not match its seal")
        del body["schema"]
        status, timing = Status(body.pop("status")), Timing(**body.pop("timing"))
        return cls(status=status, timing=timing, **body)


def _text(body: Mapping[str, object]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _seal(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def labels_of(values: Mapping[str, object]) -> dict[str, object]:
    """Axis -> a short value for tables: the `id` of a mapping, or the value itself."""
    return {
        axis: value["id"] if isinstance(value, Mapping) and "id" in value else value
        for axis, value in values.items()
    }
