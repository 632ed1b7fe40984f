"""Predict points that a fit has not seen, and say what the prediction was allowed to know.

`blind`: nothing was fitted on the predicted points. `calibrated`: the slope is the fit's, but
E0 of the curve was fitted on the very points that are predicted, so that only their shape is
tested, not their level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.analysis.fits import fit as fit_law
from harness.analysis.laws import SharedSlopeLaw, get_law
from harness.analysis.profile import profile
from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.curves import Curves
    from harness.analysis.fits import Fit


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """Held-out points of one curve against their prediction.

    x, observed, predicted: (n,) in ascending x; L as a share. k, E0: the line that predicts.
    rmse: root of the mean square of observed - predicted. relative_error: mean of
    |observed - predicted| / observed. r2: 1 - squares about the prediction / squares about
    the mean of the held-out points; negative where the mean alone would do better, NaN where
    all points are equal.
    """

    kind: Literal["blind", "calibrated"]
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


def extrapolate(fit: Fit, held_out: Curves, *, blind: Fit | None = None) -> list[Extrapolation]:
    """Predict every curve in `held_out`, rows that `fit` has not seen.

    A curve that `fit` knows (its later steps) is predicted blind by `fit`. A new curve is
    predicted twice: blind by `blind`, a fit of a law that shares all parameters (see
    `blind_fit`) or by `fit` itself if its law does, and calibrated by `fit`. Sorted by N.

    Raises DataError for rows that a fit could not take either, and for a new curve if no
    given fit predicts it blind: a calibrated prediction never stands alone.
    """
    results = []
    for (size,), rows in held_out.groups([fit.group]):
        N = float(size)
        if N in fit.by_curve["E0"]:
            results.append(_predict("blind", fit, rows, N, fit.intercept(N)))
            continue
        blindly = _knows_all(fit, blind)
        results.append(_predict("blind", blindly, rows, N, blindly.intercept(N)))
        if blindly is not fit:
            results.append(_predict("calibrated", fit, rows, N, _calibrate(fit, rows, N)))
    return results


def blind_fit(fitted: Fit, curves: Curves, law: str) -> Fit:
    """Fit `law` to the window of `fitted`, so that it may predict an N that neither has seen."""
    chosen = fitted.selection
    return fit_law(
        curves,
        law,
        x=chosen.x,
        y=chosen.y,
        group=chosen.group,
        weights=chosen.weights,
        space=chosen.space,
        drop_first=chosen.drop_first,
        drop_last=chosen.drop_last,
    )


def clipped_end(fit: Fit, curves: Curves) -> Curves:
    """The rows at the end of each curve that `drop_last` kept from `fit`."""
    selection = fit.selection
    before_end = replace(selection, drop_last=0).kept(curves)
    return curves.where(before_end & ~selection.kept(curves))


def _knows_all(fit: Fit, blind: Fit | None) -> Fit:
    for one in (fit, blind):
        if one is not None:
            law = get_law(one.law)
            if isinstance(law, SharedSlopeLaw) and law.shares_intercept:
                return one
    raise DataError(
        f"no fit can predict an unseen {fit.group} blind",
        expected="a law that shares all parameters, e.g. loglinear_kn_e0",
        found=fit.law if blind is None else f"{fit.law} and {blind.law}",
        hint="write blind_law: loglinear_kn_e0 under `extrapolate`",
    )


def _calibrate(fit: Fit, rows: Curves, N: float) -> float:
    window = replace(fit.selection, drop_first=0, drop_last=0).window(rows)
    k = fit.slope(N)
    level = profile(window, fit.space).terms(np.array([[k]]), None).c[0, 0]
    return float(level + k * window.centre[0])


def _predict(
    kind: Literal["blind", "calibrated"], fit: Fit, rows: Curves, N: float, E0: float
) -> Extrapolation:
    order = np.argsort(rows[fit.x], kind="stable")
    x, observed = rows[fit.x][order], rows[fit.y][order]
    points = np.stack([x, observed])
    if not (np.isfinite(points).all() and (points > 0).all()):
        bad = ~(np.isfinite(points) & (points > 0)).all(0)
        raise DataError(
            f"held-out points of {fit.group}={N:g} are not numbers that the law takes",
            expected=f"{fit.x} and {fit.y} finite and above 0",
            found=f"{fit.x}={x[bad][0]:g}, {fit.y}={observed[bad][0]:g}",
            hint="narrow `extrapolate: to`",
        )
    k = fit.slope(N)
    predicted = 10.0 ** (E0 - k * np.log10(x))
    error = observed - predicted
    spread = float(((observed - observed.mean()) ** 2).sum())
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
        relative_error=float((np.abs(error) / observed).mean()),
        r2=1.0 - float((error**2).sum()) / spread if spread > 0 else float("nan"),
    )
