"""Sum of squares of one curve about the line (k, c), with exact first and second derivatives.

A line is log10 L = c - k (u - centre), u = log10 X. Only a handful of weighted sums over a
curve's points enter, so thousands of lines per curve are evaluated as one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.window import Block, Window

LN10 = float(np.log(10.0))
_LARGEST_EXPONENT = 300.0  # squares of exp(300) still fit a float64
_CHUNK = 60_000  # points per matrix product; larger ones leave the cache


@dataclass(frozen=True, eq=False)
class Terms:
    """Values for R lines on each of G curves.

    S: (R, G). gradient: (R, G, V). hessian: (R, G, V, V), where V = 1 (k alone, c at its
    optimum for that k) or 2 (k and c). c: (R, G) the level that was used.
    """

    S: NDArray[np.float64]
    gradient: NDArray[np.float64]
    hessian: NDArray[np.float64]
    c: NDArray[np.float64]


class Profile(Protocol):
    """The sum of squares of every curve of a window, in one space."""

    total: NDArray[np.float64]
    """(G,) weighted sum of squares of the observations: the scale of rounding errors."""

    def terms(self, k: NDArray[np.float64], c: NDArray[np.float64] | None) -> Terms:
        """Terms of lines k, c (R, G); c None takes the best level for each k."""

    def log_slopes(self) -> NDArray[np.float64]:
        """(G,) least-squares slopes in log10 L, from which searches start."""


def profile(window: Window, space: str) -> Profile:
    """The profile of `window` in `space` ("linear" or "log10")."""
    return LinearProfile(window) if space == "linear" else Log10Profile(window)


class Log10Profile:
    """Squares of log10 L: quadratic in k and c, so all sums are taken once."""

    def __init__(self, window: Window) -> None:
        u = window.u - window.centre[window.curve]
        v = np.log10(window.L)
        w, sums = window.w, window.sums
        self._W = sums(w)
        self._mean = sums(w * v) / self._W
        self._uu, self._uv = sums(w * u * u), sums(w * u * v)
        self._vv = sums(w * (v - self._mean[window.curve]) ** 2)
        self.total = sums(w * v * v)

    def log_slopes(self) -> NDArray[np.float64]:
        """Exactly the least-squares slopes of this space."""
        return np.asarray(-self._uv / self._uu)

    def terms(self, k: NDArray[np.float64], c: NDArray[np.float64] | None) -> Terms:
        """Terms of lines k, c (R, G), as in `Profile`."""
        shift = np.zeros_like(k) if c is None else c - self._mean
        S = self._vv + 2 * k * self._uv + k * k * self._uu + self._W * shift**2
        S_k = 2 * (self._uv + k * self._uu)
        S_kk = np.broadcast_to(2 * self._uu, k.shape)
        if c is None:
            level = np.broadcast_to(self._mean, k.shape)
            return Terms(S, S_k[..., None], S_kk[..., None, None], level)
        S_cc = np.broadcast_to(2 * self._W, k.shape)
        return Terms(S, *_pair(S_k, 2 * self._W * shift, S_kk, np.zeros_like(k), S_cc), c)


class LinearProfile:
    """Squares of L, in which the amplitude a = 10^c is linear and has a closed form."""

    def __init__(self, window: Window) -> None:
        self._blocks = [_Sums(block) for block in window.blocks]
        w, L, sums = window.w, window.L, window.sums
        self.total = sums(w * L * L)
        t = LN10 * (window.u - window.centre[window.curve])
        self._log_slopes = -sums(w * t * np.log(L)) / sums(w * t * t)

    def log_slopes(self) -> NDArray[np.float64]:
        """Slopes of the logarithms, close to those of this space."""
        return np.asarray(self._log_slopes)

    def terms(self, k: NDArray[np.float64], c: NDArray[np.float64] | None) -> Terms:
        """Terms of lines k, c (R, G), as in `Profile`."""
        A, B = self._sums(k)
        a = A[0] / B[0] if c is None else np.exp(np.minimum(LN10 * c, _LARGEST_EXPONENT))
        aa = a * a
        S = self.total - 2 * a * A[0] + aa * B[0]
        S_k = 2 * (a * A[1] - aa * B[1])
        S_c = 2 * LN10 * (aa * B[0] - a * A[0])
        S_kk = 4 * aa * B[2] - 2 * a * A[2]
        S_kc = LN10 * (2 * a * A[1] - 4 * aa * B[1])
        S_cc = LN10**2 * (4 * aa * B[0] - 2 * a * A[0])
        if c is None:
            # Eliminating c leaves its Schur complement as the curvature in k.
            S_kk -= S_kc**2 / S_cc
            return Terms(S, S_k[..., None], S_kk[..., None, None], np.log10(a))
        return Terms(S, *_pair(S_k, S_c, S_kk, S_kc, S_cc), c)

    def _sums(self, k: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums of w L t^j e and of w t^j e^2 (j = 0, 1, 2), e = exp(-k t): (3, R, G) each."""
        A, B = np.empty((3, *k.shape)), np.empty((3, *k.shape))
        for block in self._blocks:
            block.fill(k, A, B)
        return A, B


class _Sums:
    """The sums of one block of curves."""

    def __init__(self, block: Block) -> None:
        t = LN10 * block.u
        powers = np.stack([np.ones_like(t), t, t * t], axis=-1)
        self._curves, self._t = block.curves, t
        self._with_L = (block.w * block.L)[..., None] * powers
        self._alone = block.w[..., None] * powers

    def fill(self, k: NDArray[np.float64], A: NDArray[np.float64], B: NDArray[np.float64]) -> None:
        """Enter this block's part of `_sums`."""
        rows = max(1, _CHUNK // self._t.size)
        for start in range(0, len(k), rows):
            part = np.arange(start, min(start + rows, len(k)))
            e = -k[np.ix_(part, self._curves)].T[:, :, None] * self._t[:, None, :]
            np.clip(e, -_LARGEST_EXPONENT, _LARGEST_EXPONENT, out=e)
            np.exp(e, out=e)
            at = np.ix_(np.arange(3), part, self._curves)
            A[at] = (e @ self._with_L).transpose(2, 1, 0)
            e *= e
            B[at] = (e @ self._alone).transpose(2, 1, 0)


def _pair(
    S_k: NDArray[np.float64],
    S_c: NDArray[np.float64],
    S_kk: NDArray[np.float64],
    S_kc: NDArray[np.float64],
    S_cc: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    gradient = np.stack([S_k, S_c], axis=-1)
    hessian = np.stack([S_kk, S_kc, S_kc, S_cc], axis=-1)
    return gradient, hessian.reshape(*S_k.shape, 2, 2)
