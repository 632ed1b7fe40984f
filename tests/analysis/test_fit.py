"""Fitting: planted parameters come back, the optimum is one, bad input is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.stats import linregress

from harness.analysis import Curves, fit
from harness.errors import DataError, SuiteError
from tests.analysis.support import SIZES, levels, planted

K_MAX = st.floats(0.02, 0.4)
N0 = st.floats(1e9, 1e11)
SHAPES = [(w, s) for w in ("per_curve", "per_point") for s in ("linear", "log10")]
few = settings(max_examples=25)


def rows(N, C, L):
    source = np.array(["base"] * len(N), dtype=object)
    numbers = {"N": N, "C": C, "ErrRate": L}
    return Curves({"source": source, **{k: np.array(v, float) for k, v in numbers.items()}})


def noisy(seed, K_max=0.13, N0=13e9):
    return planted(K_max, N0, levels(K_max, N0), noise=0.01, seed=seed)


@pytest.mark.parametrize(("weights", "space"), SHAPES)
@few
@given(K_max=K_MAX, N0=N0)
def test_planted_parameters_come_back(weights, space, K_max, N0):
    E0 = levels(K_max, N0)
    found = fit(planted(K_max, N0, E0), weights=weights, space=space)
    assert found.params == pytest.approx({"K_max": K_max, "N0": N0}, rel=1e-5)
    assert list(found.by_curve["E0"].values()) == pytest.approx(list(E0), abs=1e-5)
    assert list(found.by_curve["k"].values()) == pytest.approx(list(K_max / (1 + N0 / SIZES)))
    assert found.r2 == pytest.approx(1.0)


@few
@given(K_max=K_MAX, N0=N0, E0_max=st.floats(0.5, 3.0), N1=N0)
def test_planted_parameters_of_the_blind_law_come_back(K_max, N0, E0_max, N1):
    curves = planted(K_max, N0, E0_max / (1 + N1 / SIZES))
    found = fit(curves, "loglinear_kn_e0")
    planted_values = {"K_max": K_max, "N0": N0, "E0_max": E0_max, "N1": N1}
    assert found.params == pytest.approx(planted_values, rel=1e-4)
    x = 1e20
    expected = 10 ** (E0_max / (1 + N1 / 200e9) - K_max / (1 + N0 / 200e9) * 20)
    assert found.predict(x, 200e9) == pytest.approx(expected, rel=1e-4)


def test_free_lines_of_planted_curves():
    found = fit(planted(0.13, 13e9, levels(0.13, 13e9)), "loglinear")
    assert list(found.by_curve["k"].values()) == pytest.approx(list(0.13 / (1 + 13e9 / SIZES)))
    assert (found.params, found.p) == ({}, 2 * len(SIZES))


def test_free_lines_in_logarithms_are_ordinary_least_squares():
    curves = noisy(4)
    found = fit(curves, "loglinear", space="log10")
    for (N,), curve in curves.groups(["N"]):
        slope, level = np.polyfit(np.log10(curve["C"]), np.log10(curve["ErrRate"]), 1)
        assert found.by_curve["k"][N] == pytest.approx(-slope, rel=1e-9)
        assert found.by_curve["E0"][N] == pytest.approx(level, rel=1e-9)


@pytest.mark.parametrize("law", ["loglinear", "loglinear_kn", "loglinear_kn_e0"])
@few
@given(order=st.permutations(range(60)))
def test_row_order_does_not_matter(law, order):
    curves = planted(0.13, 13e9, levels(0.13, 13e9)[:3], sizes=SIZES[:3], noise=0.01)
    shuffled = Curves({name: curves[name][list(order)] for name in curves.names})
    assert fit(shuffled, law, drop_first=2, drop_last=3) == fit(
        curves, law, drop_first=2, drop_last=3
    )


@few
@given(factor=st.floats(1e-12, 1e12), seed=st.integers(0, 3))
def test_the_unit_of_x_only_shifts_levels(factor, seed):
    curves = noisy(seed)
    scaled = Curves({**curves.columns, "C": curves["C"] * factor})
    one, other = fit(curves), fit(scaled)
    assert other.params == pytest.approx(one.params, rel=1e-7)
    assert other.objective == pytest.approx(one.objective, rel=1e-9)
    for N, k in one.by_curve["k"].items():
        assert other.by_curve["E0"][N] == pytest.approx(
            one.by_curve["E0"][N] + k * np.log10(factor), abs=1e-6
        )


@pytest.mark.parametrize(("weights", "space"), SHAPES)
@few
@given(scale=st.floats(0.2, 5), shift=st.floats(0.2, 5), jitter=st.integers(0, 1000))
def test_no_other_point_is_lower(weights, space, scale, shift, jitter):
    curves = noisy(1)
    found = fit(curves, weights=weights, space=space)
    other = {"K_max": found.params["K_max"] * scale, "N0": found.params["N0"] * shift}
    rng = np.random.default_rng(jitter)
    E0 = found.by_curve["E0"]
    near = {N: level + rng.normal(0, 0.1) for N, level in E0.items()}
    assert found.objective_ratio(curves, found.params, {"E0": near}) <= 1e-12
    # Lines of other slopes through the middle of each curve, where they fit best.
    turned = {
        N: level
        + (other["K_max"] / (1 + other["N0"] / N) - found.slope(N))
        * np.log10(curves["C"][curves["N"] == N]).mean()
        for N, level in E0.items()
    }
    assert found.objective_ratio(curves, other, {"E0": turned}) <= 1e-12


@pytest.mark.parametrize("law", ["loglinear", "loglinear_kn", "loglinear_kn_e0"])
def test_a_fit_is_as_good_as_itself(law):
    curves = noisy(2)
    found = fit(curves, law)
    free = {"loglinear": ("k", "E0"), "loglinear_kn": ("E0",), "loglinear_kn_e0": ()}[law]
    by_curve = {name: found.by_curve[name] for name in free}
    assert found.objective_ratio(curves, found.params, by_curve) == pytest.approx(0.0, abs=1e-9)


def test_a_better_point_than_the_fit_is_above_zero():
    curves = noisy(2)
    found = fit(curves)
    worse = dataclasses.replace(found, objective=1.01 * found.objective)
    E0 = {"E0": found.by_curve["E0"]}
    assert worse.objective_ratio(curves, found.params, E0) == pytest.approx(0.01)


def test_objective_is_the_mean_square_that_weights_say():
    curves = noisy(3)
    found = fit(curves)
    residual = found.predict(curves["C"], curves["N"]) - curves["ErrRate"]
    by_curve = [np.mean(residual[curves["N"] == N] ** 2) for N in SIZES]
    assert found.objective == pytest.approx(np.mean(by_curve), rel=1e-9)
    short = curves.where((curves["N"] > 1e9) | (curves["C"] < curves["C"][5]))
    by_point = fit(short, weights="per_point")
    residual = by_point.predict(short["C"], short["N"]) - short["ErrRate"]
    assert by_point.objective == pytest.approx(np.mean(residual**2), rel=1e-9)


def test_standard_errors_are_those_of_the_numerical_jacobian():
    """Independent of the fit's own derivatives: differences, all nine parameters at once."""
    curves = noisy(5)
    found = fit(curves)
    which = np.searchsorted(SIZES, curves["N"])
    best = np.array([found.params["K_max"], np.log(found.params["N0"])])
    best = np.concatenate([best, list(found.by_curve["E0"].values())])

    def residual(theta):
        k = theta[0] / (1 + np.exp(theta[1]) / SIZES)
        L = 10 ** (theta[2 + which] - k[which] * np.log10(curves["C"]))
        return (L - curves["ErrRate"]) / np.sqrt(20 * len(SIZES))

    steps = 1e-6 * np.eye(len(best))
    J = np.array([(residual(best + h) - residual(best - h)) / 2e-6 for h in steps]).T
    covariance = np.linalg.inv(J.T @ J) * np.sum(residual(best) ** 2) / (len(curves) - len(best))
    errors = np.sqrt(np.diag(covariance))
    assert found.se["K_max"] == pytest.approx(errors[0], rel=1e-4)
    assert found.se["N0"] == pytest.approx(errors[1] * found.params["N0"], rel=1e-4)
    assert list(found.se_by_curve["E0"].values()) == pytest.approx(list(errors[2:]), rel=1e-4)
    r = covariance[0, 1] / (errors[0] * errors[1])
    assert found.correlation["K_max", "N0"] == pytest.approx(r, rel=1e-4)


