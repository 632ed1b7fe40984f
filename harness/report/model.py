"""What a report is made of: one frozen value, gathered by the pipeline before anything is drawn."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis import Curves, Extrapolation, Fit, ProfileInterval, Resample, Rival
    from harness.verdict.entry import NotRecomputed, Refusal
    from harness.verdict.expectation import Expected
    from harness.verdict.model import Comparison, Verdict


class FigureDeclaration(Protocol):
    """A figure as the suite file declares it.

    One `fit`, or `fits` by name or glob pattern; or columns of the curve table: `y` against `x`,
    curves told apart by `group`, with a panel for each value of `panels`, of the rows that `where`
    keeps. `labels` says in words what a column, or a value of one, is.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def fit(self) -> str | None: ...  # noqa: D102
    @property
    def fits(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def params(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def x(self) -> str | None: ...  # noqa: D102
    @property
    def y(self) -> str | None: ...  # noqa: D102
    @property
    def group(self) -> str | None: ...  # noqa: D102
    @property
    def panels(self) -> str | None: ...  # noqa: D102
    @property
    def where(self) -> str | None: ...  # noqa: D102
    @property
    def smooth(self) -> str | None: ...  # noqa: D102
    @property
    def title(self) -> str | None: ...  # noqa: D102
    @property
    def caption(self) -> str | None: ...  # noqa: D102
    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102


class TableDeclaration(Protocol):
    """A table as the suite file declares it: its columns are parameters of fits, or summaries."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def fits(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def params(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def summaries(self) -> Sequence[str]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class SummaryNumbers:
    """The numbers of one summary by its labels, spelled as in the names of quantities."""

    by: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


class FitPoints(Protocol):
    """The points behind a fit: those in its sum of squares, and those kept from it to predict."""

    @property
    def used(self) -> Curves: ...  # noqa: D102
    @property
    def held_out(self) -> Curves: ...  # noqa: D102


class MissingError(DataError):
    """A figure or table asks for what this run does not have; the report goes on without it."""


class MissingFitError(MissingError):
    """It asks for a fit that this run could not make."""


@dataclass(frozen=True, slots=True)
class CellError:
    """A cell without a valid record. It is an infrastructure failure, never a score."""

    cell: str
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class LockDrift:
    """Differences from suite.lock with which the run went on, and the reason given for it."""

    differences: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class ReportInput:
    """Everything that the report folder of one run says.

    Attributes:
        suite, version, title, tier, level: the suite and the part of it that ran.
        run_id: names the folder; the same run always has the same report.
        verdict: of the suite, joined from the comparisons.
        comparisons: one per golden entry, in the order of the golden file.
        fits: by the name of their analysis, in the order of the suite file.
        resamples: by fit name; fits that were not resampled are absent.
        points: by fit name, the points used and held out.
        extrapolations: by fit name; a curve of which no point was fitted comes twice, blind and
            calibrated.
        held_out: by fit name, what refits without some of the points say of those.
        rivals: by fit name, its law and others on the same points, the least BIC first.
        profiles: by fit name, profile-likelihood intervals of shared parameters.
        fit_notes: by fit name, what could not be had beside it, and why.
        figures, tables: what the suite file asks for.
        summaries: by name, the single numbers of the run.
        curves: all points of the run.
        incomplete: by analysis, why it could not be done or may not be compared.
        cell_errors: cells without a valid record.
        provenance: nested mappings and scalars, shown and stored as they are.
        inputs_sha256: stands for all that the report was made of, so that it is not made twice.
        timing: seconds by step of the pipeline.
        drift: accepted lock drift, or None.
        notes: sentences shown beside the verdict.
        rerun: commands that repeat this run, to be typed as they are.
        limits: sentences on what this run does not say, in addition to those of its level.
        not_recomputed: published numbers that no run can find again; they never count.
        refused: published numbers that may not become goldens.
        expected: the verdict that the suite expects of this tier, or None: that it holds up.
    """

    suite: str
    version: int
    title: str
    tier: str
    level: str
    run_id: str
    verdict: Verdict
    comparisons: Sequence[Comparison]
    fits: Mapping[str, Fit]
    resamples: Mapping[str, Resample]
    points: Mapping[str, FitPoints]
    extrapolations: Mapping[str, Sequence[Extrapolation]]
    figures: Sequence[FigureDeclaration]
    tables: Sequence[TableDeclaration]
    held_out: Mapping[str, Sequence[Extrapolation]] = field(default_factory=dict)
    rivals: Mapping[str, Sequence[Rival]] = field(default_factory=dict)
    profiles: Mapping[str, Sequence[ProfileInterval]] = field(default_factory=dict)
    fit_notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    summaries: Mapping[str, SummaryNumbers] = field(default_factory=dict)
    curves: Curves | None = None
    incomplete: Mapping[str, str] = field(default_factory=dict)
    cell_errors: Sequence[CellError] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    inputs_sha256: str = ""
    timing: Mapping[str, float] = field(default_factory=dict)
    drift: LockDrift | None = None
    notes: Sequence[str] = ()
    rerun: Sequence[str] = ()
    limits: Sequence[str] = ()
    not_recomputed: Sequence[NotRecomputed] = ()
    refused: Sequence[Refusal] = ()
    expected: Expected | None = None


def group_of(report: ReportInput, name: str) -> str:
    """The column that tells the curves of a fit apart."""
    fit = report.fits.get(name)
    return "N" if fit is None else fit.group


def declared_fits(patterns: Sequence[str], report: ReportInput) -> list[str]:
    """Names of the fits that match the patterns, in the patterns' order, each once.

    Raises:
        MissingFitError: a pattern matches none of the run's fits.
    """
    names: dict[str, None] = {}
    for pattern in patterns:
        matching = [name for name in report.fits if fnmatch.fnmatchcase(name, pattern)]
        if not matching:
            why = report.incomplete.get(pattern)
            raise MissingFitError(
                f"this run has no fit {pattern!r}" + (f": {why}" if why else ""),
                expected=f"one of {', '.join(report.fits) or 'none: there are no fits'}",
                hint="run all cells of the tier, or correct the name in the suite file",
            )
        names.update(dict.fromkeys(matching))
    return list(names)
