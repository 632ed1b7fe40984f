"""Resampling by seed, question and block, for laws of any form and loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit, minimize

from harness.analysis import Curves, fit, leave_one_curve_out, mean_over, resample
from harness.analysis.draws import block_length, scheme_of
from harness.analysis.polish import polish
from harness.errors import DataError
from tests.analysis.support import SIZES, levels, planted


def seeded(sizes=SIZES, seeds=4, noise=0.01, between=0.0):
    """Curves of several seeds, which differ by `between` in their level."""
    rng = np.random.default_rng(9)
    parts = []
    for seed in range(seeds):
        one = planted(0.13, 13e9, levels(0.13, 13e9, sizes), sizes=sizes, noise=noise, seed=seed)
        shift = dict(zip(sizes, rng.normal(0, between, len(sizes)), strict=True))
        level = np.array([1 + shift[N] for N in one["N"]])
        columns = {
            **one.columns,
            "ErrRate": one["ErrRate"] * level,
            "seed": np.full(len(one), seed),
        }
        parts.append(columns)
    return Curves({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def counts_by_seed(curves, n, seed):
    """The draws of `by="seed"`, worked out from the generator: (n, rows) multiplicities."""
    sizes, seeds = np.unique(curves["N"]), np.unique(curves["seed"])
    K = len(sizes) * len(seeds)
    u = np.random.default_rng(seed).random((n, K))
    times = np.zeros((n, len(curves)))
    for r in range(n):
        for i, N in enumerate(sizes):
            for j in range(len(seeds)):
                drawn = seeds[int(u[r, i * len(seeds) + j] * len(seeds))]
                times[r] += (curves["N"] == N) & (curves["seed"] == drawn)
    return times


def test_by_seed_every_curve_keeps_its_number_of_runs():
    """Draws one by one under another optimiser; 3 curves, so that nothing is flat."""
    curves = seeded(SIZES[[2, 4, 6]])
    found = fit(curves, run="seed")
    drawn = resample(found, curves, by="seed", n=12, seed=5)
    sizes = np.unique(curves["N"])
    which = np.searchsorted(sizes, curves["N"])
    u = np.log10(curves["C"]) - 20
    for r, times in enumerate(counts_by_seed(curves, 12, 5)):
        assert all(times[which == i].sum() == 80 for i in range(3))

        def objective(theta, times=times):
            theta = np.asarray(theta)
            k = theta[0] / (1 + np.exp(theta[1]) / sizes)
            L = 10 ** (theta[2 + which] - k[which] * u)
            return np.sum(times * (L - curves["ErrRate"]) ** 2) * 1e3

        theta = [0.13, np.log(13e9), -0.3, -0.3, -0.3]
        for _ in range(4):
            theta = minimize(objective, theta, method="BFGS", options={"gtol": 1e-11}).x
        mine = [drawn.draws["K_max"][r], np.log(drawn.draws["N0"][r])]
        levels_at = [drawn.E0[N][r] - drawn.k[N][r] * 20 for N in sizes]
        assert objective([*mine, *levels_at]) <= objective(theta) * (1 + 1e-6)
        assert mine == pytest.approx(theta[:2], rel=2e-3)
    assert drawn.method == "seed"
    assert drawn.clusters == 12
    assert drawn.note == (
        "4 values of seed in a curve: drawn from so few, the intervals are about 13% too narrow"
    )


def test_by_seed_the_interval_of_a_mean_is_that_of_its_runs():
    """Runs that differ in level: the spread of the levels over sqrt(seeds) is the error of E0."""
    curves = seeded(SIZES[3:4], seeds=8, noise=1e-4, between=0.05)
    found = fit(curves, "loglinear", run="seed")
    drawn = resample(found, curves, by="seed", n=2000)
    at = float(np.median(curves["C"]))
    spread = np.std(drawn.predictions([at], SIZES[3])[:, 0])
    means = [curves["ErrRate"][curves["seed"] == s].mean() for s in range(8)]
    expected = np.std(means) / np.sqrt(8)
    assert spread == pytest.approx(expected, rel=0.12)
    blocks = resample(found, curves, by="block", n=500)
    assert np.std(blocks.predictions([at], SIZES[3])[:, 0]) < 0.4 * expected
    assert "lower bound" in blocks.note


def test_a_law_of_single_curves_has_intervals_by_curve():
    curves = seeded(SIZES[:3])
    found = fit(curves, "loglinear", run="seed")
    with pytest.raises(DataError, match="shares no parameter"):
        resample(found, curves)
    for by in ("seed", "block"):
        drawn = resample(found, curves, by=by, n=200)
        assert drawn.intervals == {}
        for name in ("k", "E0"):
            for N in SIZES[:3]:
                low, high = drawn.intervals_by_curve[name][N]
                assert low < found.by_curve[name][N] < high
                assert drawn.by_curve[name][N].shape == (200,)


@pytest.mark.parametrize(
    ("law", "loss"), [("saturating_power", "squares"), ("sigmoid", "squares"), ("power", "huber")]
)
def test_formulas_of_single_curves_are_resampled(law, loss):
    rng = np.random.default_rng(2)
    x = np.tile(np.geomspace(1e18, 1e21, 30), 6)
    N = np.repeat([1e9, 7e9], 90)
    seed = np.tile(np.repeat([0.0, 1.0, 2.0], 30), 2)
    y = {
        "saturating_power": 0.1 + 0.7 * (x / 1e18) ** -0.3,
        "sigmoid": 0.2 + 0.6 / (1 + (x / 3e19) ** 0.8),
        "power": 0.8 * (x / 1e18) ** -0.2,
    }[law] + 0.003 * rng.standard_normal(len(x))
    curves = Curves({"N": N, "C": x, "ErrRate": y, "seed": seed})
    options = {} if loss == "squares" else {"delta": 1e-3}
    found = fit(curves, law, loss=loss, run="seed", **options)
    drawn = resample(found, curves, by="seed", n=60)
    assert drawn.failed <= 3
    for name, by_size in drawn.intervals_by_curve.items():
        for size, (low, high) in by_size.items():
            assert low <= high
            assert np.isfinite(drawn.by_curve[name][size]).sum() >= 57
    low, high = drawn.band([1e19, 1e20], 7e9)
    line = found.predict([1e19, 1e20], 7e9)
    assert (low <= line + 1e-4).all()
    assert (high >= line - 1e-4).all()


def test_sigmoid_replicates_are_where_scipy_ends():
    rng = np.random.default_rng(4)
    x = np.tile(np.geomspace(1e17, 1e22, 25), 3)
    seed = np.repeat([0.0, 1.0, 2.0], 25)
    y = 0.8 - 0.6 / (1 + (2e19 / x) ** 0.7) + 0.005 * rng.standard_normal(75)
    curves = Curves({"N": np.ones(75), "C": x, "ErrRate": y, "seed": seed})
    found = fit(curves, "sigmoid", run="seed")
    drawn = resample(found, curves, by="seed", n=10, seed=1)

    def sigmoid(x, A, B, log_mid, R0):
        return R0 + (A - R0) / (1 + (np.exp(log_mid) / x) ** B)

    at = {name: values[1.0] for name, values in found.by_curve.items()}
    start = [at["A"], at["B"], np.log(at["C_mid"]), at["R0"]]
    for r, times in enumerate(counts_by_seed(curves, 10, 1)):
        sigma = 1 / np.sqrt(np.where(times > 0, times, 1e-30))
        best, _ = curve_fit(sigmoid, x, y, start, sigma=sigma, ftol=1e-15, xtol=1e-15, gtol=1e-15)
        mine = {name: values[1.0][r] for name, values in drawn.by_curve.items()}
        ours = [mine["A"], mine["B"], np.log(mine["C_mid"]), mine["R0"]]
        mine_F, best_F = (np.sum(times * (sigmoid(x, *p) - y) ** 2) for p in (ours, best))
        assert mine_F <= best_F * (1 + 1e-6)


def binary_rows(questions=60):
    """One row per question, right or wrong, questions of very different difficulty."""
    rng = np.random.default_rng(0)
    difficulty = rng.beta(0.7, 0.7, questions)
    rows = {"N": [], "C": [], "ErrRate": [], "question": []}
    for N in (1e9, 7e9, 3e10):
        for C in np.geomspace(1e18, 1e20, 9) * N / 1e9:
            p = difficulty ** (0.4 + 0.1 * np.log10(C / 1e17))
            rows["N"].append(np.full(questions, N))
            rows["C"].append(np.full(questions, C))
            rows["ErrRate"].append((rng.random(questions) < p).astype(float))
            rows["question"].append(np.arange(questions))
    return Curves({name: np.concatenate(parts) for name, parts in rows.items()})


def test_questions_are_drawn_for_all_curves_together():
    rows = binary_rows()
    points = mean_over(rows, "question", group="N", x="C", y="ErrRate")
    assert len(points) == 27
    found = fit(points, "loglinear")
    drawn = resample(found, rows, by="question", n=15, seed=2)
    picks = np.random.default_rng(2).integers(60, size=(15, 60))
    for r, pick in enumerate(picks):
        again = np.concatenate([np.flatnonzero(rows["question"] == q) for q in pick])
        table = {name: values[again] for name, values in rows.columns.items()}
        means = mean_over(Curves(table), "question", group="N", x="C", y="ErrRate")
        refitted = fit(means, "loglinear")
        for N in (1e9, 7e9, 3e10):
            assert drawn.k[N][r] == pytest.approx(refitted.by_curve["k"][N], rel=1e-6)
    # The same questions everywhere: levels of two curves move together.
    drawn = resample(found, rows, by="question", n=400)
    one, other = (drawn.predictions([1e20], N)[:, 0] for N in (7e9, 3e10))
    assert np.corrcoef(one, other)[0, 1] > 0.5


def test_a_fit_of_single_answers_is_not_one_of_means():
    rows = binary_rows()
    found = fit(rows, "power")
    with pytest.raises(DataError, match="not made to means over question"):
        resample(found, rows, by="question", n=10)


def test_blocks_are_residuals_in_a_row():
    """With a block as long as its curve the residuals come back, and all refits are the same."""
    curves = planted(0.13, 13e9, levels(0.13, 13e9), noise=0.01)
    found = fit(curves, "loglinear")
    whole = resample(found, curves, by="block", n=5, block=20)
    assert whole.block == 20
    at = 3e19
    for N in SIZES:
        spread = np.ptp(whole.predictions([at], N), axis=0)
        assert spread == pytest.approx(0, abs=1e-9)


def test_blocks_of_correlated_residuals_give_wider_intervals_than_points():
    rng = np.random.default_rng(0)
    n, widths = 400, {1: [], None: []}
    x = np.arange(1, n + 1) * 1e17
    e = np.zeros(n)
    for i in range(1, n):
        e[i] = 0.9 * e[i - 1] + 0.004 * rng.standard_normal()
    curves = Curves({"N": np.ones(n), "C": x, "ErrRate": 0.9 * (x / 1e17) ** -0.05 * np.exp(e)})
    found = fit(curves, "loglinear")
    for block in widths:
        drawn = resample(found, curves, by="block", n=400, block=block)
        low, high = drawn.intervals_by_curve["k"][1.0]
        widths[block] = high - low
    # The true error of a slope under this correlation is some 4 times that of white noise.
    assert widths[None] > 2 * widths[1]


def test_white_residuals_take_blocks_of_the_cube_root():
    rng = np.random.default_rng(1)
    assert block_length([rng.standard_normal(1000) for _ in range(4)]) == 10
    walk = np.cumsum(rng.standard_normal(300))
    assert 20 < block_length([walk - walk.mean()]) <= 100
    assert block_length([np.zeros(50)]) == 4
    assert block_length([rng.standard_normal(3)]) == 1


@pytest.mark.parametrize(
    ("loss", "delta", "space"), [("huber", 2e-3, "linear"), ("squares", None, "relative")]
)
def test_curves_are_drawn_for_other_losses_and_spaces(loss, delta, space):
    curves = planted(0.13, 13e9, levels(0.13, 13e9), noise=0.01)
    found = fit(curves, loss=loss, delta=delta, space=space)
    drawn = resample(found, curves, n=60, seed=3)
    picks = np.random.default_rng(3).integers(len(SIZES), size=(60, len(SIZES)))
    compared = 0
    for r in range(12):
        sizes, times = np.unique(SIZES[picks[r]], return_counts=True)
        if len(sizes) < 4:
            continue
        # The same draw as a table: a curve that is drawn twice stands there twice, as two runs.
        rows = [np.flatnonzero(curves["N"] == N) for N in SIZES[picks[r]]]
        table = Curves({name: v[np.concatenate(rows)] for name, v in curves.columns.items()})
        again = fit(table, loss=loss, delta=delta, space=space, weights="per_point")
        assert drawn.draws["K_max"][r] == pytest.approx(again.params["K_max"], rel=1e-3)
        assert times.sum() == len(SIZES)
        compared += 1
    assert compared >= 6


def test_single_runs_of_a_law_that_shares_all_are_drawn_together():
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7.5, 10, 80), 10 ** rng.uniform(8.5, 11, 80)
    L = (1.8 + 480 / N**0.35 + 2100 / D**0.37) * np.exp(0.01 * rng.standard_normal(80))
    table = Curves({"N": N, "D": D, "loss": L, "run": np.arange(80.0)})
    found = fit(table, "chinchilla", x="D", y="loss", space="log10", weights="per_point")
    drawn = resample(found, table, by="run", n=300)
    assert drawn.clusters == 80
    for name, (low, high) in drawn.intervals.items():
        assert low < found.params[name] < high


def test_a_single_run_of_every_curve_is_refused_and_of_some_is_told():
    curves = planted(0.13, 13e9, levels(0.13, 13e9), noise=0.01)
    one = Curves({**curves.columns, "seed": np.zeros(len(curves))})
    with pytest.raises(DataError, match="every curve has a single seed") as caught:
        resample(fit(one), one, by="seed")
    assert "by: block" in str(caught.value)
    some = seeded(SIZES[:4])
    some = some.where((some["seed"] == 0) | (some["N"] > 1e9))
    drawn = resample(fit(some, run="seed"), some, by="seed", n=50)
    assert "one seed only for N=5e+08" in drawn.note


def test_what_cannot_be_drawn_is_refused():
    curves = seeded(SIZES[:3])
    found = fit(curves, run="seed")
    with pytest.raises(DataError, match="nothing named 'sead' to draw"):
        resample(found, curves, by="sead")
    for by, block, told in (("curve", 5, "with by: block only"), ("block", 0, "no whole number")):
        with pytest.raises(DataError, match=told):
            resample(found, curves, by=by, block=block)


@pytest.mark.parametrize("by", ["seed", "block"])
def test_draws_repeat_and_more_keep_the_first(by):
    curves = seeded(SIZES[:3])
    found = fit(curves, run="seed")
    few, many = (resample(found, curves, by=by, n=n, seed=4).draws["K_max"] for n in (20, 50))
    assert many[:20] == pytest.approx(few, rel=1e-6)
    other = resample(found, curves, by=by, n=20, seed=5).draws["K_max"]
    assert not np.allclose(other, few, rtol=1e-6)


def test_curves_are_left_out_under_any_loss():
    curves = planted(0.13, 13e9, levels(0.13, 13e9), noise=0.01)
    left_out = leave_one_curve_out(fit(curves, loss="huber", delta=2e-3), curves)
    for i, N in enumerate(SIZES):
        others = fit(curves.where(curves["N"] != N), loss="huber", delta=2e-3)
        assert left_out.params["K_max"][i] == pytest.approx(others.params["K_max"], rel=1e-4)


@pytest.mark.parametrize("by", ["seed", "block", "curve"])
def test_refits_of_absolute_residuals_all_arrive(by):
    """None is left out for being hard, and each is as low as a linear program about it gets."""
    rng = np.random.default_rng(0)
    sizes = np.repeat([1e9, 3e9, 7e9, 3e10], 3 * 12)
    x = np.tile(1e16 * 2.0 ** np.arange(12), 12)
    k = 0.13 / (1 + 13e9 / sizes)
    y = 10 ** (-k * np.log10(x / 1e16) - 0.1) * (1 + 0.02 * rng.standard_normal(len(x)))
    seed = np.tile(np.repeat([0.0, 1.0, 2.0], 12), 4)
    curves = Curves({"N": sizes, "C": x, "ErrRate": y, "seed": seed})
    found = fit(curves, loss="lad", run="seed")
    drawn = resample(found, curves, by=by, n=20, seed=0)
    scheme = scheme_of(by, curves)(found, curves, 20, np.random.default_rng(0), None)
    problems, determined = next(iter(scheme.pieces))
    assert drawn.failed == int((~determined).sum())
    window, n = scheme.estimator.window, slice(0, len(x))
    for r in np.flatnonzero(determined)[:6]:
        row = np.array([r])
        w = problems.weights(window.w, row, n).reshape(-1)
        L = problems.y(window.L, row, n).reshape(-1)

        def mean(params, by_curve, w=w, L=L):
            kept = {N: -params["K_max"] / (1 + params["N0"] / N) for N in window.N}
            law = [
                10 ** (kept[window.N[c]] * np.log10(one) + by_curve[window.N[c]])
                for c, one in zip(window.curve, window.x, strict=True)
            ]
            return float((w * np.abs(np.array(law) - L)).sum())

        params = {name: values[r] for name, values in drawn.draws.items()}
        E0 = {N: values[r] for N, values in drawn.E0.items()}
        here = mean(params, E0)
        one = scheme.estimator.on(replace(window, w=w, L=L))
        z = polish(one, one.coordinates_of(found))
        shared, own = one.parameters(z)
        lower = mean(shared, dict(zip(window.N, own["E0"], strict=True)))
        assert here <= lower * (1 + 1e-6)


def test_the_nearest_thing_to_draw_is_named():
    curves = seeded(seeds=2)
    with pytest.raises(DataError) as caught:
        resample(fit(curves, run="seed"), curves, by="sede")
    assert caught.value.hint == 'did you mean by="seed"?'
