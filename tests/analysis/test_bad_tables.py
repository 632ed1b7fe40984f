"""Tables that no fit should take at its word: each is refused by name, or flagged, under every
law, loss and space, without a warning of NumPy's.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from harness.analysis import fit, held_out, resample
from harness.analysis.curves import Curves
from harness.analysis.laws import get_law, law_names
from harness.errors import DataError

STEPS = 8
LAWS = [name for name in law_names() if name != "test_offered_law"]
TIES = [name for name in LAWS if get_law(name).min_curves > 1]
OBJECTIVES = [("squares", None, "linear"), ("huber", 0.01, "relative"), ("lad", None, "log10")]


def table(curves=3):
    N = np.repeat([1e9, 3e9, 14e9][:curves], STEPS)
    C = np.tile(np.geomspace(1e18, 1e20, STEPS), curves)
    scatter = np.random.default_rng(0).normal(0, 0.01, len(N))
    k = 0.02 + 0.1 / (1 + 5e9 / N)
    return {"C": C, "ErrRate": 0.7 * (C / 1e18) ** -k * np.exp(scatter), "N": N}


def with_value(column, place, value):
    changed = table()
    changed[column] = changed[column].copy()
    changed[column][place] = value
    return changed


def times(column, factor):
    return table() | {column: table()[column] * factor}


def rows(keep):
    return {name: values[keep] for name, values in table().items()}


WORDS = np.array(["a"] * 3 * STEPS, dtype=object)
FIRST = slice(0, STEPS)
ROUNDED = 1 + 1e-15 * np.tile(np.arange(STEPS), 3)

# What every law refuses, and what the message names.
REFUSED = {
    "no rows": (rows(slice(0, 0)), "no rows"),
    "no measurement": (times("ErrRate", np.nan), "ErrRate is not finite in 24 of 24"),
    "a gap in x": (with_value("C", 3, np.nan), "C is not finite in 1 of 24"),
    "a gap in N": (with_value("N", 3, np.nan), "N is not finite"),
    "infinite loss": (with_value("ErrRate", 3, np.inf), "ErrRate is not finite"),
    "infinite x": (with_value("C", 3, -np.inf), "C is not finite"),
    "one x": (with_value("C", slice(None), 1e18), "constant in C"),
    "one x, but for rounding": (table() | {"C": 1e18 * ROUNDED}, "constant in C"),
    "one loss": (with_value("ErrRate", slice(None), 0.5), "constant in ErrRate"),
    "one loss, but for rounding": (table() | {"ErrRate": 0.5 * ROUNDED}, "constant in ErrRate"),
    "one size computed twice": (
        with_value("N", FIRST, 3e9 * (1 + 1e-14)),
        "two values of N differ by rounding",
    ),
    "negative x": (times("C", -1), "C is n"),
    "huge losses": (times("ErrRate", 1e300), "too large or too small in 24"),
    "a huge loss": (with_value("ErrRate", 5, 1e300), "too large or too small in 1"),
    "a tiny loss": (with_value("ErrRate", 5, 1e-300), "too large or too small in 1"),
    "huge x": (times("C", 1e280), "C is too large or too small"),
    "x below the least number": (times("C", 1e-320), "C is too large or too small"),
    "huge sizes": (times("N", 1e290), "N is too large or too small"),
    "loss in words": (table() | {"ErrRate": WORDS}, "ErrRate is text"),
    "x in words": (table() | {"C": WORDS}, "C is text"),
    "sizes in words": (table() | {"N": WORDS}, "N is text"),
    "no column": ({"C": table()["C"], "N": table()["N"]}, "no column 'ErrRate'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_holds_no_answer_is_refused_by_every_law(name):
    bad, told = REFUSED[name]
    for law in LAWS:
        for loss, delta, space in OBJECTIVES:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(DataError, match=told) as error:
                    fit(bad, law, loss=loss, delta=delta, space=space)
            assert error.value.expected
            assert error.value.found
            assert error.value.hint


@pytest.mark.parametrize("law", TIES)
@pytest.mark.parametrize("bad", [times("N", -1), with_value("N", FIRST, 0.0)])
def test_sizes_that_are_none_are_refused_by_laws_that_use_them(law, bad):
    with pytest.raises(DataError, match="N is not positive"):
        fit(bad, law)


# What some laws can be fitted to: the numbers are told with a doubt, or the table is refused.
DOUBTFUL = {
    "two points": rows([0, STEPS - 1]),
    "two points of each curve": rows(
        np.ravel([[first, first + STEPS - 1] for first in range(0, 3 * STEPS, STEPS)])
    ),
    "one curve constant": with_value("ErrRate", FIRST, 0.5),
    "a jump": table() | {"ErrRate": np.tile([0.2] * (STEPS - 1) + [0.8], 3)},
    "losses far above 1": times("ErrRate", 1e50),
    "x over all numbers": table() | {"C": np.tile(np.geomspace(1e-90, 1e90, STEPS), 3)},
}


# postopenai_nref has nine parameters, takes seconds a fit, and searches as postopenai does.
@pytest.mark.parametrize("law", [law for law in LAWS if law != "postopenai_nref"])
@pytest.mark.parametrize("name", DOUBTFUL)
def test_numbers_from_a_doubtful_table_come_with_a_flag_or_not_at_all(name, law):
    # Every law meets every table, and every loss and space each of both, in turn.
    turn = (LAWS.index(law) + list(DOUBTFUL).index(name)) % len(OBJECTIVES)
    loss, delta, space = OBJECTIVES[turn]
    found = fitted_or_none(DOUBTFUL[name], law, loss=loss, delta=delta, space=space)
    if found is None:
        return
    flags = found.certificate.flags
    values = [*found.params.items()]
    for told, at in found.by_curve.items():
        values += [(f"{told}/{N:g}", value) for N, value in at.items()]
    for told, value in values:
        assert math.isfinite(value) or f"no_number:{told}" in flags
    assert math.isfinite(found.objective)
    assert ("few_points" in flags) == (found.dof < 5)
    if any(r2 < 0 for r2 in found.r2_by_curve.values()):
        assert "worse_than_mean" in flags
    if name == "one curve constant":
        assert math.isnan(found.r2_by_curve[1e9])


def fitted_or_none(bad, law, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return fit(bad, law, **options)
        except DataError as error:
            told = error
    assert told.expected
    assert told.found
    assert told.hint
    return None


FREE = ["power", "saturating_power", "sigmoid", "loglinear", "loglinear_tau", "kn_saturation"]


@pytest.mark.parametrize("law", FREE)
def test_a_table_without_a_group_is_one_curve(law):
    lone = {name: values for name, values in table(1).items() if name != "N"}
    alone, grouped = fit(lone, law, group=None), fit(table(1), law)
    assert alone.params == grouped.params
    assert {name: list(at) for name, at in alone.by_curve.items()} == {
        name: [1.0] for name in grouped.by_curve
    }
    for name, at in grouped.by_curve.items():
        assert alone.by_curve[name][1.0] == at[1e9]
    assert alone.predict(3e18) == grouped.predict(3e18, 1e9)
    drawn = resample(alone, Curves.of(lone), by="block", n=5)
    assert len(held_out(alone, Curves.of(lone))) >= 1
    assert drawn.method.startswith("block")


@pytest.mark.parametrize("law", TIES)
def test_a_law_that_ties_curves_by_size_says_which_do_not(law):
    lone = {name: values for name, values in table(1).items() if name != "N"}
    with pytest.raises(DataError, match=r"from 1 curve") as error:
        fit(lone, law, group=None)
    assert "power" in error.value.hint


def test_a_group_that_is_not_there_is_no_single_curve():
    lone = {name: values for name, values in table(1).items() if name != "N"}
    for group in ("N", "curve"):
        with pytest.raises(DataError, match="no column") as error:
            fit(lone, "power", group=group)
        assert "group=None" in error.value.hint
    with pytest.raises(DataError, match="has a column 'curve'"):
        fit(lone | {"curve": lone["C"]}, "power", group=None)


def test_many_curves_need_an_n_to_be_predicted():
    with pytest.raises(DataError, match="for which N"):
        fit(table(), "power").predict(1e18)


def test_groups_of_unequal_length_weigh_the_same():
    keep = np.r_[0:2, STEPS : 3 * STEPS]
    uneven = rows(keep)
    found = fit(uneven, "loglinear", space="log10")
    for N in np.unique(uneven["N"]):
        own = uneven["N"] == N
        slope, _ = np.polyfit(np.log10(uneven["C"][own]), np.log10(uneven["ErrRate"][own]), 1)
        assert found.by_curve["k"][N] == pytest.approx(-slope, rel=1e-9)


def test_absolute_residuals_of_many_points_are_the_linear_program():
    # Above 5,000 points basins are sought on a sample; the end must be that of all points.
    n = 6_000
    rng = np.random.default_rng(3)
    C = np.geomspace(1e18, 1e21, n)
    L = 0.5 * (C / 1e18) ** -0.05 * 10 ** (0.01 * rng.standard_t(2, n))
    found = fit({"C": C, "ErrRate": L}, "power", group=None, loss="lad", space="log10")
    u, v = np.log10(C), np.log10(L)
    k, E0 = found.by_curve["beta"][1.0], math.log10(found.by_curve["A"][1.0])
    r = v - (E0 - k * u)
    # An optimal corner: signs of the others are balanced by multipliers within -1 and 1.
    zero = np.abs(r) < 1e-12
    assert zero.sum() == 2
    assert found.objective == pytest.approx(np.abs(r).mean(), rel=1e-12)
    rows_ = np.stack([np.ones(n), u - u.mean()])
    multipliers = np.linalg.solve(rows_[:, zero], -rows_[:, ~zero] @ np.sign(r[~zero]))
    assert np.abs(multipliers).max() <= 1
