"""The cubic smoothing spline whose penalty has the least generalised cross-validation score.

Reinsch's equations (1967): with h the gaps between knots, Q the second differences and R the
overlaps of the hat functions, the spline that minimises sum w (y - g)^2 + p int g''^2 has

    (R + p Q' W^-1 Q) c = Q' y,    g = y - p W^-1 Q c,

a matrix of five diagonals. The trace that the score needs takes the five middle diagonals of its
inverse, by the recursion of Hutchinson and de Hoog (1985). All penalties go through the recursions
together, so that a search costs little more than one spline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.interpolate import BSpline

_RANGE = (-13.0, 4.0)  # log10 of the penalty for knots between 0 and 1: interpolation to a line
_COARSE, _FINE = 52, 24


@dataclass(frozen=True, eq=False)
class Spline:
    """A cubic smoothing spline: `curve` on top of `line`, both of knots scaled to 0 to 1.

    score: (sum w r^2 / n) / (1 - df / n)^2, the least of all penalties. freedom: df, the trace
    of the matrix that takes values to the spline.
    """

    line: np.polynomial.Polynomial
    curve: BSpline
    low: float
    span: float
    penalty: float
    score: float
    freedom: float

    def predict(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """The spline at u, in the unit of the knots given."""
        at = (u - self.low) / self.span
        return np.asarray(self.line(at) + self.curve(at))


def gcv_spline(u: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]) -> Spline:
    """The smoothing spline of least score through y at the knots u (n,) with weights w.

    The knots ascend, n is 5 or more. SciPy's own search for the penalty is linear in it and may
    end far from the least score, so the penalty is found here.
    """
    from scipy.interpolate import make_smoothing_spline

    low, span = float(u[0]), float(u[-1] - u[0])
    at = (u - low) / span
    # A line has no curvature, so taking it out changes nothing but the rounding.
    line = np.polynomial.Polynomial.fit(at, y, 1, w=np.sqrt(w))
    size = float(np.abs(y).max()) or 1.0
    rest = y - line(at)
    grid = np.logspace(*_RANGE, _COARSE)
    best = int(scores(at, rest / size, w, grid)[0].argmin())
    fine = np.geomspace(grid[max(best - 1, 0)], grid[min(best + 1, _COARSE - 1)], _FINE)
    score, freedom = scores(at, rest / size, w, fine)
    best = int(score.argmin())
    return Spline(
        line=line,
        curve=make_smoothing_spline(at, rest, w, lam=float(fine[best])),
        low=low,
        span=span,
        penalty=float(fine[best]),
        score=float(score[best]) * size**2,
        freedom=float(freedom[best]),
    )


def scores(
    u: NDArray[np.float64],
    y: NDArray[np.float64],
    w: NDArray[np.float64],
    penalties: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score and degrees of freedom (m,) for each of `penalties` (m,)."""
    n, h, v, p = len(u), np.diff(u), 1 / w, penalties
    # Column j of Q has its three values at the knots j, j + 1 and j + 2.
    Q = np.stack([1 / h[:-1], -1 / h[:-1] - 1 / h[1:], 1 / h[1:]])[..., None]
    V = np.stack([v[:-2], v[1:-1], v[2:]])[..., None]
    QVQ = np.zeros((3, n - 2, 1))
    QVQ[0] = (Q * Q * V).sum(0)
    QVQ[1, :-1] = (Q[1] * V[1])[:-1] * Q[0, 1:] + (Q[2] * V[2])[:-1] * Q[1, 1:]
    QVQ[2, :-2] = (Q[2] * V[2])[:-2] * Q[0, 2:]
    B = p * QVQ
    B[0] += (h[:-1] + h[1:])[:, None] / 3
    B[1, :-1] += h[1:-1, None] / 6
    c, inverse = _solve(B, (Q[..., 0] * np.stack([y[:-2], y[1:-1], y[2:]])).sum(0))
    residual = np.zeros((n, len(p)))
    for j in range(3):
        residual[j : n - 2 + j] += Q[j] * c
    residual *= p * v[:, None]
    trace = p * (QVQ * inverse * np.array([1.0, 2.0, 2.0])[:, None, None]).sum((0, 1))
    # Of points on a line only rounding errors are left: those are not worth a bend.
    squares = (w[:, None] * residual**2).sum(0) / n + (4 * np.finfo(float).eps) ** 2
    return squares / (trace / n) ** 2, n - trace


def _solve(
    B: NDArray[np.float64], z: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solutions (n, m) of m systems B x = z, and the bands of their inverses.

    B, inverse: (3, n, m), the diagonal and the two above it. z: (n,).
    """
    n = B.shape[1]
    d, l1, l2, c = (np.zeros((n + 2, B.shape[2])) for _ in range(4))
    for i in range(n):  # places -1 and -2 hold zeros
        d[i] = B[0, i] - l1[i - 1] ** 2 * d[i - 1] - l2[i - 2] ** 2 * d[i - 2]
        l1[i] = (B[1, i] - l2[i - 1] * d[i - 1] * l1[i - 1]) / d[i]
        l2[i] = B[2, i] / d[i]
        c[i] = z[i] - l1[i - 1] * c[i - 1] - l2[i - 2] * c[i - 2]
    inverse = np.zeros((3, n + 2, B.shape[2]))
    for i in reversed(range(n)):
        c[i] = c[i] / d[i] - l1[i] * c[i + 1] - l2[i] * c[i + 2]
        inverse[1, i] = -l1[i] * inverse[0, i + 1] - l2[i] * inverse[1, i + 1]
        inverse[2, i] = -l1[i] * inverse[1, i + 1] - l2[i] * inverse[0, i + 2]
        inverse[0, i] = 1 / d[i] - l1[i] * inverse[1, i] - l2[i] * inverse[2, i]
    return c[:n], inverse[:, :n]
