"""How often the comparison of levels R1 to R3 errs, by simulation with a fixed seed.

Every draw is a whole experiment: published runs with the mean and standard deviation that a golden
entry would print, and seeds of a run. The bounds are those that the product promises: `reproduced`
or `drifted` where the true difference is the margin in at most 5.5% of cases, `not_reproduced`
where nothing differs in at most 1%.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from harness.verdict.intervals import Error, binomial, half_widths, mean_error, outcome
from harness.verdict.model import Quantity, Sample
from harness.verdict.power import seeds_needed, tost_power
from harness.verdict.statistical import judge_sample
from tests.verdict.test_compare import entry

DRAWS = 20_000
SEEDS = (2, 3, 4, 5, 10)
RUNS = (2, 3, 5, 10)
SPREADS = (0.2, 0.5, 1.0, 2.0, 5.0)  # of the published runs, in units of the run's own


def rates(rng, seeds: int, runs: int, spread: float, shift: float, margin: float) -> Counter[str]:
    """Share of each verdict over the draws; the run's standard deviation is 1."""
    own = rng.normal(shift, 1.0, (DRAWS, seeds))
    golden = rng.normal(0.0, spread, (DRAWS, runs))
    half = half_widths(
        mean_error(own.std(1, ddof=1), seeds, None, None),
        mean_error(golden.std(1, ddof=1), runs, None, None),
    )
    verdicts = outcome(own.mean(1) - golden.mean(1), half, margin)
    return Counter({name: count / DRAWS for name, count in Counter(verdicts.tolist()).items()})


# The margin is wide against the errors: then a test of one side is all that stands between a shift
# and success, and the rate is at its highest.
@pytest.mark.parametrize("seeds", SEEDS)
def test_false_success_at_a_shift_equal_to_the_margin(seeds: int) -> None:
    rng = np.random.default_rng(20_000 + seeds)
    for runs in RUNS:
        for spread in SPREADS:
            margin = 40.0 * max(1.0, spread)
            found = rates(rng, seeds, runs, spread, margin, margin)
            assert found["reproduced"] + found["drifted"] <= 0.055, (runs, spread, found)


# With a margin of next to nothing, `not_reproduced` is at its most likely.
@pytest.mark.parametrize("margin", [1e-9, 0.5, 2.0])
@pytest.mark.parametrize("seeds", SEEDS)
def test_false_failure_where_nothing_differs(seeds: int, margin: float) -> None:
    rng = np.random.default_rng(30_000 + seeds)
    for runs in RUNS:
        for spread in SPREADS:
            found = rates(rng, seeds, runs, spread, 0.0, margin)
            assert found["not_reproduced"] <= 0.01, (runs, spread, found)


def test_welchs_own_quantile_would_break_both_promises() -> None:
    """Why the product does not use it: 10 seeds against 2 published runs of twice the spread."""
    rng = np.random.default_rng(35_000)
    own, golden = rng.normal(0.0, 1.0, (DRAWS, 10)), rng.normal(0.0, 2.0, (DRAWS, 2))
    p = stats.ttest_ind(own, golden, axis=1, equal_var=False).pvalue
    assert (p < 0.01).mean() > 0.05
    one_sided = stats.ttest_ind(own, golden, axis=1, equal_var=False, alternative="less").pvalue
    assert (one_sided < 0.05).mean() > 0.065


def test_false_failure_at_a_shift_inside_the_margin() -> None:
    rng = np.random.default_rng(40_000)
    for seeds in SEEDS:
        for runs in RUNS:
            found = rates(rng, seeds, runs, 1.0, 2.0, 2.0)
            assert found["not_reproduced"] <= 0.055, (seeds, runs, found)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.95])
@pytest.mark.parametrize(("questions", "margin"), [(30, 0.2), (200, 0.1), (1404, 0.04)])
def test_shares_of_questions(questions: int, share: float, margin: float) -> None:
    """Published: one evaluation. The run: a few seeds, each on as many questions."""
    rng = np.random.default_rng(50_000 + questions)
    for seeds in (2, 3, 5):
        for shift, verdicts, bound in (
            (margin, ("reproduced", "drifted"), 0.055),
            (0.0, ("not_reproduced",), 0.01),
        ):
            truth = share + shift if share < 0.5 else share - shift
            own = rng.binomial(questions, truth, (DRAWS, seeds)) / questions
            golden = rng.binomial(questions, share, DRAWS) / questions
            half = half_widths(
                mean_error(own.std(1, ddof=1), seeds, own.mean(1), questions),
                Error(binomial(golden, questions, 1), float("inf")),
            )
            grain = 0.5 / (questions * seeds)
            found = outcome(own.mean(1) - golden, half, margin, grain)
            found = found[np.ptp(own, axis=1) > 0]  # the rest is told apart as zero variance
            assert np.isin(found, verdicts).sum() / DRAWS <= bound, (seeds, shift)


