"""Intervals for the difference of two means, and the four outcomes that follow from them.

The standard error is Welch's. Its usual quantile, Student's t at the degrees of freedom of Welch
and Satterthwaite, is too small where a mean of two or three runs has the larger variance: with 10
seeds held against 2 published runs a test of 5% rejects 8% of the time, and one of 1% 7%. So the
equivalence and the difference test take the quantile of Cochran and Cox (1950), the mean of both
sides' own Student quantiles weighted by their variances, and the test that a failure rests on the
larger of the two quantiles, which no ratio of variances can break (Hsu 1938). The simulation in
tests/verdict/test_error_rates.py holds the resulting rates. All functions take arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from harness.verdict.model import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = float | NDArray[np.float64]

# One-sided levels of the equivalence test and of the claim that a difference exceeds the margin;
# two-sided level of `drifted`; two-sided level of the difference behind `not_reproduced`.
ALPHA_EQUIVALENT = 0.05
ALPHA_DRIFTED = 0.05
ALPHA_DIFFERENT = 0.01
POWER = 0.8

# Numbers that agree to so many digits are one number computed twice, not a sample.
SAME = 1e-12


@dataclass(frozen=True)
class Error:
    """Variance of a mean and its degrees of freedom: infinite where the variance is known."""

    variance: Values
    df: float


@dataclass(frozen=True)
class HalfWidths:
    """Half-widths of the intervals about a difference, by what each is for."""

    se: Values
    df: Values
    equivalence: Values
    drift: Values
    difference: Values


def mean_error(spread: Values, runs: int, share: Values | None, questions: int | None) -> Error:
    """Error of a mean over runs whose standard deviation is `spread`.

    With `questions` the variance of one run is at least that of an accuracy `share` on so many
    questions. The share is moved by two successes and two failures (Agresti and Coull 1998), so
    that 0 and 1 are not taken for certain.
    """
    variance = np.square(spread)
    if questions is not None:
        assert share is not None
        variance = np.maximum(variance, binomial(share, questions, runs))
    return Error(variance / runs, runs - 1)


def binomial(share: Values, questions: int, runs: int) -> Values:
    """Variance of one run's share of `questions`, from the mean share of `runs` runs."""
    trials = questions * runs
    p = (np.clip(share, 0.0, 1.0) * trials + 2.0) / (trials + 4.0)
    return np.asarray(p * (1.0 - p) / questions)


def half_widths(run: Error, golden: Error, *, family: int = 1) -> HalfWidths:
    """Intervals for the difference of a run's mean and a golden one; infinite without any df.

    Of a `family` of comparisons that give one verdict, any one that is different makes the verdict
    so: drift and difference are tested at their level over the family's size (Bonferroni).
    Equivalence needs none of it: all of them have to be equivalent.
    """
    total = np.asarray(run.variance + golden.variance)
    se = np.sqrt(total)
    if run.df <= 0 or golden.df <= 0:
        endless = np.full_like(se, math.inf)
        return HalfWidths(se, np.zeros_like(se), endless, endless, endless)
    # A run without any variance is no sample; nothing may follow from it.
    usable = np.asarray(run.variance > 0) & (total > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(usable, run.variance / total, 1.0)
        df = 1.0 / (weight**2 / run.df + (1.0 - weight) ** 2 / golden.df)

    def cochran_cox(probability: float) -> Values:
        own, other = student(probability, run.df), student(probability, golden.df)
        return np.asarray(np.where(usable, (weight * own + (1.0 - weight) * other) * se, math.inf))

    safest = student(1.0 - ALPHA_DIFFERENT / (2 * family), min(run.df, golden.df))
    return HalfWidths(
        se=se,
        df=df,
        equivalence=cochran_cox(1.0 - ALPHA_EQUIVALENT),
        drift=cochran_cox(1.0 - ALPHA_DRIFTED / (2 * family)),
        difference=np.where(usable, safest * se, math.inf),
    )


@lru_cache(maxsize=4096)
def student(probability: float, df: float) -> float:
    """Student's quantile; the normal one for infinite degrees of freedom."""
    # Not scipy.stats, whose import takes longer than most checks.
    from scipy import special

    return float(special.ndtri(probability) if math.isinf(df) else special.stdtrit(df, probability))


def outcome(
    difference: Values, half: HalfWidths, margin: float, grain: float = 0.0
) -> NDArray[np.str_]:
    """The verdict on each difference, as text. `grain` widens every interval at both ends.

    Equivalent: the 90% interval lies within the margin (two one-sided tests of 5%). Then it is
    `drifted` if the 95% interval excludes 0, else `reproduced`. `not_reproduced`: the 99% interval
    excludes 0 and the 90% interval lies beyond the margin. Anything else is `inconclusive`.
    """
    size = np.abs(difference)
    equivalent = size + half.equivalence + grain < margin
    different = size - grain > half.difference
    beyond = different & (size - half.equivalence - grain > margin)
    return np.select(
        [equivalent & (size - grain <= half.drift), equivalent, beyond],
        [Verdict.REPRODUCED.value, Verdict.DRIFTED.value, Verdict.NOT_REPRODUCED.value],
        default=Verdict.INCONCLUSIVE.value,
    )
