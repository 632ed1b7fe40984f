"""Held-out errors of any fit: its law refitted without some of the points, which it then predicts.

Two parts are held out, one at a time: the last share of log x of every curve, and the largest
group. The law has not seen them, so that a law with more parameters gains nothing by bending to
them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.arguments import real
from harness.analysis.curves import Curves
from harness.analysis.extrapolation import (
    Extrapolation,
    Kind,
    no_prediction,
    predict_curve,
    refit,
    shares_all,
)
from harness.analysis.laws import SharedSlopeLaw, get_law
from harness.errors import HarnessError, SuiteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.fits import Fit

BLIND_LAW = "loglinear_kn_e0"  # shares what the other laws of lines leave free


def held_out(fit: Fit, curves: Curves, fraction: float = 0.2) -> list[Extrapolation]:
    """Predictions of the last `fraction` of log x, curve by curve, and of the largest group.

    `curves` are those that were fitted; points outside the fit's window stay outside. The last
    part is predicted blind. The largest group is predicted blind by the law itself if it shares all
    its parameters, else by `loglinear_kn_e0` where the law is one of lines; and calibrated on
    its own points where the law shares something. What cannot be predicted is in the list all the
    same, with the reason.

    Raises SuiteError for a fraction outside (0, 1).
    """
    fraction = real(
        "held_out, a share of each curve,",
        fraction,
        above=0.0,
        below=1.0,
        hint="write held_out: 0.2",
        error=SuiteError,
    )
    table = Curves.of(curves)
    rows = table.where(fit.selection.kept(table))
    # Of a single curve none is the largest.
    largest = _largest(fit, rows) if len(fit.r2_by_curve) > 1 else []
    return [
        *(replace(one, part="last") for one in _last(fit, rows, fraction)),
        *(replace(one, part="largest") for one in largest),
    ]


def _last(fit: Fit, rows: Curves, fraction: float) -> list[Extrapolation]:
    late = _late(fit, rows, fraction)
    if not late.any():
        return [
            no_prediction("blind", fit, rows.where(late), N, "every point has the same x")
            for N in fit.r2_by_curve
        ]
    held = rows.where(late)
    try:
        early = refit(fit, rows.where(~late), drop_first=0, drop_last=0)
    except HarnessError as error:
        reason = f"the law cannot be fitted to the rest: {error.message}"
        return [no_prediction("blind", fit, *one, reason) for one in _curves(fit, held)]
    return [_try("blind", early, part, N) for part, N in _curves(fit, held)]


def _late(fit: Fit, rows: Curves, fraction: float) -> NDArray[np.bool_]:
    """The points beyond 1 - fraction of the range of log x, or of x if it is not positive."""
    x, group = rows[fit.x], rows[fit.group]
    u = np.log(x) if (x > 0).all() else x
    late = np.zeros(len(rows), dtype=np.bool_)
    curves = [group == N for N in np.unique(group)]
    if shares_all(fit.law) and all(np.ptp(u[one]) == 0 for one in curves):
        curves = [np.ones(len(rows), dtype=np.bool_)]  # points of single runs: over all of them
    for one in curves:
        low, high = u[one].min(), u[one].max()
        late |= one & (u > high - fraction * (high - low)) & (high > low)
    return late


def _largest(fit: Fit, rows: Curves) -> list[Extrapolation]:
    N = max(fit.r2_by_curve)
    rest, held = rows.where(rows[fit.group] != N), rows.where(rows[fit.group] == N)
    law = get_law(fit.law)
    lines = isinstance(law, SharedSlopeLaw)
    blind_law = fit.law if shares_all(fit.law) else BLIND_LAW if lines else None
    results = []
    if blind_law is None:
        reason = f"{fit.law} leaves parameters free for every {fit.group}, and so knows no other"
        results.append(no_prediction("blind", fit, held, N, reason))
    else:
        results.append(_without(fit, rest, held, N, "blind", blind_law))
    if law.per_curve and fit.params:
        results.append(_without(fit, rest, held, N, "calibrated", fit.law))
    return results


def _without(fit: Fit, rest: Curves, held: Curves, N: float, kind: Kind, law: str) -> Extrapolation:
    try:
        smaller = refit(fit, rest, law, drop_first=0, drop_last=0)
    except HarnessError as error:
        reason = f"{law} cannot be fitted without {fit.group}={N:g}: {error.message}"
        return no_prediction(kind, fit, held, N, reason)
    return _try(kind, smaller, held, N)


def _try(kind: Kind, fit: Fit, rows: Curves, N: float) -> Extrapolation:
    try:
        return predict_curve(kind, fit, rows, N)
    except HarnessError as error:
        return no_prediction(kind, fit, rows, N, error.message)


def _curves(fit: Fit, rows: Curves) -> list[tuple[Curves, float]]:
    return [(part, float(size)) for (size,), part in rows.groups([fit.group])]
