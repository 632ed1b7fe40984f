"""The suite file: what may stand in it, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, LiteralString

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    PrivateAttr,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from harness.errors import SuiteError
from harness.spec.measures import (
    AxisName,
    Measures,
    Model,
    Name,
    Text,
)
from harness.spec.nearest import did_you_mean
from harness.spec.source import KeyPath, Source, describe

if TYPE_CHECKING:
    from collections.abc import Mapping

Level = Literal["R0", "R1", "R2", "R3"]

RESERVED_AXES = frozenset({"settings"})  # `${settings.x}` means the settings
_RANGE_FORM = "{range: [start, stop]} or {range: [start, stop, step]}, of integers"


def _refuse(
    message: LiteralString, value: object, expected: str, path: KeyPath = ()
) -> PydanticCustomError:
    context = {"expected": expected, "found": describe(value), "path": path}
    return PydanticCustomError("suite", message, context)


def _axis(axis: Any) -> tuple[Any, ...]:
    """Values, mappings and `range` objects, in the file's order."""
    if isinstance(axis, dict):
        return (_axis_entry(axis, ()),)
    if not isinstance(axis, list):
        raise _refuse("not an axis", axis, "a list of values, or {range: [start, stop]}")
    if not axis:
        raise _refuse("an axis without values: the grid is empty", axis, "at least one value")
    return tuple(_axis_entry(entry, (index,)) for index, entry in enumerate(axis))


def _axis_entry(entry: Any, path: KeyPath) -> object:
    if isinstance(entry, dict) and set(entry) == {"range"}:
        return _range(entry["range"], (*path, "range"))
    return _axis_value(entry, path)


def _axis_value(value: Any, path: KeyPath = ()) -> object:
    if isinstance(value, dict):
        if not isinstance(value.get("id"), str | int) or isinstance(value["id"], bool):
            raise _refuse("an axis value without an id", value, "{id: NAME, ...}", path=path)
    elif value is None or isinstance(value, list):
        expected = "text, a number, true, false, or a mapping with an id"
        raise _refuse("not an axis value", value, expected, path=path)
    return value


def _range(bounds: Any, path: KeyPath) -> range:
    good = isinstance(bounds, list) and len(bounds) in (2, 3)
    if not good or not all(type(bound) is int for bound in bounds):
        raise _refuse("not a range", bounds, _RANGE_FORM, path=path)
    if len(bounds) == 3 and bounds[2] == 0:
        raise _refuse("a range whose step is zero", bounds, _RANGE_FORM, path=path)
    values = range(*bounds)
    if not values:
        expected = "a range that holds at least one integer; stop is not part of it"
        raise _refuse("a range of zero length", str(bounds), expected, path=path)
    return values


def _exclusion(entry: Any) -> Any:
    if isinstance(entry, str) or (
        isinstance(entry, dict) and entry and not any(isinstance(v, list) for v in entry.values())
    ):
        return entry
    raise _refuse("not an exclusion", entry, 'an expression, or a mapping such as {model: "tiny"}')


def _relative(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path:
        raise _refuse("a path that leaves the suite's folder", path, "a relative path with /")
    return path


_SCALAR_SCHEMA: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_VALUE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        _SCALAR_SCHEMA,
        {
            "type": "object",
            "properties": {"id": {"type": ["string", "integer"]}},
            "required": ["id"],
        },
    ]
}
_RANGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3}
    },
    "required": ["range"],
    "additionalProperties": False,
}

AxisValue = Annotated[JsonValue, AfterValidator(_axis_value), WithJsonSchema(_VALUE_SCHEMA)]
Axis = Annotated[
    JsonValue,
    AfterValidator(_axis),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "array",
                    "items": {"anyOf": [_VALUE_SCHEMA, _RANGE_SCHEMA]},
                    "minItems": 1,
                },
                _RANGE_SCHEMA,
            ]
        }
    ),
]
Exclusion = Annotated[
    JsonValue,
    AfterValidator(_exclusion),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "additionalProperties": _SCALAR_SCHEMA, "minProperties": 1},
            ]
        }
    ),
]
Axes = dict[AxisName, Axis]
Include = dict[AxisName, AxisValue]


