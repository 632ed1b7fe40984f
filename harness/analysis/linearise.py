"""The fit near its optimum: the full Jacobian, standard errors, gradient and conditioning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.profile import LN10

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.search import Search
    from harness.analysis.window import Window

_EXACT = 1e-12  # residuals below this share of the observations are rounding errors


@dataclass(frozen=True, eq=False)
class Linearisation:
    """All parameters at once, in the order: shared, then k of each curve, then E0 of each.

    covariance: (P + 2G, P + 2G), of rank p; NaN where no degree of freedom is left or the
    Jacobian is singular. gradient_norm: largest cosine between a column of the Jacobian and
    the residual, 0 at an exact optimum. condition_number: of the Jacobian in the law's own
    free parameters, its columns scaled to length 1.
    """

    covariance: NDArray[np.float64]
    gradient_norm: float
    condition_number: float
    p: int


def linearise(
    window: Window,
    space: str,
    k: NDArray[np.float64],
    c: NDArray[np.float64],
    search: Search | None,
    z: NDArray[np.float64] | None,
    held: NDArray[np.bool_] | None,
) -> Linearisation:
    """Linearise about lines k, c (G,); coordinates z (P,) of `search`, None for free lines.

    `held` (P,) marks coordinates on a bound, whose gradient need not vanish.
    """
    G = len(window.N)
    A, residual, scale = _points(window, space, k, c)
    # dE0 = dc + centre dk turns a line's level at its centre into its E0.
    to_E0 = np.block([[np.eye(G), np.zeros((G, G))], [np.diag(window.centre), np.eye(G)]])
    if search is None or z is None:
        to_lines, to_shared, free = np.eye(2 * G), np.zeros((0, 2 * G)), to_E0
    else:
        to_lines, to_shared = _shared_maps(search, z, G)
        free = to_shared
        if not search.law.shares_intercept:
            free = np.vstack([to_shared, (to_E0 @ to_lines)[G:]])
    J = A @ to_lines
    outputs = np.vstack([to_shared, to_E0 @ to_lines])
    dof = len(residual) - J.shape[1]
    return Linearisation(
        covariance=_covariance(J, outputs, residual, dof),
        gradient_norm=_gradient_norm(J, residual, scale, held),
        condition_number=_condition_number(J, free),
        p=J.shape[1],
    )


def _points(
    window: Window, space: str, k: NDArray[np.float64], c: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Weighted derivatives of the points by (k, c) (n, 2G), residuals (n,), their scale."""
    G = len(window.N)
    curve, place = np.nonzero(window.used)
    u = (window.u - window.centre[:, None])[curve, place]
    root = np.sqrt(window.w[curve, place])
    fitted, observed = c[curve] - k[curve] * u, window.L[curve, place]
    by_level = np.ones_like(u)
    if space == "linear":
        fitted = 10.0**fitted
        by_level = LN10 * fitted
    else:
        observed = np.log10(observed)
    A = np.zeros((len(u), 2 * G))
    rows = np.arange(len(u))
    A[rows, curve] = -root * by_level * u
    A[rows, G + curve] = root * by_level
    return A, root * (fitted - observed), float(np.linalg.norm(root * observed))


def _shared_maps(
    search: Search, z: NDArray[np.float64], G: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives of the lines (2G, p) and of the published parameters (P, p)."""
    P = len(z)
    D = search.jacobian(z)
    h = 1e-30
    published = np.stack(search.law.published(z + 1j * h * np.eye(P), search.N_ref)).imag / h
    if search.law.shares_intercept:
        return np.vstack([D[:, 0], D[:, 1]]), published
    to_lines = np.block([[D[:, 0], np.zeros((G, G))], [np.zeros((G, P)), np.eye(G)]])
    return to_lines, np.hstack([published, np.zeros((P, G))])


def _covariance(
    J: NDArray[np.float64],
    outputs: NDArray[np.float64],
    residual: NDArray[np.float64],
    dof: int,
) -> NDArray[np.float64]:
    lengths = np.linalg.norm(J, axis=0)
    if dof <= 0 or not (lengths > 0).all():
        return np.full((len(outputs), len(outputs)), np.nan)
    _, values, Vt = np.linalg.svd(J / lengths, full_matrices=False)
    if values[-1] <= values[0] * 1e-12:
        return np.full((len(outputs), len(outputs)), np.nan)
    half = (outputs / lengths) @ (Vt.T / values)
    return np.asarray(half @ half.T * (residual @ residual) / dof)


def _gradient_norm(
    J: NDArray[np.float64],
    residual: NDArray[np.float64],
    scale: float,
    held: NDArray[np.bool_] | None,
) -> float:
    size = float(np.linalg.norm(residual))
    if size <= _EXACT * scale:
        return 0.0
    cosines = np.abs(J.T @ residual) / (np.linalg.norm(J, axis=0) * size)
    if held is not None:
        cosines[: len(held)][held] = 0.0
    return float(cosines.max())


def _condition_number(J: NDArray[np.float64], free: NDArray[np.float64]) -> float:
    """Of J in the parameters whose derivatives by J's own are `free` (p, p)."""
    try:
        columns = J @ np.linalg.inv(free)
    except np.linalg.LinAlgError:
        return float("inf")
    lengths = np.linalg.norm(columns, axis=0)
    if not (lengths > 0).all() or not np.isfinite(lengths).all():
        return float("inf")
    values = np.linalg.svd(columns / lengths, compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else float("inf")
