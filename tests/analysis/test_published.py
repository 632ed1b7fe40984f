"""The published fits of Tan et al., recomputed from their plotted points."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from harness.analysis import Curves, blind_fit, extrapolate, fit, leave_one_curve_out

EXP2 = Path(__file__).parents[2] / "suites/exp2/published/exp2_data_reuse.csv"
CASES = json.loads(Path(__file__).with_name("published.json").read_text())


def select(published, case):
    curves = published[case["source"]]
    return curves.where(curves["N"] <= case.get("largest", np.inf))


def refit(published, case, law="loglinear_kn"):
    return fit(select(published, case), law, x=case["x"], drop_last=case.get("cut", 0))


def name(case):
    part = f"cut {case['cut']}" if "cut" in case else f"to {case.get('largest', 72e9):g}"
    return f"{case['source']} {case['x']} {part}"


def shown(value, digits):
    """`value` rounded as `digits` are printed."""
    return Decimal(value).quantize(Decimal(digits))


@pytest.mark.parametrize("case", CASES["refits"], ids=name)
def test_refit_gives_the_digits(published, case):
    found = refit(published, case)
    assert found.n == case["n"]
    assert shown(found.params["K_max"], case["K_max"]) == Decimal(case["K_max"])
    assert shown(found.params["N0"] / 1e9, case["N0"]) == Decimal(case["N0"])
    assert shown(found.r2, case["R2"]) == Decimal(case["R2"])
    assert found.certificate.flags == ()
    assert found.certificate.share_in_best == 1.0


@pytest.mark.parametrize("case", CASES["plotted"], ids=name)
def test_plotted_lines_are_the_optimum(published, case):
    found = refit(published, case)
    plotted = {key: case[key] for key in ("K_max", "N0")}
    assert found.params == pytest.approx(plotted, rel=1e-3)
    E0 = dict(zip(found.by_curve["E0"], case["E0"], strict=True))
    assert found.by_curve["E0"] == pytest.approx(E0, abs=5e-5)
    curves = select(published, case)
    assert -1e-4 < found.objective_ratio(curves, plotted, {"E0": E0}) <= 0


def test_objective_of_the_full_fit(published):
    found = fit(published["base"], x="C_raw")
    assert f"{found.objective:.6e}" == "1.490899e-04"
    assert (found.n, found.p, found.dof) == (732, 9, 723)


def test_free_slopes(published):
    case = CASES["free_slopes"]
    found = refit(published, case, "loglinear")
    digits = zip(found.by_curve["k"].values(), case["k"], strict=True)
    assert all(shown(k, printed) == Decimal(printed) for k, printed in digits)


def test_r2_by_curve_tells_what_the_pooled_one_hides(published):
    case = CASES["r2_by_curve"]
    found = refit(published, case)
    digits = zip(found.r2_by_curve.values(), case["R2"], strict=True)
    assert all(shown(r2, printed) == Decimal(printed) for r2, printed in digits)
    assert found.r2 > 0.99


def test_uncertainty_of_the_full_fit(published):
    found = fit(published["base"], x="C_raw")
    # An independent estimate gave .0032; how it counts degrees of freedom is not known.
    assert found.se["K_max"] == pytest.approx(0.0032, abs=1e-4)
    assert shown(found.se["N0"] / 1e9, ".79") == Decimal(".79")
    assert shown(found.correlation["K_max", "N0"], ".88") == Decimal(".88")
    left_out = leave_one_curve_out(found, published["base"])
    assert shown(left_out.se["K_max"], ".0200") == Decimal(".0200")
    assert shown(left_out.se["N0"] / 1e9, "4.57") == Decimal("4.57")
    assert left_out.failed == 0


def test_the_largest_size_is_shown_blind_and_calibrated(published):
    base = published["base"]
    smaller = base.where(base["N"] <= 32e9)
    fitted = fit(smaller, x="C_raw")
    blind = blind_fit(fitted, smaller, "loglinear_kn_e0")
    found = extrapolate(fitted, base.where(base["N"] > 32e9), blind=blind)
    assert [(one.kind, one.law, one.N) for one in found] == [
        ("blind", "loglinear_kn_e0", 72e9),
        ("calibrated", "loglinear_kn", 72e9),
    ]
    # The plotted line's level, 2.107316, was taken from the curve that it predicts.
    assert pytest.approx(2.107316, rel=1e-3) == found[1].E0
    assert found[1].r2 == pytest.approx(0.923, abs=1e-3)
    assert found[1].rmse < found[0].rmse


# Tan et al., data reuse, 7B base: k and E0 by tau, ordinary least squares in log10-log10.
REUSE = {
    1: (0.035404, -0.086652),
    2: (0.046738, -0.063743),
    5: (0.062616, -0.036001),
    20: (0.046877, -0.061227),
    25: (0.049093, -0.057488),
    50: (0.038594, -0.070058),
    100: (0.031337, -0.079339),
}


def test_lines_of_data_reuse():
    curves = Curves.from_csv(EXP2)
    base = curves.where(curves["source"] == "base")
    found = fit(base, "loglinear_tau", x="step", group="tau", space="log10")
    for tau, (k, E0) in REUSE.items():
        assert found.by_curve["k"][tau] == pytest.approx(k, abs=1e-6)
        assert found.by_curve["E0"][tau] == pytest.approx(E0, abs=1e-6)
