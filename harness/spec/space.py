"""The points of a grid: axes x include / exclude / where, without their settings.

A point is a tuple of value indices, one for each axis, so that a million of them cost little.
Points come in a fixed order: the axes vary like the digits of a number, the last one fastest, and
the included points follow in the file's order. The position in that order, excluded points counted,
is the point's ordinal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Final, TypeAlias

from harness.errors import SuiteError
from harness.spec.expression import Predicate, compile_expression
from harness.spec.identity import canonical_json
from harness.spec.nearest import did_you_mean
from harness.spec.source import describe

if TYPE_CHECKING:
    from harness.spec.source import KeyPath
    from harness.spec.suite import Suite, Tier

Point: TypeAlias = tuple[int, ...]

_SHOWN: Final = 12
MOST_POINTS: Final = 20_000_000


class _Axis:
    """The values of one axis; those that only an include brings follow the grid's own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: list[object] = []
        self.size = 0
        self._by_name: dict[bytes, int] = {}
        self.origins: list[KeyPath] = []

    def add(self, value: object, origin: KeyPath) -> int | None:
        """Index of a new value; None if one of its id is there already."""
        name = canonical_json(_name(value))
        if name in self._by_name:
            return None
        index = self._by_name[name] = len(self.values)
        self.values.append(value)
        self.origins.append(origin)
        return index

    def find(self, value: object) -> int | None:
        """Index of a value that is given whole or by its id."""
        index = self.same_id(value)
        if index is None or not isinstance(value, Mapping):
            return index
        return index if canonical_json(value) == canonical_json(self.values[index]) else None

    def same_id(self, value: object) -> int | None:
        """Index of the value that has the id of this one."""
        return self._by_name.get(canonical_json(_name(value)))

    @property
    def names(self) -> list[str]:
        return [str(_name(value)) for value in self.values[:200]]


