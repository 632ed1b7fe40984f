"""The values that smoothing gave in this process, known again in whatever container they come.

An array of smoothed points says so itself (`SmoothedPoints`), but a DataFrame or a list of its
values does not. So the values are kept to the bit, and as rounded to 32 bits; a fit some of whose
points are among them by more than chance is refused.

Kept are only values that no measurement is likely to share. Left out are those that agree with a
raw point but for rounding; fractions with a denominator up to a million, such as a share of
questions or a rounded number; and points of the lattice of the raw values. For isotonic means of
such values are such values again, and a measured curve may well hold them. Beyond `MOST` values
the oldest are forgotten.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 1 << 20  # values of either kind: 8 and 4 MiB, and as much again for the sorted tables
_FEWEST = 3  # values that are smoothed ones by no accident
_CHANCE = 1e-9  # of a measured curve to be refused, were its digits random
_COARSE = 1_000_000  # largest denominator of a fraction that counts as measured
_ULPS = 4.0
_ALIKE = 1e-12  # relative difference of a value and a raw one that is rounding
_ALIKE_32 = 2.5e-7  # the same for 32 bits, two units in the last place
_LEVELS = 32  # of a continued fraction; denominators grow by 1.6 or more with each

_lock = Lock()


@dataclass
class _Record:
    """Bits of kept values, in the order they came, and all of them sorted once they are wanted."""

    dtype: Any
    kept: deque[NDArray[Any]] = field(default_factory=deque)
    count: int = 0
    sorted: NDArray[Any] | None = None

    def add(self, values: NDArray[np.float64]) -> None:
        """Keep values, and forget the oldest beyond `MOST`."""
        new = np.unique(_bits(values, self.dtype))[:MOST]
        if not len(new):
            return
        self.kept.append(new)
        self.count += len(new)
        while self.count > MOST:
            self.count -= len(self.kept.popleft())
        self.sorted = None

    def table(self) -> NDArray[Any]:
        """All that is kept, ascending and distinct."""
        if self.sorted is None:
            empty = np.empty(0, dtype=_INTEGERS[self.dtype])
            self.sorted = np.unique(np.concatenate(self.kept)) if self.kept else empty
        return self.sorted


_INTEGERS: dict[Any, Any] = {np.float64: np.int64, np.float32: np.int32}
_whole, _short = _Record(np.float64), _Record(np.float32)


def remember(values: NDArray[np.float64], raw: NDArray[np.float64], *, means: bool = False) -> None:
    """Keep smoothed values (any shape), and 1 less them, that are none of `raw` (any shape).

    means: the values are means of some of `raw`. Those of numbers of 32 bits often have 32 bits
    again, and then any measured curve may hold them.
    """
    found = np.concatenate([np.ravel(values), 1.0 - np.ravel(values)])
    measured = np.sort(np.concatenate([np.ravel(raw), 1.0 - np.ravel(raw)]))
    found = np.unique(found[np.isfinite(found)])
    found = found[~_is_near(found, measured, _ALIKE)]
    ends = np.ravel(raw)[[np.argmin(raw), np.argmax(raw)]] if np.size(raw) else np.zeros(2)
    found = found[~(is_coarse(found) | _on_lattice(found, *ends) | _on_lattice(found, *(1 - ends)))]
    short = ~_is_near(found, measured, _ALIKE_32)
    if means and _has_32_bits(np.ravel(raw)).all():
        found = found[~_has_32_bits(found)]
        short = np.zeros(len(found), dtype=bool)
    with _lock:
        _whole.add(found)
        _short.add(found[short])


def refuse_remembered(name: str, values: NDArray[np.float64], curve: NDArray[np.intp]) -> None:
    """Raise DataError where some of the `values` (n,) of curves (n,) are smoothed ones.

    Some are three distinct values or more, of one curve or of all, if chance gives as many in less
    than one of a billion curves; or three points and more than half of a curve or of all.
    """
    everything = np.ones(len(values), dtype=bool)
    for record, asked in ((_whole, everything), (_short, _has_32_bits(values))):
        with _lock:
            known = record.table()
        if not len(known) or not asked.any():
            continue
        bits = _bits(values, record.dtype)
        place = np.minimum(np.searchsorted(known, bits), len(known) - 1)
        hit = asked & (known[place] == bits)
        if hit.sum() < _FEWEST:
            continue
        whole = record is _whole
        parts = [np.ones(len(hit), dtype=bool), *(curve == one for one in np.unique(curve[hit]))]
        if any(_is_no_accident(bits[part], hit[part], known, most=whole) for part in parts):
            raise DataError(
                f"{name} holds smoothed points",
                expected="points as they were measured",
                found=f"{int(hit.sum())} of {len(hit)} values that `smooth` gave"
                + ("" if whole else ", rounded to 32 bits"),
                hint="fit the points themselves; draw the smoothed curve beside the fit",
            )


def is_coarse(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values (n,) are fractions p/q with q up to a million, to the last digits.

    By continued fractions. Of random numbers one in ten thousand is.
    """
    return _is_fraction(np.abs(values), _COARSE, _ULPS * np.spacing(np.abs(values)))


