"""Levels R1 to R3: samples held against golden means by the margin."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from harness.verdict.bands import Predicted
from harness.verdict.compare import compare
from harness.verdict.entry import Band, Entry
from harness.verdict.intervals import Error, half_widths, mean_error
from harness.verdict.model import Comparison, Level, Quantity, Sample, Spread, Verdict
from tests.verdict.test_compare import entry, golden, judge, no_objective
from tests.verdict.test_golden import BAND

CASES = json.loads((Path(__file__).parent / "cases_r3.json").read_text())
KEYS = ("printed", "between", "sd", "runs", "questions", "scale", "margin")


def judged(one: Entry, quantity: Quantity, level: str = "R3") -> Comparison:
    whole = golden(one).model_copy(update={"level": Level(level)})
    [found] = judge(whole, {quantity.name: quantity}, no_objective)
    return found


def quantity(values: list[float], doubt: str | None = None) -> Quantity:
    mean = fmean(values) if values else 0.5
    sample = Sample(tuple(values)) if values else None
    return Quantity("fit/a/K", mean, sample=sample, doubt=doubt)


@pytest.mark.parametrize("level", ["R2", "R3"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_four_outcomes(case: dict, level: str) -> None:
    fields = {"printed": None} | {key: case[key] for key in KEYS if key in case}
    if "margin" in case:
        fields["margin_reason"] = "set for this test before it ran"
    values = [math.nan if value is None else value for value in case["values"]]
    found = judged(entry(**fields), quantity(values, case.get("doubt")), level)
    assert found.verdict.value == case["verdict"], found.reason
    assert case.get("says", "") in found.reason
    assert (found.reason == "") == (case["verdict"] == "reproduced")


MARGIN = {"margin": 0.05, "margin_reason": "set for this test before it ran"}


def test_r1_compares_stored_material_as_numbers_unless_there_is_a_margin() -> None:
    values = [0.50, 0.52, 0.51, 0.515, 0.505]
    exact = entry("0.656")
    assert judged(exact, Quantity("fit/a/K", 0.65625), "R1").verdict is Verdict.REPRODUCED
    assert judged(exact, Quantity("fit/a/K", 0.65725), "R1").verdict is Verdict.NOT_REPRODUCED
    with_margin = entry("0.500", sd=0.01, runs=5, **MARGIN)
    assert judged(with_margin, quantity(values), "R1").verdict is Verdict.REPRODUCED
    assert judged(entry("0.500"), quantity(values), "R1").verdict is Verdict.NOT_REPRODUCED
    assert judged(with_margin, quantity(values), "R0").verdict is Verdict.NOT_REPRODUCED


def test_a_parameter_is_judged_by_the_spread_of_its_refits() -> None:
    one = entry("0.135", sd=0.004, runs=4, **MARGIN)

    def of(value: float, se: float) -> Verdict:
        return judged(one, Quantity("fit/a/K", value, spread=Spread(se, df=6))).verdict

    assert of(0.136, 0.005) is Verdict.REPRODUCED
    assert of(0.136, 0.05) is Verdict.INCONCLUSIVE
    assert of(0.336, 0.005) is Verdict.NOT_REPRODUCED
    assert of(0.135, 0.0) is Verdict.INCONCLUSIVE


def test_what_a_verdict_rests_on_stands_beside_it() -> None:
    values = [0.501, 0.495, 0.508, 0.499, 0.502]
    found = judged(entry("0.50000", sd=0.02, runs=5, **MARGIN), quantity(values))
    told = found.statistics
    assert told is not None
    # Welch's standard error and the degrees of freedom of Welch and Satterthwaite, by SciPy, from
    # published runs that have just the printed mean and standard deviation.
    shape = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    runs = 0.5 + 0.02 * shape / shape.std(ddof=1)
    other = stats.ttest_ind(values, runs, equal_var=False)
    interval = other.confidence_interval(0.9)
    half = (interval.high - interval.low) / 2
    assert told.se == pytest.approx(half / stats.t.ppf(0.95, other.df), rel=1e-4)
    # Never narrower than Welch's interval.
    assert (told.high - told.low) / 2 >= half
    assert told.seeds == 5
    assert "margin 0.05: set for this test" in found.tolerance_reason


@given(
    st.floats(1e-6, 1e3),
    st.integers(2, 40),
    st.floats(1e-6, 1e3),
    st.integers(2, 40),
)
def test_intervals_lie_between_those_of_welch_and_of_the_smaller_sample(s, n, sg, m) -> None:
    half = half_widths(mean_error(s, n, None, None), mean_error(sg, m, None, None))
    se = math.sqrt(s**2 / n + sg**2 / m)
    assert float(half.se) == pytest.approx(se)
    smallest = min(n, m) - 1
    assert smallest * (1 - 1e-9) <= float(half.df) <= (n + m - 2) * (1 + 1e-9)
    ends = sorted((n - 1, m - 1))
    assert float(half.equivalence) <= stats.t.ppf(0.95, ends[0]) * se * (1 + 1e-9)
    assert float(half.equivalence) >= stats.t.ppf(0.95, ends[1]) * se * (1 - 1e-9)
    assert float(half.difference) == pytest.approx(stats.t.ppf(0.995, ends[0]) * se)


def test_with_equal_samples_the_interval_is_students() -> None:
    # Cochran and Cox (1950): with n runs on both sides the quantile is that of n - 1.
    half = half_widths(Error(0.04, 4), Error(0.09, 4))
    assert float(half.equivalence) == pytest.approx(stats.t.ppf(0.95, 4) * math.sqrt(0.13))


@given(
    st.lists(st.floats(0.1, 0.9), min_size=2, max_size=6),
    st.floats(0.1, 0.9),
    st.floats(0.001, 0.1),
    st.floats(0.01, 0.3),
)
def test_the_verdict_knows_no_direction(values, value, sd, margin) -> None:
    assume(np.ptp(values) > 1e-9)
    printed = f"{value:.6f}"
    setting = {"sd": sd, "runs": 4, "margin": margin, "margin_reason": "r" * 20}
    one = judged(entry(printed, **setting), quantity(values))
    mirrored = [2 * float(printed) - each for each in values]
    other = judged(entry(printed, **setting), quantity(mirrored))
    assert one.difference == pytest.approx(-other.difference, abs=1e-12)
    if abs(abs(one.difference) + one.statistics.high - one.difference - margin) > 1e-9:
        assert one.verdict is other.verdict


@given(st.lists(st.floats(0.45, 0.55), min_size=2, max_size=6), st.floats(1.01, 4.0))
def test_a_wider_margin_never_turns_success_into_failure(values, wider) -> None:
    assume(np.ptp(values) > 1e-9)
    order = [Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE, Verdict.DRIFTED, Verdict.REPRODUCED]
    fields = {"sd": 0.01, "runs": 4, "margin_reason": "r" * 20}
    narrow = judged(entry("0.500", margin=0.03, **fields), quantity(values)).verdict
    wide = judged(entry("0.500", margin=0.03 * wider, **fields), quantity(values)).verdict
    if narrow in (Verdict.REPRODUCED, Verdict.DRIFTED):
        assert wide is narrow
    assert order.index(wide) >= order.index(narrow)


def test_a_parameter_whose_fit_is_judged_by_its_band_is_only_reported() -> None:
    band = Band.model_validate(BAND)
    whole = golden(entry("0.135")).model_copy(update={"level": Level.R3, "bands": (band,)})
    parameter, predictions = compare(
        whole,
        {"fit/a/K": Quantity("fit/a/K", 0.2)},
        no_objective,
        lambda _fit, _N, _x: Predicted(None, missing="no cells"),
    )
    assert parameter.reported_only
    assert not parameter.counts
    assert parameter.difference == pytest.approx(0.065)
    assert predictions.verdict is Verdict.INCONCLUSIVE
    assert predictions.counts