def test_clips_count_rows_in_the_order_of_x():
    curves = noisy(6)
    assert fit(curves, drop_first=2, drop_last=5).n == 13 * len(SIZES)
    by_hand = [curve.where(np.arange(20) < 15) for _, curve in curves.groups(["N"])]
    kept = Curves({n: np.concatenate([c[n] for c in by_hand]) for n in curves.names})
    assert fit(curves, drop_last=5).params == pytest.approx(fit(kept).params, rel=1e-12)


def test_per_curve_weights_make_curves_equal_whatever_their_length():
    curves = noisy(7)
    twice = Curves({n: np.concatenate([curves[n], curves[n][:20]]) for n in curves.names})
    assert fit(twice).params == pytest.approx(fit(curves).params, rel=1e-8)
    assert fit(twice, weights="per_point").params["K_max"] != pytest.approx(
        fit(curves, weights="per_point").params["K_max"], rel=1e-6
    )


def test_slopes_in_proportion_to_size_are_flagged():
    """With k proportional to N only K_max/N0 is known: no upper end for either."""
    sizes = np.array([1e9, 2e9, 3e9])
    found = fit(planted(0.02e8, 1e17, 0.02 * sizes / 1e9 * 17, sizes=sizes))
    assert {"on_bound:N0", "flat_profile:N0"} <= set(found.certificate.flags)
    assert found.certificate.on_bound == ("N0",)
    assert np.isnan(found.se["K_max"])


