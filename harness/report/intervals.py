"""The interval of a parameter: from refits where there are some, else from standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from harness.analysis import Fit, Resample

Ends = tuple[float | None, float | None]


def shared_interval(fit: Fit, resample: Resample | None, name: str) -> Ends:
    """Ends of a shared parameter's interval; (None, None) where nothing determines them, and NaN
    where refits were made that give none.
    """
    if resample is not None and name in resample.intervals:
        return resample.intervals[name]
    return _about(fit.params[name], fit.se.get(name))


def curve_interval(fit: Fit, resample: Resample | None, name: str, group: float) -> Ends:
    """Ends of the interval of one curve's parameter."""
    if resample is not None and group in resample.intervals_by_curve.get(name, {}):
        return resample.intervals_by_curve[name][group]
    return _about(fit.by_curve[name][group], fit.se_by_curve.get(name, {}).get(group))


def kind_of_interval(resample: Resample | None) -> str:
    """What the intervals of a fit are, for the head of a column."""
    if resample is None:
        return "± 2 standard errors"
    if resample.withheld:
        return f"no interval: {', '.join(resample.flags)}"
    return f"95% of {resample.n} refits, by {resample.method}"


def _about(value: float, error: float | None) -> Ends:
    """Two standard errors on either side."""
    if error is None or not np.isfinite(error):
        return None, None
    return value - 2 * error, value + 2 * error
