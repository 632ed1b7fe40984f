"""Held-out errors of one fit, and laws against each other, as rows of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.report.numbers import MISSING, share, significant, value_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis import Extrapolation, Fit, Rival

Array = npt.NDArray[np.float64]

_PARTS = {
    "chosen": "points chosen by the suite",
    "last": "last part of log {x}",
    "largest": "largest {group}",
}
HEADS = ("held out", "prediction", "law", "points", "RMSE", "relative error", "RMSE of each curve")


@dataclass(frozen=True, slots=True)
class HeldRow:
    """One part of the points, predicted in one way; `reason` where it could not be."""

    part: str
    kind: str
    law: str
    points: str
    rmse: str
    relative: str
    curves: str
    reason: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row under `HEADS`; the reason stands in place of the errors."""
        told = self.reason and f"none: {self.reason}"
        last = told or self.curves
        return (self.part, self.kind, self.law, self.points, self.rmse, self.relative, last)


def held_rows(fit: Fit, found: Sequence[Extrapolation]) -> list[HeldRow]:
    """A row for each part and kind of prediction, in the order in which they were made."""
    parts = dict.fromkeys((one.part, one.kind) for one in found)
    return [_row(fit, [one for one in found if (one.part, one.kind) == key]) for key in parts]


def _row(fit: Fit, found: list[Extrapolation]) -> HeldRow:
    known = [one for one in found if not one.reason]
    error = np.concatenate([one.observed - one.predicted for one in known] or [np.empty(0)])
    observed = np.concatenate([one.observed for one in known] or [np.empty(0)])
    name = _PARTS[found[0].part].format(x=fit.x, group=fit.group)
    if found[0].part == "largest":
        name += f" ({value_label(fit.group, found[0].N)})"
    curves = [f"{value_label(fit.group, one.N)} {significant(one.rmse, 2)}" for one in known]
    return HeldRow(
        part=name,
        kind=found[0].kind,
        law=found[0].law,
        points=f"{len(error):,}",
        rmse=significant(float(np.sqrt((error**2).mean())), 2) if len(error) else MISSING,
        relative=share(_relative(error, observed)),
        curves=" · ".join(curves) if len(curves) > 1 else "",
        reason="; ".join(dict.fromkeys(one.reason for one in found if one.reason)),
    )


def _relative(error: Array, observed: Array) -> float | None:
    """Mean of |observed - predicted| / |observed|; None where that has no value."""
    if not len(error) or not observed.all():
        return None
    return float((np.abs(error) / np.abs(observed)).mean())


RIVAL_HEADS = (
    "law",
    "parameters",
    "BIC less the least",
    "RMSE of the last part",
    "of the largest, blind",
    "calibrated",
    "flags",
)


def rival_rows(rivals: Sequence[Rival]) -> list[tuple[str, ...]]:
    """A row for each law under `RIVAL_HEADS`, the least BIC first."""
    return [
        (
            one.law,
            str(one.p),
            significant(one.delta_bic, 4),
            *(significant(x, 2) for x in (one.rmse_last, one.rmse_blind, one.rmse_calibrated)),
            ", ".join(dict.fromkeys(flag.partition("/")[0] for flag in one.flags)) or "none",
        )
        for one in rivals
    ]
