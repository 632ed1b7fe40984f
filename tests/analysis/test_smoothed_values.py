"""Smoothed values are known in any container; what was measured is never taken for them."""

from __future__ import annotations

from fractions import Fraction
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis import fit, smooth, smoothed_values
from harness.analysis.smoothed_values import is_coarse, refuse_remembered, remember
from harness.errors import DataError

STEPS = np.arange(1, 61) * 512.0
METHODS = ("spline", "isotonic", "segments", "paper")


def falling(seed):
    return 0.9 - 0.05 * np.log(STEPS) + 0.01 * np.random.default_rng(seed).standard_normal(60)


def as_frame(values):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"N": 1.0, "C": STEPS[: len(values)], "ErrRate": values})


def as_mapping(values):
    return {"N": np.ones(len(values)), "C": STEPS[: len(values)], "ErrRate": values}


CONTAINERS = {
    "frame": as_frame,
    "asarray": lambda v: as_mapping(np.array(v, subok=False)),
    "list": lambda v: as_mapping(list(v)),
    "tolist": lambda v: as_mapping(v.tolist()),
    "subset": lambda v: as_mapping(v[5:25:2].tolist()),
    "turned over": lambda v: as_mapping((1 - v).tolist()),
    "shuffled": lambda v: as_mapping(v[np.random.default_rng(0).permutation(60)].tolist()),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("method", METHODS)
def test_a_fit_knows_smoothed_values_in_any_container(container, method):
    found = smooth(STEPS, falling(1), method)
    for values in (found.y, found(STEPS * 1.0)):
        with pytest.raises(DataError, match="ErrRate holds smoothed points"):
            fit(CONTAINERS[container](values), "loglinear")


def test_two_smoothed_curves_in_one_table():
    y = [*smooth(STEPS, falling(2)).y, *smooth(STEPS, falling(3)).y]
    table = {"N": np.repeat([1.0, 2.0], 60), "C": np.tile(STEPS, 2), "ErrRate": y}
    for group in ("N", None):
        with pytest.raises(DataError, match="120 of 120 values"):
            fit(table, "loglinear" if group else "power", group=group)


def test_one_smoothed_curve_among_measured_ones():
    y = [*falling(4), *falling(5), *smooth(STEPS, falling(6)).y]
    table = {"N": np.repeat([1.0, 2.0, 3.0], 60), "C": np.tile(STEPS, 3), "ErrRate": y}
    with pytest.raises(DataError, match="60 of 180 values"):
        fit(table, "loglinear")


@pytest.mark.parametrize("method", METHODS)
def test_what_was_measured_can_be_fitted_after_it_was_smoothed(method):
    monotone = np.sort(falling(7))[::-1]
    for y in (falling(7), monotone, 0.9 - 0.05 * np.log(STEPS), np.round(falling(7), 2)):
        smooth(STEPS, y, method)
        assert fit(as_mapping(y.tolist()), "loglinear").n == 60


def test_a_smoothing_of_smoothed_values_frees_none():
    once = smooth(STEPS, falling(8)).y
    smooth(STEPS, list(once), "isotonic")
    with pytest.raises(DataError, match="smoothed points"):
        fit(as_mapping(list(once)), "loglinear")


curves = st.integers(3, 2000).flatmap(
    lambda q: st.lists(
        st.lists(st.integers(0, q).map(lambda k: k / q), min_size=6, max_size=20),
        min_size=2,
        max_size=6,
    )
)
random_curves = st.lists(
    st.lists(st.floats(1e-3, 1), min_size=6, max_size=20), min_size=2, max_size=4
)


@settings(max_examples=60, deadline=None)
@given(st.one_of(curves, random_curves))
def test_measured_curves_are_never_refused(table):
    """Shares of a set of questions, of which means fall on shares again; and any numbers."""
    for y in table:
        for method in METHODS:
            smooth(np.arange(1.0, len(y) + 1), y, method)
    for y in table:
        refuse_remembered("y", np.array(y), np.zeros(len(y), dtype=np.intp))
        refuse_remembered("y", 1 - np.array(y), np.zeros(len(y), dtype=np.intp))


@given(st.integers(-(10**7), 10**7), st.integers(1, 10**6))
def test_fractions_are_coarse(p, q):
    assert is_coarse(np.array([p / q])).all()


def test_numbers_of_many_digits_are_not():
    values = np.random.default_rng(0).uniform(size=20_000)
    coarse = is_coarse(values)
    assert coarse.mean() < 1e-3
    for v in values[:200]:
        near = Fraction(float(v)).limit_denominator(10**6)
        if abs(float(near) - v) > 1e-15:
            assert not is_coarse(np.array([v])).any()


def test_the_record_is_bounded_and_forgets_the_oldest(monkeypatch):
    monkeypatch.setattr(smoothed_values, "MOST", 300)
    rng = np.random.default_rng(1)
    first, last = rng.uniform(size=50), rng.uniform(size=50)
    remember(first, np.empty(0))
    for _ in range(10):
        remember(rng.uniform(size=50), np.empty(0))
    remember(last, np.empty(0))
    one = np.zeros(50, dtype=np.intp)
    refuse_remembered("y", first, one)
    with pytest.raises(DataError):
        refuse_remembered("y", last, one)
    assert sum(map(len, smoothed_values._kept)) <= 300


def test_threads_lose_nothing():
    parts = np.random.default_rng(2).uniform(size=(8, 40, 25))

    def work(part):
        for values in part:
            remember(values, np.empty(0))
            with pytest.raises(DataError):
                refuse_remembered("y", values, np.zeros(25, dtype=np.intp))

    threads = [Thread(target=work, args=(part,)) for part in parts]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for values in parts.reshape(-1, 25):
        with pytest.raises(DataError):
            refuse_remembered("y", values, np.zeros(25, dtype=np.intp))
