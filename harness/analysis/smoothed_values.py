"""The values that smoothing gave in this process, known again in whatever container they come.

An array of smoothed points says so itself (`SmoothedPoints`), but a DataFrame or a list of its
values does not. So the values are kept, to the bit: a fit whose points are among them is refused.
Kept are only values that no measurement is likely to share: none that stood among the raw points,
and no fraction with a denominator up to a million, such as a share of questions or a rounded
number. Beyond `MOST` values the oldest are forgotten.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 1 << 20  # values: 8 MiB, and as much again for the sorted table of all
_FEWEST = 3  # of a curve's points that are smoothed values by no accident
_COARSE = 1_000_000  # largest denominator of a fraction that counts as measured
_ULPS = 4.0
_LEVELS = 32  # of a continued fraction; denominators grow by 1.6 or more with each

_lock = Lock()
_kept: deque[NDArray[np.int64]] = deque()
_count = 0
_sorted: NDArray[np.int64] | None = None


def remember(values: NDArray[np.float64], raw: NDArray[np.float64]) -> None:
    """Keep smoothed values (any shape), and 1 less them, that are none of `raw` (any shape)."""
    global _count, _sorted
    found = _bits(np.concatenate([np.ravel(values), 1.0 - np.ravel(values)]))
    measured = _bits(np.concatenate([np.ravel(raw), 1.0 - np.ravel(raw)]))
    new = np.setdiff1d(found, measured)
    at = new.view(np.float64)
    new = new[np.isfinite(at) & ~is_coarse(at)][:MOST]
    if not len(new):
        return
    with _lock:
        _kept.append(new)
        _count += len(new)
        while _count > MOST:
            _count -= len(_kept.popleft())
        _sorted = None


def refuse_remembered(name: str, values: NDArray[np.float64], curve: NDArray[np.intp]) -> None:
    """Raise DataError where smoothed values are most of the `values` (n,) of a curve (n,).

    Most are three or more, and more than half.
    """
    known = _table()
    if not len(known):
        return
    bits = _bits(values)
    place = np.minimum(np.searchsorted(known, bits), len(known) - 1)
    hit = known[place] == bits
    points, hits = np.bincount(curve), np.bincount(curve, hit)
    if ((hits >= _FEWEST) & (2 * hits > points)).any() or (
        hit.sum() >= _FEWEST and 2 * hit.sum() > len(hit)
    ):
        raise DataError(
            f"{name} holds smoothed points",
            expected="points as they were measured",
            found=f"{int(hit.sum())} of {len(hit)} values that `smooth` gave",
            hint="fit the points themselves; draw the smoothed curve beside the fit",
        )


def is_coarse(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values (n,) are fractions p/q with q up to a million, to the last digits.

    By continued fractions. Of random numbers one in ten thousand is.
    """
    size = np.abs(values)
    coarse = np.zeros(len(size), dtype=bool)
    rest, low_q, q = size.copy(), np.zeros(len(size)), np.ones(len(size))
    low_p, p = np.ones(len(size)), np.floor(size)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_LEVELS):
            coarse |= (q <= _COARSE) & (np.abs(size - p / q) <= _ULPS * np.spacing(size))
            rest = 1.0 / (rest - np.floor(rest))
            whole = np.floor(rest)
            low_p, p = p, whole * p + low_p
            low_q, q = q, whole * q + low_q
            if not (q <= _COARSE).any():
                break
    return coarse


def _table() -> NDArray[np.int64]:
    global _sorted
    with _lock:
        if _sorted is None:
            _sorted = np.unique(np.concatenate(_kept)) if _kept else np.empty(0, dtype=np.int64)
        return _sorted


def _bits(values: NDArray[np.float64]) -> NDArray[np.int64]:
    # 0.0 for -0.0, so that equal numbers have equal bits.
    return (np.ascontiguousarray(values, dtype=np.float64) + 0.0).view(np.int64)
