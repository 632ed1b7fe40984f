"""Curves in, fits out: knows learning curves and nothing of suites, cells or reports."""

from harness.analysis.certificate import Certificate
from harness.analysis.curves import Curves
from harness.analysis.fit import Fit, fit

__all__ = ["Certificate", "Curves", "Fit", "fit"]