class CitedSource(Model):
    """A publication or repository that the suite reproduces."""

    title: Text = Field(description="Title, authors, venue.")
    arxiv: str | None = Field(
        default=None, description="arXiv number with its version: 2509.25300v4."
    )
    doi: str | None = Field(default=None, description="Digital object identifier.")
    url: str | None = Field(default=None, description="Address of a page or repository.")
    note: str | None = Field(
        default=None, description="What the figures are, and how they were obtained."
    )


class Generated(Model):
    """A data set that a generator of this harness makes, the same bytes on every machine."""

    name: Literal["micro", "micro-base"] = Field(
        description="micro makes micro-Guru; micro-base hands out a base model made for it."
    )
    version: int = Field(ge=1, description="Of the generator; another one makes other bytes.")
    seed: int = Field(default=0, ge=0, description="Of its draws (micro).")
    model: Text | None = Field(default=None, description="Which base model (micro-base).")


class DataSet(Model):
    """A file, or a folder of files, that cells read; suite.lock pins its bytes."""

    path: Annotated[Text, AfterValidator(_relative)] = Field(
        description="The file or folder, relative to the suite's folder; with `url`, a file, "
        "relative to the download cache."
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https://",
        description="Address of a file that may not travel with the suite; no moving ref.",
    )
    generator: Generated | None = Field(
        default=None, description="Makes the file, in place of an address to fetch it from."
    )
    columns: tuple[Text, ...] = Field(default=(), description="Columns that must be there (CSV).")
    unique: tuple[Text, ...] = Field(
        default=(), description="Columns that together name a row; no two rows may share them."
    )
    numeric: tuple[Text, ...] = Field(
        default=(), description="Columns of finite numbers: no gaps, no NaN, no infinity."
    )
    provenance: str | None = Field(
        default=None, description="Where the figures come from: text or a file."
    )

    @property
    def in_suite(self) -> bool:
        """Whether the file stands in the suite's folder."""
        return self.url is None and self.generator is None

    @property
    def recipe(self) -> str | None:
        """What a generator is told, in one line; None without one."""
        if self.generator is None:
            return None
        told = self.generator.model_dump(exclude_none=True)
        return ", ".join(f"{key} {value}" for key, value in told.items())


class Budget(Model):
    """What a run may cost."""

    wall_s: float | None = Field(default=None, gt=0, description="Seconds that all cells may take.")
    cell_s: float | None = Field(
        default=None, gt=0, description="Seconds that one cell is expected to take, as measured."
    )
    cell_limit_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds after which one cell is stopped and counted as failed.",
    )


class Resources(Model):
    """What one cell gets of a machine; limits bind where the container engine enforces them."""

    gpus: int = Field(default=0, ge=0, description="GPUs of its own.")
    cpus: float | None = Field(
        default=None,
        ge=0.01,
        allow_inf_nan=False,
        description="Cores at a time (default: all, shared between cells).",
    )
    memory_gb: float | None = Field(
        default=None,
        ge=0.01,
        allow_inf_nan=False,
        description="Memory in GB (default: nearly all of the machine's).",
    )
    pids: int | None = Field(
        default=None, ge=16, description="Processes and threads at a time (default: 1024)."
    )
    disk_gb: float | None = Field(
        default=None,
        ge=0.001,
        allow_inf_nan=False,
        description="GB that it may write: results, checkpoints, scratch (default: 50).",
    )


class Expectation(Model):
    """A verdict that is known beforehand and that the suite stands by."""

    verdict: Literal["drifted", "inconclusive", "not_reproduced"] = Field(
        description="What an honest run of this tier finds."
    )
    reason: Text = Field(description="Why, in a sentence for the reader of the verdict.")


