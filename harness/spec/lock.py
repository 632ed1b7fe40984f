"""suite.lock: what a suite's numbers rest on, and the differences to what is here now."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from harness.errors import DataError, LockDriftError, SuiteError
from harness.spec.folders import folder_sha256
from harness.spec.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from harness.spec.suite import Suite

LOCK_NAME: Final = "suite.lock"
LOCK_SCHEMA: Final = 1
PACKAGES: Final = ("numpy",)  # those whose version can move a fit

_V = TypeVar("_V")


@dataclass(frozen=True)
class DataPin:
    """A data file as it was when the suite was locked.

    Attributes:
        rows: known for CSV and JSON lines.
        recipe: what the suite told the generator that made it; None where none did.
    """

    path: str
    sha256: str
    bytes: int
    rows: int | None
    recipe: str | None = None


@dataclass(frozen=True)
class CellsPin:
    """The cells of a tier: how many, and SHA-256 over their sorted ids, one a line."""

    count: int
    sha256: str


@dataclass(frozen=True)
class Lock:
    """What the numbers of a suite rest on. Mappings go from name to version or pin."""

    suite: str
    suite_version: int
    data: Mapping[str, DataPin] = field(default_factory=dict)
    laws: Mapping[str, int] = field(default_factory=dict)
    engines: Mapping[str, int] = field(default_factory=dict)
    scorers: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    cells: Mapping[str, CellsPin] = field(default_factory=dict)

    def engine_version(self, name: str) -> int:
        """Version of an engine; LockDriftError if the lock does not have it."""
        return self._get(self.engines, name, "engine")

    def scorer_version(self, name: str) -> int:
        """Version of a scorer; LockDriftError if the lock does not have it."""
        return self._get(self.scorers, name, "scorer")

    def task_hash(self, name: str) -> str:
        """Hash of a task of lm-eval; LockDriftError if the lock does not have it."""
        return self._get(self.tasks, name, "task")

    def data_pin(self, name: str) -> dict[str, str]:
        """What a cell is told about a data set; LockDriftError if the lock does not have it."""
        pin = self._get(self.data, name, "data set")
        return {"path": pin.path, "sha256": pin.sha256}

    def to_json(self) -> str:
        """The text of suite.lock."""
        entries = asdict(self)
        if not self.tasks:
            del entries["tasks"]  # most suites ask none
        for pin in entries["data"].values():
            if pin["recipe"] is None:
                del pin["recipe"]
        return json.dumps({"schema": LOCK_SCHEMA, **entries}, indent=2, sort_keys=True) + "\n"

    def _get(self, entries: Mapping[str, _V], name: str, kind: str) -> _V:
        if name not in entries:
            raise LockDriftError(
                f"the {kind} `{name}` is not in {LOCK_NAME}", hint=f"harness lock {self.suite}"
            )
        return entries[name]


@dataclass(frozen=True)
class Drift:
    """One difference between the lock and what is here."""

    what: str
    locked: str
    found: str

    def __str__(self) -> str:
        return f"{self.what}: locked {self.locked}, found {self.found}"


def build_lock(
    suite: Suite,
    laws: Mapping[str, int],
    engines: Mapping[str, int],
    scorers: Mapping[str, int],
    tasks: Mapping[str, str] = MappingProxyType({}),
    fetched: Mapping[str, DataPin] | None = None,
) -> Lock:
    """The lock of a suite as it would be written now.

    Args:
        suite: the suite.
        laws: registered laws, name -> version; those that the suite uses are pinned.
        engines: registered engines, in the same way.
        scorers: registered scorers, in the same way.
        tasks: hashes of the tasks of lm-eval that the suite uses.
        fetched: pins of the data sets that do not stand in its folder, name -> pin; see
            `locked_pins`.

    Raises:
        DataError: a data file is missing or cannot be read.
        SuiteError: a law, engine or scorer is not registered; a tier cannot be expanded.
    """
    pins = _pins(suite, laws, engines, scorers, tasks, fetched or {})
    for kind, used, found in (
        ("law", _used_laws(suite), pins.laws),
        ("engine", _used_engines(suite), pins.engines),
        ("scorer", _used_scorers(suite), pins.scorers),
    ):
        for name in sorted(used - found.keys()):
            raise SuiteError(f"the {kind} `{name}` is not registered", where=str(suite.path))
    return replace(pins, cells={tier: pin_cells(Grid(suite, tier, pins)) for tier in suite.tiers})


def check_lock(
    suite: Suite,
    lock: Lock,
    laws: Mapping[str, int],
    engines: Mapping[str, int],
    scorers: Mapping[str, int],
    tasks: Mapping[str, str] = MappingProxyType({}),
    grid: Grid | None = None,
    fetched: Mapping[str, DataPin] | None = None,
) -> list[Drift]:
    """Every difference between a lock and what is here now; none is an empty list.

    A data set that does not stand in the suite need not be here: without `fetched`, its pin is
    taken from the lock, and the cell that reads the file holds it against that pin.

    Cells are named under the locked pins, so that a changed data file is one difference and not
    also one for each tier. With `grid`, the cells of its tier only are compared; it must have been
    made under `lock`.

    Raises:
        DataError: a data file is missing or cannot be read.
        LockDriftError: the lock lacks a data set that does not stand in the suite.
        SuiteError: a tier cannot be expanded.
    """
    if fetched is None:
        fetched = locked_pins(suite, lock)
    now = _pins(suite, laws, engines, scorers, tasks, fetched)
    if grid is None:
        names = list(suite.tiers)
        cells = {name: pin for name in names for pin in _cells_under(suite, name, lock)}
    else:
        cells = {grid.tier: pin_cells(grid)}
        lock = replace(lock, cells={k: v for k, v in lock.cells.items() if k == grid.tier})
    now = replace(now, cells=cells)
    locked, found = _flat(asdict(lock)), _flat(asdict(now))
    return [
        Drift(what, locked.get(what, "nothing"), found.get(what, "nothing"))
        for what in sorted(locked.keys() | found.keys())
        if locked.get(what) != found.get(what)
    ]


def locked_pins(suite: Suite, lock: Lock) -> dict[str, DataPin]:
    """The lock's pins of data sets that do not stand in the suite, under the paths it gives."""
    return {
        name: replace(lock.data[name], path=entry.path)
        for name, entry in suite.data.items()
        if not entry.in_suite and name in lock.data
    }