def _is_fraction(
    size: NDArray[np.float64], largest: float, tolerance: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which of values >= 0 (n,) are within a tolerance of p/q with q up to `largest`."""
    coarse = np.zeros(len(size), dtype=bool)
    rest, low_q, q = size.copy(), np.zeros(len(size)), np.ones(len(size))
    low_p, p = np.ones(len(size)), np.floor(size)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_LEVELS):
            coarse |= (q <= largest) & (np.abs(size - p / q) <= tolerance)
            rest = 1.0 / (rest - np.floor(rest))
            whole = np.floor(rest)
            low_p, p = p, whole * p + low_p
            low_q, q = q, whole * q + low_q
            if not (q <= largest).any():
                break
    return coarse


def _on_lattice(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    """Which values are low + (high - low) p/q, q up to a million: on a lattice with both.

    So are means of any numbers that have a common step, whatever their unit and origin.
    """
    span = abs(high - low)
    if not span > 0:
        return np.zeros(len(values), dtype=bool)
    size = np.abs(values - low) / span
    rounding = np.spacing(np.maximum(np.abs(values), max(abs(low), abs(high)))) / span
    return _is_fraction(size, _COARSE, _ULPS * (rounding + np.spacing(size)))


def _is_near(
    values: NDArray[np.float64], measured: NDArray[np.float64], share: float
) -> NDArray[np.bool_]:
    """Which values (n,) differ from one of `measured` (m,), ascending, by a share of themselves."""
    if not len(measured):
        return np.zeros(len(values), dtype=bool)
    at = np.searchsorted(measured, values)
    below, above = measured[np.maximum(at - 1, 0)], measured[np.minimum(at, len(measured) - 1)]
    distance = np.minimum(np.abs(values - below), np.abs(above - values))
    return np.asarray(distance <= share * np.abs(values))


def _is_no_accident(
    bits: NDArray[Any], hit: NDArray[np.bool_], known: NDArray[Any], *, most: bool
) -> bool:
    """Whether too many of a curve's values are known for chance; `most`: or more than half are."""
    if hit.sum() < _FEWEST:
        return False
    if most and 2 * int(hit.sum()) > len(hit):
        return True
    distinct, n = np.unique(bits[hit]), len(np.unique(bits))
    k = len(distinct)
    if k < _FEWEST:
        return False
    # Bits of floats ascend with their size: between two of them lie all numbers of that precision.
    low, high = int(distinct[0]), int(distinct[-1])
    room = abs(high - low) + 1
    inside = np.searchsorted(known, [min(low, high), max(low, high) + 1])
    share = min(float(inside[1] - inside[0]) / room, 1.0)
    # Of n values k, whichever: at most (e n share / k)^k.
    return bool(k * (1.0 + np.log(n * share / k)) < np.log(_CHANCE))


def _has_32_bits(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    with np.errstate(over="ignore"):
        return np.asarray(values.astype(np.float32).astype(np.float64) == values)


def _bits(values: NDArray[np.float64], dtype: Any = np.float64) -> NDArray[Any]:
    # 0.0 for -0.0, so that equal numbers have equal bits.
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(np.asarray(values, dtype=np.float64).astype(dtype) + dtype(0))
    return found.view(_INTEGERS[dtype])
