"""Curves in, fits out: knows learning curves and nothing of suites, cells or reports.

Names are handed on when they are asked for, since planning needs the laws' versions and nothing
that takes NumPy's time to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.certificate import Certificate
    from harness.analysis.curves import Curves
    from harness.analysis.extrapolation import Extrapolation, blind_fit, clipped_end, extrapolate
    from harness.analysis.fits import Fit, fit
    from harness.analysis.resampling import LeaveOneOut, Resample, leave_one_curve_out, resample

_HOMES = {
    "Certificate": "certificate",
    "Curves": "curves",
    "Extrapolation": "extrapolation",
    "Fit": "fits",
    "LeaveOneOut": "resampling",
    "Resample": "resampling",
    "blind_fit": "extrapolation",
    "clipped_end": "extrapolation",
    "extrapolate": "extrapolation",
    "fit": "fits",
    "leave_one_curve_out": "resampling",
    "resample": "resampling",
}

__all__ = [
    "Certificate",
    "Curves",
    "Extrapolation",
    "Fit",
    "LeaveOneOut",
    "Resample",
    "blind_fit",
    "clipped_end",
    "extrapolate",
    "fit",
    "leave_one_curve_out",
    "resample",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
