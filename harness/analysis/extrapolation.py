"""Predict points that a fit has not seen, and say what the prediction was allowed to know.

`blind`: nothing was fitted on the predicted points. `calibrated`: what the law shares is the
fit's, but the curve's own parameters were fitted on the very points that are predicted, so that
only their shape is tested, not their level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.analysis.curves import ONE_CURVE, Curves
from harness.analysis.estimator import Estimator, Problems
from harness.analysis.fits import fit as fit_law
from harness.analysis.laws import FormulaLaw, get_law
from harness.analysis.optimum import is_fast
from harness.analysis.profile import profile
from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.fits import Fit

Kind = Literal["blind", "calibrated"]


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """Held-out points of one curve against their prediction.

    part: which points: "chosen", the "last" of a curve or the "largest" group. x, observed,
    predicted: (n,) in ascending x; L as a share. k, E0: the line that predicts, NaN for a law
    whose curves are no lines. rmse: root of the mean square of observed - predicted.
    relative_error: mean of |observed - predicted| / observed. r2: 1 - squares about the prediction
    / squares about the mean of the held-out points; negative where the mean alone would do better,
    NaN where all points are equal. reason: why there is no prediction, and then predicted and all
    errors are NaN; else empty.
    """

    kind: Kind
    law: str
    N: float
    x: NDArray[np.float64]
    observed: NDArray[np.float64]
    predicted: NDArray[np.float64]
    k: float
    E0: float
    rmse: float
    relative_error: float
    r2: float
    part: Literal["chosen", "last", "largest"] = "chosen"
    reason: str = ""


def extrapolate(fit: Fit, held_out: Any, *, blind: Fit | None = None) -> list[Extrapolation]:
    """Predict every curve in `held_out`, a table of any kind with rows that `fit` has not seen.

    A curve that `fit` knows (its later steps) is predicted blind by `fit`. A new curve is
    predicted twice: blind by `blind`, a fit of a law that shares all parameters (see
    `blind_fit`) or by `fit` itself if its law does, and calibrated by `fit`. Sorted by N.

    Raises DataError for rows that a fit could not take either, and for a new curve if no
    given fit predicts it blind: a calibrated prediction never stands alone.
    """
    results = []
    for (size,), rows in Curves.of(held_out).groups([fit.group]):
        N = float(size)
        if N in fit.r2_by_curve:
            results.append(predict_curve("blind", fit, rows, N))
            continue
        blindly = _knows_all(fit, blind)
        results.append(predict_curve("blind", blindly, rows, N))
        if blindly is not fit:
            results.append(predict_curve("calibrated", fit, rows, N))
    return results


def refit(fitted: Fit, curves: Any, law: str | None = None, **options: Any) -> Fit:
    """Fit a law, that of `fitted` if none is named, as `fitted` was, but for `options`."""
    chosen, curves = fitted.selection, Curves.of(curves)
    one_curve = chosen.group == ONE_CURVE and ONE_CURVE not in curves.names
    as_before = {
        "x": chosen.x,
        "y": chosen.y,
        "group": None if one_curve else chosen.group,
        "weights": chosen.weights,
        "space": chosen.space,
        "loss": chosen.loss,
        "delta": chosen.delta,
        "run": chosen.run,
        "drop_first": chosen.drop_first,
        "drop_last": chosen.drop_last,
    }
    return fit_law(curves, law or fitted.law, **{**as_before, **options})


def blind_fit(fitted: Fit, curves: Any, law: str) -> Fit:
    """Fit `law` to the window of `fitted`, so that it may predict an N that neither has seen."""
    return refit(fitted, curves, law)


def clipped_end(fit: Fit, curves: Any) -> Curves:
    """The rows at the end of each curve that `drop_last` kept from `fit`."""
    selection, table = fit.selection, Curves.of(curves)
    before_end = replace(selection, drop_last=0).kept(table)
    return table.where(before_end & ~selection.kept(table))


def shares_all(law: str) -> bool:
    """Whether a law leaves nothing free for a single curve, and so knows any N."""
    return not get_law(law).per_curve


def predict_curve(kind: Kind, fit: Fit, rows: Curves, N: float) -> Extrapolation:
    """Rows of one curve against the fit, whose own parameters of it are calibrated if asked for.

    Raises DataError for rows that are no numbers that the law takes.
    """
    x, observed = held_points(fit, rows)
    positive = not isinstance(get_law(fit.law), FormulaLaw)
    good = np.isfinite(x) & np.isfinite(observed)
    if positive:
        good &= (x > 0) & (observed > 0)
    if not good.all():
        raise DataError(
            f"held-out points of {fit.group}={N:g} are not numbers that the law takes",
            expected=f"{fit.x} and {fit.y} finite" + (" and above 0" if positive else ""),
            found=f"{fit.x}={x[~good][0]:g}, {fit.y}={observed[~good][0]:g}",
            hint="narrow `extrapolate: to`",
        )
    predicted, k, E0 = _lines(kind, fit, rows, N, x) if positive else _curve(kind, fit, rows, N, x)
    error = observed - predicted
    spread = float(((observed - observed.mean()) ** 2).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = float((np.abs(error) / np.abs(observed)).mean())
    return Extrapolation(
        kind=kind,
        law=fit.law,
        N=N,
        x=x,
        observed=observed,
        predicted=predicted,
        k=k,
        E0=E0,
        rmse=float(np.sqrt((error**2).mean())),
        relative_error=relative,
        r2=1.0 - float((error**2).sum()) / spread if spread > 0 else math.nan,
    )


def no_prediction(kind: Kind, fit: Fit, rows: Curves, N: float, reason: str) -> Extrapolation:
    """Held-out rows of a curve that nothing predicts, and why."""
    x, observed = held_points(fit, rows)
    nan = math.nan
    nothing = np.full(len(x), nan)
    return Extrapolation(
        kind, fit.law, N, x, observed, nothing, nan, nan, nan, nan, nan, reason=reason
    )


def held_points(fit: Fit, rows: Curves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y of rows, in ascending x."""
    order = np.argsort(rows[fit.x], kind="stable")
    return rows[fit.x][order], rows[fit.y][order]


