"""Cells: the points of a suite's grid, each with its resolved document and its identity.

A document is settled by the point's axis values alone. Its canonical bytes are put together from
fragments made once for each axis value, so that naming a cell costs one join and one hash; the
fragments spell exactly `canonical_json(document)`.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from harness.errors import SuiteError
from harness.spec.fragments import Computed, Fragments, Tree
from harness.spec.identity import DOCUMENT_SCHEMA, canonical_json
from harness.spec.nearest import did_you_mean
from harness.spec.reference import (
    Constant,
    Node,
    Reference,
    compile_tree,
    look_up,
    references,
    resolve,
)
from harness.spec.space import Space
from harness.spec.suite import tasks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.spec.lock import Lock
    from harness.spec.source import KeyPath
    from harness.spec.space import Point
    from harness.spec.suite import Suite, Tier

_DATA_KEY: Final = "data"


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the grid, resolved.

    Attributes:
        id: 64 hexadecimal digits, SHA-256 of the canonical JSON of `document`.
        values: axis name -> value.
        document: all that can move the cell's numbers; what the cell reads as `spec.json`.
    """

    id: str
    values: Mapping[str, object]
    document: Mapping[str, object]

    @property
    def data_paths(self) -> tuple[str, ...]:
        """The paths of the data sets that are pinned for it, sorted."""
        pins = self.document.get("pins")
        data = pins.get("data") if isinstance(pins, dict) else None
        if not isinstance(data, dict):
            return ()
        return tuple(sorted({str(pin["path"]) for pin in data.values()}))


def expand(suite: Suite, tier: str, lock: Lock, where: str | None = None) -> Iterator[Cell]:
    """The cells of a tier in their fixed order, or those that an expression selects.

    Raises:
        SuiteError: no such tier, an empty grid or selection, a reference that finds nothing.
        LockDriftError: the lock lacks the engine, a scorer or a data set that a cell needs.
    """
    grid = Grid(suite, tier, lock)
    for ordinal, identity in grid.ids(where):
        yield grid.cell(ordinal, identity)


class Settings:
    """The settings of one tier, their references checked against its axes.

    Raises:
        SuiteError: a reference is malformed, unknown or in a circle; a data set is not declared.
    """

    def __init__(self, suite: Suite, tier: Tier, space: Space) -> None:
        self._suite = suite
        self._tier = tier
        self._space = space
        self.tree = compile_tree(tier.settings, tier.axes, self._where)
        self._data_nodes = list(_data_nodes(self.tree, ()))
        for path, node in _leaves(self.tree, ()):
            self._check_fields(path, node)
        for path, node in self._data_nodes:
            if isinstance(node, Constant):
                self._check_data(path, node.value)

    @property
    def data_axes(self) -> set[str]:
        """The axes on which it depends which data sets a cell reads."""
        return {ref.names[0] for _, node in self._data_nodes for ref in references(node)}

    def resolve(self, values: Mapping[str, object]) -> object:
        """The settings of one cell.

        Raises:
            SuiteError: a reference finds nothing in this cell's values.
        """
        try:
            return resolve(self.tree, values)
        except SuiteError:
            for path, node in _leaves(self.tree, ()):
                try:
                    resolve(node, values)
                except SuiteError as error:
                    error.where = self._where(path)
                    raise
            raise

    def data_sets(self, values: Mapping[str, object]) -> tuple[str, ...]:
        """The names of the data sets that one cell reads, sorted."""
        names = set()
        for path, node in self._data_nodes:
            name = resolve(node, values)
            self._check_data(path, name)
            names.add(str(name))
        return tuple(sorted(names))

    def _where(self, path: KeyPath) -> str:
        for tier in self._tier.lineage:
            if self._suite.says("tiers", tier, "settings", *path):
                return self._suite.at("tiers", tier, "settings", *path)
        return self._suite.at("settings", *path)

    def _check_fields(self, path: KeyPath, node: Node) -> None:
        """A reference must be right for one value of its axis at least."""
        for reference in references(node):
            axis = self._space.names.index(reference.names[0])
            values = self._space.values[axis]
            if not any(_finds(reference, value) for value in values):
                try:
                    look_up(reference, {reference.names[0]: values[0]})
                except SuiteError as error:
                    error.where = self._where(path)
                    raise

    def _check_data(self, path: KeyPath, name: object) -> None:
        if name not in self._suite.data:
            raise SuiteError(
                f"no data set `{name}`",
                where=self._where(path),
                expected="one of " + (", ".join(self._suite.data) or "those declared under `data`"),
                hint=did_you_mean(str(name), self._suite.data)
                or f"declare it: add `{name}: {{path: ...}}` under `data`",
            )