def test_the_vectorised_rule_is_the_one_that_judges_entries() -> None:
    rng = np.random.default_rng(60_000)
    fields = {"margin": 2.5, "margin_reason": "set for this test alone"}
    for _ in range(200):
        seeds, runs = rng.integers(2, 6, 2).tolist()
        own, golden = rng.normal(0.0, 1.0, seeds), rng.normal(rng.choice([0, 2, 9]), 1.0, runs)
        mean, sd = golden.mean(), golden.std(ddof=1)
        one = entry(repr(float(mean)), sd=float(sd), runs=runs, **fields)
        judged = judge_sample(one, Quantity("q", float(own.mean()), sample=Sample(tuple(own))))
        half = half_widths(
            mean_error(own.std(ddof=1), seeds, None, None), mean_error(sd, runs, None, None)
        )
        assert judged.verdict.value == str(outcome(own.mean() - mean, half, 2.5))


@pytest.mark.parametrize(
    ("seeds", "runs", "spread", "margin"),
    [(2, 3, 1.0, 6.0), (3, 3, 1.0, 3.5), (5, 5, 0.5, 1.5), (10, 3, 1.0, 3.0), (30, 10, 1.0, 1.2)],
)
def test_power_is_what_simulation_finds(seeds, runs, spread, margin) -> None:
    """Runs with just the printed standard deviation; their mean is off by its true error."""
    rng = np.random.default_rng(70_000 + seeds)
    own = rng.normal(0.0, 1.0, (DRAWS, seeds))
    golden = rng.normal(0.0, spread / np.sqrt(runs), DRAWS)
    error = mean_error(spread, runs, None, None)
    half = half_widths(mean_error(own.std(1, ddof=1), seeds, None, None), error)
    verdicts = outcome(own.mean(1) - golden, half, margin)
    simulated = np.isin(verdicts, ("reproduced", "drifted")).mean()
    found = tost_power(1.0, seeds, error, margin)
    assert found == pytest.approx(simulated, abs=4 * np.sqrt(0.25 / DRAWS))


def test_seeds_needed_is_the_fewest_that_reach_the_power() -> None:
    for sd, error, margin in [
        (1.0, Error(0.01, 9.0), 1.0),
        (1.0, Error(0.0, float("inf")), 0.5),
        (0.01, mean_error(0.01, 3, None, None), 0.04),
    ]:
        needed = seeds_needed(sd, error, margin)
        assert needed is not None
        assert tost_power(sd, needed, error, margin) >= 0.8
        assert needed == 2 or tost_power(sd, needed - 1, error, margin) < 0.8


def test_a_known_case_of_seeds_needed() -> None:
    """A golden without error: n of one-sample TOST, from the exact t distribution (Owen's Q)."""
    sd, margin = 1.0, 0.5

    def exact(n: int) -> float:
        t = stats.t.ppf(0.95, n - 1)
        room = margin * np.sqrt(n) / sd

        def within(ratio: float) -> float:
            inside = max(room - t * ratio, 0.0)
            return 2 * stats.norm.cdf(inside) - 1

        scaled = stats.chi(n - 1, scale=1 / np.sqrt(n - 1))
        return float(scaled.expect(within, lb=0.0, ub=room / t))

    fewest = next(n for n in range(2, 100) if exact(n) >= 0.8)
    assert seeds_needed(sd, Error(0.0, float("inf")), margin) == fewest


def test_no_number_of_seeds_makes_up_for_an_uncertain_golden() -> None:
    error = mean_error(0.0149, 3, None, None)
    assert seeds_needed(0.0149, error, 0.02) is None
    assert seeds_needed(0.0149, error, 0.05) is not None
    assert seeds_needed(0.0149, Error(0.0001, 0.0), 1.0) is None