def refuse_drift(suite: Suite, drifts: Collection[Drift]) -> None:
    """Raise LockDriftError, with one line for each difference, if there is any."""
    if not drifts:
        return
    lines = "".join(f"\n  {drift}" for drift in drifts)
    count = "one difference" if len(drifts) == 1 else f"{len(drifts)} differences"
    hint = f'harness lock {suite.handle}   (or run with --accept-drift --reason "...")'
    if all(drift.what.removeprefix("packages/") in PACKAGES for drift in drifts):
        wanted = " ".join(
            f"{drift.what.removeprefix('packages/')}=={drift.locked}" for drift in drifts
        )
        hint = f'pip install {wanted}   (or run with --accept-drift --reason "...")'
    raise LockDriftError(
        f"{count} to the lock; nothing was run{lines}",
        where=str(suite.root / LOCK_NAME),
        hint=hint,
    )


def load_lock(suite: Suite) -> Lock:
    """Read the suite's lock.

    Raises:
        LockDriftError: it is missing, or is not a lock of this version.
    """
    path = suite.root / LOCK_NAME
    hint = f"harness lock {suite.handle}"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if entries.pop("schema") != LOCK_SCHEMA:
            raise LockDriftError("a lock of another version", where=str(path), hint=hint)
        entries["data"] = {name: DataPin(**pin) for name, pin in entries["data"].items()}
        entries["cells"] = {name: CellsPin(**pin) for name, pin in entries["cells"].items()}
        return Lock(**entries)
    except FileNotFoundError:
        raise LockDriftError("the suite has no lock", where=str(path), hint=hint) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise LockDriftError("not a lock file", where=str(path), hint=hint) from None