@dataclass(frozen=True, slots=True)
class _Names:
    """The ids of all cells in 40 bytes each: the lock and the plan both ask for them."""

    ordinals: array[int]
    digests: bytes

    def __iter__(self) -> Iterator[tuple[int, str]]:
        text = self.digests.hex()
        for place, ordinal in enumerate(self.ordinals):
            yield ordinal, text[64 * place : 64 * place + 64]


class Grid:
    """The cells of one tier, under a lock; `tier` is its name, `budget` what it may cost.

    Raises:
        SuiteError, LockDriftError: as `expand`.
    """

    def __init__(self, suite: Suite, tier: str, lock: Lock) -> None:
        resolved = suite.tier(tier)
        self.tier = tier
        self.budget = resolved.budget
        self.lock = lock
        self._space = Space(suite, resolved)
        self._settings = Settings(suite, resolved, self._space)
        self._scorers = {name: lock.scorer_version(name) for name in resolved.scorers}
        self._tasks = {name: lock.task_hash(name) for name in tasks_of(resolved)}
        self._fixed: dict[str, object] = {
            "schema": DOCUMENT_SCHEMA,
            "suite": suite.name,
            "suite_version": suite.version,
            "tier": tier,
            "engine": resolved.engine,
            "engine_version": lock.engine_version(resolved.engine),
        }
        self._fragments = self._fragment()
        self._all: _Names | None = None

    def ids(self, where: str | None = None) -> Iterator[tuple[int, str]]:
        """Ordinal and id of every cell, or of those that an expression selects."""
        if where is None:
            return iter(self._all) if self._all is not None else self._first_time()
        return ((ordinal, digest.hex()) for ordinal, digest in self._names(where))

    def _first_time(self) -> Iterator[tuple[int, str]]:
        """All ids, kept for the next time once the last has been asked for."""
        ordinals, digests = array("q"), bytearray()
        for ordinal, digest in self._names(None):
            ordinals.append(ordinal)
            digests += digest
            yield ordinal, digest.hex()
        self._all = _Names(ordinals, bytes(digests))

    def _names(self, where: str | None) -> Iterator[tuple[int, bytes]]:
        text = self._fragments.text if self._fragments else lambda _: None
        for ordinal, point in self._space.points(where):
            spelt = text(point)
            if spelt is None:
                spelt = canonical_json(self._document(point))
            yield ordinal, sha256(spelt).digest()

    def cell(self, ordinal: int, identity: str) -> Cell:
        """The cell of an ordinal, given its id."""
        point = self._space.point(ordinal)
        return Cell(id=identity, values=self._space.at(point), document=self._document(point))

    def _document(self, point: Point) -> dict[str, object]:
        values = self._space.at(point)
        return {
            **self._fixed,
            "axes": values,
            "settings": self._settings.resolve(values),
            "pins": self._pins(values),
        }

    def _pins(self, values: Mapping[str, object]) -> dict[str, object]:
        data = {name: self.lock.data_pin(name) for name in self._settings.data_sets(values)}
        pins: dict[str, object] = {"data": data, "scorers": self._scorers}
        # Only where there are any: documents without tasks stay what they were.
        return {**pins, "tasks": self._tasks} if self._tasks else pins

    def _fragment(self) -> Fragments | None:
        """None where the pins follow from several axes, which is too rare to be made fast."""
        data_axes = list(self._settings.data_axes)
        if len(data_axes) > 1:
            return None
        pins = Computed(data_axes[0], self._pins) if data_axes else Constant(self._pins({}))
        tree: dict[str, Tree] = {key: Constant(value) for key, value in self._fixed.items()}
        tree["axes"] = {name: Reference((name,)) for name in self._space.names}
        tree |= {"pins": pins, "settings": self._settings.tree}
        return Fragments(tree, self._space.names, self._space.values)


def _finds(reference: Reference, value: object) -> bool:
    try:
        look_up(reference, {reference.names[0]: value})
    except SuiteError:
        return False
    return True


def _leaves(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, Node]]:
    if isinstance(node, dict):
        for key, item in node.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _leaves(item, (*path, index))
    else:
        yield path, node


def _data_nodes(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, Node]]:
    """The nodes that name a data set: the text, or list of texts, under a key `data`."""
    for leaf_path, leaf in _leaves(node, path):
        keys = [part for part in leaf_path if isinstance(part, str)]
        if keys and keys[-1] == _DATA_KEY:
            yield leaf_path, leaf
