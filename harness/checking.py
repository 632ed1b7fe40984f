"""What the verdict is given: every number of a run by name, and why the others are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.resampling import leave_one_curve_out
from harness.errors import DataError, SuiteError
from harness.quantities import (
    ONE_RUN,
    by_name,
    extrapolation_quantities,
    fit_quantities,
    sampling_of,
    summary_quantities,
    uncertainty_quantities,
)
from harness.spec.expression import compile_expression
from harness.verdict.bands import Predicted
from harness.verdict.model import Quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.resampling import LeaveOneOut
    from harness.fitting import Outcome
    from harness.spec.measures import Analysis, Summary
    from harness.steps import Fitted
    from harness.verdict.entry import Point
    from harness.verdict.golden import Golden


def quantities_of(fitted: Fitted) -> dict[str, Quantity]:
    """Every number of the run that a golden entry may name."""
    found: list[Quantity] = []
    for name, one in fitted.analyses.items():
        if one.outcome is not None:
            fit, refits = one.outcome.fit, one.outcome.resample
            found.extend(fit_quantities(name, fit, refits, missing=one.incomplete))
            left_out = _left_out(one.analysis, one.outcome)
            found.extend(
                uncertainty_quantities(name, one.outcome.fit, left_out, missing=one.incomplete)
            )
            found.extend(
                extrapolation_quantities(name, one.outcome.extrapolations, missing=one.incomplete)
            )
    for summary in fitted.collected.locked.loaded.suite.summaries:
        numbers = summary_quantities(summary, fitted.collected.results)
        partial = _partial(summary, fitted)
        found.extend(replace(one, missing=partial) if partial else one for one in numbers)
    return by_name(found)


def _partial(summary: Summary, fitted: Fitted) -> str | None:
    """Why a sum or mean over cells is not the whole one, if some of its cells have no result."""
    absent = fitted.collected.absent
    if summary.reduce is None or not absent:
        return None
    keep = compile_expression(summary.where) if summary.where is not None else lambda _: True
    lacking = sum(any(map(keep, one.labels)) for one in absent)
    return f"{lacking} of the cells that it is made of have no result" if lacking else None


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
            # The last part of a name is a label or, of a summary without labels, its own name.
            if head in f"{entry.quantity}/" and entry.quantity not in known:
                known[entry.quantity] = Quantity(entry.quantity, None, missing=reason)
    return known


def predict(fitted: Fitted, name: str, N: Sequence[float], x: Sequence[float]) -> Predicted:
    """What the fit of this name predicts at each N (rows) and x (columns), and its refits too.

    A size whose curve was not fitted has no refits, and a band that asks for it says so.

    Raises:
        SuiteError: a golden band names a fit that the suite does not make.
    """
    one = fitted.analyses.get(name)
    if one is None:
        loaded = fitted.collected.locked.loaded
        raise SuiteError(
            f"a golden band is of the fit {name!r}, which the suite does not make",
            where=str(loaded.suite.path),
            expected="one of " + (", ".join(fitted.analyses) or "none"),
            hint="correct `fit` of the band, or add the analysis",
        )
    if one.outcome is None:
        return Predicted(None, missing=one.incomplete)
    fit, refits = one.outcome.fit, one.outcome.resample
    try:
        values = fit.predict(np.array([x]), np.array(N)[:, None])
    except DataError as error:
        return Predicted(None, missing=f"the fit has no prediction on the grid: {error.message}")
    doubt = "not_converged" if "not_converged" in fit.certificate.flags else None
    whole = Predicted(values, missing=one.incomplete, doubt=doubt)
    if refits is None:
        return whole
    sampling = sampling_of(fit, refits)
    if sampling is None:
        return replace(whole, no_draws=ONE_RUN)
    try:
        draws = np.stack([refits.predictions(x, size) for size in N], axis=1)
    except DataError as error:
        return replace(whole, no_draws=error.message)
    middle = draws.mean(axis=0)
    return replace(whole, draws=middle + sampling.factor * (draws - middle), df=sampling.df)


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
