"""The suite file: what may stand in it, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, LiteralString

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from harness.errors import SuiteError
from harness.spec.nearest import did_you_mean
from harness.spec.source import KeyPath, Source, describe

if TYPE_CHECKING:
    from collections.abc import Mapping

Level = Literal["R0", "R1", "R2", "R3"]

RESERVED_AXES = frozenset({"settings"})  # `${settings.x}` means the settings
_IDENTIFIER = r"^[A-Za-z][A-Za-z0-9_]*$"
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

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
AxisName = Annotated[str, StringConstraints(pattern=_IDENTIFIER)]
Text = Annotated[str, StringConstraints(min_length=1)]
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


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CitedSource(_Model):
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


class DataSet(_Model):
    """A file that cells read; suite.lock pins its bytes."""

    path: Annotated[Text, AfterValidator(_relative)] = Field(
        description="The file, relative to the suite's folder; with `url`, to the download cache."
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https://",
        description="Address of a file that may not travel with the suite; no moving ref.",
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


class Budget(_Model):
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


class Expectation(_Model):
    """A verdict that is known beforehand and that the suite stands by."""

    verdict: Literal["drifted", "inconclusive", "not_reproduced"] = Field(
        description="What an honest run of this tier finds."
    )
    reason: Text = Field(description="Why, in a sentence for the reader of the verdict.")


class TierEntry(_Model):
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
        default=None, description="Where a cell runs: process, docker, podman, apptainer."
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


class CurveTable(_Model):
    """How the cells' metrics become one table of curve points."""

    labels: dict[str, Text] = Field(description="Column -> name in the cell's values: `model.N`.")
    columns: dict[str, Text] = Field(
        description="Column -> field of a line of metrics.jsonl: `samples`, `evals.NAME`."
    )
    each: tuple[dict[AxisName, str | int | float], ...] = Field(
        default=(),
        alias="for",
        description="Each line is a row for each record, whose keys are labels: {eval: gsm8k}. "
        "${eval} stands for its value in `columns` and in the fields of summaries.",
    )

    @property
    def label_names(self) -> tuple[str, ...]:
        """The columns that are the same in all rows of one curve."""
        return (*self.labels, *(self.each[0] if self.each else ()))

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return (*self.label_names, *self.columns)


class Resampling(_Model):
    """How the uncertainty of a fit is found."""

    by: Text = Field(
        description="What is drawn with replacement: curve, block (of steps within a curve), or a "
        "column that names clusters: seed, question."
    )
    n: int = Field(gt=0, description="How often.")
    seed: int = Field(ge=0, description="Seed of the draws.")


class Extrapolation(_Model):
    """Points that the fit does not use and that it has to predict."""

    to: Text = Field(description="Expression over curve columns: the points to predict.")
    blind_law: Name = Field(description="The law that predicts them without having seen any.")


class Analysis(_Model):
    """One fit of one law."""

    name: Name = Field(description="The name by which figures, tables and goldens call the fit.")
    law: Name = Field(description="A registered law: loglinear, loglinear_kn, loglinear_kn_e0.")
    x: Text = Field(description="Column of the abscissa: C in FLOPs or D in samples.")
    y: Text = Field(description="Column of the loss.")
    group: Text = Field(default="N", description="Label whose values tell the curves apart.")
    where: Text | None = Field(
        default=None, description="Expression over curve columns: the points used."
    )
    drop_first: int = Field(
        default=0, ge=0, description="Points dropped at the head of each curve."
    )
    drop_last: int = Field(default=0, ge=0, description="Points dropped at the tail of each curve.")
    weights: Literal["per_curve", "per_point"] = Field(
        default="per_curve", description="What weighs the same: each curve in total, or each point."
    )
    space: Literal["linear", "log10", "relative"] = Field(
        default="linear",
        description="Where residuals are taken: in L, in log10 L, or in L relative to the point.",
    )
    loss: Literal["squares", "huber", "lad"] = Field(
        default="squares", description="What of the residuals is least: squares, Huber, |r|."
    )
    delta: float | None = Field(
        default=None, gt=0, description="Where the Huber loss turns linear, in units of the space."
    )
    run: Text | None = Field(
        default=None, description="Column that tells the runs of one curve apart, e.g. seed."
    )
    rivals: tuple[Name, ...] = Field(
        default=(), description="Laws fitted to the same points, for comparison."
    )
    held_out: float = Field(
        default=0.2, gt=0, lt=1, description="Last share of log x that a second fit must predict."
    )
    profile: tuple[Text, ...] = Field(
        default=(), description="Shared parameters whose profile likelihood is computed."
    )
    resample: Resampling | None = Field(default=None, description="Uncertainty by resampling.")
    extrapolate: Extrapolation | None = Field(
        default=None, description="Held-out points to predict."
    )

    @property
    def laws(self) -> tuple[str, ...]:
        """The laws that this fit needs."""
        blind = (self.extrapolate.blind_law,) if self.extrapolate else ()
        return (self.law, *blind, *self.rivals)


