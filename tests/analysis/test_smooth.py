"""Smoothing: the least GCV score, monotone curves, broken lines, the paper's mode; never a fit."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import UnivariateSpline, make_smoothing_spline

from harness.analysis import Curves, fit, smooth, time_to_threshold
from harness.errors import DataError, SuiteError

RNG = np.random.default_rng(5)
STEPS = np.arange(1, 106) * 512.0
FALLING = 0.9 - 0.05 * np.log(STEPS) + 0.01 * RNG.standard_normal(len(STEPS))


def hat(u, w, penalty):
    """The matrix that takes values to the smoothing spline, column by column."""
    return np.stack([make_smoothing_spline(u, e, w, lam=penalty)(u) for e in np.eye(len(u))], 1)


def gcv(u, y, w, penalty):
    S = hat(u, w, penalty)
    n, r = len(u), y - S @ y
    return (w * r * r).sum() / n / (1 - np.trace(S) / n) ** 2


@pytest.mark.parametrize("seed", range(4))
def test_the_spline_has_the_least_gcv_score_of_all_penalties(seed):
    """The score by a dense matrix, on points that are unevenly spaced and partly repeated."""
    rng = np.random.default_rng(seed)
    x = np.exp(rng.uniform(0, 2, 40)).round(1)
    y = np.sin(3 * np.log(x)) + 0.2 * rng.standard_normal(40)
    found = smooth(x, y)
    distinct, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(which, y) / counts
    u = np.log(distinct)
    u = (u - u[0]) / (u[-1] - u[0])
    penalty = found.parameters["penalty"]
    mine = gcv(u, means, counts, penalty)
    assert found.parameters["gcv"] == pytest.approx(mine, rel=1e-6)
    trace = np.trace(hat(u, counts, penalty))
    assert found.parameters["degrees_of_freedom"] == pytest.approx(trace, rel=1e-6)
    assert mine <= min(gcv(u, means, counts, p) for p in np.logspace(-9, 2, 45)) * (1 + 1e-3)
    spline = make_smoothing_spline(u, means, counts, lam=penalty)
    assert found.y == pytest.approx(spline(u), rel=1e-9)
    between = np.exp(0.37 * math.log(distinct[0]) + 0.63 * math.log(distinct[-1]))
    assert float(found(between)) == pytest.approx(float(spline(0.63)), rel=1e-9)


@pytest.mark.parametrize("seed", [0, 4])
def test_points_that_crowd_do_not_mislead_the_spline(seed):
    """SciPy's own search for the penalty ends .06 from the truth on these points."""
    rng = np.random.default_rng(seed)
    u = np.sort(rng.uniform(0, 3, 1000))
    found = smooth(np.exp(u), np.exp(-u) + 0.02 * rng.standard_normal(1000))
    assert np.sqrt(np.mean((found.y - np.exp(-u)) ** 2)) < 0.004


@pytest.mark.parametrize("method", ["spline", "segments", "paper", "isotonic"])
@pytest.mark.parametrize("slope", [0.0, -0.03])
def test_points_on_a_line_stay_on_it(method, slope):
    y = 0.9 + slope * np.log(STEPS)
    found = smooth(STEPS, y, method)
    assert found.y == pytest.approx(y, abs=1e-9)
    if method == "spline":
        assert found.parameters["degrees_of_freedom"] == pytest.approx(2, abs=0.01)
    if method == "segments":
        assert found.parameters["segments"] == 1


@pytest.mark.parametrize("method", ["spline", "segments", "paper", "isotonic"])
def test_the_order_of_points_does_not_matter(method):
    order = np.random.default_rng(0).permutation(len(STEPS))
    there, shuffled = smooth(STEPS, FALLING, method), smooth(STEPS[order], FALLING[order], method)
    assert np.array_equal(there.x, shuffled.x)
    assert there.y == pytest.approx(shuffled.y, abs=1e-12)
    assert there.method == method
    assert there.smoothed


@pytest.mark.parametrize("method", ["spline", "segments", "paper", "isotonic"])
def test_a_call_gives_the_points_and_nothing_beyond_them(method):
    found = smooth(STEPS, FALLING, method)
    assert found(found.x) == pytest.approx(found.y)
    assert np.isnan(found([STEPS[0] / 2, STEPS[-1] * 2])).all()
    assert np.isfinite(found(np.full((2, 3), 5000.0))).all()


