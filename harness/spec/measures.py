"""What is made of a tier's cells: the table of curves, fits, summaries, figures and tables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
AxisName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Text = Annotated[str, StringConstraints(min_length=1)]


class Model(BaseModel):
    """A part of a suite file: no unknown key, no conversion, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CurveTable(Model):
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


class Resampling(Model):
    """How the uncertainty of a fit is found."""

    by: Text = Field(
        description="What is drawn with replacement: curve, block (of steps within a curve), or a "
        "column that names clusters: seed, question."
    )
    n: int = Field(gt=0, description="How often.")
    seed: int = Field(ge=0, description="Seed of the draws.")


class Extrapolation(Model):
    """Points that the fit does not use and that it has to predict."""

    to: Text = Field(description="Expression over curve columns: the points to predict.")
    blind_law: Name = Field(description="The law that predicts them without having seen any.")


class Analysis(Model):
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


class Summary(Model):
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


class Figure(Model):
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


class Table(Model):
    """One table of the report."""

    name: Name = Field(description="File name of the table, without its ending.")
    kind: Literal["table", "table-compact", "table-summaries"] = Field(description="How it is set.")
    fits: tuple[Text, ...] = Field(default=(), description="Analyses, by name or glob pattern.")
    params: tuple[Text, ...] = Field(default=(), description="Shared parameters to show.")
    summaries: tuple[Text, ...] = Field(
        default=(), description="Summaries with the same `by`, one column each (table-summaries)."
    )


Positive = Annotated[float, Field(gt=0)]
Reason = Annotated[str, StringConstraints(min_length=20)]


class Margin(Model):
    """How far a number may lie from its golden one and still be the same result (levels R1 to R3).

    It stands in the suite, so that it is set before the runs that it judges; `harness golden
    record` copies it into the golden file.
    """

    match: Text = Field(description="Glob pattern of quantity names: summary/pass-at-1/*.")
    margin: Positive = Field(description="Largest difference, in the quantity's unit.")
    reason: Reason = Field(description="Why this much, without a look at the runs it judges.")


class GoldenBand(Model):
    """A grid on which the predictions of a fit are judged, all points together."""

    fit: Name = Field(description="The analysis.")
    N: tuple[Positive, ...] = Field(min_length=1, description="Its curves, by the group's values.")
    x: tuple[Positive, ...] = Field(min_length=1, description="Abscissae.")
    margin: Positive = Field(description="Largest difference in predicted loss.")
    reason: Reason = Field(description="Why this much, without a look at the runs it judges.")


class Measures(Model):
    """What is made of the cells of a tier, in place of what the suite says for all tiers.

    A tier that trains does not measure what a tier that replays a publication has: each key that
    stands here replaces the suite's of the same name.
    """

    curves: CurveTable | None = Field(default=None, description="The table that analyses fit.")
    analyses: tuple[Analysis, ...] = Field(default=(), description="Fits.")
    summaries: tuple[Summary, ...] = Field(default=(), description="Single numbers.")
    judge: tuple[Text, ...] = Field(
        default=(), description="Glob patterns of the quantities that must have a golden entry."
    )
    margins: tuple[Margin, ...] = Field(
        default=(), description="Margins of goldens that this harness records from its own seeds."
    )
    bands: tuple[GoldenBand, ...] = Field(
        default=(), description="Grids on which recorded fits are judged by their predictions."
    )
    figures: tuple[Figure, ...] = Field(default=(), description="Figures of the report.")
    tables: tuple[Table, ...] = Field(default=(), description="Tables of the report.")
    limits: tuple[Text, ...] = Field(
        default=(), description="What a run of this suite does not say."
    )
