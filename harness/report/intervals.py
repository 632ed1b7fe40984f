"""The interval of a parameter: from refits where there are some, else from standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.analysis import Fit, Resample

LEVEL = 0.95
Ends = tuple[float | None, float | None]


def shared_interval(fit: Fit, resample: Resample | None, name: str) -> Ends:
    """Ends of a shared parameter's interval; (None, None) where nothing determines them."""
    if resample is not None and name in resample.intervals:
        return resample.intervals[name]
    return _about(fit.params[name], fit.se.get(name))


def curve_interval(fit: Fit, resample: Resample | None, name: str, group: float) -> Ends:
    """Ends of the interval of one curve's parameter."""
    drawn = _draws(resample, name).get(group)
    if drawn is not None and np.isfinite(drawn).any():
        tail = 50 * (1 - LEVEL)
        low, high = np.nanpercentile(drawn, [tail, 100 - tail])
        return float(low), float(high)
    return _about(fit.by_curve[name][group], fit.se_by_curve.get(name, {}).get(group))


def kind_of_interval(resample: Resample | None) -> str:
    """What the intervals of a fit are, for the head of a column."""
    if resample is None:
        return "± 2 standard errors"
    return f"95% of {resample.n} refits, by {resample.method}"


def _draws(resample: Resample | None, name: str) -> Mapping[float, NDArray[np.float64]]:
    if resample is None:
        return {}
    return {"k": resample.k, "E0": resample.E0}.get(name, {})


def _about(value: float, error: float | None) -> Ends:
    """Two standard errors on either side."""
    if error is None or not np.isfinite(error):
        return None, None
    return value - 2 * error, value + 2 * error
