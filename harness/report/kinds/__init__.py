"""The kinds of figure; importing this package registers them."""

from harness.report.kinds import (
    curves,
    dots,
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
    "dots",
    "extrapolation",
    "grid",
    "parameters",
    "prepost",
    "rectangles",
    "scaling",
    "slopes",
]
