"""Where the objective of a law is least: starts on a grid, Newton from each, in one batch.

The objective is F = sum_i m_i S_i, where S_i is the weighted sum of squares of curve i and
m_i says how often the curve counts (1 in a fit, a multiplicity in a resample).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.newton import Derivatives, Minima, Objective, minimise
from harness.analysis.profile import profile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.laws import SharedSlopeLaw
    from harness.analysis.profile import Profile
    from harness.analysis.window import Window

NOISE = 1e-14  # rounding error of a sum of squares, relative to that of the observations
_GRID = 25  # grid points along each bounded coordinate
_STRIDE = {1: 2, 2: 4}  # a fit starts from every second or fourth of them, ends included
_COMPLEX_STEP = 1e-30
_DIFFERENCE = 1e-6


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines of every curve alone. k: (G,) slopes. starts: (starts, G) the S each ended at."""

    k: NDArray[np.float64]
    starts: NDArray[np.float64]
    converged: bool


def free_lines(window: Window, curves: Profile) -> Lines:
    """The best slope of each curve by itself, searched from five slopes.

    The steepest are as steep as the spreads of log10 L and log10 X allow any regression line
    to be; in between stands the line fitted in logarithms.
    """
    v = np.log10(window.L)
    v -= (window.sums(window.w * v) / window.sums(window.w))[window.curve]
    u = window.u - window.centre[window.curve]
    steepest = np.sqrt(window.sums(window.w * v * v) / window.sums(window.w * u * u))
    starts = curves.log_slopes() + np.array([0.0, -0.3, 0.3, -1.0, 1.0])[:, None] * steepest
    at = starts.copy()

    def objective(z: NDArray[np.float64], rows: NDArray[np.intp]) -> Derivatives:
        # Every curve from every start is a problem of its own, in one variable.
        at.ravel()[rows] = z[:, 0]
        of_start = np.unique(rows // at.shape[1])
        terms = curves.terms(at[of_start], None)
        place = np.searchsorted(of_start, rows // at.shape[1]), rows % at.shape[1]
        return terms.S[place], terms.gradient[place], terms.hessian[place]

    found = minimise(
        objective,
        starts.reshape(-1, 1),
        np.array([-np.inf]),
        np.array([np.inf]),
        noise=NOISE * np.broadcast_to(curves.total, starts.shape).ravel(),
    )
    S = found.F.reshape(starts.shape)
    best = S.argmin(0), np.arange(starts.shape[1])
    converged = found.converged.reshape(starts.shape)[best].all()
    return Lines(found.z.reshape(starts.shape)[best], S, bool(converged))


class Search:
    """The search for a law with shared parameters on one window.

    Coordinates z (R, P) are the law's; multiplicities m are (R, G).
    """

    def __init__(self, law: SharedSlopeLaw, window: Window, space: str) -> None:
        self.law, self.window = law, window
        self.curves = profile(window, space)
        self.N_ref = float(np.exp(np.log(window.N).mean()))
        self.lower, self.upper = map(np.array, law.bounds(window.N, self.N_ref))
        self.bounded = np.isfinite(self.lower) & np.isfinite(self.upper)
        self.noise = NOISE * float(self.curves.total.sum())
        self.alone = free_lines(window, self.curves)
        self._prepare_grid()

    def levels(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Levels at the curves' centres where they are free, (..., G); else (..., 0)."""
        if self.law.shares_intercept:
            return np.zeros((*z.shape[:-1], 0))
        return self.curves.terms(self.lines(z)[0], None).c

    def lines(self, z: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """k, or k and the level c at the curve's centre, each of shape (..., G)."""
        k = self.law.slope(z, self.window.N, self.N_ref)
        if not self.law.shares_intercept:
            return (k,)
        return k, self.law.intercept(z, self.window.N, self.N_ref) - k * self.window.centre

    def jacobian(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives of `lines` with respect to z (..., P), exact: shape (..., G, V, P)."""
        P = z.shape[-1]
        moved = z[..., None, :] + 1j * _COMPLEX_STEP * np.eye(P)
        lines = np.stack(self.lines(moved), axis=-1).imag / _COMPLEX_STEP
        return np.asarray(np.moveaxis(lines, -3, -1))

    def objective(self, m: NDArray[np.float64]) -> Objective:
        """F with gradient and Hessian for problems with multiplicities m (R, G)."""

        def evaluate(z: NDArray[np.float64], rows: NDArray[np.intp]) -> Derivatives:
            R, P = z.shape
            values = self.lines(z)
            terms = self.curves.terms(values[0], values[1] if len(values) == 2 else None)
            # Second derivatives of the lines only steer the step, so differences will do.
            nearby = np.concatenate([z[:, None], z[:, None] + _DIFFERENCE * np.eye(P)], axis=1)
            J_all = self.jacobian(nearby)
            J = J_all[:, 0].reshape(R, -1, P)
            second = ((J_all[:, 1:] - J_all[:, :1]) / _DIFFERENCE).reshape(R, P, -1, P)
            mult = m[rows]
            slope = (mult[..., None] * terms.gradient).reshape(R, 1, -1)
            g = (slope @ J)[:, 0]
            bent = mult[..., None, None] * (terms.hessian @ J_all[:, 0])
            H = J.transpose(0, 2, 1) @ bent.reshape(R, -1, P)
            H += (slope[:, None] @ second)[:, :, 0]
            return (mult * terms.S).sum(1), g, (H + H.transpose(0, 2, 1)) / 2

        return evaluate

    def minimise(
        self,
        z: NDArray[np.float64],
        m: NDArray[np.float64],
        fixed: NDArray[np.bool_] | None = None,
    ) -> Minima:
        """Newton from z (R, P) for multiplicities m (R, G)."""
        noise = NOISE * (m @ self.curves.total)
        return minimise(self.objective(m), z, self.lower, self.upper, noise=noise, fixed=fixed)

    def starts(self) -> NDArray[np.float64]:
        """Where a fit starts, (S, P): an even part of the grid, and its lowest points."""
        z, expected = self._on_grid(np.ones((1, len(self.window.N))))
        axes = int(self.bounded.sum())
        even = np.arange(_GRID) % _STRIDE.get(axes, _GRID - 1) == 0
        every = np.ix_(*[even] * axes)
        chosen = self._lowest(expected)[0]
        chosen.reshape((_GRID,) * axes)[every] = True
        return np.asarray(z[0, chosen])

    def on_bounds(
        self, starts: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Those of `starts` (S, P) with a coordinate on a bound (H, P), and which one (H, P)."""
        on = ((starts == self.lower) | (starts == self.upper)) & self.bounded
        rows, coordinates = np.nonzero(on)
        return starts[rows], np.arange(starts.shape[1]) == coordinates[:, None]

    def minimise_all(self, m: NDArray[np.float64]) -> Minima:
        """The best optimum for each row of m (R, G), from the lowest points of its grid."""
        z, expected = self._on_grid(m)
        rows, points = np.nonzero(self._lowest(expected))
        found = self.minimise(z[rows, points], m[rows])
        order = np.lexsort((found.F, rows))
        best = order[np.unique(rows[order], return_index=True)[1]]
        return Minima(found.z[best], found.F[best], found.converged[best])

    def _on_grid(self, m: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates at every grid point (R, S, P), and the F expected there (R, S).

        Every curve is replaced by a parabola about its own best line; the unbounded
        coordinates, in which the lines are linear, then have a closed form.
        """
        curvature = np.tensordot(m, self._curvature, axes=(1, 1))
        pull = np.tensordot(m, self._pull, axes=(1, 1))
        ridge = 1e-12 * np.trace(curvature, axis1=2, axis2=3)[..., None, None]
        ridge = (ridge + np.finfo(float).tiny) * np.eye(curvature.shape[-1])
        heights = np.linalg.solve(curvature + ridge, pull[..., None])[..., 0]
        z = np.empty((*pull.shape[:2], len(self.lower)))
        z[...] = self._grid
        z[..., ~self.bounded] = heights
        return z, (m @ self._offset.T) - (pull * heights).sum(-1)

    def _lowest(self, expected: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which grid points (R, S) lie no higher than their neighbours."""
        axes = int(self.bounded.sum())
        F = expected.reshape(-1, *(_GRID,) * axes)
        around = np.pad(F, [(0, 0), *[(1, 1)] * axes], constant_values=np.inf)
        lowest = np.ones(F.shape, dtype=bool)
        for shift in itertools.product(range(3), repeat=axes):
            lowest &= around[(slice(None), *(slice(d, d + _GRID) for d in shift))] >= F
        return np.asarray(lowest.reshape(expected.shape))

    def _prepare_grid(self) -> None:
        axes = int(self.bounded.sum())
        steps = np.linspace(0.0, 1.0, _GRID)
        low, high = self.lower[self.bounded], self.upper[self.bounded]
        shares = np.array(list(itertools.product(steps, repeat=axes)))
        self._grid = np.zeros((len(shares), len(self.lower)))
        # Written so that both ends are the bounds themselves, to the last bit.
        self._grid[:, self.bounded] = low * (1.0 - shares) + high * shares
        at = self.curves.terms(self.alone.k[None], None)
        best = self.alone.k[None]
        if self.law.shares_intercept:
            at = self.curves.terms(best, at.c)
            target = np.stack([best[0], at.c[0]], axis=-1)
        else:
            target = best[0][:, None]
        H = at.hessian[0]
        D = self.jacobian(self._grid)[..., ~self.bounded]
        miss = target - np.stack(self.lines(self._grid), axis=-1)
        HD = H @ D
        self._curvature = np.einsum("sgva,sgvb->sgab", D, HD)
        self._pull = np.einsum("sgva,sgv->sga", HD, miss)
        self._offset = np.einsum("sgv,gvw,sgw->sg", miss, H, miss)
