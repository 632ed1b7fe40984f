"""Numbers that a caller gives, checked before anything is made of them."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from harness.errors import DataError, HarnessError


def whole(
    name: str, value: Any, least: int, *, hint: str, error: type[HarnessError] = DataError
) -> int:
    """`value` as an int; `error` unless it is a whole number of `least` or more."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if number and not isinstance(value, Integral):
        number = math.isfinite(value) and value == math.floor(value)
    if not number or value < least:
        raise error(
            f"{name} is no whole number of {least} or more",
            expected=f"a whole number, {least} or more",
            found=told(value),
            hint=hint,
        )
    return int(value)


def real(
    name: str,
    value: Any,
    *,
    hint: str,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    error: type[HarnessError] = DataError,
) -> float:
    """`value` as a float; `error` unless it is a finite number between the limits."""
    good = isinstance(value, Real) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or not (above < value < below and value >= least):
        limits = [
            *([f"above {above:g}"] if above > -math.inf else []),
            *([f"{least:g} or more"] if least > -math.inf else []),
            *([f"below {below:g}"] if below < math.inf else []),
        ]
        raise error(
            f"{name} is no number" + (f" {' and '.join(limits)}" if limits else ""),
            expected="a finite number" + (f", {' and '.join(limits)}" if limits else ""),
            found=told(value),
            hint=hint,
        )
    return float(value)


def told(value: Any) -> str:
    """A value as a message shows it: never an array of a million numbers."""
    shape = getattr(value, "shape", ())
    return f"{type(value).__name__} of shape {shape}" if shape else repr(value)[:60]