class Space:
    """The points of one tier of a suite.

    Attributes:
        names: the axes, in the file's order.
        values: for each axis, its values; a point's indices point into them.
        fields: the dotted names that expressions may use: `model`, `model.N`.

    Raises:
        SuiteError: a duplicate cell, an unknown axis or value, an expression that cannot be
            compiled; with `file:line`.
    """

    def __init__(self, suite: Suite, tier: Tier) -> None:
        self._suite = suite
        self._tier = tier
        self._check_size()
        self._axes = [self._axis(name) for name in tier.axes]
        self.names: tuple[str, ...] = tuple(tier.axes)
        self.values: tuple[list[object], ...] = tuple(axis.values for axis in self._axes)
        self._sizes = tuple(axis.size for axis in self._axes)
        self._total = prod(self._sizes)
        self.fields = frozenset(self._field_names())
        self._exclude_matches: list[list[tuple[int, int]]] = []
        self._keep: list[tuple[Predicate, bool]] = []
        self._selections()
        self._extras = self._included()

    def _check_size(self) -> None:
        """Refuse a grid that no machine could list, before it is tried."""
        sizes = {
            name: sum(len(entry) if isinstance(entry, range) else 1 for entry in entries)
            for name, entries in self._tier.axes.items()
        }
        total = prod(sizes.values())
        if total > MOST_POINTS:
            largest = max(sizes, key=lambda name: sizes[name])
            raise SuiteError(
                f"the grid of tier `{self._tier.name}` has {total:,} points",
                where=self._suite.at(*self._axis_path(largest)),
                expected=f"at most {MOST_POINTS:,}",
                found=f"{sizes[largest]:,} values of the axis `{largest}`",
                hint="shorten the range",
            )

    def points(self, where: str | None = None) -> Iterator[tuple[int, Point]]:
        """Ordinal and point of every cell, or of those that an expression selects.

        Raises:
            SuiteError: the grid is empty, the expression keeps nothing or cannot be evaluated.
        """
        chosen = compile_expression(where, self.fields, where="--where") if where else None
        all_points, kept, found = self._kept(), 0, 0
        for ordinal, point in all_points:
            kept += 1
            if chosen is None or chosen(self.at(point)):
                found += 1
                yield ordinal, point
        if not kept:
            raise self._empty()
        if not found:
            raise SuiteError(
                f"no cell of {kept:,} is selected",
                where="--where",
                found=where,
                hint=f"harness expand {self._suite.name} --tier {self._tier.name}",
            )

    def point(self, ordinal: int) -> Point:
        """The point of an ordinal."""
        if ordinal >= self._total:
            return self._extras[ordinal - self._total]
        indices = []
        for size in reversed(self._sizes):
            ordinal, index = divmod(ordinal, size)
            indices.append(index)
        return tuple(reversed(indices))

    def at(self, point: Point) -> dict[str, object]:
        """Axis name -> value."""
        return {
            name: values[index]
            for name, values, index in zip(self.names, self.values, point, strict=True)
        }

    def check_not_empty(self) -> None:
        """Raise SuiteError where exclude and where leave no cell."""
        if next(self._kept(), None) is None:
            raise self._empty()

    def _kept(self) -> Iterator[tuple[int, Point]]:
        grid: Iterator[tuple[int, Point]] = enumerate(product(*map(range, self._sizes)))
        if self._exclude_matches or self._keep:
            grid = (entry for entry in grid if self._is_kept(entry[1]))
        yield from grid
        yield from enumerate(self._extras, self._total)

    def _is_kept(self, point: Point) -> bool:
        for match in self._exclude_matches:
            if all(point[axis] == index for axis, index in match):
                return False
        if self._keep:
            values = self.at(point)
            return all(predicate(values) is wanted for predicate, wanted in self._keep)
        return True

    def _axis(self, name: str) -> _Axis:
        axis = _Axis(name)
        for number, entry in enumerate(self._tier.axes[name]):
            origin = (*self._axis_path(name), number)
            for value in entry if isinstance(entry, range) else (entry,):
                if axis.add(value, origin) is None:
                    first = axis.same_id(value)
                    assert first is not None
                    raise SuiteError(
                        f"duplicate cells: the axis `{name}` has {describe(_name(value))} twice",
                        where=self._suite.at(*origin),
                        found=f"the first at {self._suite.at(*axis.origins[first])}",
                        hint="remove one of the two, or give it an id of its own",
                    )
        axis.size = len(axis.values)
        return axis

    def _axis_path(self, name: str) -> KeyPath:
        for tier in self._tier.lineage:
            if name in self._suite.tiers[tier].axes:
                return ("tiers", tier, "axes", name)
        return ("axes", name)

    def _rule_path(self, rule: str) -> KeyPath:
        for tier in self._tier.lineage:
            if rule in self._suite.tiers[tier].model_fields_set:
                return ("tiers", tier, rule)
        return (rule,)

    def _field_names(self) -> set[str]:
        names: set[str] = set()
        for axis in self._axes:
            names.add(axis.name)
            for value in axis.values:
                names |= set(_dotted(axis.name, value)) if isinstance(value, Mapping) else set()
        return names

    def _selections(self) -> None:
        path = self._rule_path("exclude")
        for number, entry in enumerate(self._tier.exclude):
            where = self._suite.at(*path, number)
            if isinstance(entry, str):
                self._keep.append((compile_expression(entry, self.fields, where=where), False))
                continue
            match = [self._match(name, value, (*path, number)) for name, value in entry.items()]
            if all(pair is not None for pair in match):
                self._exclude_matches.append([pair for pair in match if pair is not None])
        if self._tier.where is not None:
            where = self._suite.at(*self._rule_path("where"))
            predicate = compile_expression(self._tier.where, self.fields, where=where)
            self._keep.append((predicate, True))

    def _match(self, name: str, value: object, path: KeyPath) -> tuple[int, int] | None:
        """Axis and value index; None for a value that only other tiers have."""
        axis = self._axis_number(name, path)
        index = self._axes[axis].find(value)
        if index is not None:
            return axis, index
        if any(_has(entries, value) for entries in self._everywhere(name)):
            return None
        raise self._unknown_value(name, value, (*path, name))

    def _everywhere(self, name: str) -> Iterator[tuple[object, ...]]:
        for axes in (self._suite.axes, *(tier.axes for tier in self._suite.tiers.values())):
            if name in axes:
                yield axes[name]  # type: ignore[misc]

    def _axis_number(self, name: str, path: KeyPath) -> int:
        if name not in self.names:
            raise SuiteError(
                f"no axis `{name}`",
                where=self._suite.at(*path, name),
                expected="one of " + ", ".join(self.names),
                hint=did_you_mean(name, self.names),
            )
        return self.names.index(name)

    def _unknown_value(self, name: str, value: object, path: KeyPath) -> SuiteError:
        known = self._axes[self.names.index(name)].names
        shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
        return SuiteError(
            f"the axis `{name}` has no such value",
            where=self._suite.at(*path),
            expected=f"one of {shown}",
            found=describe(value),
            hint=did_you_mean(str(value), known),
        )

    def _included(self) -> list[Point]:
        path = self._rule_path("include")
        points: dict[Point, str] = {}
        for number, entry in enumerate(self._tier.include):
            where = self._suite.at(*path, number)
            for name in entry:
                self._axis_number(name, (*path, number))
            point = tuple(self._include_one(axis, entry, (*path, number)) for axis in self._axes)
            first = points.get(point)
            inside = all(index < axis.size for index, axis in zip(point, self._axes, strict=True))
            if first is None and inside and self._is_kept(point):
                first = "the axes: " + ", ".join(
                    self._suite.at(*axis.origins[index])
                    for index, axis in zip(point, self._axes, strict=True)
                )
            if first is not None:
                raise SuiteError(
                    "duplicate cells: this one is in the grid already",
                    where=where,
                    found=f"the first from {first}",
                    hint="remove this entry of include",
                )
            points[point] = f"include, {where}"
        return list(points)

    def _include_one(self, axis: _Axis, entry: Mapping[str, object], path: KeyPath) -> int:
        if axis.name not in entry:
            if axis.size == 1:
                return 0
            raise SuiteError(
                f"an included cell without a value for the axis `{axis.name}`",
                where=self._suite.at(*path),
                expected="a value for each axis that has several: "
                + ", ".join(other.name for other in self._axes if other.size > 1),
                found=describe(entry),
                hint=f"add `{axis.name}: {axis.names[0]}`",
            )
        value = entry[axis.name]
        index = axis.find(value)
        if index is not None:
            return index
        by_id = any(isinstance(known, Mapping) for known in axis.values)
        if by_id and not isinstance(value, Mapping):
            raise self._unknown_value(axis.name, value, (*path, axis.name))
        added = axis.add(value, (*path, axis.name))
        if added is None:
            first = axis.same_id(value)
            assert first is not None
            raise SuiteError(
                f"another value of the axis `{axis.name}` has the id {describe(_name(value))}",
                where=self._suite.at(*path, axis.name),
                found=f"the first at {self._suite.at(*axis.origins[first])}",
                hint="name the first by its id, or give this one an id of its own",
            )
        return added

    def _empty(self) -> SuiteError:
        rules = [rule for rule in ("exclude", "where") if getattr(self._tier, rule)]
        return SuiteError(
            f"the grid of tier `{self._tier.name}` is empty",
            where=self._suite.at(*self._rule_path(rules[-1])) if rules else self._suite.at("axes"),
            expected="at least one cell",
            found=f"none of {self._total:,} points is kept by {' and '.join(rules)}",
            hint="loosen " + " or ".join(f"`{rule}`" for rule in rules),
        )


def _name(value: object) -> object:
    """What a person calls an axis value: its id, or the scalar itself."""
    return value["id"] if isinstance(value, Mapping) else value


def _has(entries: tuple[object, ...], value: object) -> bool:
    return any(
        value in entry if isinstance(entry, range) else value in (entry, _name(entry))
        for entry in entries
    )


def _dotted(prefix: str, value: Mapping[str, object]) -> Iterator[str]:
    for key, item in value.items():
        name = f"{prefix}.{key}"
        yield name
        if isinstance(item, Mapping):
            yield from _dotted(name, item)
