"""Curves in, fits out: knows learning curves and nothing of suites, cells or reports."""

from harness.analysis.certificate import Certificate
from harness.analysis.curves import Curves
from harness.analysis.extrapolate import Extrapolation, blind_fit, clipped_end, extrapolate
from harness.analysis.fit import Fit, fit
from harness.analysis.resample import LeaveOneOut, Resample, leave_one_curve_out, resample

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