def monotone_by_definition(y, w, *, decreasing):
    """max over starts of min over ends of the mean in between (Robertson et al. 1988, 1.4)."""
    if decreasing:
        return -monotone_by_definition(-y, w, decreasing=False)
    n = len(y)
    sums, weights = np.cumsum([0, *(w * y)]), np.cumsum([0, *w])

    def mean(a, b):
        return (sums[b + 1] - sums[a]) / (weights[b + 1] - weights[a])

    return np.array(
        [max(min(mean(a, b) for b in range(i, n)) for a in range(i + 1)) for i in range(n)]
    )


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), min_size=2, max_size=12).filter(
        lambda points: len({x for x, _ in points}) > 1
    ),
    st.booleans(),
)
def test_isotonic_is_the_minmax_of_means(points, decreasing):
    x, y = np.array(points, dtype=float).T
    found = smooth(x, y, "isotonic", decreasing=decreasing)
    distinct, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(which, y) / counts
    assert list(found.x) == list(distinct)
    expected = monotone_by_definition(means, counts, decreasing=decreasing)
    assert found.y == pytest.approx(expected, abs=1e-9)


def test_segments_are_the_best_of_all_breaks():
    """Every break of 24 points into two and three lines, one by one."""
    rng = np.random.default_rng(1)
    u = np.sort(rng.uniform(0, 1, 24))
    y = np.where(u < 0.4, 1 - u, 0.2 + 3 * (u - 0.4)) + 0.02 * rng.standard_normal(24)
    found = smooth(np.exp(u), y, "segments", most=3, least_points=4)

    def squares(a, b):
        line = np.polyfit(u[a:b], y[a:b], 1)
        return np.sum((y[a:b] - np.polyval(line, u[a:b])) ** 2)

    best = {1: (squares(0, 24), [])}
    best[2] = min((squares(0, a) + squares(a, 24), [a]) for a in range(4, 21))
    best[3] = min(
        (squares(0, a) + squares(a, b) + squares(b, 24), [a, b])
        for a in range(4, 17)
        for b in range(a + 4, 21)
    )
    bic = {K: 24 * np.log(s / 24) + (3 * K - 1) * np.log(24) for K, (s, _) in best.items()}
    K = min(bic, key=bic.get)
    assert K > 1
    assert found.parameters["segments"] == K
    assert found.parameters["breaks"] == pytest.approx(np.exp(u[best[K][1]]))
    assert found.parameters["bic"] == pytest.approx(bic[K])
    assert np.sum((found.y - y) ** 2) == pytest.approx(best[K][0])


