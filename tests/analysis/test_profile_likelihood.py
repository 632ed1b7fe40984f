"""Profile intervals against brute force over all other parameters, and their open ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, least_squares, minimize
from scipy.stats import chi2

from harness.analysis import Curves, fit, profile_likelihood
from harness.errors import DataError
from tests.analysis.support import SIZES, levels, planted

CURVES = planted(0.13, 13e9, levels(0.13, 13e9), noise=0.01)


def least_by_brute_force(name, value, start):
    """Least F of loglinear_kn with one shared parameter held, over the other and all levels."""
    which = np.searchsorted(SIZES, CURVES["N"])
    weight = np.sqrt(1 / np.bincount(which)[which] / len(SIZES))
    u = np.log10(CURVES["C"])
    centre = np.bincount(which, u) / np.bincount(which)

    def residual(theta):
        K_max, log_N0 = (value, theta[0]) if name == "K_max" else (theta[0], np.log(value))
        k = (K_max / (1 + np.exp(log_N0) / SIZES))[which]
        L = 10 ** (theta[1 + which] - k * (u - centre[which]))
        return weight * (L - CURVES["ErrRate"])

    first = np.log(start["N0"]) if name == "K_max" else start["K_max"]
    theta = np.concatenate([[first], np.full(len(SIZES), -0.2)])
    found = least_squares(residual, theta, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return 2 * found.cost


@pytest.mark.parametrize("name", ["K_max", "N0"])
@pytest.mark.parametrize("level", [0.68, 0.95])
def test_the_ends_are_where_brute_force_puts_them(name, level):
    found = fit(CURVES)
    profiled = profile_likelihood(found, CURVES, name, level)
    limit = chi2.ppf(level, 1)

    def over(value):
        F = least_by_brute_force(name, value, found.params)
        return found.n * np.log(F / found.objective) - limit

    best = found.params[name]
    assert profiled.low == pytest.approx(brentq(over, best * 0.5, best, rtol=1e-7), rel=1e-4)
    assert profiled.high == pytest.approx(brentq(over, best, best * 2.5, rtol=1e-7), rel=1e-4)
    for value, F in list(zip(profiled.values, profiled.objective, strict=True))[::6]:
        assert pytest.approx(least_by_brute_force(name, value, found.params), rel=1e-7) == F


def test_a_chinchilla_exponent_under_huber_against_nelder_mead():
    rng = np.random.default_rng(3)
    N, D = 10 ** rng.uniform(7.5, 10, 60), 10 ** rng.uniform(8.5, 11, 60)
    L = (1.8 + 480 / N**0.35 + 2100 / D**0.37) * np.exp(0.01 * rng.standard_normal(60))
    table = Curves({"N": N, "D": D, "loss": L})
    options = {"x": "D", "y": "loss", "space": "log10", "weights": "per_point"}
    found = fit(table, "chinchilla", loss="huber", delta=5e-3, **options)
    profiled = profile_likelihood(found, table, "alpha")
    assert profiled.low < found.params["alpha"] < profiled.high
    lnN, lnD = np.log(N) - 20, np.log(D) - 23

    def objective(theta, alpha):
        e, a, b, beta = theta
        f = np.exp(e) + np.exp(a - alpha * lnN) + np.exp(b - beta * lnD)
        r = np.abs(np.log10(f / L))
        small = np.minimum(r, 5e-3)
        return np.mean(small * (r - small / 2)) / found.objective

    for i in (2, len(profiled.values) // 2, -3):
        alpha = profiled.values[i]
        theta = [np.log(1.8), np.log(480) - 0.35 * 20, np.log(2100) - 0.37 * 23, 0.37]
        for _ in range(6):
            theta = minimize(
                objective,
                theta,
                args=(alpha,),
                method="Nelder-Mead",
                options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000},
            ).x
        ratio = profiled.objective[i] / found.objective
        assert ratio <= objective(theta, alpha) * (1 + 1e-8)
        assert ratio == pytest.approx(objective(theta, alpha), rel=1e-4)


def test_the_statistic_is_least_at_the_fit_and_rises_to_both_ends():
    found = fit(CURVES)
    profiled = profile_likelihood(found, CURVES, "N0")
    assert (np.diff(profiled.values) > 0).all()
    best = int(profiled.statistic.argmin())
    assert profiled.values[best] == pytest.approx(found.params["N0"])
    assert (np.diff(profiled.statistic[: best + 1]) < 1e-9).all()
    assert (np.diff(profiled.statistic[best:]) > -1e-9).all()


def test_wider_levels_give_wider_intervals():
    found = fit(CURVES)
    inner, outer = (profile_likelihood(found, CURVES, "K_max", level) for level in (0.5, 0.99))
    assert outer.low < inner.low < found.params["K_max"] < inner.high < outer.high


def test_ends_that_the_data_do_not_set_are_open():
    """Slopes in proportion to N say nothing of N0 above; equal slopes nothing of it below."""
    proportional = planted(1.3, 13e12, levels(1.3, 13e12), noise=0.01)
    found = fit(proportional)
    assert profile_likelihood(found, proportional, "N0").high == np.inf
    equal = planted(0.1, 1e4, levels(0.1, 1e4), noise=0.02)
    found = fit(equal)
    profiled = profile_likelihood(found, equal, "N0")
    assert profiled.low == 0
    assert 0 < profiled.high < np.inf


def test_what_cannot_be_profiled_is_refused():
    found = fit(CURVES)
    with pytest.raises(DataError, match="shares no parameter 'E0'"):
        profile_likelihood(found, CURVES, "E0")
    with pytest.raises(DataError, match="the level is no number"):
        profile_likelihood(found, CURVES, "N0", level=1.0)
    lines = fit(CURVES, "loglinear")
    with pytest.raises(DataError, match="shares no parameter"):
        profile_likelihood(lines, CURVES, "k")
    exact = planted(0.13, 13e9, levels(0.13, 13e9))
    with pytest.raises(DataError, match="no residual"):
        profile_likelihood(fit(exact), exact, "N0")
