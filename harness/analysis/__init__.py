"""Curves in, fits out: knows learning curves and nothing of suites, cells or reports.

Names are handed on when they are asked for, since planning needs the laws' versions and nothing
that takes NumPy's time to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.certificate import Certificate
    from harness.analysis.comparison import Rival, compare_laws
    from harness.analysis.curves import Curves
    from harness.analysis.draws import mean_over
    from harness.analysis.extrapolation import Extrapolation, blind_fit, clipped_end, extrapolate
    from harness.analysis.fits import Fit, fit
    from harness.analysis.holdout import held_out
    from harness.analysis.profiling import ProfileInterval, profile_likelihood
    from harness.analysis.resampling import LeaveOneOut, Resample, leave_one_curve_out, resample
    from harness.analysis.smoothing import Smoothed, smooth
    from harness.analysis.threshold import Crossing, time_to_threshold

_HOMES = {
    "Certificate": "certificate",
    "Crossing": "threshold",
    "Curves": "curves",
    "Extrapolation": "extrapolation",
    "Fit": "fits",
    "LeaveOneOut": "resampling",
    "ProfileInterval": "profiling",
    "Resample": "resampling",
    "Rival": "comparison",
    "Smoothed": "smoothing",
    "blind_fit": "extrapolation",
    "clipped_end": "extrapolation",
    "compare_laws": "comparison",
    "extrapolate": "extrapolation",
    "fit": "fits",
    "held_out": "holdout",
    "leave_one_curve_out": "resampling",
    "mean_over": "draws",
    "profile_likelihood": "profiling",
    "resample": "resampling",
    "smooth": "smoothing",
    "time_to_threshold": "threshold",
}

__all__ = [
    "Certificate",
    "Crossing",
    "Curves",
    "Extrapolation",
    "Fit",
    "LeaveOneOut",
    "ProfileInterval",
    "Resample",
    "Rival",
    "Smoothed",
    "blind_fit",
    "clipped_end",
    "compare_laws",
    "extrapolate",
    "fit",
    "held_out",
    "leave_one_curve_out",
    "mean_over",
    "profile_likelihood",
    "resample",
    "smooth",
    "time_to_threshold",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