def paper_weights(y, window, min_se):
    """The rolling standard error of pandas 2, written out."""
    se = []
    for i in range(len(y)):
        part = y[max(i - window // 2, 0) : i + (window + 1) // 2]
        enough = len(part) >= min(max(3, window // 2), len(y))
        se.append(statistics.stdev(part) / math.sqrt(len(part) - 1) if enough else math.nan)
    se = np.where(np.isnan(se), np.nanmedian(se), se)
    w = 1 / np.maximum(se, min_se) ** 2
    return w / w.mean()


@pytest.mark.parametrize(("window", "s_factor", "k"), [(200, 1.0, 5), (20, 0.1, 3), (21, 1e-4, 3)])
def test_the_papers_mode_is_its_spline_then_isotonic(window, s_factor, k):
    found = smooth(STEPS, FALLING, "paper", window=window, s_factor=s_factor, k=k)
    w = paper_weights(FALLING, window, 1e-6)
    spline = UnivariateSpline(np.log(STEPS), FALLING, w=w, s=s_factor * len(STEPS), k=k)
    expected = monotone_by_definition(spline(np.log(STEPS)), w, decreasing=True)
    assert found.y == pytest.approx(expected, abs=1e-9)
    assert found.parameters["decreasing"] is True


def test_the_papers_mode_goes_the_way_of_the_ends():
    assert smooth(STEPS, 1 - FALLING, "paper").parameters["decreasing"] is False
    with_power = smooth(STEPS, FALLING, "paper", x_power=0.5)
    assert not np.array_equal(with_power.y, smooth(STEPS, FALLING, "paper").y)


@pytest.mark.parametrize("method", ["spline", "segments", "paper"])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_points_get_a_line_and_say_so(method, n):
    x, y = STEPS[:n], FALLING[:n]
    found = smooth(x, y, method)
    assert found.flags == ("few_points",)
    assert found.y == pytest.approx(np.polyval(np.polyfit(np.log(x), y, 1), np.log(x)))


@pytest.mark.parametrize("method", ["spline", "segments"])
def test_many_points_are_binned_and_say_so(method):
    rng = np.random.default_rng(2)
    u = np.sort(rng.uniform(0, 5, 30_000))
    found = smooth(np.exp(u), np.cos(u) + 0.1 * rng.standard_normal(len(u)), method)
    assert found.flags == ("binned",)
    assert len(found.x) == len(u)
    limit = 0.01 if method == "spline" else 0.05
    assert np.sqrt(np.mean((found.y - np.cos(u)) ** 2)) < limit


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ([1, 2, 3], [1, 2], "differ in length"),
        ([0, 1, 2], [1, 2, 3], "cannot be smoothed in log x"),
        ([-1, 1, 2], [1, 2, 3], "x=-1"),
        ([1, 2, 3], [1, math.nan, 3], "y=nan"),
        ([1, 2, math.inf], [1, 2, 3], "1 of 3 points"),
        ([1, 1, 1], [1, 2, 3], "no curve to smooth"),
        ([], [], "no curve to smooth"),
    ],
)
@pytest.mark.parametrize("method", ["spline", "segments", "paper", "isotonic"])
def test_points_that_make_no_curve_are_refused(x, y, told, method):
    with pytest.raises(DataError) as caught:
        smooth(x, y, method)
    assert told in str(caught.value)


def test_unknown_methods_and_options_are_refused():
    with pytest.raises(SuiteError, match="no smoothing 'loess'"):
        smooth(STEPS, FALLING, "loess")
    with pytest.raises(SuiteError, match="no option 'windw'"):
        smooth(STEPS, FALLING, "paper", windw=3)
    with pytest.raises(SuiteError, match="no option 'k'"):
        smooth(STEPS, FALLING, k=3)
    with pytest.raises(SuiteError, match="this degree"):
        smooth(STEPS, FALLING, "paper", k=6)


def test_smoothed_points_keep_their_mark():
    found = smooth(STEPS, FALLING)
    for values in (found.y, found.y[3:], found.y * 2, 1 - found.y, np.sort(found.y), found(STEPS)):
        assert values.smoothed
    assert np.concatenate([found.y, FALLING]).smoothed
    assert not hasattr(found, "columns")


def test_smoothed_points_never_enter_a_fit():
    found = smooth(STEPS, FALLING)
    N = np.ones(len(STEPS))
    with pytest.raises(DataError, match="smoothed"):
        fit(found, "loglinear")
    tables = [
        {"N": N, "C": STEPS, "ErrRate": values}
        for values in (found.y, 1 - found.y, found(STEPS), np.where(N > 0, found.y, 0) + found.y)
    ]
    for table in tables:
        with pytest.raises(DataError, match="smoothed"):
            fit(table, "loglinear")
        with pytest.raises(DataError, match="smoothed"):
            Curves(table)


def test_the_time_to_a_level_is_read_between_points():
    x, y = [1.0, 10.0, 100.0, 1000.0], [1.0, 0.625, 0.875, 0.25]
    # Monotone: 1, .75, .75, .25.
    assert time_to_threshold(x, y, 0.875).x == pytest.approx(10**0.5)
    assert time_to_threshold(x, y, 0.75).x == pytest.approx(10)
    assert time_to_threshold(x, y, 0.5).x == pytest.approx(10**2.5)
    assert time_to_threshold(x, y, 0.25).x == pytest.approx(1000)
    assert time_to_threshold(x, y, 0.24).x == math.inf
    first = time_to_threshold(x, y, 1.2)
    assert (first.x, first.at_first_point) == (1.0, True)


@given(st.floats(0.3, 0.7))
def test_a_rising_curve_is_the_falling_one_upside_down(level):
    down = time_to_threshold(STEPS, FALLING, level)
    up = time_to_threshold(STEPS, 1 - FALLING, 1 - level, decreasing=False)
    assert up.x == pytest.approx(down.x)


def test_the_bootstrap_covers_the_crossing():
    """95 % intervals of 100 curves of known crossing, drawn with independent noise."""
    truth, hits = math.exp((0.9 - 0.45) / 0.05), 0
    for seed in range(100):
        noise = 0.01 * np.random.default_rng(seed).standard_normal(len(STEPS))
        found = time_to_threshold(
            STEPS, 0.9 - 0.05 * np.log(STEPS) + noise, 0.45, resamples=200, seed=seed
        )
        hits += found.low <= truth <= found.high
    assert 80 <= hits <= 100


def test_the_bootstrap_counts_replicates_that_never_arrive():
    level = float(smooth(STEPS, FALLING, "isotonic").y[-1])
    found = time_to_threshold(STEPS, FALLING, level, resamples=300, seed=1)
    assert found.x < math.inf
    assert 0.05 < found.never < 0.95
    assert found.high == math.inf
    assert found == time_to_threshold(STEPS, FALLING, level, resamples=300, seed=1)
    far = time_to_threshold(STEPS, FALLING, 0.0, resamples=50)
    assert (far.x, far.low, far.never) == (math.inf, math.inf, 1.0)


def test_a_level_must_be_a_number():
    with pytest.raises(DataError, match="the level is no number"):
        time_to_threshold(STEPS, FALLING, math.nan)