def test_noise_without_slope_has_a_flat_profile():
    rng = np.random.default_rng(0)
    N = np.repeat(SIZES, 10)
    C = np.tile(1e18 * np.arange(1, 11), len(SIZES))
    found = fit(rows(N, C, 0.5 + 0.02 * rng.standard_normal(len(N))))
    assert "flat_profile:N0" in found.certificate.flags


def test_few_points_are_flagged():
    curves = planted(0.13, 13e9, levels(0.13, 13e9)[:3], sizes=SIZES[:3], noise=0.01)
    short, longer = fit(curves, drop_last=17), fit(curves, drop_last=16)
    assert (short.dof, longer.dof) == (4, 7)
    assert "few_points" in short.certificate.flags
    assert "few_points" not in longer.certificate.flags


def test_two_curves_of_two_points_leave_nothing_to_estimate_errors_from():
    found = fit(rows([1e9, 1e9, 2e9, 2e9], [1e18, 2e18] * 2, [0.9, 0.85, 0.8, 0.74]))
    assert found.dof == 0
    assert np.isnan(found.se["K_max"])
    assert found.objective == pytest.approx(0.0, abs=1e-20)


def test_correlated_parameters_are_flagged(published):
    flags = fit(published["base"], "loglinear_kn_e0", x="C_raw").certificate.flags
    assert "correlated:K_max~E0_max" in flags


@pytest.mark.parametrize("law", ["loglinear", "loglinear_kn", "loglinear_kn_e0"])
@pytest.mark.parametrize("seed", range(5))
def test_the_certificate_holds(law, seed):
    certificate = fit(noisy(seed), law).certificate
    assert certificate.gradient_norm < 1e-9
    assert certificate.condition_number >= 1
    assert "not_converged" not in certificate.flags
    assert 0 < certificate.share_in_best <= 1


def test_predicts_known_curves_only_where_levels_are_free():
    found = fit(noisy(9))
    x = np.array([1e18, 1e19])
    both = found.predict(x[:, None], SIZES[:2])
    assert both.shape == (2, 2)
    assert both[:, 1] == pytest.approx(found.predict(x, SIZES[1]))
    with pytest.raises(DataError, match="has no E0 for N=2e\\+11"):
        found.predict(x, 2e11)
    assert found.slope(2e11) > found.slope(SIZES[-1])
    with pytest.raises(DataError, match="has no k"):
        fit(noisy(9), "loglinear").predict(x, 2e11)


