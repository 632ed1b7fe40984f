"""pass@k against enumeration and exact fractions; its errors; what training gained."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.gains import creativity_index, gain_per_flop
from harness.analysis.pass_at_k import fit_power, pass_at_k, pass_at_k_curve
from harness.errors import DataError


def exact(n, c, k):
    return 1 - Fraction(math.comb(n - c, k), math.comb(n, k))


@pytest.mark.parametrize("n", range(1, 8))
def test_it_is_the_share_of_all_subsets_with_a_right_sample(n):
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        subsets = list(itertools.combinations([i < c for i in range(n)], k))
        share = sum(map(any, subsets)) / len(subsets)
        assert pass_at_k(n, c, k) == pytest.approx(share, rel=1e-14, abs=0)


@given(st.data())
def test_it_is_the_exact_fraction_up_to_ten_thousand_samples(data):
    n = data.draw(st.integers(1, 10_000))
    c = data.draw(st.integers(0, n) | st.integers(0, min(n, 20)))
    k = data.draw(st.integers(1, n) | st.integers(1, min(n, 128)))
    found = pass_at_k(n, c, k)
    assert isinstance(found, float)
    assert found == pytest.approx(float(exact(n, c, k)), rel=1e-12, abs=0)


@pytest.mark.parametrize("c", [1, 2, 5000, 9871, 9872, 9873, 9999, 10_000])
def test_failing_with_all_k_is_exact_too(c):
    """1 - pass@k keeps as many digits as a float near 1 can hold."""
    k = np.arange(1, 129)
    found = 1 - pass_at_k(10_000, c, k)
    truth = [float(1 - exact(10_000, c, int(one))) for one in k]
    assert found == pytest.approx(truth, abs=3e-16, rel=1e-13)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), min_size=1, max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_arrays_are_scalars_side_by_side(pairs, ks):
    n = np.array([max(a, b, max(ks)) for a, b in pairs])
    c = np.array([b for _, b in pairs])
    grid = pass_at_k(n[:, None], c[:, None], ks)
    assert grid.shape == (len(n), len(ks))
    for (i, j), value in np.ndenumerate(grid):
        assert value == pass_at_k(int(n[i]), int(c[i]), ks[j])
    full = pass_at_k(*np.broadcast_arrays(n[:, None], c[:, None], np.array(ks)))
    assert np.array_equal(full, grid)


def test_few_right_and_many_k_at_once():
    """The table of logarithms is made piece by piece: every piece must land in its place."""
    rng = np.random.default_rng(0)
    n = rng.integers(5000, 9000, size=40)
    c = np.minimum(rng.integers(0, 9000, size=40) * (rng.random(40) < 0.5) + 1, n)
    k = np.array([1, 7, 128, 4000, 5000])
    found = pass_at_k(n[:, None], c[:, None], k)
    truth = [
        [float(exact(int(a), int(b), int(one))) for one in k] for a, b in zip(n, c, strict=True)
    ]
    assert found == pytest.approx(np.array(truth), rel=1e-12)


@pytest.mark.parametrize(
    ("n", "c", "k", "told"),
    [
        (10, 11, 1, "more samples were right"),
        (10, 1, 11, "needs k samples"),
        (10, -1, 1, "c is not a number of samples"),
        (0, 0, 1, "n is not a number of samples"),
        (10, 1, 0, "k is not a number of samples"),
        (10, 1.5, 1, "1.5"),
        (10, math.nan, 1, "nan"),
        (math.inf, 1, 1, "inf"),
        (10, "3", 1, "'3'"),
        ([10, 10], [1, 1, 1], 1, "do not fit each other"),
        ([10, 4], [1, 1], 5, "n=4"),
        (10**9, 1, 1, "10,000,000"),
    ],
)
def test_what_is_no_count_is_refused(n, c, k, told):
    with pytest.raises(DataError) as caught:
        pass_at_k(n, c, k)
    assert told in str(caught.value)


def some_questions(Q=60, n=40, seed=1):
    rng = np.random.default_rng(seed)
    return np.full(Q, n), rng.binomial(n, rng.beta(0.4, 1.2, size=Q))


def test_a_curve_is_the_mean_of_questions_with_its_standard_error():
    n, c = some_questions()
    k = [1, 4, 32]
    found = pass_at_k_curve(n, c, k)
    each = pass_at_k(n[:, None], c[:, None], k)
    assert found.value == pytest.approx(each.mean(0))
    se = each.std(0, ddof=1) / math.sqrt(len(n))
    assert found.se == pytest.approx(se)
    assert found.low == pytest.approx(np.clip(each.mean(0) - 1.959964 * se, 0, 1), abs=1e-6)
    assert found.high == pytest.approx(np.clip(each.mean(0) + 1.959964 * se, 0, 1), abs=1e-6)
    assert (found.questions, found.clusters, found.flags) == (60, 60, ())


def test_clustered_errors_are_the_sandwich():
    n, c = some_questions()
    names = np.array([f"text {i % 13}" for i in range(len(n))])
    found = pass_at_k_curve(n, c, [1, 8], clusters=names)
    each = pass_at_k(n[:, None], c[:, None], [1, 8])
    assert found.value == pytest.approx(each.mean(0))
    for j in range(2):
        off = each[:, j] - each[:, j].mean()
        total = sum(off[names == name].sum() ** 2 for name in set(names))
        assert found.se[j] == pytest.approx(math.sqrt(total * 13 / 12) / len(n))
    repeated = pass_at_k_curve(
        np.tile(n, 3), np.tile(c, 3), [1], clusters=np.tile(np.arange(60), 3)
    )
    assert repeated.se == pytest.approx(pass_at_k_curve(n, c, [1]).se)


def test_percentile_intervals_are_those_of_drawing_questions():
    n, c = some_questions()
    each = pass_at_k(n, c, 4)
    rng = np.random.default_rng(0)
    means = each[rng.integers(len(n), size=(20_000, len(n)))].mean(1)
    for clusters in (None, np.arange(len(n))):
        found = pass_at_k_curve(n, c, 4, interval="percentile", draws=20_000, clusters=clusters)
        assert found.low[0] == pytest.approx(np.percentile(means, 2.5), abs=0.004)
        assert found.high[0] == pytest.approx(np.percentile(means, 97.5), abs=0.004)
    same = [pass_at_k_curve(n, c, 4, interval="percentile", seed=3).low[0] for _ in range(2)]
    assert same[0] == same[1]


def test_what_has_no_error_says_so():
    one = pass_at_k_curve([10], [3], [1, 2])
    assert one.flags == ("one_cluster",)
    assert np.isnan(one.se).all()
    together = pass_at_k_curve([10, 10], [3, 4], [1], clusters=["a", "a"])
    assert together.flags == ("one_cluster",)
    solved = pass_at_k_curve([10, 10, 10], [10, 10, 10], [1, 2])
    assert solved.flags == ("no_spread",)
    assert list(solved.se) == [0, 0]


def test_lists_of_questions_are_checked():
    with pytest.raises(DataError, match="no list of questions"):
        pass_at_k_curve([], [], [1])
    with pytest.raises(DataError, match="clusters do not fit"):
        pass_at_k_curve([4, 4], [1, 2], [1], clusters=["a"])
    with pytest.raises(DataError, match="needs k samples"):
        pass_at_k_curve([4, 2], [1, 2], [1, 3])


def test_the_power_law_is_the_line_in_log_log():
    n, c = some_questions(n=200)
    k = np.array([1, 2, 4, 8, 16, 32])
    found = fit_power(n, c, k, draws=400)
    y = np.log(-np.log(pass_at_k_curve(n, c, k).value))
    slope, level = np.polyfit(np.log(k), y, 1)
    assert found.b == pytest.approx(-slope)
    assert found.a == pytest.approx(math.exp(level))
    assert found.r2 == pytest.approx(np.corrcoef(np.log(k), y)[0, 1] ** 2)
    assert found.flags == ()
    rng, drawn = np.random.default_rng(0), []
    for _ in range(400):
        pick = rng.integers(len(n), size=len(n))
        value = pass_at_k(n[pick, None], c[pick, None], k).mean(0)
        drawn.append(-np.polyfit(np.log(k), np.log(-np.log(value)), 1)[0])
    assert found.se_b == pytest.approx(np.std(drawn), rel=0.2)


def test_the_power_law_describes_questions_of_mixed_difficulty():
    """Where many questions are nearly hopeless, the mean falls off like a power of k."""
    k = 2 ** np.arange(0, 8)
    rng = np.random.default_rng(0)
    n, c = np.full(4000, 10_000), rng.binomial(10_000, rng.beta(0.3, 5.0, size=4000))
    found = fit_power(n, c, k, draws=200)
    predicted = np.exp(-found.a * k**-found.b)
    assert predicted == pytest.approx(pass_at_k_curve(n, c, k).value, abs=0.03)


def test_zeros_and_ones_are_left_out_and_named():
    never = fit_power([8, 8], [0, 0], [1, 2, 4])
    assert never.flags == ("zero_at_k", "undetermined")
    assert math.isnan(never.b)
    mostly = fit_power([8, 8, 8], [1, 4, 6], [1, 2, 4, 8])
    assert mostly.flags[0] == "one_at_k"
    assert list(mostly.used) == [True, True, True, False]
    always = fit_power([8], [8], [1, 2])
    assert always.flags == ("one_at_k", "undetermined")


def test_questions_gained_and_lost():
    found = creativity_index([128] * 4, [0, 1, 5, 0], [256] * 4, [3, 0, 9, 0])
    each = [float(exact(256, 3, 128)), -1.0, 1 - 1.0, 0.0]
    each[2] = float(exact(256, 9, 128)) - 1.0
    assert found.value == pytest.approx(np.mean(each))
    assert found.se == pytest.approx(np.std(each, ddof=1) / 2)
    assert (found.gained, found.lost, found.questions, found.k) == (1, 1, 4, 128)
    with pytest.raises(DataError, match="needs k samples"):
        creativity_index([64], [1], [64], [2])


def test_pairing_by_question_takes_their_difficulty_out():
    n, c = some_questions(Q=200, n=128)
    better = np.minimum(c + 2, 128)
    paired = creativity_index(n, c, n, better, k=1)
    apart = [pass_at_k_curve(n, one, 1).se[0] for one in (c, better)]
    assert paired.se < 0.1 * math.hypot(*apart)
    with pytest.raises(DataError, match="do not pair"):
        creativity_index(n, c, n[1:], better[1:])


def test_gain_per_flop_and_its_delta_method():
    """Against the spread of a simulated quotient."""
    n, c = some_questions(Q=150, n=16)
    after = np.minimum(c + 3, 16)
    found = gain_per_flop(n, c, n, after, 4e20, flops_se=0.2e20)
    each = (after - c) / 16
    assert found.gain == pytest.approx(each.mean())
    assert found.value == pytest.approx(each.mean() / 4e20)
    rng = np.random.default_rng(0)
    gains = rng.normal(each.mean(), each.std(ddof=1) / math.sqrt(150), size=200_000)
    spread = np.std(gains / rng.normal(4e20, 0.2e20, size=200_000))
    assert found.se == pytest.approx(spread, rel=0.02)
    assert found.low < found.value < found.high
    exactly = gain_per_flop(n, c, n, after, 4e20)
    assert exactly.se == pytest.approx(found.gain_se / 4e20)


@pytest.mark.parametrize("flops", [0.0, -1e18, math.nan, math.inf])
def test_flops_are_an_amount_of_work(flops):
    with pytest.raises(DataError, match="the work done, is no number above 0"):
        gain_per_flop([4], [1], [4], [2], flops)
