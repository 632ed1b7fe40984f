"""Held-out points: what is predicted blind, what calibrated, and that each says so."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis import Curves, blind_fit, clipped_end, extrapolate, fit
from harness.errors import DataError
from tests.analysis.support import SIZES, planted

E0 = 2.5 / (1 + 20e9 / SIZES)
CURVES = planted(0.13, 13e9, E0, noise=0.005)
SMALLER = CURVES.where(CURVES["N"] <= 32e9)
LARGEST = CURVES.where(CURVES["N"] > 32e9)


def test_an_unseen_size_is_predicted_twice():
    fitted = fit(SMALLER)
    blind = blind_fit(fitted, SMALLER, "loglinear_kn_e0")
    first, second = extrapolate(fitted, LARGEST, blind=blind)
    assert (first.kind, first.law) == ("blind", "loglinear_kn_e0")
    assert (second.kind, second.law) == ("calibrated", "loglinear_kn")
    assert first.predicted == pytest.approx(blind.predict(LARGEST["C"], 72e9))
    assert second.k == fitted.slope(72e9)


def test_a_blind_prediction_does_not_depend_on_what_it_predicts():
    fitted = fit(SMALLER)
    blind = blind_fit(fitted, SMALLER, "loglinear_kn_e0")
    moved = type(LARGEST)({**LARGEST.columns, "ErrRate": LARGEST["ErrRate"] * 0.5})
    before, after = (extrapolate(fitted, held_out, blind=blind) for held_out in (LARGEST, moved))
    assert np.array_equal(before[0].predicted, after[0].predicted)
    assert after[1].predicted == pytest.approx(before[1].predicted * 0.5)


def test_calibration_is_the_least_squares_level():
    fitted = fit(SMALLER)
    found = extrapolate(fitted, LARGEST, blind=blind_fit(fitted, SMALLER, "loglinear_kn_e0"))[1]
    for shift in (-1e-3, 1e-3):
        other = 10 ** (found.E0 + shift - found.k * np.log10(found.x))
        assert np.sqrt(np.mean((found.observed - other) ** 2)) > found.rmse


def test_a_calibrated_prediction_never_stands_alone():
    with pytest.raises(DataError, match="blind_law"):
        extrapolate(fit(SMALLER), LARGEST)


def test_a_law_that_shares_all_predicts_blind_by_itself():
    found = extrapolate(fit(SMALLER, "loglinear_kn_e0"), LARGEST)
    assert [one.kind for one in found] == ["blind"]


def test_later_steps_of_known_curves_are_blind():
    fitted = fit(CURVES, drop_first=1, drop_last=5)
    held_out = clipped_end(fitted, CURVES)
    assert len(held_out) == 5 * len(SIZES)
    found = extrapolate(fitted, held_out)
    assert [(one.kind, one.N) for one in found] == [("blind", N) for N in SIZES]
    for one in found:
        rows = CURVES.where(CURVES["N"] == one.N)
        assert list(one.x) == list(np.sort(rows["C"])[-5:])
        assert one.predicted == pytest.approx(fitted.predict(one.x, one.N))


def test_a_curve_shorter_than_the_clip_is_clipped_whole():
    fitted = fit(CURVES, drop_last=5)
    three = CURVES.where(CURVES["N"] == 7e9).where(np.arange(20) < 3)
    assert len(clipped_end(fitted, three)) == 3


def test_measures_of_error():
    fitted = fit(CURVES, drop_last=5)
    one = extrapolate(fitted, clipped_end(fitted, CURVES))[3]
    error = one.observed - one.predicted
    assert one.rmse == pytest.approx(np.sqrt(np.mean(error**2)))
    assert one.relative_error == pytest.approx(np.mean(np.abs(error) / one.observed))
    mean_only = np.sum((one.observed - one.observed.mean()) ** 2)
    assert one.r2 == pytest.approx(1 - np.sum(error**2) / mean_only)


@pytest.mark.parametrize(("column", "value"), [("ErrRate", np.nan), ("ErrRate", 0.0), ("C", -1.0)])
def test_held_out_points_must_be_numbers_too(column, value):
    fitted = fit(CURVES, drop_last=5)
    held_out = clipped_end(fitted, CURVES)
    values = held_out[column].copy()
    values[3] = value
    with pytest.raises(DataError, match="held-out points"):
        extrapolate(fitted, type(held_out)({**held_out.columns, column: values}))


def test_no_fitted_point_is_held_out_where_steps_repeat():
    """Points of equal x, the later ones lower: whatever is clipped is not in the fit."""
    N = np.repeat([1e9, 2e9], 6)
    C = np.tile([1e18, 2e18, 3e18, 3e18, 3e18, 4e18], 2)
    L = np.array([0.9, 0.8, 0.75, 0.7, 0.65, 0.6, 0.8, 0.7, 0.6, 0.55, 0.5, 0.45])
    curves = Curves({"N": N, "C": C, "ErrRate": L})
    fitted = fit(curves, drop_last=2)
    used = curves.where(fitted.selection.kept(curves))
    held_out = clipped_end(fitted, curves)
    assert list(held_out["ErrRate"]) == [0.65, 0.6, 0.5, 0.45]
    assert fitted.objective == pytest.approx(fit(used).objective, rel=1e-9)
