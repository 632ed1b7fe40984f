"""Smoothed values are known in any container; what was measured is never taken for them."""

from __future__ import annotations

import math
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


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("method", METHODS)
def test_what_predict_gives_is_smoothed_too(method, container):
    found = smooth(STEPS, falling(9), method)
    values = found.predict(np.log(STEPS * 1.01))
    with pytest.raises(DataError, match="holds smoothed points"):
        fit(as_mapping(values), "loglinear")
    with pytest.raises(DataError, match="ErrRate holds smoothed points"):
        fit(CONTAINERS[container](values), "loglinear")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("column", ["asarray", "list", "tolist"])
def test_copies_of_32_bits_are_known(method, column):
    values = smooth(STEPS, falling(10), method).y.astype(np.float32)
    table = CONTAINERS[column](values)
    table = {name: np.array(each, dtype=np.float32) for name, each in table.items()}
    with pytest.raises(DataError, match="rounded to 32 bits"):
        fit(table, "loglinear")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", [32, 64])
def test_a_run_of_smoothed_values_among_measured_ones(method, bits):
    """A gap in a curve, filled by its smoothed values: a seventh of the points."""
    y = falling(11)
    filled = y.astype(np.float32).astype(float) if bits == 32 else y.copy()
    values = smooth(STEPS, y, method)(STEPS[20:29] + 100.0)
    filled[20:29] = values.tolist() if bits == 64 else values.astype(np.float32)
    with pytest.raises(DataError, match="of 60 values that `smooth` gave"):
        fit(as_mapping(filled), "loglinear")


def test_a_smoothed_point_in_each_of_many_curves():
    y = np.stack([falling(seed) for seed in range(20, 24)])
    for one in y:
        one[30] = float(smooth(STEPS, one).y[30])
    table = {"N": np.repeat(np.arange(1.0, 5), 60), "C": np.tile(STEPS, 4), "ErrRate": y.ravel()}
    with pytest.raises(DataError, match="4 of 240 values"):
        fit(table, "loglinear")


def test_x_may_not_be_smoothed_either():
    x = smooth(STEPS, 1000 * falling(12)).y.tolist()
    with pytest.raises(DataError, match="C holds smoothed points"):
        fit({"N": np.ones(60), "C": x, "ErrRate": falling(13)}, "loglinear")


@pytest.mark.parametrize("unit", [1.0, 1 / math.log(2), math.pi])
@pytest.mark.parametrize("origin", [0.0, 1 / 3, -math.sqrt(2) / 10])
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_curves_of_one_lattice_are_free_of_each_other(unit, origin, dtype):
    """Monotone means of multiples of a step are multiples again, in any unit and from any zero."""
    rng = np.random.default_rng(14)
    counts = np.round(1404 * (falling(14) + rng.normal(0, 0.01, (40, 60)))).astype(int)
    curves = (origin + counts / 1404 * unit).astype(dtype).astype(float)
    for y in curves[:20]:
        smooth(STEPS, y, "isotonic")
    for y in curves[20:]:
        if (y > 0).all():
            assert fit(as_mapping(y), "loglinear").n == 60


def test_exact_curves_are_free_of_each_other():
    """The same formula computed in two ways differs by rounding, as a smoothing of it does."""
    for dtype in (float, np.float32):
        one = (0.9 - 0.05 * np.log(STEPS)).astype(dtype)
        other = (0.9 - 0.05 * np.log(2.0) * np.log2(STEPS)).astype(dtype)
        for method in METHODS:
            smooth(STEPS, one, method)
        for y in (one, other, np.nextafter(one, 1), np.nextafter(one, 0)):
            assert fit(as_mapping(y), "loglinear").n == 60


def test_measured_values_of_32_bits_are_rarely_met_by_chance():
    """A hundred thousand smoothed values, and a thousand curves measured in 32 bits."""
    rng = np.random.default_rng(15)
    for _ in range(1000):
        remember(rng.uniform(0.4, 0.6, 100), np.empty(0))
    y = rng.uniform(0.4, 0.6, (1000, 100)).astype(np.float32).astype(float)
    for one in y:
        refuse_remembered("y", one, np.zeros(100, dtype=np.intp))


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


@settings(max_examples=60)
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
    assert sum(map(len, smoothed_values._whole.kept)) <= 300


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
