"""What a report is made of: one frozen value, gathered by the pipeline before anything is drawn."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from harness.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis import Curves, Fit, Resample
    from harness.verdict.model import Comparison, Verdict


class Declaration(Protocol):
    """A figure or table as the suite file declares it."""

    @property
    def name(self) -> str:
        """Name of the file, without its ending."""

    @property
    def kind(self) -> str:
        """A registered kind of figure or table."""

    @property
    def fit(self) -> str | None:
        """The one fit that it shows, or None."""

    @property
    def fits(self) -> Sequence[str]:
        """Names or glob patterns of the fits that it shows."""

    @property
    def params(self) -> Sequence[str]:
        """Parameters that a table lists, in order."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A `Declaration` made by hand, for callers without a suite file."""

    name: str
    kind: str
    fit: str | None = None
    fits: tuple[str, ...] = ()
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """One curve, or the end of one, predicted by a fit that has not seen its points.

    Attributes:
        kind: `blind` if nothing of the prediction was fitted on the predicted curve, `calibrated`
            if its E0 was.
        law: the law that predicts.
        N: parameters of the predicted model.
        x: abscissa of its points, in the unit of the fit's x.
        observed: test loss at x.
        predicted: test loss that the law gives at x.
        rmse: root mean square of predicted - observed, in linear loss.
    """

    kind: Literal["blind", "calibrated"]
    law: str
    N: float
    x: NDArray
    observed: NDArray
    predicted: NDArray
    rmse: float


@dataclass(frozen=True, slots=True)
class FitRows:
    """The points behind a fit: those that entered the sum of squares and those kept from it."""

    used: Curves
    held_out: Curves


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
        rows: by fit name, the points used and held out.
        extrapolations: by fit name, each predicted curve both blind and calibrated.
        figures, tables: what the suite file asks for.
        curves: all points of the run.
        cell_errors: cells without a valid record.
        provenance: nested mappings and scalars, shown and stored as they are.
        timing: seconds by step of the pipeline.
        drift: accepted lock drift, or None.
        notes: sentences shown beside the verdict.
        rerun: commands that repeat this run, to be typed as they are.
        limits: sentences on what this run does not say, in addition to those of its level.
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
    rows: Mapping[str, FitRows]
    extrapolations: Mapping[str, Sequence[Extrapolation]]
    figures: Sequence[Declaration]
    tables: Sequence[Declaration]
    curves: Curves | None = None
    cell_errors: Sequence[CellError] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    drift: LockDrift | None = None
    notes: Sequence[str] = ()
    rerun: Sequence[str] = ()
    limits: Sequence[str] = ()


def declared_fits(declaration: Declaration, fits: Mapping[str, object]) -> list[str]:
    """Names of the fits that a figure or table shows: its `fit`, then its `fits` patterns in order.

    Raises:
        SuiteError: a pattern matches no fit of the run.
    """
    patterns = [declaration.fit] if declaration.fit else []
    patterns.extend(declaration.fits)
    names: dict[str, None] = {}
    for pattern in patterns:
        matching = [name for name in fits if fnmatch.fnmatchcase(name, pattern)]
        if not matching:
            raise SuiteError(
                f"{declaration.kind} {declaration.name!r} asks for the fit {pattern!r}",
                expected=f"one of {', '.join(fits) or 'no fits: this run has none'}",
                hint="correct the name in the suite file's figures or tables",
            )
        names.update(dict.fromkeys(matching))
    return list(names)
