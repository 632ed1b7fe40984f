"""Samples held against golden means, by the margin that the golden file sets (levels R1 to R3).

docs/statistics.md gives the formulas and says why each is as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.verdict.intervals import SAME, Error, binomial, half_widths, mean_error, outcome
from harness.verdict.model import Statistics, Verdict
from harness.verdict.outcome import Judged
from harness.verdict.power import seeds_needed

if TYPE_CHECKING:
    from harness.verdict.entry import Entry
    from harness.verdict.model import Quantity


class _UndecidedError(Exception):
    """Why nothing can follow from an entry and what was found."""


@dataclass(frozen=True)
class _Run:
    """What the run says of one quantity, in the entry's unit; `sd` is that of one seed."""

    mean: float
    error: Error
    grain: float
    seeds: int | None
    sd: float | None


def judge_sample(entry: Entry, quantity: Quantity, *, family: int = 1) -> Judged:
    """Judge one entry by its margin; without what a test needs it is inconclusive, with why.

    `family` is the number of comparisons that give one verdict together.
    """
    assert quantity.value is not None
    found = quantity.value / entry.scale
    difference = found - entry.value
    margin, told = _margin(entry)

    def undecided(reason: str) -> Judged:
        shown = difference if math.isfinite(found) else None
        return Judged(found, shown, margin, told, Verdict.INCONCLUSIVE, reason)

    if margin is None:
        return undecided("no margin was set before the run")
    if not math.isfinite(found):
        return undecided("what the run found is not a finite number")
    if quantity.doubt is not None:
        return undecided(f"the data do not determine it: {quantity.doubt}")
    try:
        run = _run(entry, quantity, margin)
        golden = golden_error(entry, run.error, run.seeds)
    except _UndecidedError as why:
        return undecided(str(why))
    if golden is None:
        return undecided(
            "the golden entry says nothing of its own uncertainty: it has neither sd and runs, nor "
            "questions, nor runs"
        )
    half = half_widths(run.error, golden, family=family)
    # The ends of a claimed range are no measured mean, from which something could drift.
    verdict = Verdict(str(outcome(difference, half, margin, run.grain)))
    if entry.between is not None and verdict is Verdict.DRIFTED:
        verdict = Verdict.REPRODUCED
    width = float(half.equivalence) + run.grain
    needed = None
    if run.sd is not None and run.seeds is not None:
        needed = seeds_needed(run.sd, golden, margin, step=2 * run.grain * run.seeds)
    statistics = Statistics(
        se=float(half.se),
        df=float(half.df),
        low=difference - width,
        high=difference + width,
        seeds=run.seeds,
        seeds_needed=needed,
    )
    reason = _reason(verdict, statistics, margin)
    return Judged(found, difference, margin, told, verdict, reason, statistics)


def golden_error(entry: Entry, run: Error | None, seeds: int | None) -> Error | None:
    """Error of the golden mean in the entry's unit; None where the entry does not tell.

    From the printed sd and runs; else from the binomial spread of `questions`; else, with `runs`
    alone, from the run's own spread, taken as that of the published runs too. The rounding of the
    printed digits, uniform over the last half unit, is added. A claimed range has no error.
    """
    if entry.between is not None:
        return Error(0.0, math.inf)
    runs = entry.runs or 1
    share = entry.value * entry.scale
    if entry.sd is not None:
        error = mean_error(entry.sd * entry.scale, runs, share, entry.questions)
    elif entry.questions is not None:
        error = Error(binomial(share, entry.questions, runs) / runs, math.inf)
    elif entry.runs is not None and run is not None and seeds is not None:
        error = Error(run.variance * entry.scale**2 * seeds / runs, run.df)
    else:
        return None
    return Error(error.variance / entry.scale**2 + entry.half_unit**2 / 3.0, error.df)


def _margin(entry: Entry) -> tuple[float | None, str]:
    if entry.between is not None:
        low, high = entry.ends
        return (high - low) / 2, "the claimed range"
    if entry.margin is None:
        return None, ""
    return entry.margin, f"margin {entry.margin:g}: {entry.margin_reason}"


def _run(entry: Entry, quantity: Quantity, margin: float) -> _Run:
    """The run's mean with its error.

    Raises:
        _UndecidedError: one seed, seeds without any spread, or an evaluation that is too coarse.
    """
    scale = entry.scale
    assert quantity.value is not None
    if quantity.sample is None and quantity.spread is not None:
        if not quantity.spread.se > SAME * abs(quantity.value):
            raise _UndecidedError("all resampled refits give the same number")
        error = Error((quantity.spread.se / scale) ** 2, quantity.spread.df)
        return _Run(quantity.value / scale, error, 0.0, None, None)
    if quantity.sample is None:
        raise _UndecidedError(
            "the run has one value and no spread: it takes several seeds, or a fit that is "
            "resampled by curve, seed or question"
        )
    values = np.array(quantity.sample.values)
    seeds = len(values)
    questions = quantity.sample.questions or entry.questions
    if seeds < 2:
        raise _UndecidedError("a single seed says nothing of how far another would be")
    if np.ptp(values) <= SAME * np.abs(values).max():
        raise _UndecidedError(f"zero variance: all {seeds} seeds gave the same number")
    # A step of the mean over seeds, when one question more is answered.
    step = 1.0 / (questions * seeds) / scale if questions is not None else 0.0
    if step >= margin:
        raise _UndecidedError(
            f"the metric is coarser than the margin: one question more moves it by {step:.3g}"
        )
    error = mean_error(float(values.std(ddof=1)), seeds, float(values.mean()), questions)
    variance = float(error.variance) / scale**2
    return _Run(
        quantity.value / scale,
        Error(variance, error.df),
        step / 2,
        seeds,
        math.sqrt(variance * seeds),
    )


def _reason(verdict: Verdict, statistics: Statistics, margin: float) -> str:
    if verdict is Verdict.REPRODUCED:
        return ""
    interval = f"{statistics.low:+.3g} to {statistics.high:+.3g}"
    if verdict is Verdict.DRIFTED:
        return f"a real difference inside the margin: {interval} (90%)"
    if verdict is Verdict.NOT_REPRODUCED:
        return f"the difference is beyond the margin: {interval} (90%)"
    told = f"the difference, {interval} (90%), is neither inside ±{margin:.3g} nor beyond it"
    if statistics.seeds is None:
        return f"{told}; more curves or clusters would narrow it"
    if statistics.seeds_needed is None:
        return f"{told}; no number of seeds gives 80% power: the golden itself is too uncertain"
    if statistics.seeds_needed <= statistics.seeds:
        return f"{told}, though {statistics.seeds} seeds have 80% power where nothing differs"
    return (
        f"{told}; {statistics.seeds_needed} seeds give 80% power, this run has {statistics.seeds}"
    )
