"""Held-out errors and the comparison of laws: nothing that is predicted has been seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis import Curves, compare_laws, fit, held_out
from harness.errors import DataError, SuiteError
from tests.analysis.support import SIZES, planted

E0 = 2.5 / (1 + 20e9 / SIZES)
CURVES = planted(0.13, 13e9, E0, noise=0.005)


def told(results, part, kind):
    return [one for one in results if (one.part, one.kind) == (part, kind)]


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_the_last_part_is_predicted_by_a_fit_to_the_first(fraction):
    found = fit(CURVES, drop_first=1)
    last = told(held_out(found, CURVES, fraction), "last", "blind")
    assert [one.N for one in last] == list(SIZES)
    early = np.zeros(len(CURVES), dtype=bool)
    for N in SIZES:
        rows = np.flatnonzero(CURVES["N"] == N)[1:]  # `planted` sorts by x
        u = np.log(CURVES["C"][rows])
        early[rows] = u <= u[-1] - fraction * (u[-1] - u[0])
    refitted = fit(CURVES.where(early))
    for one in last:
        late = (CURVES["N"] == one.N) & (
            CURVES["C"] > CURVES["C"][early & (CURVES["N"] == one.N)].max()
        )
        assert list(one.x) == list(CURVES["C"][late])
        assert one.predicted == pytest.approx(refitted.predict(one.x, one.N), rel=1e-9)
        error = one.observed - one.predicted
        assert one.rmse == pytest.approx(math.sqrt(np.mean(error**2)))


def test_the_largest_size_is_predicted_blind_and_calibrated():
    found = fit(CURVES)
    results = held_out(found, CURVES)
    (blind,), (calibrated,) = (told(results, "largest", kind) for kind in ("blind", "calibrated"))
    smaller = CURVES.where(CURVES["N"] < 72e9)
    expected = fit(smaller, "loglinear_kn_e0").predict(blind.x, 72e9)
    assert blind.predicted == pytest.approx(expected, rel=1e-9)
    assert (blind.law, calibrated.law) == ("loglinear_kn_e0", "loglinear_kn")
    k = fit(smaller).slope(72e9)
    shape = 10 ** (-k * np.log10(calibrated.x))
    level = np.sum(shape * calibrated.observed) / np.sum(shape**2)  # least squares in L
    assert calibrated.predicted == pytest.approx(level * shape, rel=1e-7)


def test_a_law_that_shares_all_needs_no_calibration():
    results = held_out(fit(CURVES, "loglinear_kn_e0"), CURVES)
    assert len(told(results, "largest", "blind")) == 1
    assert not told(results, "largest", "calibrated")


def test_a_law_that_shares_nothing_says_why_it_predicts_no_new_curve():
    results = held_out(fit(CURVES, "loglinear"), CURVES)
    (blind,) = told(results, "largest", "blind")
    assert "knows no other" in blind.reason
    assert np.isnan(blind.predicted).all()
    assert math.isnan(blind.rmse)
    assert len(told(results, "last", "blind")) == len(SIZES)


def test_what_is_held_out_does_not_move_its_prediction():
    found = fit(CURVES)
    u = np.log(CURVES["C"])
    late = np.zeros(len(CURVES), dtype=bool)
    for N in SIZES:
        of = CURVES["N"] == N
        late |= of & (u > u[of].max() - 0.2 * np.ptp(u[of]))
    moved = Curves({**CURVES.columns, "ErrRate": np.where(late, 0.3, 1.0) * CURVES["ErrRate"]})
    before, after = (told(held_out(found, one), "last", "blind") for one in (CURVES, moved))
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one.predicted, other.predicted)


@pytest.mark.parametrize(("loss", "delta"), [("lad", None), ("huber", 1e-3)])
def test_calibration_is_under_the_loss_of_the_fit(loss, delta):
    found = fit(CURVES, loss=loss, delta=delta)
    (calibrated,) = told(held_out(found, CURVES), "largest", "calibrated")

    def objective(shift):
        r = np.abs(
            10 ** (calibrated.E0 + shift - calibrated.k * np.log10(calibrated.x))
            - calibrated.observed
        )
        if delta is None:
            return r.sum()
        small = np.minimum(r, delta)
        return (small * (r - small / 2)).sum()

    assert objective(0) <= min(objective(shift) for shift in np.linspace(-1e-3, 1e-3, 21)) * (
        1 + 1e-6
    )


def test_any_formula_is_held_out_too():
    rng = np.random.default_rng(0)
    N, D = np.repeat([1e8, 1e9, 1e10, 1e11], 12), np.tile(np.geomspace(1e9, 1e11, 12), 4)
    L = (1.7 + 400 / N**0.34 + 1800 / D**0.36) * np.exp(0.002 * rng.standard_normal(48))
    table = Curves({"N": N, "D": D, "loss": L})
    options = {"x": "D", "y": "loss", "space": "log10", "weights": "per_point"}
    found = fit(table, "chinchilla", **options)
    results = held_out(found, table)
    (blind,) = told(results, "largest", "blind")
    smaller = fit(table.where(N < 1e11), "chinchilla", **options)
    assert blind.predicted == pytest.approx(smaller.predict(blind.x, 1e11), rel=1e-6)
    assert blind.rmse < 0.05
    assert math.isnan(blind.k)


def test_points_of_single_runs_are_held_out_beyond_one_x():
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7.5, 10, 80), 10 ** rng.uniform(8.5, 11, 80)
    L = (1.7 + 400 / N**0.34 + 1800 / D**0.36) * np.exp(0.002 * rng.standard_normal(80))
    table = Curves({"N": N, "D": D, "loss": L})
    options = {"x": "D", "y": "loss", "space": "log10", "weights": "per_point"}
    results = held_out(fit(table, "chinchilla", **options), table)
    last = told(results, "last", "blind")
    limit = np.log(D).max() - 0.2 * np.ptp(np.log(D))
    assert sorted(x for one in last for x in one.x) == sorted(D[np.log(D) > limit])
    assert all(one.rmse < 0.1 for one in last)


def test_a_part_that_leaves_too_little_says_so():
    two = CURVES.where((CURVES["N"] == 7e9) | (CURVES["N"] == 72e9))
    results = held_out(fit(two), two)
    (blind,), (calibrated,) = (told(results, "largest", kind) for kind in ("blind", "calibrated"))
    assert "cannot be fitted without N=7.2e+10" in blind.reason
    assert "cannot be fitted without" in calibrated.reason
    short = CURVES.where(np.arange(len(CURVES)) % 20 < 2)
    (last, *_) = told(held_out(fit(short, "loglinear"), short), "last", "blind")
    assert "cannot be fitted to the rest" in last.reason


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, math.nan])
def test_a_share_is_between_0_and_1(fraction):
    with pytest.raises(SuiteError, match="a share of each curve, is no number"):
        held_out(fit(CURVES), CURVES, fraction)


def test_laws_are_sorted_by_bic():
    fits = [fit(CURVES, law) for law in ("loglinear_kn_e0", "loglinear", "loglinear_kn")]
    rows = compare_laws(fits, CURVES)
    bic = {one.law: one.bic for one in fits}
    assert [row.law for row in rows] == sorted(bic, key=bic.get)
    assert rows[0].delta_bic == 0
    for row in rows:
        assert row.delta_bic == pytest.approx(bic[row.law] - min(bic.values()))
        same = next(one for one in fits if one.law == row.law)
        assert (row.n, row.p, row.objective) == (same.n, same.p, same.objective)
        last = told(held_out(same, CURVES), "last", "blind")
        errors = np.concatenate([one.observed - one.predicted for one in last])
        assert row.rmse_last == pytest.approx(math.sqrt(np.mean(errors**2)))


def test_bic_of_squares_by_its_formula():
    """(p + 1) ln n - 2 ln likelihood, normal, for curves that all weigh the same."""
    found = fit(CURVES, "loglinear")
    n = found.n
    normal = -0.5 * n * (math.log(2 * math.pi * found.objective) + 1)
    assert found.bic == pytest.approx((found.p + 1) * math.log(n) - 2 * normal)


def test_only_fits_to_the_same_points_are_compared():
    found = fit(CURVES)
    for other in (
        fit(CURVES, "loglinear", space="log10"),
        fit(CURVES, "loglinear", drop_last=1),
        fit(CURVES.where(CURVES["N"] < 72e9), "loglinear"),
        fit(CURVES, "loglinear", loss="lad"),
    ):
        with pytest.raises(DataError, match="not to the same points"):
            compare_laws([found, other], CURVES)
    with pytest.raises(DataError, match="compared with itself"):
        compare_laws([found, found], CURVES)
    with pytest.raises(DataError, match="no fits"):
        compare_laws([], CURVES)
