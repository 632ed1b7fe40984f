"""What the verdict is given: every number of a run by name, and why the others are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.resampling import leave_one_curve_out
from harness.errors import DataError
from harness.quantities import (
    by_name,
    extrapolation_quantities,
    fit_quantities,
    summary_quantities,
    uncertainty_quantities,
)
from harness.verdict.model import Quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.analysis.resampling import LeaveOneOut
    from harness.fitting import Outcome
    from harness.spec.suite import Analysis
    from harness.steps import Fitted
    from harness.verdict.entry import Point
    from harness.verdict.golden import Golden


def quantities_of(fitted: Fitted) -> dict[str, Quantity]:
    """Every number of the run that a golden entry may name."""
    found: list[Quantity] = []
    for name, one in fitted.analyses.items():
        if one.outcome is not None:
            found.extend(fit_quantities(name, one.outcome.fit, missing=one.incomplete))
            left_out = _left_out(one.analysis, one.outcome)
            found.extend(
                uncertainty_quantities(name, one.outcome.fit, left_out, missing=one.incomplete)
            )
            found.extend(
                extrapolation_quantities(name, one.outcome.extrapolations, missing=one.incomplete)
            )
    for summary in fitted.collected.locked.loaded.suite.summaries:
        found.extend(summary_quantities(summary, fitted.collected.results))
    return by_name(found)


def _left_out(analysis: Analysis, outcome: Outcome) -> LeaveOneOut | None:
    """Where whole curves are resampled, the refits without each curve too: a few milliseconds."""
    if analysis.resample is None or analysis.resample.by != "curve":
        return None
    return leave_one_curve_out(outcome.fit, outcome.selected)


def with_missing(
    golden: Golden, quantities: Mapping[str, Quantity], fitted: Fitted
) -> dict[str, Quantity]:
    """The quantities, with a reason for each golden entry whose part of the run is unfinished."""
    known = dict(quantities)
    heads = {f"/{name}/": one.incomplete for name, one in fitted.analyses.items() if one.incomplete}
    if fitted.collected.absent:
        gone = f"{len(fitted.collected.absent)} cells of the tier have no result"
        heads |= {
            f"summary/{one.name}/": gone for one in fitted.collected.locked.loaded.suite.summaries
        }
    for entry in golden.entries:
        for head, reason in heads.items():
            if head in entry.quantity and entry.quantity not in known:
                known[entry.quantity] = Quantity(entry.quantity, None, missing=reason)
    return known


def objective_ratio(fitted: Fitted, name: str, at: Point) -> float:
    """F(found)/F(published) - 1 of the fit whose objective has this quantity name.

    Raises:
        DataError: the golden entry lacks a parameter of the fit, or has one that the fit has not.
    """
    outcome = fitted.analyses[name.split("/")[1]].outcome
    assert outcome is not None
    try:
        return outcome.fit.objective_ratio(outcome.selected, at.params, at.by_curve)
    except DataError as error:
        error.where = f"`at` of the golden entry for {name}"
        raise
