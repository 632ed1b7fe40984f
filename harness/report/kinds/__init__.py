"""The kinds of figure; importing this package registers them."""

from harness.report.kinds import extrapolation, grid, parameters, scaling, slopes

__all__ = ["extrapolation", "grid", "parameters", "scaling", "slopes"]
