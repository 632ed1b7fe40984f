"""Golden files: the numbers that a run is held against, each with where it comes from.

A run can rewrite entries of the kind `recorded`, and no others: a published number that we do not
like stays what it is.
"""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from harness.errors import SuiteError
from harness.verdict.entry import Band, Entry, Kind, NotRecomputed, Refusal, Strict
from harness.verdict.model import Level

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.verdict.model import Sample

# Recorded numbers may differ in the last bits between machines, and in nothing more.
RECORDED_RTOL = 1e-9


class Change(Strict):
    """One update of the recorded entries, and why."""

    date: str
    reason: str
    entries: tuple[str, ...]


class Golden(Strict):
    """The golden file of one tier of one suite: golden/SUITE/TIER.json.

    `objective_slack` is the relative excess of the objective, F(theta)/F(theta_best) - 1, that is
    not counted as a difference: what the published optimiser's own stopping rule leaves open.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    suite: str
    suite_version: int
    tier: str
    level: Level
    objective_slack: float = Field(default=1e-5, gt=0)
    objective_slack_reason: str
    refused: tuple[Refusal, ...] = ()
    entries: tuple[Entry, ...]
    bands: tuple[Band, ...] = ()
    not_recomputed: tuple[NotRecomputed, ...] = ()
    history: tuple[Change, ...] = ()

    @property
    def _all(self) -> Sequence[Entry | Band | NotRecomputed]:
        return (*self.entries, *self.bands, *self.not_recomputed)

    @model_validator(mode="after")
    def _nothing_refused(self) -> Self:
        for entry in self._all:
            for refusal in self.refused:
                if refusal.concerns(entry):
                    msg = f"{entry.id!r} is refused as a golden ({refusal.what}): {refusal.reason}"
                    raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _no_id_twice(self) -> Self:
        for name, count in Counter(entry.id for entry in self._all).items():
            if count > 1:
                msg = f"two entries have the id {name!r}"
                raise ValueError(msg)
        return self


def load_golden(path: Path) -> Golden | None:
    """Read a golden file; None when there is none yet.

    Raises:
        SuiteError: the file is not a golden file; the message names the line.
    """
    hint = f"restore the file from version control: git checkout -- {path}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"cannot be read: {error}", where=str(path), hint=hint) from None
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}"
        raise SuiteError(f"not JSON: {error.msg}", where=where, hint=hint) from None
    except RecursionError:
        raise SuiteError("nested too deeply", where=str(path), hint=hint) from None
    try:
        return Golden.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        location = ".".join(str(part) for part in first["loc"])
        raise SuiteError(
            f"{location or 'golden file'}: {first['msg']}",
            where=f"{path}:{_line_of(text, raw, first['loc'])}",
            found=repr(first["input"])[:120],
            hint="docs/add-a-golden.md describes every key",
        ) from None


def _line_of(text: str, raw: object, location: tuple[str | int, ...]) -> int:
    """Line of what a validation error is about: the entry that holds it, found by its id."""
    match location:
        case ("entries" | "bands" | "not_recomputed" as part, int(index), *_) if isinstance(
            raw, dict
        ) and isinstance(raw[part][index], dict):
            needle = json.dumps(str(raw[part][index].get("id")))
        case (str(key), *_):
            needle = json.dumps(key)
        case _:
            return 1
    return text.count("\n", 0, max(text.find(needle), 0)) + 1


def save_golden(golden: Golden, path: Path) -> None:
    """Write a golden file whole or not at all."""
    document = golden.model_dump(mode="json", by_alias=True, exclude_none=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def recorded_entry(name: str, value: float, sample: Sample | None = None) -> Entry:
    """The entry that a first run writes for a quantity that nobody has published.

    With a sample it holds the spread between seeds too, so that a margin, added by hand, makes it
    an entry that levels R1 to R3 can judge.
    """
    head, _, label = name.rpartition("/")
    return Entry(
        id=f"recorded/{name}",
        group=f"Recorded: {head}",
        label=label,
        quantity=name,
        kind=Kind.RECORDED,
        printed=repr(value),
        rtol=RECORDED_RTOL,
        source="this harness",
        place="a run of this suite",
        protocol="as in suite.yaml",
        **_spread(sample),
    )


def _spread(sample: Sample | None) -> dict[str, Any]:
    """`sd` and `runs` of an entry; None of a single seed, or of seeds that do not differ."""
    values = sample.values if sample is not None else ()
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"sd": sd, "runs": len(values)} if sd > 0 else {"sd": None, "runs": None}


Samples = Mapping[str, "Sample | None"]


def add(
    golden: Golden,
    found: Mapping[str, float],
    *,
    date: str,
    reason: str,
    samples: Samples = MappingProxyType({}),
) -> Golden:
    """Add recorded entries for names that have no entry of any kind; change none."""
    added = _missing(golden, found, samples)
    return _changed(golden, golden.entries, added, [], date, reason)


def update(
    golden: Golden,
    found: Mapping[str, float],
    *,
    date: str,
    reason: str,
    samples: Samples = MappingProxyType({}),
) -> Golden:
    """Bring the recorded entries to what a run found, and add those for names without an entry.

    Published and refit entries are returned unchanged, whatever was found.
    """
    added = _missing(golden, found, samples)
    rewritten: list[str] = []
    entries: list[Entry] = []
    for entry in golden.entries:
        value = found.get(entry.quantity)
        if entry.kind is Kind.RECORDED and value is not None and repr(value) != entry.printed:
            rewritten.append(entry.id)
            spread = _spread(samples.get(entry.quantity))
            entries.append(entry.model_copy(update={"printed": repr(value), **spread}))
        else:
            entries.append(entry)
    return _changed(golden, entries, added, rewritten, date, reason)


def _missing(golden: Golden, found: Mapping[str, float], samples: Samples) -> list[Entry]:
    """Recorded entries for the names that have no entry."""
    covered = {entry.quantity for entry in golden.entries}
    return [
        recorded_entry(name, value, samples.get(name))
        for name, value in found.items()
        if name not in covered
    ]


def _changed(
    golden: Golden,
    entries: Sequence[Entry],
    added: Sequence[Entry],
    rewritten: Sequence[str],
    date: str,
    reason: str,
) -> Golden:
    """The golden file with a line of history; itself if nothing is new."""
    names = [*rewritten, *(entry.id for entry in added)]
    if not names:
        return golden
    change = Change(date=date, reason=reason, entries=tuple(names))
    return golden.model_copy(
        update={"entries": (*entries, *added), "history": (*golden.history, change)}
    )
