"""The suite's analyses, one by one: window, fit, resampling, held-out points."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis import Curves, fit, mean_over
from harness.analysis.comparison import Rival, compare_laws
from harness.analysis.draws import CROSSED
from harness.analysis.extrapolation import (
    Extrapolation,
    blind_fit,
    clipped_end,
    extrapolate,
    refit,
)
from harness.analysis.holdout import held_out
from harness.analysis.profiling import ProfileInterval, profile_likelihood
from harness.analysis.resampling import Resample, resample
from harness.errors import DataError, HarnessError, SuiteError
from harness.quantities import label_text
from harness.selection import select
from harness.spec.expression import compile_expression

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from harness.analysis import Fit
    from harness.spec.measures import Analysis
    from harness.spec.measures import Extrapolation as Extrapolate


@dataclass(frozen=True)
class Outcome:
    """What an analysis gave.

    Attributes:
        selected: the rows that its `where` keeps; the fit's window is these less the clips.
        used: the rows of the window.
        held_out: the rows that the fit had to predict.
        extrapolations: one for each predicted curve, two (blind, calibrated) for a new size.
        held_out_errors: of the last share of each curve and of the largest group, always.
        rivals: the law and its rivals, the least BIC first; none without rivals.
        profiles: of the parameters that the analysis names.
        notes: what of these could not be had, and why.
    """

    fit: Fit
    selected: Curves
    used: Curves
    held_out: Curves
    resample: Resample | None
    extrapolations: Sequence[Extrapolation]
    held_out_errors: Sequence[Extrapolation] = ()
    rivals: Sequence[Rival] = ()
    profiles: Sequence[ProfileInterval] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Analysed:
    """One analysis of the suite, done as far as its cells allow.

    `incomplete` says why its numbers may not be compared with published ones, if they may not; only
    then can there be no outcome.
    """

    analysis: Analysis
    outcome: Outcome | None
    incomplete: str | None


def analyse(
    analysis: Analysis,
    curves: Curves | None,
    labels: Collection[str],
    absent: Sequence[Sequence[Mapping[str, object]]],
) -> Analysed:
    """Do one analysis on the curves of a run.

    Args:
        analysis: as declared in the suite.
        curves: all points of the run; None if no cell has finished.
        labels: the columns of `curves` that tell cells apart.
        absent: of each of the tier's cells that has no points in `curves`, the labels of the
            curves that it would have brought.

    Raises:
        SuiteError: the analysis takes several curves for one, or predicts points that it fits.
        DataError: the points are complete and cannot be fitted all the same.
    """
    needed = ([one for one in labels if concerns(analysis, one)] for labels in absent)
    lacking = [some[0] for some in needed if some]
    incomplete = _lacking(lacking) if lacking else None
    if curves is None:
        return Analysed(analysis, None, incomplete or "no cell has a result")
    try:
        return Analysed(analysis, _outcome(analysis, curves, labels), incomplete)
    except DataError as error:
        if incomplete is None:
            raise
        return Analysed(analysis, None, f"{incomplete}; without them: {error.message}")


def _outcome(analysis: Analysis, curves: Curves, labels: Collection[str]) -> Outcome:
    chosen = np.ones(len(curves), dtype=np.bool_)
    if analysis.where is not None:
        chosen = select(curves, analysis.where)
    to_predict = np.zeros(len(curves), dtype=np.bool_)
    if analysis.extrapolate is not None:
        to_predict = select(curves, analysis.extrapolate.to)
    _refuse_mixed(analysis, curves.where(chosen | to_predict), labels)
    rows = curves.where(chosen)
    selected = _points(analysis, rows)
    fitted = fit(
        selected,
        analysis.law,
        x=analysis.x,
        y=analysis.y,
        group=analysis.group,
        weights=analysis.weights,
        space=analysis.space,
        loss=analysis.loss,
        delta=analysis.delta,
        run=analysis.run,
        drop_first=analysis.drop_first,
        drop_last=analysis.drop_last,
    )
    kept = fitted.selection.kept(selected)
    if analysis.extrapolate is None:
        predicted, blind = clipped_end(fitted, selected), None
    else:
        seen = chosen & to_predict
        if selected is rows:
            seen[chosen] = kept & to_predict[chosen]
        _refuse_overlap(analysis, analysis.extrapolate, curves.where(seen))
        predicted = _points(analysis, curves.where(to_predict))
        blind = blind_fit(fitted, selected, analysis.extrapolate.blind_law)
    resampled = None
    if analysis.resample is not None:
        by = analysis.resample
        if _can_draw(by.by, rows, analysis.group):
            resampled = resample(fitted, rows, by=by.by, n=by.n, seed=by.seed)
    errors = held_out(fitted, selected, analysis.held_out)
    rivals, notes = _rivals(analysis, fitted, selected, errors)
    return Outcome(
        fitted,
        selected,
        selected.where(kept),
        predicted,
        resampled,
        extrapolate(fitted, predicted, blind=blind),
        errors,
        rivals,
        [profile_likelihood(fitted, selected, name) for name in analysis.profile],
        notes,
    )


def _points(analysis: Analysis, rows: Curves) -> Curves:
    """The rows, or their means where what is drawn again is the same things in every curve."""
    if analysis.resample is None or analysis.resample.by not in CROSSED or not len(rows):
        return rows
    return mean_over(
        rows,
        analysis.resample.by,
        group=analysis.group,
        x=analysis.x,
        y=analysis.y,
        run=analysis.run,
    )


def _rivals(
    analysis: Analysis, fitted: Fit, selected: Curves, errors: Sequence[Extrapolation]
) -> tuple[list[Rival], list[str]]:
    """The comparison with the rivals that can be fitted, and why the others cannot."""
    if not analysis.rivals:
        return [], []
    fits, notes = [fitted], []
    for law in analysis.rivals:
        try:
            fits.append(refit(fitted, selected, law))
        except HarnessError as error:
            notes.append(f"the rival {law} cannot be fitted: {error.message}")
    return compare_laws(fits, selected, analysis.held_out, known={fitted.law: errors}), notes


def _refuse_mixed(analysis: Analysis, rows: Curves, labels: Collection[str]) -> None:
    """A curve is one cell, or several that differ in their seed or in the abscissa only."""
    told_apart = {analysis.group, analysis.x, analysis.run, "seed"}
    if analysis.resample is not None:
        told_apart.add(analysis.resample.by)
    others = [name for name in labels if name not in told_apart]
    for (value,), curve in rows.groups([analysis.group]):
        mixed = {name: np.unique(curve[name]).tolist() for name in others}
        mixed = {name: values for name, values in mixed.items() if len(values) > 1}
        if mixed:
            name, values = next(iter(mixed.items()))
            raise SuiteError(
                f"points that differ in {', '.join(mixed)} are taken for one curve",
                where=f"analysis {analysis.name}",
                expected=f"one curve for each {analysis.group}",
                found=f"{analysis.group}={label_text(analysis.group, value)} with {name} "
                + ", ".join(label_text(name, one) for one in values[:4]),
                hint=f"write `where: '{_both(analysis.where, name, values[0])}'` "
                "(in `extrapolate: to` too), or another `group`",
            )


def _both(where: str | None, name: str, value: object) -> str:
    wanted = f"{name} == {json.dumps(value)}"
    return wanted if where is None else f"({where}) and {wanted}"


def _refuse_overlap(analysis: Analysis, wanted: Extrapolate, both: Curves) -> None:
    """What a fit has seen it cannot predict."""
    if not len(both):
        return
    sizes = [label_text(analysis.group, value) for (value,), _ in both.groups([analysis.group])]
    repair = f"where: 'not ({wanted.to})'"
    if analysis.where is not None:
        repair = f"to: '({wanted.to}) and not ({analysis.where})'"
    raise SuiteError(
        "`extrapolate` would predict points that were fitted",
        where=f"analysis {analysis.name}",
        expected="no row both in the fit and in `to`",
        found=f"{len(both)} rows of {analysis.group}={', '.join(sizes)} in both",
        hint=f"write `{repair}`",
    )


def concerns(analysis: Analysis, labels: Mapping[str, object]) -> bool:
    """Whether a cell that has no points would have brought some to this analysis.

    An expression that asks for more than labels (a step, say) cannot be answered without points;
    then the cell counts as needed.
    """
    if analysis.where is None:
        return True
    held_out = [analysis.extrapolate.to] if analysis.extrapolate else []
    for expression in (analysis.where, *held_out):
        try:
            if compile_expression(expression)(labels):
                return True
        except SuiteError:
            return True
    return False


def _lacking(lacking: Sequence[Mapping[str, object]]) -> str:
    named = [" ".join(label_text(*label) for label in labels.items()) for labels in lacking]
    shown = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
    return f"{len(named)} of the cells it needs have no result ({shown})"


def _can_draw(by: str, rows: Curves, group: str) -> bool:
    """Whether there is more than one of what is drawn in some curve.

    A run of one seed has no spread: its fit stands, and what needs a spread is inconclusive.
    """
    if by in ("curve", "block") or by not in rows.columns:
        return True
    pairs = set(zip(rows.columns[group].tolist(), rows.columns[by].tolist(), strict=True))
    return len(pairs) > len({curve for curve, _ in pairs})