GRID = ([1e9] * 3 + [2e9] * 3, [1e18, 2e18, 3e18] * 2)
L = [0.9, 0.8, 0.7, 0.8, 0.6, 0.5]


def with_value(values, i, value):
    return [*values[:i], value, *values[i + 1 :]]


@pytest.mark.parametrize(
    ("curves", "options", "says"),
    [
        (rows([], [], []), {}, "no rows"),
        (rows(*GRID, [np.nan] * 6), {}, "not finite in 6 of 6"),
        (rows(*GRID, with_value(L, 2, np.inf)), {}, "not finite in 1 of 6"),
        (rows(*GRID, with_value(L, 2, 0.0)), {}, "ErrRate is not positive"),
        (rows(*GRID, with_value(L, 2, -0.1)), {}, "ErrRate is not positive"),
        (rows(GRID[0], with_value(GRID[1], 0, 0.0), L), {}, "C is not positive"),
        (rows(*GRID, [0.5] * 3 + L[3:]), {}, "N=1e\\+09 is constant in ErrRate"),
        (rows(GRID[0], [1e18] * 6, L), {}, "constant in C"),
        (rows([1e9, *GRID[0][3:]], GRID[1][:4], L[:4]), {}, "fewer than 2 points"),
        (rows(*GRID, L), {"drop_last": 3}, "fewer than 2 points"),
        (rows(*GRID, L), {"drop_first": 1, "drop_last": 1}, "fewer than 2 points"),
        (rows([1e9] * 3, GRID[1][:3], L[:3]), {}, "from 1 curve"),
        (rows(*GRID, L), {"x": "D"}, "no column 'D'"),
        (
            Curves({"N": np.array(["a"] * 6), "C": np.ones(6), "ErrRate": np.ones(6)}),
            {},
            "N is text",
        ),
    ],
)
def test_refuses_what_no_law_can_be_fitted_to(curves, options, says):
    with pytest.raises(DataError, match=says) as caught:
        fit(curves, **options)
    assert caught.value.expected
    assert caught.value.hint


@pytest.mark.parametrize(
    "options", [{"weights": "equal"}, {"space": "log"}, {"drop_first": -1}, {"law": "none"}]
)
def test_refuses_options_that_do_not_exist(options):
    with pytest.raises(SuiteError):
        fit(rows(*GRID, L), **options)


def test_only_all_parameters_can_be_compared():
    curves = noisy(0)
    found, free = fit(curves), fit(curves, "loglinear")
    params, k, E0 = found.params, found.by_curve["k"], found.by_curve["E0"]
    some = {N: level for N, level in E0.items() if N > 1e9}
    for one, shared, by_curve, says in (
        (found, {"K_max": 0.1}, {"E0": E0}, "N0 is not given"),
        (found, params, {}, "E0 of N=5e\\+08 is not given"),
        (found, params, {"E0": some}, "E0 of N=5e\\+08 is not given"),
        (found, params, {"E0": {**E0, 2e9: 0.1}}, "E0 of N=2e\\+09 is no parameter"),
        (found, params, {"E0": E0, "k": k}, "k of N=5e\\+08 is no parameter"),
        (found, {**params, "N1": 1e9}, {"E0": E0}, "N1 is no parameter"),
        (free, {}, {"E0": E0}, "k of N=5e\\+08 is not given"),
    ):
        with pytest.raises(DataError, match=says) as caught:
            one.objective_ratio(curves, shared, by_curve)
        assert caught.value.hint


def wild(seed):
    """A few curves of 12 points whose scatter, up to a factor of 20, hides any law."""
    rng = np.random.default_rng(seed)
    curves, scatter = rng.integers(2, 5), 10 ** rng.uniform(-4, 0.5)
    N = np.repeat(10 ** rng.uniform(6, 12, curves), 12)
    C = 10 ** rng.uniform(0, 22) * np.tile(np.cumsum(rng.exponential(1, 12) + 1e-6), curves)
    return rows(N, C, np.exp(scatter * rng.standard_normal(len(N))))