class TierEntry(Model):
    """One way to run the suite; what it does not say comes from `extends`, then from the suite."""

    level: Level | None = Field(
        default=None,
        description="What is redone: R0 the fit, R1 the scoring, R2 the evaluation, R3 training.",
    )
    extends: str | None = Field(
        default=None, description="Another tier of this suite to start from."
    )
    engine: Name | None = Field(
        default=None, description="What computes a cell: replay, torch_rl, verl."
    )
    container: Name | None = Field(
        default=None,
        description="Where a cell runs: process, docker, podman, apptainer; auto is the strongest "
        "of them that works.",
    )
    image: Text | None = Field(
        default=None,
        description="The image of its container: a name in docker/images.lock.toml (default: cpu, "
        "or cuda where cells get GPUs), or NAME@sha256:...",
    )
    resources: Resources | None = Field(
        default=None, description="What one cell gets; replaces that of `extends`."
    )
    axes: Axes = Field(default={}, description="Axes that replace those of the same name.")
    include: tuple[Include, ...] | None = Field(
        default=None, description="Replaces the suite's include."
    )
    exclude: tuple[Exclusion, ...] | None = Field(default=None, description="Replaces the exclude.")
    where: str | None = Field(
        default=None, description="Replaces the suite's where; null keeps all cells."
    )
    settings: dict[str, JsonValue] = Field(
        default={}, description="Merged deeply over the settings."
    )
    scorers: tuple[Name, ...] | None = Field(
        default=None, description="Scorers whose version can move this tier's numbers."
    )
    budget: Budget | None = Field(default=None, description="Replaces the suite's budget.")
    expect: Expectation | None = Field(
        default=None, description="The verdict that this tier is known to have, if not reproduced."
    )
    measure: Measures | None = Field(
        default=None, description="Curves, analyses and so on that replace the suite's own."
    )


@dataclass(frozen=True)
class Tier:
    """A tier with all that it inherits.

    `lineage` names it and the tiers it extends, nearest first.
    """

    name: str
    lineage: tuple[str, ...]
    level: Level
    engine: str
    container: str
    image: str
    resources: Resources
    axes: Mapping[str, tuple[object, ...]]
    include: tuple[Mapping[str, object], ...]
    exclude: tuple[str | Mapping[str, object], ...]
    where: str | None
    settings: Mapping[str, object]
    scorers: tuple[str, ...]
    budget: Budget
    expect: Expectation | None


