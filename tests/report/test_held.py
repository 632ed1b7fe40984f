"""Held-out errors as rows of text."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from harness.analysis import Curves, fit, held_out
from harness.report.held import held_rows
from harness.report.numbers import MISSING


def _line(end: float) -> Curves:
    x = np.arange(1.0, 21.0)
    y = 2.0 - 0.1 * x
    y[-1] = end
    return Curves({"N": np.ones_like(x), "x": x, "reward": y})


@pytest.mark.parametrize(("end", "told"), [(0.0, False), (0.01, True), (-0.5, True)])
def test_a_relative_error_about_a_point_at_zero_is_a_dash(end: float, told: bool) -> None:
    rows = _line(end)
    one = fit(rows, "sigmoid", x="x", y="reward", space="linear")
    found = [part for part in held_out(one, rows) if part.part == "last"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [row] = held_rows(one, found)
    if not told:
        assert row.relative == MISSING
        return
    error = np.abs(found[0].observed - found[0].predicted) / np.abs(found[0].observed)
    assert row.relative == f"{error.mean():.1%}"
