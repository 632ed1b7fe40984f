"""Resampling by curve: every replicate at its own optimum, failures counted, draws repeatable."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from harness.analysis import Curves, fit, leave_one_curve_out, resample
from harness.analysis.laws import get_law
from harness.errors import DataError
from tests.analysis.support import SIZES, levels, planted


def noisy(sizes=SIZES, **options):
    return planted(0.13, 13e9, levels(0.13, 13e9, sizes), sizes=sizes, noise=0.01, **options)


def one_by_one(curves, counts, start):
    """K_max and N0 of one draw by another optimiser, over all parameters at once."""
    sizes = np.unique(curves["N"])
    which = np.searchsorted(sizes, curves["N"])
    weight = np.sqrt(counts[which] / np.bincount(which)[which])
    u = np.log10(curves["C_raw"]) - 18

    def residual(theta):
        k = theta[0] / (1 + np.exp(theta[1]) / sizes)
        return weight * (10 ** (theta[2 + which] - k[which] * u) - curves["ErrRate"])

    theta = np.concatenate([[start["K_max"], np.log(start["N0"])], np.full(len(sizes), -0.2)])
    with np.errstate(over="ignore", invalid="ignore"):  # it tries wild steps
        found = least_squares(residual, theta, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return found.x[0], np.exp(found.x[1])


def test_replicates_are_where_another_optimiser_ends(published):
    curves = published["base"]
    found = fit(curves, x="C_raw")
    drawn = resample(found, curves, n=40, seed=3)
    indices = np.random.default_rng(3).integers(len(SIZES), size=(40, len(SIZES)))
    compared = 0
    for i, index in enumerate(indices):
        counts = np.bincount(index, minlength=len(SIZES))
        mine = {name: draws[i] for name, draws in drawn.draws.items()}
        if (counts > 0).sum() < 4 or mine["N0"] > 1e11:
            continue  # too flat for the other optimiser to find the bottom to 1e-6
        K_max, N0 = one_by_one(curves, counts, found.params)
        assert mine["K_max"] == pytest.approx(K_max, rel=1e-6)
        assert mine["N0"] == pytest.approx(N0, rel=1e-6)
        compared += 1
    assert compared >= 20


@pytest.mark.parametrize("law", ["loglinear_kn", "loglinear_kn_e0"])
def test_same_seed_same_draws(law):
    curves = noisy()
    found = fit(curves, law)
    one, same, other = (resample(found, curves, n=50, seed=s) for s in (7, 7, 8))
    assert one.intervals == same.intervals
    assert np.array_equal(one.draws["K_max"], same.draws["K_max"])
    assert one.intervals != other.intervals


def test_more_replicates_keep_the_first_ones():
    curves = noisy()
    found = fit(curves)
    few, many = (resample(found, curves, n=n).draws["N0"] for n in (20, 60))
    assert many[:20] == pytest.approx(few, rel=1e-9)


def test_intervals_hold_the_fit_and_the_planted_values():
    curves = noisy()
    found = fit(curves)
    drawn = resample(found, curves)
    for name, planted_value in (("K_max", 0.13), ("N0", 13e9)):
        low, high = drawn.intervals[name]
        assert low < found.params[name] < high
        assert low < planted_value < high


def test_draws_of_one_size_fail_and_are_counted():
    curves = noisy(SIZES[:2])
    drawn = resample(fit(curves), curves, n=200)
    failed = np.isnan(drawn.draws["K_max"])
    assert drawn.failed == failed.sum() > 50
    assert "fewer than 2 distinct N" in drawn.note
    assert str(drawn.failed) in drawn.note


@pytest.mark.parametrize("law", ["loglinear_kn", "powlawmul"])
@pytest.mark.parametrize(("count", "ways"), [(2, 1), (3, 7), (4, 31)])
def test_few_curves_give_no_interval(law, count, ways):
    """Of m curves C(2m-1, m) draws are different, and m of them hold a single curve."""
    curves = noisy(SIZES[:count])
    found = fit(curves, law)
    drawn = resample(found, curves, n=100)
    assert "few_units" in drawn.flags
    assert drawn.withheld
    assert f"{count} things to draw from give {ways} different draw" in drawn.note
    assert drawn.note.startswith("few_units: no interval")
    for ends in drawn.intervals.values():
        assert np.isnan(ends).all()
    for of_curves in drawn.intervals_by_curve.values():
        assert np.isnan(list(of_curves.values())).all()
    assert np.isnan(drawn.band([1e18, 1e19], SIZES[0])).all()
    assert "K_max" not in repr(drawn).split("few_units")[0]


def test_five_curves_give_an_interval():
    curves = noisy(SIZES[:5])
    drawn = resample(fit(curves), curves, n=200)
    assert drawn.flags == ()
    assert all(low < high for low, high in drawn.intervals.values())


def test_many_dropped_draws_give_no_interval(monkeypatch):
    """A law that needs four of five curves: of all draws 42 % hold fewer."""
    monkeypatch.setattr(type(get_law("loglinear_kn")), "min_curves", 4)
    curves = noisy(SIZES[:5])
    drawn = resample(fit(curves), curves, n=400)
    assert 0.3 < drawn.failed / drawn.n < 0.9
    assert "many_dropped" in drawn.flags
    assert "many_dropped: no interval" in drawn.note
    assert np.isnan(list(drawn.intervals.values())).all()


def test_no_interval_has_no_width():
    """Seeds that are copies of one another move nothing, and say nothing of their spread."""
    curves = noisy(SIZES[:3])
    rows = {name: np.tile(curves[name], 4) for name in curves.names}
    rows["seed"] = np.repeat(np.arange(4.0), len(curves))
    copies = Curves(rows)
    for law in ("loglinear_kn", "loglinear"):
        drawn = resample(fit(copies, law, run="seed"), copies, by="seed", n=50)
        assert drawn.flags
        assert all(flag.startswith("no_spread:") for flag in drawn.flags)
        assert "no interval where all replicates agree" in drawn.note
        for ends in [
            *drawn.intervals.values(),
            *(at for each in drawn.intervals_by_curve.values() for at in each.values()),
        ]:
            assert np.isnan(ends).all() or ends[0] < ends[1]
            assert np.isnan(ends).all()


def test_curves_of_one_seed_have_no_interval_beside_curves_of_several():
    curves = noisy(SIZES[:3])
    rows = {name: np.concatenate([curves[name]] * 4) for name in curves.names}
    rows["seed"] = np.repeat(np.arange(4.0), len(curves))
    rows["ErrRate"] = rows["ErrRate"] * (1 + 0.02 * rows["seed"] * np.log10(rows["C"] / 1e17))
    several = Curves(rows)
    lone = several.where((several["N"] > SIZES[0]) | (several["seed"] == 0))
    drawn = resample(fit(lone, "loglinear", run="seed"), lone, by="seed", n=100)
    assert not drawn.withheld
    assert drawn.flags == ("no_spread:k", "no_spread:E0")
    assert f"k of N={SIZES[0]:g}" in drawn.note
    for of_curves in drawn.intervals_by_curve.values():
        assert np.isnan(of_curves[SIZES[0]]).all()
        assert all(low < high for N, (low, high) in of_curves.items() if N in SIZES[1:])


def test_an_interval_that_only_the_search_ends_has_no_upper_end(published):
    """More than 2.5 % of these replicates run N0 to the bound, so no data stand above."""
    curves = published["instruct"].where(published["instruct"]["N"] <= 32e9)
    drawn = resample(fit(curves, x="C_raw"), curves)
    assert drawn.on_bound > 0.025 * drawn.n
    for low, high in drawn.intervals.values():
        assert 0 < low < high == np.inf
    assert "no upper end to K_max, N0" in drawn.note
    base = resample(fit(published["base"], x="C_raw"), published["base"])
    assert np.isfinite(list(base.intervals.values())).all()


def test_an_interval_that_only_the_search_begins_has_no_lower_end():
    """Curves of equal slope: N0 runs to 0, and K_max, the slope of all, is known all the same."""
    curves = planted(0.13, 1e3, levels(0.13, 1e3), noise=0.01)
    drawn = resample(fit(curves), curves)
    low, high = drawn.intervals["N0"]
    assert low == 0
    assert 0 < high < np.inf
    low, high = drawn.intervals["K_max"]
    assert 0.1 < low < high < 0.2
    assert "no lower end to N0" in drawn.note


def test_bands_hold_the_fitted_line_and_widen_with_their_level(published):
    curves = published["base"]
    found = fit(curves, x="C_raw", drop_last=80)
    drawn = resample(found, curves, n=300)
    x = np.geomspace(1e18, 1e21, 9)
    low, high = drawn.band(x, 7e9)
    inner_low, inner_high = drawn.band(x, 7e9, level=0.5)
    assert low.shape == x.shape
    line = found.predict(x, 7e9)
    assert ((low <= line) & (line <= high)).all()
    assert ((low <= inner_low) & (inner_high <= high)).all()
    with pytest.raises(DataError, match="no replicate knows"):
        drawn.band(x, 8e9)


def test_leaving_curves_out_is_fitting_the_others():
    curves = noisy()
    found = fit(curves)
    left_out = leave_one_curve_out(found, curves)
    assert list(left_out.N) == list(SIZES)
    for i, N in enumerate(SIZES):
        others = fit(curves.where(curves["N"] != N))
        for name in ("K_max", "N0"):
            assert left_out.params[name][i] == pytest.approx(others.params[name], rel=1e-7)


def test_leaving_out_one_of_two_curves_fails():
    curves = noisy(SIZES[:2])
    left_out = leave_one_curve_out(fit(curves), curves)
    assert left_out.failed == 2
    assert np.isnan(left_out.se["K_max"])


def test_a_law_without_shared_parameters_is_refused():
    curves = noisy()
    with pytest.raises(DataError, match="shares no parameter"):
        resample(fit(curves, "loglinear"), curves)


def test_no_replicates_are_refused():
    curves = noisy()
    with pytest.raises(DataError, match="number of replicates, is no whole number"):
        resample(fit(curves), curves, n=0)


@pytest.mark.parametrize(("G", "told"), [(5, "about 11% too narrow"), (7, "about 7% too narrow")])
def test_few_curves_are_said_to_be_few(G, told):
    sizes = SIZES[:G]
    curves = planted(0.13, 13e9, levels(0.13, 13e9, sizes), sizes=sizes, noise=0.01)
    drawn = resample(fit(curves), curves, n=20)
    assert f"{G} curves: drawn from so few" in drawn.note
    assert told in drawn.note


def test_ten_curves_are_not():
    sizes = np.logspace(8, 11, 10)
    curves = planted(0.13, 13e9, levels(0.13, 13e9, sizes), sizes=sizes, noise=0.01)
    assert resample(fit(curves), curves, n=20).note == ""
