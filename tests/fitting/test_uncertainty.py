"""What an analysis gives beside its fit: errors on held-out points, rivals, profiles, draws."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis import Curves, fit
from harness.errors import DataError
from harness.spec.measures import Resampling
from tests.fitting.test_fitting import BASE, SIZES, curves, outcome

SEEDS = Curves.from_rows([row for seed in range(3) for row in curves(seed=seed)])


def test_every_fit_has_held_out_errors() -> None:
    done = outcome(BASE)
    parts = [(one.part, one.kind) for one in done.held_out_errors]
    assert parts == [*[("last", "blind")] * 5, ("largest", "blind"), ("largest", "calibrated")]
    assert all(one.rmse < 0.02 for one in done.held_out_errors)
    wider = outcome(BASE, held_out=0.6)
    assert sum(len(one.x) for one in wider.held_out_errors) > sum(
        len(one.x) for one in done.held_out_errors
    )


def test_a_refit_that_fails_is_told_and_stops_nothing() -> None:
    done = outcome(BASE, where="N >= 32e9")
    reasons = [one.reason for one in done.held_out_errors if one.part == "largest"]
    assert len(reasons) == 2
    assert all("cannot be fitted without" in reason for reason in reasons)


def test_rivals_are_fitted_to_the_same_points() -> None:
    done = outcome(BASE, rivals=("loglinear", "loglinear_kn_e0"), drop_first=1)
    assert {row.law for row in done.rivals} == {"loglinear_kn", "loglinear", "loglinear_kn_e0"}
    used = done.used
    for row in done.rivals:
        assert row.bic == pytest.approx(fit(used, row.law).bic)
    assert outcome(BASE).rivals == []


def test_a_rival_that_cannot_be_fitted_is_a_note() -> None:
    done = outcome(BASE, law="loglinear", where="N <= 0.5e9", rivals=("loglinear_kn",))
    assert [row.law for row in done.rivals] == ["loglinear"]
    (note,) = done.notes
    assert "loglinear_kn cannot be told from 1 curve" in note


def test_profiles_of_named_parameters() -> None:
    (profiled,) = outcome(BASE, profile=("N0",)).profiles
    assert profiled.parameter == "N0"
    assert profiled.low < 13e9 < profiled.high
    with pytest.raises(DataError, match="shares no parameter 'E0'"):
        outcome(BASE, profile=("E0",))


@pytest.mark.parametrize("by", ["curve", "seed", "block"])
def test_what_is_drawn_is_what_the_suite_says(by: str) -> None:
    done = outcome(SEEDS, run="seed", resample=Resampling(by=by, n=50, seed=1))
    assert done.resample is not None
    assert done.resample.method == by
    assert done.resample.clusters == {"curve": 5, "seed": 15, "block": 15}[by]
    low, high = done.resample.intervals["K_max"]
    assert low < done.fit.params["K_max"] < high


def test_rows_by_question_are_fitted_by_their_means() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {**row, "question": float(question), "ErrRate": float(rng.random() < row["ErrRate"])}
        for row in curves()
        for question in range(200)
    ]
    done = outcome(Curves.from_rows(rows), resample=Resampling(by="question", n=40, seed=0))
    assert done.fit.n == 8 * len(SIZES)
    assert done.resample is not None
    assert done.resample.clusters == 200
    assert done.resample.failed == 0


def test_loss_space_and_delta_reach_the_fit() -> None:
    done = outcome(BASE, loss="huber", delta=1e-3, space="log10")
    assert (done.fit.loss, done.fit.delta, done.fit.space) == ("huber", 1e-3, "log10")