def write_lock(suite: Suite, lock: Lock) -> Path:
    """Write the suite's lock beside the suite file, whole or not at all; return its path."""
    path = suite.root / LOCK_NAME
    unfinished = path.with_name(f".{LOCK_NAME}.{os.getpid()}")
    unfinished.write_text(lock.to_json(), encoding="utf-8", newline="\n")
    unfinished.replace(path)
    return path


def pin_file(root: Path, path: str, where: str | None = None) -> DataPin:
    """The pin of one data file, or of a folder of files.

    Raises:
        DataError: it is missing, cannot be read or, as CSV, is not UTF-8.
    """
    file = root / path
    if file.exists() and not file.is_file() and not file.is_dir():
        raise DataError(f"not a file or a folder: {file}", where=where)
    try:
        if file.is_dir():
            sha256, size = folder_sha256(file)
            return DataPin(path=path, sha256=sha256, bytes=size, rows=None)
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return DataPin(path=path, sha256=digest, bytes=file.stat().st_size, rows=_rows(file))
    except FileNotFoundError:
        raise DataError(f"no such data file: {file}", where=where) from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}", where=where) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is not a table: {error}", where=where) from None


def pin_cells(grid: Grid) -> CellsPin:
    """How many cells a tier has, and one hash over all of their ids."""
    ids = sorted(identity for _, identity in grid.ids())
    text = "".join(f"{identity}\n" for identity in ids)
    return CellsPin(count=len(ids), sha256=hashlib.sha256(text.encode()).hexdigest())


def _pins(
    suite: Suite,
    laws: Mapping[str, int],
    engines: Mapping[str, int],
    scorers: Mapping[str, int],
    tasks: Mapping[str, str],
    fetched: Mapping[str, DataPin],
) -> Lock:
    return Lock(
        suite=suite.name,
        suite_version=suite.version,
        data={name: _pin(suite, name, fetched) for name in suite.data},
        laws=_registered(laws, _used_laws(suite)),
        engines=_registered(engines, _used_engines(suite)),
        scorers=_registered(scorers, _used_scorers(suite)),
        tasks=dict(tasks),
        packages=_package_versions(),
    )


def _pin(suite: Suite, name: str, fetched: Mapping[str, DataPin]) -> DataPin:
    entry = suite.data[name]
    if entry.in_suite:
        return pin_file(suite.root, entry.path, suite.at("data", name, "path"))
    if name not in fetched:
        raise LockDriftError(
            f"the data set `{name}` is not in {LOCK_NAME}",
            where=suite.at("data", name),
            hint=f"harness lock {suite.handle}",
        )
    return replace(fetched[name], recipe=entry.recipe)


def _cells_under(suite: Suite, tier: str, lock: Lock) -> list[CellsPin]:
    """One pin; none where the lock lacks what the cells need, which is a difference of its own."""
    try:
        return [pin_cells(Grid(suite, tier, lock))]
    except LockDriftError:
        return []


def _used_laws(suite: Suite) -> set[str]:
    seen = map(suite.for_tier, suite.tiers)
    return {law for one in seen for analysis in one.analyses for law in analysis.laws}


def _used_engines(suite: Suite) -> set[str]:
    return {suite.tier(name).engine for name in suite.tiers}


def _used_scorers(suite: Suite) -> set[str]:
    return {scorer for name in suite.tiers for scorer in suite.tier(name).scorers}


def _registered(registry: Mapping[str, int], used: Iterable[str]) -> dict[str, int]:
    return {name: registry[name] for name in sorted(used) if name in registry}


def _package_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _rows(file: Path) -> int | None:
    if file.suffix == ".csv":
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return max(0, sum(1 for _ in csv.reader(stream)) - 1)
    if file.suffix == ".jsonl":
        with file.open("rb") as stream:
            return sum(1 for line in stream if line.strip())
    return None


def _flat(entries: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in entries.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}/") if isinstance(value, dict) else {name: str(value)}
    return flat
