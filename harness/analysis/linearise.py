"""A fit near its optimum: standard errors, how close the gradient is to zero, conditioning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.estimator import Estimator

_EXACT = 1e-12  # residuals below this share of the observations are rounding errors
_COMPLEX_STEP = 1e-30


@dataclass(frozen=True, eq=False)
class Linearisation:
    """What the Jacobian of the weighted residuals says at an optimum.

    se: of the shared parameters. se_by_curve: (G,) for each per-curve parameter. Both are NaN
    where no degree of freedom is left, the Jacobian is singular, or the loss is not squares:
    the usual formula holds for no other. correlation: of shared parameters, or where there are
    none, of the parameters of each curve ("A/7e+09"). gradient_norm: largest cosine between a
    column of the Jacobian and rho'(r), 0 at an exact optimum. condition_number: of the Jacobian
    in the law's own free parameters, its columns scaled to length 1.
    """

    se: dict[str, float]
    se_by_curve: dict[str, NDArray[np.float64]]
    correlation: dict[tuple[str, str], float]
    gradient_norm: float
    condition_number: float


def linearise(
    estimator: Estimator, z: NDArray[np.float64], held: NDArray[np.bool_]
) -> Linearisation:
    """Linearise about z (M,); `held` (M,) marks coordinates on a bound.

    The gradient of a held coordinate need not vanish, and a fit with one has no errors.
    """
    M, G = estimator.size, estimator.G
    n = len(estimator.window.x)
    blocks, push = _triangles(estimator, z)
    independent = estimator.form.shared == 0
    own = estimator.form.own
    shared, by_curve = _published(estimator, z)
    free = [one.name for one in estimator.law.per_curve]
    if independent:
        groups = [np.arange(own) * G + i for i in range(G)]
    else:
        groups = [np.arange(M)]
        blocks = [np.vstack(blocks)]
    squares = sum(float((block[:, -1] ** 2).sum()) for block in blocks)
    dof = n - M
    known = estimator.loss.name == "squares" and dof > 0 and not held.any()
    se = dict.fromkeys(shared, np.nan)
    errors = {name: np.full(G, np.nan) for name in by_curve}
    correlation: dict[tuple[str, str], float] = {}
    lowest, highest = np.inf, 0.0
    for i, (block, places) in enumerate(zip(blocks, groups, strict=True)):
        J = block[:, :-1]
        outputs = np.vstack(
            [shared[name][places] for name in shared]
            + [d[i if independent else slice(None)][..., places] for d in by_curve.values()]
        )
        in_free = np.vstack(
            [shared[name][places] for name in shared]
            + [by_curve[name][i if independent else slice(None)][..., places] for name in free]
        )
        smallest, largest = _singular(J, in_free)
        lowest, highest = min(lowest, smallest), max(highest, largest)
        if not known:
            continue
        covariance = _covariance(J, outputs) * squares / dof
        spread = np.sqrt(np.diagonal(covariance))
        names = [*shared]
        if independent:
            names = list(by_curve)
            for name, error in zip(names, spread, strict=True):
                errors[name][i] = error
            tail = f"/{estimator.window.N[i]:g}"
        else:
            se = {name: float(error) for name, error in zip(names, spread, strict=False)}
            rest = spread[len(names) :].reshape(-1, G)
            errors = dict(zip(by_curve, rest, strict=True))
            tail = ""
        for a in range(len(names)):
            for b in range(a + 1, len(names)):
                r = covariance[a, b] / (spread[a] * spread[b])
                correlation[names[a] + tail, names[b] + tail] = float(r)
    return Linearisation(
        se=se,
        se_by_curve=errors,
        correlation=correlation,
        gradient_norm=_gradient_norm(estimator, push, held),
        condition_number=highest / lowest if lowest > 0 else float("inf"),
    )


@dataclass(frozen=True, eq=False)
class _Push:
    """Sums over all points: of column times rho' (M,), lengths of columns (M,) and of rho'."""

    sums: NDArray[np.float64]
    lengths: NDArray[np.float64]
    size: float
    exact: bool


def _triangles(
    estimator: Estimator, z: NDArray[np.float64]
) -> tuple[list[NDArray[np.float64]], _Push]:
    """For each curve the triangle of its Jacobian and residuals, (rows, columns + 1).

    The columns are all M coordinates, or those of the curve alone if none is shared.
    """
    P, own, G, M = estimator.form.shared, estimator.form.own, estimator.G, estimator.size
    blocks = []
    window, space = estimator.window, estimator.space
    root, push = np.sqrt(window.w), estimator.subgradient(z)
    push *= root
    sums, lengths, residual_size = np.zeros(M), np.zeros(M), 0.0
    ends = np.cumsum(estimator.window.n)
    for i, end in enumerate(ends):
        places = np.concatenate([np.arange(P), P + np.arange(own) * G + i]).astype(int)
        triangle = np.zeros((0, P + own + 1))
        for first in range(end - estimator.window.n[i], end, 1 << 14):
            part = slice(int(first), int(min(first + (1 << 14), end)))
            J, r = estimator.slopes(z, part)
            J *= root[part, None]
            r *= root[part]
            sums[places] += J.T @ push[part]
            lengths[places] += (J * J).sum(0)
            residual_size += float(r @ r)
            below = np.column_stack([J, r])
            triangle = np.asarray(np.linalg.qr(np.vstack([triangle, below]), mode="r"))
        if P:
            wide = np.zeros((len(triangle), M + 1))
            wide[:, places], wide[:, -1] = triangle[:, :-1], triangle[:, -1]
            triangle = wide
        blocks.append(triangle)
    observed_size = float((window.w * space.observed(window.L) ** 2).sum())
    exact = residual_size <= _EXACT**2 * observed_size
    return blocks, _Push(sums, np.sqrt(lengths), float(np.linalg.norm(push)), exact)


def _gradient_norm(estimator: Estimator, push: _Push, held: NDArray[np.bool_]) -> float:
    if push.exact or push.size == 0:
        return 0.0
    length = np.where(push.lengths > 0, push.lengths, np.inf)
    cosines = np.abs(push.sums) / (length * push.size)
    return float(cosines[~held].max(initial=0.0))


def _published(
    estimator: Estimator, z: NDArray[np.float64]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Derivatives of the published parameters by z: shared (M,), per-curve (G, M)."""
    M, G, own = estimator.size, estimator.G, estimator.form.own
    if estimator.form.shared:
        moved = z + 1j * _COMPLEX_STEP * np.eye(M)
        shared, by_curve = estimator.parameters(moved)
        return (
            {name: v.imag / _COMPLEX_STEP for name, v in shared.items()},
            {name: v.imag.T / _COMPLEX_STEP for name, v in by_curve.items()},
        )
    # Curves are independent, so one step moves the same coordinate of all of them.
    step = np.repeat(np.eye(own), G, axis=1)
    _, by_curve = estimator.parameters(z + 1j * _COMPLEX_STEP * step)
    wide = {}
    for name, values in by_curve.items():
        d = np.zeros((G, M))
        for q in range(own):
            d[np.arange(G), q * G + np.arange(G)] = values[q].imag / _COMPLEX_STEP
        wide[name] = d
    return {}, wide


def _covariance(J: NDArray[np.float64], outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the outputs, for residuals of variance 1; NaN if J (rows, M) is singular."""
    lengths = np.linalg.norm(J, axis=0)
    unknown = np.full((len(outputs), len(outputs)), np.nan)
    if not (lengths > 0).all() or not np.isfinite(outputs).all():
        return unknown
    _, values, Vt = np.linalg.svd(J / lengths, full_matrices=False)
    if len(values) < J.shape[1] or values[-1] <= values[0] * 1e-12:
        return unknown
    half = (outputs / lengths) @ (Vt.T / values)
    return np.asarray(half @ half.T)


def _singular(J: NDArray[np.float64], free: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and largest singular value of J in the parameters whose derivatives are `free`."""
    try:
        columns = J @ np.linalg.inv(free)
    except np.linalg.LinAlgError:
        return 0.0, 1.0
    lengths = np.linalg.norm(columns, axis=0)
    if not (lengths > 0).all() or not np.isfinite(lengths).all():
        return 0.0, 1.0
    values = np.linalg.svd(columns / lengths, compute_uv=False)
    return float(values[-1]), float(values[0])
