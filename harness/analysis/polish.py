"""The last steps to an optimum of absolute residuals, which lies where some of them are 0.

Near it the problem is a linear program, min sum_i w_i |r_i + J_i d|: its corners are exact where a
smoothed loss only comes close, and its dual variables show whether the corner is an optimum. Of
many points only those of small residuals are programmed; the others keep their sign near an
optimum, and where no step is left to gain, the program of all points has none either.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.estimator import Estimator, Problems
    from harness.analysis.newton import Minima

MOST_POINTS = 20_000  # above, a program of all points costs more than what it gains
_PROGRAMMED = 1_000  # points of small residuals in a program, but at least
_OF_EACH = 32  # so many of each curve
_ZERO = 1e-7  # residuals below this share of their mean count as 0
_STEPS = 30
_SETTLED = 1e-13


def finish(
    estimator: Estimator,
    ends: Minima,
    problems: Problems,
    held: NDArray[np.bool_] | None = None,
) -> Minima:
    """Refits `ends` of `problems`, those that did not converge polished to their corner.

    Were they left out, intervals would rest on the draws that happen to be easy. `held` (M,)
    coordinates stay. Other losses, and more points than a program pays for, are left as they are.
    """
    open_ends = np.flatnonzero(~ends.converged & np.isfinite(ends.F))
    n = len(estimator.window.x)
    if estimator.loss.name != "lad" or n > MOST_POINTS or not len(open_ends):
        return ends
    z, F, converged = ends.z.copy(), ends.F.copy(), ends.converged.copy()
    for r in open_ends:
        row = np.array([r])
        w = problems.weights(estimator.window.w, row, slice(0, n)).reshape(n)
        y = problems.y(estimator.window.L, row, slice(0, n)).reshape(n)
        drawn = estimator.on(replace(estimator.window, w=w, L=y))
        z[r] = polish(drawn, z[r], held)
        F[r] = drawn.value(z[r][None])[0]
        converged[r] = True
    return replace(ends, z=z, F=F, converged=converged)


def polish(
    estimator: Estimator, z: NDArray[np.float64], held: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """z (M,) or a lower point near it, by linear programs in a box that shrinks as they mislead.

    Coordinates `held` (M,) stay where they are.
    """
    from scipy import optimize
    from scipy.sparse import csr_array, eye_array, hstack

    program: Any = optimize.linprog  # its annotations know no sparse table
    w = estimator.window.w
    M = len(z)
    F = float(estimator.value(z[None])[0])
    box = 1.0
    for _ in range(_STEPS):
        r, J = dense(estimator, z)
        if not (F > 0 and np.isfinite(J).all() and np.isfinite(r).all()):
            return z  # nothing is left to gain, or nothing can be computed here
        scale = np.linalg.norm(np.sqrt(w)[:, None] * J, axis=0)
        free = np.where(scale > 0, F / np.maximum(scale, 1e-300), 0.0)
        low = np.maximum(-box, (estimator.lower - z) / np.maximum(free, 1e-300))
        high = np.minimum(box, (estimator.upper - z) / np.maximum(free, 1e-300))
        if held is not None:
            low[held] = high[held] = 0.0
        small = _small(estimator, r)
        n = int(small.sum())
        # In units of F, so that the solver's own tolerances mean something.
        J *= free / F
        table = hstack([csr_array(J[small]), -eye_array(n), eye_array(n)])
        bounds = np.vstack([np.column_stack([low, high]), np.tile([0.0, np.inf], (2 * n, 1))])
        push = (w * np.sign(r))[~small] @ J[~small]
        cost = np.concatenate([push, w[small], w[small]])
        found = program(cost, A_eq=table, b_eq=-r[small] / F, bounds=bounds, method="highs-ds")
        if found.x is None:
            return z
        trial = np.clip(z + found.x[:M] * free, estimator.lower, estimator.upper)
        lower = float(estimator.value(trial[None])[0])
        if lower < F:
            settled = F - lower <= _SETTLED * F
            z, F = trial, lower
            if settled:
                return z
        else:
            box *= 0.2
            if box < 1e-9:
                return z
    return z


def _small(estimator: Estimator, r: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The points (n,) of each curve whose residuals are smallest; all if they are few."""
    n, curve = len(r), estimator.window.curve
    if n <= _PROGRAMMED:
        return np.ones(n, dtype=bool)
    order = np.lexsort((np.abs(r), curve))
    counts = estimator.window.n
    place = np.empty(n, dtype=np.intp)
    place[order] = np.arange(n) - (np.cumsum(counts) - counts)[curve[order]]
    return np.asarray(place < max(_OF_EACH, _PROGRAMMED // estimator.G))


def balance(estimator: Estimator, z: NDArray[np.float64]) -> NDArray[np.float64]:
    """A subgradient of |r| at z: signs (n,), and for residuals of 0 what balances the others.

    At an optimum such values lie between -1 and 1 and make the gradient vanish; elsewhere none
    within those limits do.
    """
    from scipy.optimize import lsq_linear

    r, J = dense(estimator, z)
    w = estimator.window.w
    zero = np.abs(r) <= _ZERO * float((w * np.abs(r)).sum())
    signs = np.sign(r)
    if zero.any() and not zero.all():
        lengths = np.maximum(np.linalg.norm(np.sqrt(w)[:, None] * J, axis=0), 1e-300)
        pull = (w * signs)[~zero] @ (J / lengths)[~zero]
        table = (w[:, None] * J / lengths)[zero].T
        size = np.abs(table).max()
        if size > 0:
            found = lsq_linear(table / size, -pull / size, (-1.0, 1.0), tol=1e-14)
            signs[zero] = found.x
    return np.asarray(signs)


def dense(
    estimator: Estimator, z: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Residuals (n,) and their derivatives by all coordinates (n, M) at z (M,)."""
    n = len(estimator.window.x)
    P, own, G = estimator.form.shared, estimator.form.own, estimator.G
    local, r = estimator.slopes(z, slice(0, n))
    J = np.zeros((n, estimator.size))
    J[:, :P] = local[:, :P]
    for q in range(own):
        J[np.arange(n), P + q * G + estimator.window.curve] = local[:, P + q]
    return r, J