class Summary(_Model):
    """One number per cell or group of cells."""

    name: Name = Field(description="The name by which goldens call it: summary/NAME/...")
    field: Text = Field(
        description="A curve column (with `take`), or a field of result.json, where ${label} "
        "stands for the value of a label."
    )
    take: Literal["last", "first", "min", "max", "mean"] | None = Field(
        default=None, description="Which point of the curve column, or their mean."
    )
    last: int | None = Field(
        default=None, gt=0, description="Take from this many points at the end only."
    )
    where: Text | None = Field(
        default=None, description="Expression over labels: the cells that are summarised."
    )
    reduce: Literal["mean", "sum"] | None = Field(
        default=None, description="What becomes of several cells that `by` does not tell apart."
    )
    minus: Text | None = Field(
        default=None, description="Another such field, whose number is subtracted."
    )
    complement: bool = Field(
        default=False, description="1 - value: an accuracy from an error rate."
    )
    by: tuple[Text, ...] = Field(default=(), description="Labels that tell the numbers apart.")


class Figure(_Model):
    """One figure of the report."""

    name: Name = Field(description="File name of the figure, without its ending.")
    kind: Name = Field(description="How it is drawn: scaling, extrapolation, slopes, grid.")
    fit: str | None = Field(default=None, description="The analysis it shows.")
    fits: tuple[Text, ...] = Field(
        default=(), description="Several analyses, by name or glob pattern."
    )
    params: tuple[Text, ...] = Field(default=(), description="Parameters that it shows.")
    x: Text | None = Field(default=None, description="Curve column of the abscissa.")
    y: Text | None = Field(default=None, description="Curve column of the ordinate.")
    group: Text | None = Field(default=None, description="Column that tells the curves apart.")
    panels: Text | None = Field(default=None, description="Column with a panel for each value.")
    where: Text | None = Field(
        default=None, description="Expression over curve columns: the points shown."
    )
    smooth: Literal["spline", "isotonic", "segments", "paper"] | None = Field(
        default=None, description="How the lines through the points are smoothed."
    )
    title: Text | None = Field(default=None, description="Its heading, in place of the name.")
    caption: Text | None = Field(default=None, description="What it shows, in sentences.")
    labels: dict[Text, Text] = Field(
        default={}, description="What it calls a column, or a value of one: {'0': AIME24}."
    )


class Table(_Model):
    """One table of the report."""

    name: Name = Field(description="File name of the table, without its ending.")
    kind: Literal["table", "table-compact", "table-summaries"] = Field(description="How it is set.")
    fits: tuple[Text, ...] = Field(default=(), description="Analyses, by name or glob pattern.")
    params: tuple[Text, ...] = Field(default=(), description="Shared parameters to show.")
    summaries: tuple[Text, ...] = Field(
        default=(), description="Summaries with the same `by`, one column each (table-summaries)."
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
    axes: Mapping[str, tuple[object, ...]]
    include: tuple[Mapping[str, object], ...]
    exclude: tuple[str | Mapping[str, object], ...]
    where: str | None
    settings: Mapping[str, object]
    scorers: tuple[str, ...]
    budget: Budget
    expect: Expectation | None


class Suite(_Model):
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
    curves: CurveTable | None = Field(default=None, description="The table that analyses fit.")
    analyses: tuple[Analysis, ...] = Field(default=(), description="Fits.")
    summaries: tuple[Summary, ...] = Field(default=(), description="Single numbers.")
    judge: tuple[Text, ...] = Field(
        default=(), description="Glob patterns of the quantities that must have a golden entry."
    )
    figures: tuple[Figure, ...] = Field(default=(), description="Figures of the report.")
    tables: tuple[Table, ...] = Field(default=(), description="Tables of the report.")
    limits: tuple[Text, ...] = Field(
        default=(), description="What a run of this suite does not say."
    )
    budget: Budget = Field(default=Budget(), description="What a run of a tier may cost.")

    _source: Source = PrivateAttr()
    _origins: list[KeyPath] = PrivateAttr(default_factory=list)

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
        return self._source.where(path)

    def at_analysis(self, number: int, *path: str) -> str:
        """`file:line` of a key of `analyses[number]`, where the file has it before `for`."""
        return self.at(*self._origins[number], *path)

    def says(self, *path: str | int) -> bool:
        """Whether the file has this key path, rather than its default."""
        return self._source.holds(path)

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


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
