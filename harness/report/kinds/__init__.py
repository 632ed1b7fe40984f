"""The kinds of figure; importing this package registers them."""

from harness.report.kinds import (
    curves,
    extrapolation,
    grid,
    parameters,
    prepost,
    rectangles,
    scaling,
    slopes,
)

__all__ = [
    "curves",
    "extrapolation",
    "grid",
    "parameters",
    "prepost",
    "rectangles",
    "scaling",
    "slopes",
]