def _knows_all(fit: Fit, blind: Fit | None) -> Fit:
    for one in (fit, blind):
        if one is not None and shares_all(one.law):
            return one
    raise DataError(
        f"no fit can predict an unseen {fit.group} blind",
        expected="a law that shares all parameters, e.g. loglinear_kn_e0",
        found=fit.law if blind is None else f"{fit.law} and {blind.law}",
        hint="write blind_law: loglinear_kn_e0 under `extrapolate`",
    )


def _lines(
    kind: Kind, fit: Fit, rows: Curves, N: float, x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, float]:
    """A straight line: its values at x, k and E0."""
    k = fit.slope(N)
    E0 = fit.intercept(N) if kind == "blind" else _level(fit, rows, N)
    return 10.0 ** (E0 - k * np.log10(x)), k, E0


def _level(fit: Fit, rows: Curves, N: float) -> float:
    """The E0 that is best on a curve's own points, its slope as fitted."""
    selection = replace(fit.selection, drop_first=0, drop_last=0)
    window = selection.window(rows)
    k = fit.slope(N)
    estimator = Estimator(get_law(fit.law), window, space=fit.space, loss=fit.loss, delta=fit.delta)
    best = profile(window, "linear" if fit.space == "linear" else "log10")
    level = float(best.terms(np.array([[k]]), None).c[0, 0])
    start = level + k * float(window.centre[0])
    if is_fast(estimator):
        return start
    return _own(estimator, fit, {"k": k, "E0": start})["E0"]


def _curve(
    kind: Kind, fit: Fit, rows: Curves, N: float, x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, float]:
    """Any formula: its values at x; it has no k and no E0."""
    if kind == "blind":
        return fit.predict(x, N), math.nan, math.nan
    window = replace(fit.selection, drop_first=0, drop_last=0).window(rows)
    estimator = Estimator(get_law(fit.law), window, space=fit.space, loss=fit.loss, delta=fit.delta)
    # Its own parameters are sought from those of the fitted curve that is nearest in N.
    near = min(fit.r2_by_curve, key=lambda size: abs(size - N))
    start = {name: values[near] for name, values in fit.by_curve.items()}
    own = _own(estimator, fit, start)
    z = estimator.coordinates(fit.params, {name: np.array([v]) for name, v in own.items()})
    return estimator.predicted_at(z, x, 0), math.nan, math.nan


def _own(estimator: Estimator, fit: Fit, start: dict[str, float]) -> dict[str, float]:
    """The best parameters of the one curve of `estimator`, what is shared held at the fit's."""
    z = estimator.coordinates(fit.params, {name: np.array([v]) for name, v in start.items()})
    held = np.arange(estimator.size) < estimator.form.shared
    end = estimator.minimise(z[None], Problems(), held=held)
    return {name: float(v[0, 0]) for name, v in estimator.parameters(end.z)[1].items()}