class Suite(Measures):
    """A suite file that has been read and checked. Make one with `load.load_suite`."""

    schema_: Literal[1] = Field(alias="schema", description="Version of this file format.")
    name: Name = Field(description="Name of the suite; its folder has the same.")
    version: int = Field(ge=1, description="Raised when, and only when, a number can move.")
    title: Text = Field(description="One line that says what is reproduced.")
    sources: dict[Name, CitedSource] = Field(default={}, description="What is reproduced.")
    data: dict[Name, DataSet] = Field(default={}, description="Files that cells read.")
    axes: Axes = Field(min_length=1, description="The grid: name -> values.")
    include: tuple[Include, ...] = Field(
        default=(),
        description="Extra cells: axis -> value or its id. Kept whatever the next two say.",
    )
    exclude: tuple[Exclusion, ...] = Field(
        default=(),
        description="Cells to leave out: expressions, or mappings axis -> value or its id.",
    )
    where: str | None = Field(
        default=None, description="Expression over axis values that keeps cells."
    )
    settings: dict[str, JsonValue] = Field(
        default={},
        description="What the engine is told. Text may hold ${axis.field} or ${settings.key}.",
    )
    tiers: dict[Name, TierEntry] = Field(min_length=1, description="Ways to run the suite.")
    budget: Budget = Field(default=Budget(), description="What a run of a tier may cost.")

    _source: Source = PrivateAttr()
    # Where each analysis was written, by the path of its list; and of what a tier replaces, where.
    _origins: dict[KeyPath, list[KeyPath]] = PrivateAttr(default_factory=dict)
    _replaced: dict[str, KeyPath] = PrivateAttr(default_factory=dict)
    _whole: Suite | None = PrivateAttr(default=None)  # what this is a tier's view of

    @property
    def path(self) -> Path:
        """The suite file."""
        return self._source.path

    @property
    def root(self) -> Path:
        """The suite's folder: data paths are relative to it."""
        return self._source.path.parent

    @property
    def handle(self) -> str:
        """What to type for this suite: its name where its folder has it, else the folder."""
        return self.name if self.root.name == self.name else str(self.root)

    def at(self, *path: str | int) -> str:
        """`file:line` of a key path, for errors."""
        return self._source.where(self._in_file(path))

    def at_analysis(self, number: int, *path: str) -> str:
        """`file:line` of a key of `analyses[number]`, where the file has it before `for`."""
        origin = self._origins[self._in_file(("analyses",))][number]
        return self._source.where((*origin, *path))

    def says(self, *path: str | int) -> bool:
        """Whether the file has this key path, rather than its default."""
        return self._source.holds(self._in_file(path))

    def _in_file(self, path: KeyPath) -> KeyPath:
        """Where a key path stands in the file, if a tier's `measure` replaces its first key."""
        return (*self._replaced.get(str(path[0]), path[:1]), *path[1:]) if path else path

    def for_tier(self, name: str) -> Suite:
        """The suite as the tier sees it: with what its `measure` replaces."""
        if self._whole is not None:
            return self._whole.for_tier(name)
        measure = next(
            (
                (ancestor, found)
                for ancestor in self._lineage(name)
                if (found := self.tiers[ancestor].measure) is not None
            ),
            None,
        )
        if measure is None:
            return self
        owner, found = measure
        keys = found.model_fields_set
        view = self.model_copy(update={key: getattr(found, key) for key in keys})
        view._whole = self
        view._replaced = {key: ("tiers", owner, "measure", key) for key in keys}
        return view

    def tier(self, name: str) -> Tier:
        """A tier with all that it inherits.

        Raises:
            SuiteError: there is no such tier; it extends an unknown tier or, in the end, itself;
                neither it nor those name a level or an engine.
        """
        lineage = self._lineage(name)
        entries = [self.tiers[ancestor] for ancestor in lineage]
        merged: dict[str, Any] = {
            "level": None,
            "engine": None,
            "container": "process",
            "image": None,
            "resources": None,
            "include": self.include,
            "exclude": self.exclude,
            "where": self.where,
            "scorers": (),
            "budget": self.budget,
        }
        axes: dict[str, Any] = dict(self.axes)
        settings: dict[str, Any] = dict(self.settings)
        for entry in reversed(entries):
            merged |= {key: getattr(entry, key) for key in merged if key in entry.model_fields_set}
            axes |= entry.axes
            settings = _merge(settings, entry.settings)
        for key, example in (("level", "R0"), ("engine", "replay")):
            if merged[key] is None:
                raise SuiteError(
                    f"tier `{name}` has no {key}",
                    where=self.at("tiers", name),
                    hint=f"add `{key}: {example}`",
                )
        merged["resources"] = merged["resources"] or Resources()
        merged["image"] = merged["image"] or ("cuda" if merged["resources"].gpus else "cpu")
        for key in ("include", "exclude", "scorers"):
            merged[key] = merged[key] or ()
        # A verdict is of one tier: what another is expected to find is no part of it.
        merged["expect"] = self.tiers[name].expect
        return Tier(name=name, lineage=lineage, axes=axes, settings=settings, **merged)

    def _lineage(self, name: str) -> tuple[str, ...]:
        lineage: list[str] = []
        parent: str | None = name
        while parent is not None:
            path = ("tiers", lineage[-1], "extends") if lineage else ("tiers",)
            if parent in lineage:
                raise SuiteError(
                    "tiers extend each other in a circle",
                    where=self.at(*path),
                    found=" -> ".join([*lineage, parent]),
                    hint="remove one of the `extends`",
                )
            if parent not in self.tiers:
                raise SuiteError(
                    f"no tier `{parent}`",
                    where=self.at(*path),
                    expected="one of " + ", ".join(self.tiers),
                    hint=did_you_mean(parent, self.tiers),
                )
            lineage.append(parent)
            parent = self.tiers[parent].extends
        return tuple(lineage)


def tasks_of(tier: Tier) -> tuple[str, ...]:
    """The tasks of lm-eval that a tier's cells are asked: `settings.evaluation.lm_eval`."""
    evaluation = tier.settings.get("evaluation")
    asked = evaluation.get("lm_eval") if isinstance(evaluation, dict) else None
    return tuple(map(str, asked)) if isinstance(asked, list | tuple) else ()


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
