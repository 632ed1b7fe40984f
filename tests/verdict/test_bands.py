"""Published predictions on a grid, judged at all points at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from harness.verdict.bands import Predicted, judge_band
from harness.verdict.entry import Band
from harness.verdict.model import Level, Verdict
from tests.verdict.test_golden import BAND

if TYPE_CHECKING:
    from harness.verdict.model import Comparison

PUBLISHED = np.array(BAND["predicted"])
ZERO = [[0.0] * 3] * 2


def judge(predicted: Predicted, level: Level = Level.R3, **changes: object) -> Comparison:
    asked = []

    def predict(*words: object) -> Predicted:
        asked.append(words)
        return predicted

    found = judge_band(Band.model_validate(BAND | changes), predict, level)
    assert asked == [("a", (1e9, 2e9), (1.0, 10.0, 100.0))]
    return found


def refits(shift: object = 0.0, sd: float = 0.001, n: int = 1000, df: int = 30) -> Predicted:
    values = PUBLISHED + np.asarray(shift)
    draws = values + sd * np.random.default_rng(1).standard_normal((n, 2, 3))
    return Predicted(values, draws, df=df)


ONE_POINT = [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("predicted", "verdict", "says"),
    [
        (refits(), "reproduced", ""),
        (refits(0.009), "drifted", "largest difference +0.009"),
        (refits(0.05), "not_reproduced", "largest difference +0.05"),
        (refits(-0.05), "not_reproduced", "largest difference -0.05"),
        (refits(0.05 * np.array(ONE_POINT)), "not_reproduced", "N = 2e+09, x = 100"),
        (refits(0.02), "inconclusive", "neither inside the margin nor beyond it"),
        (refits(sd=0.1), "inconclusive", "neither inside"),
        (refits(sd=0.0), "inconclusive", "zero variance"),
        (refits(df=0), "inconclusive", "one curve"),
        (refits(n=150), "inconclusive", "only 150 refits"),
        (Predicted(PUBLISHED), "inconclusive", "not resampled"),
        (Predicted(PUBLISHED, no_draws="blocks"), "inconclusive", "blocks"),
        (Predicted(None, missing="no cells"), "inconclusive", "no cells"),
        (Predicted(PUBLISHED, missing="2 cells missing"), "inconclusive", "2 cells missing"),
        (Predicted(PUBLISHED, doubt="not_converged"), "inconclusive", "not_converged"),
        (Predicted(PUBLISHED * np.nan), "inconclusive", "not finite"),
    ],
)
def test_four_outcomes(predicted: Predicted, verdict: str, says: str) -> None:
    found = judge(predicted, se=ZERO)
    assert found.verdict.value == verdict, found.reason
    assert says in found.reason
    assert found.counts


def test_without_sampling_every_point_has_to_lie_within_the_margin() -> None:
    for shift, verdict in [(0.019, Verdict.REPRODUCED), (0.021, Verdict.NOT_REPRODUCED)]:
        values = PUBLISHED.copy()
        values[1, 0] -= shift
        found = judge(Predicted(values), Level.R0)
        assert found.verdict is verdict
        assert found.difference == pytest.approx(-shift)
        assert (found.published, found.found) == ("0.8", pytest.approx(0.8 - shift))


def test_refits_that_failed_are_left_out() -> None:
    whole = refits()
    assert whole.draws is not None
    whole.draws[::3] = np.nan
    assert judge(whole, se=ZERO).verdict is Verdict.REPRODUCED


def test_a_source_without_errors_is_as_uncertain_as_the_run() -> None:
    told = judge(refits(sd=0.002)).statistics
    exact = judge(refits(sd=0.002), se=ZERO).statistics
    assert told is not None
    assert exact is not None
    assert told.se == pytest.approx(2**0.5 * exact.se)


def test_the_quantile_is_that_of_the_largest_departure() -> None:
    """Six independent points: the maximum of six normals, and Student's for few curves."""
    for df in (6, 1000):
        told = judge(refits(sd=0.001, n=40_000, df=df), se=ZERO).statistics
        assert told is not None
        largest = stats.norm.ppf(0.5 + 0.9 ** (1 / 6) / 2)
        wider = stats.t.ppf(0.95, df) / stats.norm.ppf(0.95)
        assert (told.high - told.low) / 2 == pytest.approx(0.001 * largest * wider, rel=0.02)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_error_rates_of_the_whole_band(correlation: float) -> None:
    """Estimates that err by a known covariance, and refits that are spread by the same one."""
    rng = np.random.default_rng(80_000)
    sd, experiments, n = 0.004, 1000, 400
    root = np.linalg.cholesky(
        sd**2 * (correlation * np.ones((6, 6)) + (1 - correlation) * np.eye(6))
    )

    def rates(shift: object) -> Counter[str]:
        counts: Counter[str] = Counter()
        for _ in range(experiments):
            values = PUBLISHED + shift + (root @ rng.standard_normal(6)).reshape(2, 3)
            noise = rng.standard_normal((n, 6)) @ root.T
            predicted = Predicted(values, values + noise.reshape(n, 2, 3), df=1000)
            counts[judge(predicted, se=ZERO).verdict.value] += 1
        return counts

    at_the_margin = rates(BAND["margin"] * np.array(ONE_POINT))
    success = at_the_margin["reproduced"] + at_the_margin["drifted"]
    assert success / experiments <= 0.055
    assert rates(0.0)["not_reproduced"] / experiments <= 0.01
