"""Arguments that make no sense: each is refused by name, with what to give instead, or flagged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis import (
    Curves,
    blind_fit,
    clipped_end,
    extrapolate,
    fit,
    held_out,
    leave_one_curve_out,
    profile_likelihood,
    resample,
    smooth,
    time_to_threshold,
)
from harness.analysis.gains import creativity_index, gain_per_flop
from harness.analysis.pass_at_k import fit_power, pass_at_k, pass_at_k_curve
from harness.errors import DataError, HarnessError
from tests.analysis.support import SIZES, levels, planted

CURVES = planted(0.13, 13e9, levels(0.13, 13e9), noise=0.01)
X = np.geomspace(1, 1000, 60)
Y = 0.9 * X**-0.1 + 0.01 * np.random.default_rng(0).standard_normal(60)
N_OF, C_OF = [8] * 4, [1, 2, 3, 4]


def fitted():
    return fit(CURVES)


REFUSED = {
    "law None": (lambda: fit(CURVES, law=None), "called by its name"),
    "law 3": (lambda: fit(CURVES, law=3), "called by its name"),
    "drop_last a": (lambda: fit(CURVES, drop_last="a"), "drop_last is no whole number"),
    "drop_last 1.5": (lambda: fit(CURVES, drop_last=1.5), "drop_last is no whole number"),
    "drop_first nan": (lambda: fit(CURVES, drop_first=math.nan), "drop_first is no whole number"),
    "drop_first True": (lambda: fit(CURVES, drop_first=True), "drop_first is no whole number"),
    "delta a": (lambda: fit(CURVES, loss="huber", delta="a"), "huber needs a delta"),
    "delta array": (lambda: fit(CURVES, loss="huber", delta=np.ones(2)), "huber needs a delta"),
    "n 10.5": (lambda: resample(fitted(), CURVES, n=10.5), "replicates, is no whole number"),
    "n a": (lambda: resample(fitted(), CURVES, n="a"), "replicates, is no whole number"),
    "seed -1": (lambda: resample(fitted(), CURVES, seed=-1), "the seed is no whole number"),
    "seed None": (lambda: resample(fitted(), CURVES, seed=None), "the seed is no whole number"),
    "block a": (lambda: resample(fitted(), CURVES, by="block", block="a"), "length of a block"),
    "fraction a": (lambda: held_out(fitted(), CURVES, "a"), "a share of each curve, is no number"),
    "profile level": (
        lambda: profile_likelihood(fitted(), CURVES, "N0", level="a"),
        "the level is no number",
    ),
    "threshold a": (lambda: time_to_threshold(X, Y, "a"), "the level is no number"),
    "threshold array": (lambda: time_to_threshold(X, Y, np.ones(3)), "the level is no number"),
    "resamples -5": (lambda: time_to_threshold(X, Y, 0.6, resamples=-5), "resamples is no whole"),
    "threshold seed": (
        lambda: time_to_threshold(X, Y, 0.6, resamples=5, seed=-1),
        "the seed is no whole",
    ),
    "words in x": (lambda: smooth(["a", "b"], [1, 2]), "x is no list of numbers"),
    "words in y": (lambda: smooth([1, 2], ["a", "b"]), "y is no list of numbers"),
    "masked y": (lambda: smooth(X, np.ma.masked_less(Y, 0.6)), "cannot be smoothed"),
    "s_factor -1": (lambda: smooth(X, Y, "paper", s_factor=-1), "s_factor is no number 0 or more"),
    "s_factor nan": (lambda: smooth(X, Y, "paper", s_factor=math.nan), "s_factor is no number"),
    "window 0": (lambda: smooth(X, Y, "paper", window=0), "window is no whole number of 2"),
    "window 2.5": (lambda: smooth(X, Y, "paper", window=2.5), "window is no whole number"),
    "min_se 0": (lambda: smooth(X, Y, "paper", min_se=0), "min_se is no number above 0"),
    "x_power a": (lambda: smooth(X, Y, "paper", x_power="a"), "x_power is no number"),
    "k a": (lambda: smooth(X, Y, "paper", k="a"), "k is no whole number"),
    "decreasing a": (lambda: smooth(X, Y, "isotonic", decreasing="a"), "neither true nor false"),
    "most 0": (lambda: smooth(X, Y, "segments", most=0), "most is no whole number of 1"),
    "long segments": (lambda: smooth(X, Y, "segments", least_points=61), "no segment can have 61"),
    "k None": (lambda: pass_at_k(10, 3, None), "k is not a number of samples"),
    "c None": (lambda: pass_at_k(10, [None, 3], 1), "c is not a number of samples"),
    "n ragged": (lambda: pass_at_k([[1], [1, 2]], 1, 1), "n is no array"),
    "n masked": (lambda: pass_at_k(np.ma.array([8, 8], mask=[0, 1]), 1, 1), "n is not a number"),
    "draws 0": (
        lambda: pass_at_k_curve(N_OF, C_OF, [1], interval="percentile", draws=0),
        "draws is no whole number of 1",
    ),
    "power draws 0": (lambda: fit_power(N_OF, C_OF, [1, 2], draws=0), "draws is no whole number"),
    "interval foo": (
        lambda: pass_at_k_curve(N_OF, C_OF, [1], interval="foo"),
        "no interval 'foo'",
    ),
    "cluster nan": (
        lambda: pass_at_k_curve(N_OF, C_OF, [1], clusters=[1, math.nan, math.nan, 2]),
        "2 of 4 questions have no cluster",
    ),
    "cluster None": (
        lambda: pass_at_k_curve(N_OF, C_OF, [1], clusters=["a", None, "b", "b"]),
        "1 of 4 questions have no cluster",
    ),
    "flops None": (lambda: gain_per_flop(N_OF, C_OF, N_OF, C_OF, None), "is no number above 0"),
    "flops text": (lambda: gain_per_flop(N_OF, C_OF, N_OF, C_OF, "1e20"), "is no number above 0"),
    "flops array": (
        lambda: gain_per_flop(N_OF, C_OF, N_OF, C_OF, np.array([1e20])),
        "is no number above 0",
    ),
    "flops_se": (
        lambda: gain_per_flop(N_OF, C_OF, N_OF, C_OF, 1e20, flops_se=-1),
        "flops_se is no number 0 or more",
    ),
    "predict N 0": (lambda: fitted().predict(1e18, 0), "no value at N=0"),
    "predict N -1": (lambda: fit(CURVES, "chinchilla").predict(1e18, -1e9), "no value at N=-1e"),
    "predict x 0": (lambda: fitted().predict([1e18, 0], SIZES[0]), "no value at C=0"),
    "predict x -1": (lambda: fit(CURVES, "powlaw").predict(-1, SIZES[0]), "no value at C=-1"),
    "predict x inf": (lambda: fitted().predict(math.inf, SIZES[0]), "no value at C=inf"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_name(name):
    call, told = REFUSED[name]
    with pytest.raises(HarnessError, match=told) as error:
        call()
    assert error.value.expected
    assert error.value.found
    assert error.value.hint


def other_tables():
    columns = dict(CURVES.columns)
    yield {**columns, "ErrRate": 0.5 * columns["ErrRate"]}
    yield {**columns, "N": 2 * columns["N"]}
    yield {name: values[:-1] for name, values in columns.items()}
    yield {name: values[columns["N"] > 1e9] for name, values in columns.items()}
    yield {**columns, "ErrRate": columns["ErrRate"] + 1e-4 * np.sin(np.arange(len(CURVES)))}


@pytest.mark.parametrize("table", list(other_tables()))
@pytest.mark.parametrize("by", ["curve", "block"])
def test_curves_that_were_not_fitted_are_not_resampled(table, by):
    found = fitted()
    for work in (
        lambda: resample(found, table, by=by, n=5),
        lambda: leave_one_curve_out(found, table),
        lambda: profile_likelihood(found, table, "N0"),
    ):
        with pytest.raises(DataError, match="not the curves that were fitted"):
            work()


@pytest.mark.parametrize("law", ["loglinear_kn", "loglinear", "power", "sigmoid", "chinchilla"])
@pytest.mark.parametrize("loss", ["squares", "lad"])
def test_the_curves_that_were_fitted_are_known_in_any_order(law, loss):
    found = fit(CURVES, law, loss=loss)
    order = np.random.default_rng(0).permutation(len(CURVES))
    shuffled = {name: list(values[order]) for name, values in CURVES.columns.items()}
    assert found.estimator(shuffled).size == found.p


def test_a_masked_value_is_a_gap():
    masked = np.ma.array(CURVES["ErrRate"], mask=CURVES["N"] == SIZES[0])
    for table in (
        {**CURVES.columns, "ErrRate": masked},
        Curves({**CURVES.columns, "ErrRate": masked}),
    ):
        with pytest.raises(DataError, match="ErrRate is not finite in 20 of 140 rows"):
            fit(table)
    whole = {name: np.ma.array(values) for name, values in CURVES.columns.items()}
    assert fit(whole) == fitted()
    words = np.ma.array(["a", "b", "c"], mask=[0, 1, 0])
    assert list(Curves.of({"w": words})["w"]) == ["a", "None", "c"]
    assert np.isnan(Curves.of({"i": np.ma.array([1, 2], mask=[0, 1])})["i"][1])


def test_a_lazy_table_is_to_be_collected():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({name: list(values) for name, values in CURVES.columns.items()})
    with pytest.raises(DataError, match="lazy") as error:
        fit(frame.lazy())
    assert "collect" in error.value.hint
    assert fit(frame.lazy().collect()) == fitted()


def test_predictions_are_made_of_any_table():
    small = CURVES.where(CURVES["N"] <= 32e9)
    large = CURVES.where(CURVES["N"] > 32e9)
    found = fit(small)
    tables = [large, dict(large.columns)]
    pandas = pytest.importorskip("pandas")
    tables.append(pandas.DataFrame({name: list(v) for name, v in large.columns.items()}))
    blind = blind_fit(found, dict(small.columns), "loglinear_kn_e0")
    errors = [[one.rmse for one in extrapolate(found, table, blind=blind)] for table in tables]
    assert len(errors[0]) == 2
    assert errors[0] == errors[1] == errors[2]
    clipped = fit(small, drop_last=3)
    assert len(clipped_end(clipped, dict(small.columns))) == 3 * len(SIZES[:-1])


def test_equal_gains_say_nothing_of_their_error():
    gain = gain_per_flop(N_OF, C_OF, N_OF, [c + 1 for c in C_OF], 1e20, flops_se=1e19)
    assert gain.flags == ("no_spread",)
    assert gain.gain == pytest.approx(0.125)
    assert math.isnan(gain.se)
    assert math.isnan(gain.low)
    assert math.isnan(gain.high)
    assert gain_per_flop([8], [1], [8], [2], 1e20).flags == ("one_question",)
    assert gain_per_flop(N_OF, C_OF, N_OF, [2, 2, 3, 4], 1e20).flags == ()
    same = creativity_index(N_OF, C_OF, N_OF, C_OF, k=2)
    assert same.flags == ("no_spread",)
    assert math.isnan(same.se)


def test_what_a_formula_takes_at_zero_it_predicts_there():
    assert np.isfinite(fit(CURVES, "postopenai").predict(0.0, SIZES[0]))
