"""Laws that are formulas: planted parameters, other optimisers, round trips, losses, flags."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares, linprog, minimize

from harness.analysis import Curves, fit
from harness.analysis.fits import _selection
from harness.analysis.forms import form_of, points_of
from harness.analysis.laws import FormulaLaw, Scale, get_law, law_names
from harness.errors import DataError, SuiteError
from tests.analysis.planted_laws import FORMULAS, PLANTED, WHICH, N, X, draw, pack, unpack
from tests.analysis.support import SIZES

LAWS = sorted(PLANTED)
FORMULA_LAWS = [name for name in law_names() if isinstance(get_law(name), FormulaLaw)]
QUICK = [name for name in LAWS if name != "postopenai_nref"]
LOSSES = [("squares", None), ("huber", 0.003), ("lad", None)]
SPACES = ("linear", "log10", "relative")


def found_values(found, law):
    """Parameters of a fit, per-curve ones as arrays, in the order of `PLANTED`."""
    return {
        name: found.params[name]
        if name in found.params
        else np.array(list(found.by_curve[name].values()))
        for name in PLANTED[law]
    }


def residual(space, f, y):
    return {"linear": f - y, "log10": np.log10(f / y), "relative": f / y - 1}[space]


def weights(loss, delta, r):
    size = np.abs(r)
    if loss == "huber":
        return np.where(size <= delta, r**2 / 2, delta * (size - delta / 2))
    return r**2 if loss == "squares" else size


@pytest.mark.parametrize("law", LAWS)
def test_planted_parameters_come_back(law):
    found = fit(draw(law), law, space="log10")
    for name, value in found_values(found, law).items():
        assert value == pytest.approx(PLANTED[law][name], rel=1e-6), name
    assert found.r2 == pytest.approx(1.0)
    y = draw(law)["ErrRate"]
    assert found.predict(X, N) == pytest.approx(y, rel=1e-9)


@pytest.mark.parametrize("law", LAWS)
def test_no_other_optimiser_that_starts_at_the_truth_gets_lower(law):
    columns = draw(law, noise=0.01, seed=3)
    found = fit(columns, law)
    y = columns["ErrRate"]

    def miss(vector):
        return (FORMULAS[law](unpack(law, vector)) - y) / np.sqrt(len(y))

    tight = {"x_scale": "jac", "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 400}
    with np.errstate(all="ignore"):
        theirs = 2 * least_squares(miss, pack(law, PLANTED[law]), **tight).cost
    assert found.objective <= theirs * (1 + 1e-9)
    assert np.mean(miss(pack_safe(law, found)) ** 2) * len(y) == pytest.approx(found.objective)


def pack_safe(law, found):
    with np.errstate(invalid="ignore"):
        return pack(law, found_values(found, law))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("loss", "delta"), LOSSES)
@pytest.mark.parametrize("law", ["chinchilla", "invexp", "power", "loglinear_kn"])
def test_every_loss_is_least_in_every_space(law, loss, delta, space):
    """Nelder and Mead need no derivative, so kinks do not stop them near the optimum."""
    columns = draw("powlawmul" if law == "loglinear_kn" else law, noise=0.01, seed=5)
    found = fit(columns, law, loss=loss, delta=delta, space=space)
    y = columns["ErrRate"]
    assert "not_converged" not in found.certificate.flags
    r = residual(space, found.predict(columns["C"], columns["N"]), y)
    assert found.objective == pytest.approx(weights(loss, delta, r).mean(), rel=1e-9)
    if law == "loglinear_kn":
        return

    def objective(vector):
        with np.errstate(all="ignore"):
            f = FORMULAS[law](unpack(law, vector))
            return weights(loss, delta, residual(space, f, y)).mean() / found.objective

    start = pack(law, found_values(found, law))
    options = {"maxfev": 400, "xatol": 1e-12, "fatol": 1e-12}
    theirs = minimize(objective, start, method="Nelder-Mead", options=options).fun
    assert theirs >= 1 - 1e-8


def test_lad_of_lines_is_the_linear_program():
    """min mean |v - c + k u| over all lines of one curve is a linear program."""
    columns = draw("power", noise=0.02, seed=1)
    found = fit(columns, "power", loss="lad", space="log10", weights="per_point")
    total = 0.0
    for i in range(len(SIZES)):
        u, v = np.log10(X[i == WHICH]), np.log10(columns["ErrRate"][i == WHICH])
        n = len(u)
        table = np.hstack([np.column_stack([np.ones(n), -u]), np.eye(n), -np.eye(n)])
        bounds = [(None, None)] * 2 + [(0, None)] * (2 * n)
        total += linprog(np.r_[0, 0, np.ones(2 * n)], A_eq=table, b_eq=v, bounds=bounds).fun
    assert found.objective == pytest.approx(total / len(X), rel=1e-9)


def test_chinchilla_under_the_loss_of_its_source():
    """Hoffmann et al., eq. 10: Huber with delta 1e-3 on ln L; here the same loss on log10 L."""
    rng = np.random.default_rng(1)
    size, data = (
        np.repeat(np.geomspace(5e7, 1e10, 12), 20),
        np.tile(np.geomspace(1e9, 1e12, 20), 12),
    )
    loss = (1.69 + 406.4 * size**-0.34 + 410.7 * data**-0.28) * np.exp(
        0.01 * rng.standard_t(4, 240)
    )
    found = fit(
        {"N": size, "D": data, "L": loss},
        "chinchilla",
        x="D",
        y="L",
        weights="per_point",
        space="log10",
        loss="huber",
        delta=1e-3 / np.log(10),
    )

    def objective(vector):
        e, a, alpha, b, beta = vector
        f = np.exp(e) + np.exp(a - alpha * np.log(size)) + np.exp(b - beta * np.log(data))
        return 1e6 * weights("huber", 1e-3, np.log(f / loss)).mean()

    p = found.params
    mine = objective([np.log(p["E"]), np.log(p["A"]), p["alpha"], np.log(p["B"]), p["beta"]])
    truth = [np.log(1.69), np.log(406.4), 0.34, np.log(410.7), 0.28]
    theirs = minimize(objective, truth, method="BFGS", options={"gtol": 1e-10}).fun
    assert mine <= theirs * (1 + 1e-9)
    assert found.objective * 1e6 * np.log(10) ** 2 == pytest.approx(mine, rel=1e-9)


@pytest.mark.parametrize("law", FORMULA_LAWS)
@settings(max_examples=30)
@given(values=st.lists(st.floats(1e-2, 1e2), min_size=9, max_size=9), unit=st.floats(1e-3, 1e3))
def test_coordinates_and_parameters_are_inverse(law, values, unit):
    one = get_law(law)
    scale = Scale(N_ref=5e9 * unit, x_ref=1e18 * unit, y_ref=0.5)
    size = {"parameters": 5e9, "of x": 1e18}
    named = (*one.shared, *one.per_curve)
    params = [np.array([v * size.get(p.unit, 1.0)]) for p, v in zip(named, values, strict=False)]
    back = one.published(one.coordinates(params, scale), scale)
    for p, given_value, value in zip(named, params, back, strict=True):
        assert value == pytest.approx(given_value, rel=1e-9), p.name


@pytest.mark.parametrize("law", FORMULA_LAWS)
def test_exact_derivatives_are_those_of_the_formula(law):
    """Where a law gives derivatives, complex steps and differences of `value` agree with them."""
    one, columns = get_law(law), draw(law)
    if type(one).derivatives is FormulaLaw.derivatives:
        return
    window = _selection(one).window(Curves.of(columns))
    form = form_of(one, window)
    at = points_of(window, form.scale)
    best = fit(columns, one.name, space="log10")
    order = [best.params.get(p.name, 0.0) for p in one.shared]
    own = [np.array(list(best.by_curve[p.name].values()))[WHICH] for p in one.per_curve]
    z = [np.asarray(v) + 0.01 for v in one.coordinates([*order, *own], form.scale)]
    f, J, H = one.derivatives(z, at)
    assert f == pytest.approx(one.value(z, at), rel=1e-12)
    for j in range(len(z)):
        moved = [v + (1e-30j if i == j else 0) for i, v in enumerate(z)]
        by_j = np.broadcast_to(J[j], f.shape)
        assert by_j == pytest.approx(np.imag(one.value(moved, at)) / 1e-30, rel=1e-9, abs=1e-12)
        ahead = one.derivatives([v + (1e-6 if i == j else 0) for i, v in enumerate(z)], at)[1]
        back = one.derivatives([v - (1e-6 if i == j else 0) for i, v in enumerate(z)], at)[1]
        for i in range(j + 1):
            near = (np.broadcast_to(ahead[i], f.shape) - np.broadcast_to(back[i], f.shape)) / 2e-6
            second = np.broadcast_to(H.get((i, j), 0.0), f.shape)
            assert second == pytest.approx(near, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("law", ["chinchilla", "invexp", "sigmoid", "saturating_power"])
def test_standard_errors_are_those_of_the_numerical_jacobian(law):
    columns = draw(law, noise=0.002, seed=2)
    found = fit(columns, law)
    best = pack(law, found_values(found, law))

    def predicted(vector):
        return FORMULAS[law](unpack(law, vector))

    steps = 1e-6 * np.eye(len(best))
    J = np.array([(predicted(best + h) - predicted(best - h)) / 2e-6 for h in steps]).T
    lengths = np.linalg.norm(J, axis=0)
    r = predicted(best) - columns["ErrRate"]
    inverse = np.linalg.inv((J / lengths).T @ (J / lengths)) / np.outer(lengths, lengths)
    relative = np.sqrt(np.diag(inverse) * np.sum(r**2) / (len(r) - len(best)))
    mine = np.concatenate(
        [
            [found.se[name] / found.params[name]]
            if name in found.params
            else np.array(list(found.se_by_curve[name].values())) / value
            for name, value in found_values(found, law).items()
        ]
    )
    assert mine == pytest.approx(relative, rel=1e-3)


def test_errors_are_not_given_where_their_formula_does_not_hold():
    found = fit(draw("chinchilla", noise=0.01), "chinchilla", loss="huber", delta=0.001)
    assert all(np.isnan(error) for error in found.se.values())


def test_a_power_in_logarithms_is_ordinary_least_squares():
    """The eight runs of lnnew/reptile-scaling-law: loss at step 1,000 against tasks."""
    tasks = np.array([50, 100, 150, 200, 300, 500, 700, 1000.0])
    loss = np.array([0.9042, 0.9410, 0.9465, 0.9715, 1.0375, 1.0111, 0.9684, 1.0675])
    found = fit(
        {"one": np.ones(8), "tasks": tasks, "loss": loss},
        "power",
        x="tasks",
        y="loss",
        group="one",
        space="log10",
    )
    slope, level = np.polyfit(np.log(tasks), np.log(loss), 1)
    assert found.by_curve["beta"][1.0] == pytest.approx(-slope, rel=1e-9)
    assert found.by_curve["A"][1.0] == pytest.approx(np.exp(level), rel=1e-9)
    assert found.by_curve["A"][1.0] == pytest.approx(0.764455, abs=5e-7)
    assert found.by_curve["beta"][1.0] == pytest.approx(-0.044892, abs=5e-7)
    # The source's R2 is that of ln L; a fit's is that of L whatever the space.
    in_logs = np.log(found.predict(tasks, 1.0) / loss)
    r2 = 1 - np.sum(in_logs**2) / np.sum((np.log(loss) - np.log(loss).mean()) ** 2)
    assert r2 == pytest.approx(0.691227, abs=5e-7)
    assert found.r2 == pytest.approx(
        1 - np.sum((found.predict(tasks, 1.0) - loss) ** 2) / np.sum((loss - loss.mean()) ** 2)
    )


def test_bic_is_that_of_the_normal_likelihood():
    columns = draw("chinchilla", noise=0.01)
    found = fit(columns, "chinchilla", weights="per_point")
    n, rss = len(X), found.objective * len(X)
    log_likelihood = -n / 2 * (np.log(2 * np.pi * rss / n) + 1)
    assert found.bic == pytest.approx(6 * np.log(n) - 2 * log_likelihood, rel=1e-9)


def test_bic_of_spaces_can_be_compared():
    """A law in log10 has the likelihood of y, not of log10 y: the change of variable is in it."""
    columns = draw("chinchilla", noise=0.001)
    linear, logs = (fit(columns, "chinchilla", space=s).bic for s in ("linear", "log10"))
    assert abs(linear - logs) < 0.1 * abs(linear)


@pytest.mark.parametrize(
    ("loss", "delta", "density"),
    [
        ("lad", None, lambda r, s, d: np.exp(-np.abs(r) / s) / (2 * s)),
        ("huber", 0.01, lambda r, s, d: np.exp(-weights("huber", d, r) / s)),
    ],
)
def test_bic_of_other_losses_is_that_of_their_density(loss, delta, density):
    columns = draw("powlaw", noise=0.02)
    found = fit(columns, "powlaw", loss=loss, delta=delta, weights="per_point")
    r = found.predict(X, N) - columns["ErrRate"]
    grid = np.linspace(-2, 2, 40_001)

    def likelihood(s):
        values = density(r, s, delta)
        if loss == "huber":
            values = values / np.trapezoid(density(grid, s, delta), grid)
        return np.log(values).sum()

    best = max(likelihood(s) for s in found.objective * np.geomspace(0.9, 2.1, 200))
    assert found.bic == pytest.approx((found.p + 1) * np.log(len(X)) - 2 * best, rel=1e-4)


def test_flags_of_asymptotes_and_midpoints():
    x = np.geomspace(1, 100, 40)
    rising = {"N": np.ones(40), "C": x, "ErrRate": 0.1 + 2.4 / (1 + (300 / x) ** 1.5)}
    flags = fit(rising, "sigmoid").certificate.flags
    assert "asymptote_outside:A/1" in flags
    assert "midpoint_outside:C_mid/1" in flags
    falling = {**rising, "ErrRate": 0.9 - 0.1 * np.log10(x)}
    assert "asymptote_outside:E/1" in fit(falling, "saturating_power").certificate.flags
    inside = {**rising, "ErrRate": 0.1 + 0.8 / (1 + (10 / x) ** 1.5)}
    told = fit(inside, "sigmoid").certificate.flags
    assert not [flag for flag in told if "outside" in flag]


FOUR = np.geomspace(1e9, 7e9, 4)


@pytest.mark.parametrize("law", ["loglinear_kn", "loglinear_kn_e0", "powlawmul"])
@pytest.mark.parametrize(("N0", "outside"), [(1e12, True), (3e7, True), (2e9, False)])
def test_a_size_of_half_the_slope_beyond_the_sizes_is_flagged(law, N0, outside):
    """From 1B to 7B the data say nothing of slopes on the other side of N0."""
    rng = np.random.default_rng(0)
    N, C = np.repeat(FOUR, 30), np.tile(np.geomspace(1e17, 1e19, 30), 4)
    k = 0.12 * (1 + N0 / 2e9) / (1 + N0 / N)  # about .12 at 2B, so that it is seen
    E0 = 17 * k - 0.1 if law == "loglinear_kn" else 4.0 / (1 + 2e9 / N)
    if law == "powlawmul":
        E0 = k * (15 + 0.3 * (np.log10(N) - 9))
    L = 10 ** (E0 - k * np.log10(C)) * np.exp(1e-6 * rng.standard_normal(120))
    found = fit({"C": C, "N": N, "ErrRate": L}, law)
    assert found.params["N0"] == pytest.approx(N0, rel=0.05)
    assert ("midpoint_outside:N0" in found.certificate.flags) == outside


def test_a_level_of_half_the_size_is_a_midpoint_too():
    N, C = np.repeat(FOUR, 30), np.tile(np.geomspace(1e17, 1e19, 30), 4)
    rng = np.random.default_rng(0)
    for N1, outside in ((1e12, True), (2e9, False)):
        E0 = 4.0 * (1 + N1 / 2e9) / (1 + N1 / N) / 2
        L = 10 ** (E0 - 0.2 / (1 + 3e9 / N) * np.log10(C))
        found = fit(
            {"C": C, "N": N, "ErrRate": L * np.exp(1e-6 * rng.standard_normal(120))},
            "loglinear_kn_e0",
        )
        assert ("midpoint_outside:N1" in found.certificate.flags) == outside
        assert "midpoint_outside:N0" not in found.certificate.flags


@pytest.mark.parametrize(("N0", "outside"), [(1e12, True), (1e8, True), (1e10, False)])
def test_half_of_a_saturating_slope_is_a_midpoint(N0, outside):
    N = np.geomspace(1e9, 1e11, 30)
    k = 0.15 * (1 + N0 / 1e10) / (1 + N0 / N)
    k = k + 1e-6 * np.random.default_rng(0).standard_normal(30)
    found = fit({"N": N, "k": k}, "kn_saturation", x="N", y="k", group=None)
    assert ("midpoint_outside:N0" in found.certificate.flags) == outside


def test_the_published_slopes_have_their_middle_among_the_sizes(published):
    for curves in published.values():
        for most in (32e9, 72e9):
            for x in ("C_raw", "E"):
                found = fit(curves.where(curves["N"] <= most), x=x)
                assert not [one for one in found.certificate.flags if "midpoint" in one]


def test_a_law_worse_than_the_mean_is_flagged():
    """In logarithms a fit follows the geometric mean, far below the mean of wild points."""
    wild = np.exp(2 * np.random.default_rng(0).standard_normal(len(X)))
    found = fit({"N": np.ones(len(X)), "C": X, "ErrRate": wild}, "power", space="log10")
    assert found.r2 < 0
    assert "worse_than_mean" in found.certificate.flags


def test_losses_above_one_are_flagged_under_laws_of_error_rates():
    columns = draw("power", noise=0.01)
    assert "outside_unit" in fit({**columns, "ErrRate": 3 * columns["ErrRate"]}).certificate.flags


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "huber"},
        {"loss": "huber", "delta": -1.0},
        {"loss": "squares", "delta": 0.1},
        {"loss": "cauchy"},
        {"space": "ln"},
    ],
)
def test_losses_and_spaces_that_make_no_sense_are_refused(options):
    with pytest.raises(SuiteError) as caught:
        fit(draw("power"), "power", **options)
    assert caught.value.hint


@pytest.mark.parametrize("law", QUICK)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: {**c, "ErrRate": np.full(len(X), np.nan)}, "not finite in 280 of 280"),
        (lambda c: {**c, "ErrRate": np.full(len(X), 0.5)}, "constant in ErrRate"),
        (lambda c: {name: values[:1] for name, values in c.items()}, "."),
        (lambda c: {**c, "C": np.where(np.arange(len(X)) == 3, -1.0, c["C"])}, "C is not positive"),
    ],
)
def test_bad_tables_are_refused_by_every_law(law, change, says):
    if "C is" in says and not get_law(law).__class__.__dict__.get("takes_log_x", True):
        pytest.skip("takes any x")
    with pytest.raises(DataError, match=says) as caught:
        fit(change(draw(law)), law)
    assert caught.value.hint


@pytest.mark.parametrize("law", QUICK)
def test_two_points_are_refused_or_flagged(law):
    two = {name: values[:2] for name, values in draw(law).items()}
    if law not in ("power", "kn_saturation", "invexp"):
        with pytest.raises(DataError):
            fit(two, law)
        return
    assert "few_points" in fit(two, law).certificate.flags


def test_a_law_without_logarithms_takes_the_start_of_a_run():
    columns = draw("postopenai")
    p, start = PLANTED["postopenai"], {"N": SIZES, "C": np.zeros(7)}
    y = ((p["N0"] / SIZES) ** p["beta"] + p["B0"] / p["C0"]) ** p["alpha"]
    both = {name: np.r_[start.get(name, y), columns[name]] for name in columns}
    assert fit(both, "postopenai").params == pytest.approx(p, rel=1e-5)


def test_runs_of_one_curve_are_clipped_each_by_itself():
    columns = draw("power", noise=0.01)
    two = {name: np.r_[values, values] for name, values in columns.items()}
    two["seed"] = np.repeat([0.0, 1.0], len(X))
    found = fit(two, "power", run="seed", drop_first=3, drop_last=2)
    assert found.n == 2 * (40 - 5) * 7
    once = fit(columns, "power", drop_first=3, drop_last=2)
    assert found.by_curve["beta"] == pytest.approx(once.by_curve["beta"], rel=1e-9)
    assert dataclasses.replace(found, run=None).selection != found.selection


def test_curves_of_very_unequal_length():
    rng = np.random.default_rng(0)
    counts = [20_000, 3, 4, 5, 3, 3, 3]
    size = np.repeat(SIZES, counts)
    x = rng.uniform(1, 100, len(size)) * size * 1e8
    y = 10 ** (0.5 - 0.13 / (1 + 13e9 / size) * np.log10(x / 1e17))
    for law in ("loglinear", "loglinear_kn"):
        found = fit({"N": size, "C": x, "ErrRate": y}, law)
        assert found.by_curve["k"] == pytest.approx(
            dict(zip(SIZES, 0.13 / (1 + 13e9 / SIZES), strict=True)), rel=1e-5
        )