def lowest_elsewhere(curves, law):
    """The lowest objective that another optimiser finds, in all parameters and from many starts."""
    sizes, which = np.unique(curves["N"], return_inverse=True)
    G, u, L = len(sizes), np.log10(curves["C"]), curves["ErrRate"]
    weight = 1 / np.sqrt(np.bincount(which)[which] * G)
    centre = np.bincount(which, u) / np.bincount(which)
    N_ref = np.exp(np.log(sizes).mean())
    low, high = np.log(sizes.min() / 1e4), np.log(sizes.max() * 1e4)
    alone = [which == i for i in range(G)]
    lines = [np.polyfit(u[a] - c, np.log10(L[a]), 1) for a, c in zip(alone, centre, strict=True)]
    k, c = -np.array(lines)[:, 0], np.array(lines)[:, 1]

    def saturating(height, log_half):
        return height * (1 + np.exp(log_half) / N_ref) / (1 + np.exp(log_half) / sizes)

    def residual(theta):
        if law == "loglinear":
            slope, level = theta[:G], theta[G:]
        elif law == "loglinear_kn":
            slope, level = saturating(*theta[:2]), theta[2:]
        else:
            slope = saturating(*theta[:2])
            level = saturating(*theta[2:]) - slope * centre
        fitted = level[which] - slope[which] * (u - centre[which])
        return weight * (10 ** np.clip(fitted, -300, 100) - L)

    halves = (low + 1, np.log(N_ref), high - 1)
    slopes = (k.mean(), k.min(), k.max())
    bounds = np.array([-np.inf, low]), np.array([np.inf, high])
    if law == "loglinear":
        starts = [np.r_[factor * k, c] for factor in (1, 0, -1)]
        bounds = np.full(2 * G, -np.inf), np.full(2 * G, np.inf)
    elif law == "loglinear_kn":
        starts = [np.r_[slope, half, c] for slope in slopes for half in halves]
        bounds = tuple(np.r_[two, np.copysign(np.full(G, np.inf), two[0])] for two in bounds)
    else:
        E0 = (c + k * centre).mean()
        starts = [np.r_[k.mean(), half, E0, other] for half in halves for other in halves]
        bounds = tuple(np.tile(two, 2) for two in bounds)
    options = {"bounds": bounds, "x_scale": "jac", "xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12}
    with np.errstate(all="ignore"):  # it tries wild steps
        ends = [least_squares(residual, start, max_nfev=300, **options) for start in starts]
    return min(2 * end.cost for end in ends)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("law", ["loglinear", "loglinear_kn", "loglinear_kn_e0"])
@pytest.mark.parametrize("seed", range(10))
def test_no_other_optimiser_gets_lower_on_wild_curves(law, seed):
    curves = wild(seed)
    assert fit(curves, law).objective <= lowest_elsewhere(curves, law) * (1 + 1e-6)


def test_r2_of_logarithms_is_that_of_a_straight_line():
    rng = np.random.default_rng(5)
    n = np.array([50.0, 100, 150, 200, 300, 500, 700, 1000])
    loss = 0.8 * n**0.05 * np.exp(0.03 * rng.standard_normal((2, 8)))
    table = Curves({"step": np.repeat([500, 1000], 8), "n": np.tile(n, 2), "L": loss.ravel()})
    found = fit(table, "power", x="n", y="L", group="step", space="log10", weights="per_point")
    for step, curve in zip((500.0, 1000.0), loss, strict=True):
        line = linregress(np.log(n), np.log(curve))
        assert found.by_curve["beta"][step] == pytest.approx(-line.slope, rel=1e-9)
        assert found.by_curve["A"][step] == pytest.approx(np.exp(line.intercept), rel=1e-9)
        assert found.r2_log_by_curve[step] == pytest.approx(line.rvalue**2, rel=1e-9)
