"""Laws against each other on the same points: by BIC, and by what each says of held-out points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.holdout import held_out
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.curves import Curves
    from harness.analysis.extrapolation import Extrapolation
    from harness.analysis.fits import Fit

_SAME = ("x", "y", "group", "weights", "space", "loss", "delta", "run", "drop_first", "drop_last")


@dataclass(frozen=True)
class Rival:
    """One law of a comparison.

    n, p, objective, bic: those of the fit. delta_bic: above the least BIC of the comparison; a
    difference of 10 is commonly called decisive. rmse_last: of the last share of log x of all
    curves, blind. rmse_blind, rmse_calibrated: of the largest group. NaN where the law predicts
    nothing; `notes` then says why.
    """

    law: str
    n: int
    p: int
    objective: float
    bic: float
    delta_bic: float
    rmse_last: float
    rmse_blind: float
    rmse_calibrated: float
    flags: tuple[str, ...]
    notes: tuple[str, ...]


def compare_laws(
    fits: Sequence[Fit],
    curves: Curves,
    fraction: float = 0.2,
    *,
    known: Mapping[str, Sequence[Extrapolation]] | None = None,
) -> list[Rival]:
    """Fits of several laws to the same `curves`, the least BIC first.

    `fraction`: the share of log x that is held out. `known`: held-out predictions by law, where
    they have been made already.

    Raises DataError for no fits, for a law that is there twice, and for fits that differ in
    anything but the law: neither BIC nor errors could then be compared.
    """
    _check(fits)
    least = min(fit.bic for fit in fits)
    rows = []
    for fit in fits:
        held = (known or {}).get(fit.law)
        if held is None:
            held = held_out(fit, curves, fraction)
        rows.append(
            Rival(
                law=fit.law,
                n=fit.n,
                p=fit.p,
                objective=fit.objective,
                bic=fit.bic,
                delta_bic=fit.bic - least if math.isfinite(least) else math.nan,
                rmse_last=_rmse(held, "last", "blind"),
                rmse_blind=_rmse(held, "largest", "blind"),
                rmse_calibrated=_rmse(held, "largest", "calibrated"),
                flags=fit.certificate.flags,
                notes=tuple(dict.fromkeys(one.reason for one in held if one.reason)),
            )
        )
    return sorted(rows, key=lambda row: (math.isnan(row.bic), row.bic, row.law))


def _rmse(held: Sequence[Extrapolation], part: str, kind: str) -> float:
    """Over the points of all curves of a part; NaN if one of them has no prediction."""
    errors = [one.observed - one.predicted for one in held if (one.part, one.kind) == (part, kind)]
    pooled = np.concatenate(errors) if errors else np.empty(0)
    return float(np.sqrt((pooled**2).mean())) if len(pooled) else math.nan


def _check(fits: Sequence[Fit]) -> None:
    if not fits:
        raise DataError(
            "there are no fits to compare", expected="one or more", found="none", hint="fit laws"
        )
    names = [fit.law for fit in fits]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(
            f"the law {twice[0]} is compared with itself",
            expected="every law once",
            found=", ".join(names),
            hint="leave it out of `rivals`",
        )
    for fit in fits[1:]:
        for key in (*_SAME, "n", "r2_by_curve"):
            mine, first = _told(fit, key), _told(fits[0], key)
            if mine != first:
                raise DataError(
                    f"fits of {fit.law} and {fits[0].law} are not to the same points",
                    expected=f"one {key} for all laws",
                    found=f"{mine} and {first}",
                    hint="fit every law to the same curves, with the same options",
                )


def _told(fit: Fit, key: str) -> object:
    return list(fit.r2_by_curve) if key == "r2_by_curve" else getattr(fit, key)
