"""Minimise the objective of any law, loss and space, for many weightings of one window at once.

The objective of one problem is

    F = sum_i w_i f_i rho(r_i) ,

w the window's weights (their sum is 1), f the problem's own factors (1 in a fit, a multiplicity
in a resample), r the residual in the fit's space and rho the loss.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis import newton
from harness.analysis.forms import form_of, points_of
from harness.analysis.losses import NEGLIGIBLE, get_loss, get_space
from harness.analysis.newton import Derivatives, Minima
from harness.analysis.polish import MOST_POINTS, balance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from harness.analysis.fits import Fit
    from harness.analysis.forms import Form
    from harness.analysis.laws import Law, Points
    from harness.analysis.window import Window

NOISE = 1e-14  # rounding error of a sum, relative to that of the observations
_CHUNK = 1 << 15  # numbers per array while derivatives are taken; larger ones leave the cache
_ONE_THREAD = 1 << 18  # products in one matrix product; more wake threads that mostly wait
_COMPLEX_STEP = 1e-30
_DIFFERENCE = 1e-6
_REFIT_0 = 1e-5  # smoothing of |r| in a refit; so few points are smoothed that F is met in 1e-7
_REFIT = 1e-11  # a refit ends with the step that is predicted to gain less than this
_ROUGH = 60  # iterations of a rough search
_ROUGHLY_0 = 1e-3  # smoothing of |r| at which it stops
_AMONG_MANY = 1e-4  # among many points so few are smoothed that F is met within 1e-8
_LAST_LEVELS = 5  # smoothings of |r| that a start near the optimum goes through
_FEW = 4  # from so many refits on, the model about their common start is worth its making
_MODEL_COORDINATES = 40  # and up to so many coordinates
_SHRINK = 0.3  # factor between one smoothing of the loss and the next; coarser, Newton may zigzag


@dataclass(frozen=True, eq=False)
class Problems:
    """What R problems on one window have of their own.

    factors: (R, K), how often each cluster of points counts; None for once. cluster: (n,) the
    cluster of each point; None where each point is one, K = n. observed: (R, n) in place of the
    window's y; None for those.
    """

    factors: NDArray[np.float64] | None = None
    cluster: NDArray[np.intp] | None = None
    observed: NDArray[np.float64] | None = None

    def weights(self, w: NDArray[np.float64], rows: Any, part: slice) -> NDArray[np.float64]:
        """Weights (r, n') of the points `part` in the problems `rows`, or (n',) if all the same."""
        if self.factors is None:
            return w[part]
        if self.cluster is None:
            return self.factors[rows, part] * w[part]
        return np.asarray(self.factors[rows][:, self.cluster[part]] * w[part])

    def y(self, y: NDArray[np.float64], rows: Any, part: slice) -> NDArray[np.float64]:
        """Observations (r, n') or (n',)."""
        return y[part] if self.observed is None else self.observed[rows, part]

    def only(self, rows: NDArray[np.intp]) -> Problems:
        """Some of the problems."""
        return Problems(
            None if self.factors is None else self.factors[rows],
            self.cluster,
            None if self.observed is None else self.observed[rows],
        )


class Estimator:
    """A law on a window under a loss in a space, ready to be minimised.

    Contract for callers that refit (resampling, profile likelihood, parametric bootstrap):

    - Coordinates z (..., M) are internal. `coordinates(params, by_curve)` makes them from
      published parameters, `parameters(z)` turns them back: two dictionaries, of shared
      parameters (...,) and of per-curve ones (..., G). Line laws give k and E0 of every curve,
      shared or not.
    - `minimise(z, Problems(...), held=...)` gives `Minima(z (R, M), F (R,), converged (R,))`.
      z (M,) is one start for all problems, which is the quick way to refit: give the full
      data's optimum. z (R, M) is a start for each.
    - `Problems(factors (R, K), cluster (n,))`: each point counts `factors[r, cluster[i]]` times.
      By curve: `cluster=window.curve`, factors (R, G). By a column of the table:
      codes[window.rows]. By point: no cluster, factors (R, n). A fit's own weights multiply them.
    - `held` (M,) or (R, M) booleans keep coordinates at their start.
    - A curve with factor 0 leaves its own parameters at their start: they mean nothing there.
    - Refits go downhill from their start and stay in its basin, so give the best optimum of the
      full data; `optimum.find(estimator).basins` holds the others.

    Nothing here is drawn at random, and memory does not grow with R beyond z and the Hessians.
    """

    def __init__(
        self, law: Law, window: Window, *, space: str, loss: str, delta: float | None
    ) -> None:
        self.law, self.window = law, window
        self.space, self.loss = get_space(space), get_loss(loss, delta)
        self.delta = 0.0 if delta is None else delta
        self.form: Form = form_of(law, window)
        self.G = len(window.N)
        self.lower, self.upper = self._whole(self.form.lower), self._whole(self.form.upper)

    def on(self, window: Window) -> Estimator:
        """The same problem on other points of the same curves, in the same coordinates."""
        one = self._copy()
        one.window = window
        return one

    def under(self, loss: str, delta: float | None) -> Estimator:
        """The same problem under another loss."""
        one = self._copy()
        one.loss, one.delta = get_loss(loss, delta), 0.0 if delta is None else delta
        return one

    def within(self, space: str) -> Estimator:
        """The same problem in another space."""
        one = self._copy()
        one.space = get_space(space)
        return one

    def _copy(self) -> Estimator:
        one = copy(self)
        for cached in ("scale", "_kept_points", "each_curve"):
            vars(one).pop(cached, None)
        return one

    @property
    def size(self) -> int:
        """M, the number of coordinates."""
        return self.form.shared + self.form.own * self.G

    @cached_property
    def scale(self) -> float:
        """F of the observations themselves: what rounding errors are relative to."""
        observed = self.space.observed(self.window.L)
        return float((self.window.w * self.loss.value(observed, self.delta)).sum())

    def parameters(self, z: NDArray[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Published parameters of z (..., M): shared (...,), per-curve (..., G)."""
        return self.form.published(z)

    def coordinates(self, params: dict[str, Any], by_curve: dict[str, Any]) -> NDArray[Any]:
        """z (..., M) of shared parameters (...,) and per-curve ones (..., G)."""
        return self.form.coordinates(params, by_curve)

    def coordinates_of(self, fit: Fit) -> NDArray[np.float64]:
        """z (M,) of a fit of this law to these curves."""
        by_curve = {
            name: np.array([values[float(N)] for N in self.window.N])
            for name, values in fit.by_curve.items()
        }
        return self.form.coordinates(fit.params, by_curve)

    def predicted(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """The law at the window's points: (..., n) for z (..., M)."""
        whole = slice(0, len(self.window.x))
        return self.form.value(self._local(z, self._points(whole)), self._points(whole))

    def predicted_at(
        self, z: NDArray[np.float64], x: NDArray[np.float64], curve: int
    ) -> NDArray[np.float64]:
        """The law at x (m,) on one of the window's curves: (..., m) for z (..., M)."""
        m = len(x)
        there = replace(
            self.window,
            x=x,
            L=np.ones(m),
            w=np.ones(m),
            curve=np.full(m, curve),
            rows=np.arange(m),
        )
        at = points_of(there, self.form.scale)
        return self.form.value(self._local(z, at), at)

    def value(self, z: NDArray[np.float64], problems: Problems | None = None) -> Any:
        """F (R,) of z (R, M), with the loss itself where the search has smoothed it."""
        problems = problems or Problems()
        F = np.zeros(len(z))
        for rows, part, at in self._pieces(np.arange(len(z))):
            y = problems.y(self.window.L, rows, part)
            r = self.space.residual(self.form.value(self._local(z[rows], at), at), y)
            w = problems.weights(self.window.w, rows, part)
            F[rows] += (w * self.loss.value(r, self.delta)).sum(-1)
        return F

    def slopes(
        self, z: NDArray[np.float64], part: slice
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Derivatives of the residuals by local coordinates (n', local), and residuals (n',), at
        z (M,) and the points `part`.
        """
        at = self._points(part)
        f, J, _ = self._derivatives(z[None], at, rough=True)
        by_f, _ = self.space.slopes(f, at.y)
        columns = [np.broadcast_to(by_f * one, f.shape)[0] for one in J]
        return np.stack(columns, axis=1), self.space.residual(f, at.y)[0]

    def subgradient(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """rho' of the residuals (n,) at z (M,); for LAD, of the subgradients there are, the one
        that comes nearest to balance.
        """
        if self.form.shared == 0 and self.G > 1:
            places = np.arange(self.form.own) * self.G
            parts = [one.subgradient(z[places + i]) for i, (one, _) in enumerate(self.each_curve)]
            return np.concatenate(parts)
        if self.loss.name == "lad" and len(self.window.x) <= MOST_POINTS:
            return balance(self, z)
        r = self.space.residual(self.predicted(z), self.window.L)
        return self.loss.smooth(r, self._smoothings(z)[-1])[1]

    def minimise(
        self,
        z: NDArray[np.float64],
        problems: Problems | None = None,
        *,
        held: NDArray[np.bool_] | None = None,
        decrease: float = _REFIT,
        rough: bool = False,
        near: bool = False,
    ) -> Minima:
        """The optimum of each problem, downhill from z; see the class for shapes.

        `rough` stops early and, where the law has no exact derivatives, goes without second ones:
        enough to tell one basin from another. `near` says that z is close to the optimum, so that
        a kinked loss need not be approached through smoother ones.
        """
        problems = problems or Problems()
        if self.form.shared == 0 and self.G > 1:
            return self._minimise_each(
                z, problems, held=held, decrease=decrease, rough=rough, near=near
            )
        given = (problems.factors, problems.observed, z if z.ndim == 2 else None, held)
        R = max([1] + [len(one) for one in given if one is not None and one.ndim == 2])
        fixed = None if held is None else np.broadcast_to(held, (R, self.size))
        levels = self._smoothings(z, rough=rough, refit=decrease >= _REFIT)
        if near:
            levels = levels[-(1 if self.loss.needs_delta else _LAST_LEVELS) :]
        common = z.ndim == 1
        z = np.array(np.broadcast_to(z, (R, self.size)))
        noise = self._noise(problems, R)
        if common and R >= _FEW and self.size <= _MODEL_COORDINATES and problems.observed is None:
            z = self._near(z, problems, noise, fixed, levels[-1])
            levels = levels[-1:]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for h in levels:
                last = h == levels[-1]
                found = newton.minimise(
                    self._objective(problems, h, rough=rough),
                    z,
                    self.lower,
                    self.upper,
                    noise=noise,
                    fixed=fixed,
                    decrease=decrease if last else 1e-3,
                    iterations=_ROUGH if rough or near else newton.MAX_ITERATIONS,
                )
                z = found.z
            F = self.value(z, problems) if self.loss.name == "lad" else found.F
        return Minima(z, F, found.converged)

    def _minimise_each(
        self,
        z: NDArray[np.float64],
        problems: Problems,
        **options: Any,
    ) -> Minima:
        """Curves that share no parameter are problems of their own."""
        ends = []
        held = options.pop("held")
        for i, (one, part) in enumerate(self.each_curve):
            places = np.arange(self.form.own) * self.G + i
            factors, cluster, observed = problems.factors, problems.cluster, problems.observed
            own = Problems(
                factors[:, part] if factors is not None and cluster is None else factors,
                None if cluster is None else cluster[part],
                None if observed is None else observed[:, part],
            )
            kept = None if held is None else held[..., places]
            ends.append(one.minimise(z[..., places], own, held=kept, **options))
        F, converged = sum(end.F for end in ends), np.all([end.converged for end in ends], axis=0)
        by_curve = np.stack([end.z for end in ends], axis=-1)
        return Minima(by_curve.reshape(len(by_curve), -1), np.asarray(F), converged)

    @cached_property
    def each_curve(self) -> list[tuple[Estimator, slice]]:
        """For a law that shares nothing: an estimator for each curve, and where its points are."""
        alone = []
        ends = np.cumsum(self.window.n)
        for i, end in enumerate(ends):
            part = slice(int(end - self.window.n[i]), int(end))
            one = self._copy()
            one.window, one.G = self.window.only(i), 1
            one.form = self.form.only(i, one.window)
            one.lower, one.upper = self.form.lower, self.form.upper
            alone.append((one, part))
        return alone

    def _noise(self, problems: Problems, R: int) -> NDArray[np.float64]:
        if problems.factors is None:
            return np.full(R, NOISE * self.scale)
        each = self.window.w * self.loss.value(self.space.observed(self.window.L), self.delta)
        if problems.cluster is not None:
            clusters = problems.factors.shape[1]
            each = np.asarray(np.bincount(problems.cluster, each, clusters), dtype=np.float64)
        return np.asarray(NOISE * (problems.factors @ each) + np.finfo(float).tiny)

    def _smoothings(
        self, z: NDArray[np.float64], *, rough: bool = False, refit: bool = False
    ) -> list[float]:
        """Smoothings to go through, from the size of the residuals down to the loss itself."""
        if not self.loss.smoothed:
            return [0.0]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            at = self.predicted(z.reshape(-1, self.size)[0])
            r = np.abs(self.space.residual(at, self.window.L))
        usual = float((self.window.w * r).sum()) if np.isfinite(r).all() else 1.0
        observed = float((self.window.w * np.abs(self.space.observed(self.window.L))).sum())
        share = _ROUGHLY_0 if rough else _REFIT_0 if refit else NEGLIGIBLE
        if len(self.window.x) > MOST_POINTS:
            share = _AMONG_MANY
        last = self.delta or max(share * usual, 1e-13 * observed, np.finfo(float).tiny)
        levels = [last]
        while levels[-1] < usual:
            levels.append(levels[-1] / _SHRINK)
        return levels[::-1]

    # What follows takes derivatives; F, g and H are in coordinates z.

    def _objective(self, problems: Problems, h: float, *, rough: bool = False) -> newton.Objective:
        def evaluate(z: NDArray[np.float64], rows: NDArray[np.intp]) -> Derivatives:
            R, M = z.shape
            F, g, H = np.zeros(R), np.zeros((R, M)), np.zeros((R, M, M))
            for places, part, at in self._pieces(np.arange(R)):
                y = problems.y(self.window.L, rows[places], part)
                w = problems.weights(self.window.w, rows[places], part)
                f, J, second = self._derivatives(z[places], at, rough=rough)
                r = self.space.residual(f, y)
                by_f, by_ff = self.space.slopes(f, y)
                rho, first, bend = self.loss.smooth(r, h)
                F[places] += (w * rho).sum(-1)
                g1 = w * first
                g2 = w * bend * by_f * by_f
                if by_ff is not None:
                    g2 += g1 * by_ff
                g1 *= by_f
                self._assemble(g[places], H[places], at, g1, g2, J, second)
            lower = np.tril_indices(M, -1)
            H[:, lower[0], lower[1]] = H[:, lower[1], lower[0]]
            return F, g, H

        return evaluate

    def _assemble(
        self,
        g: NDArray[np.float64],
        H: NDArray[np.float64],
        at: Points,
        g1: NDArray[np.float64],
        g2: NDArray[np.float64],
        J: list[Any],
        second: Any,
    ) -> None:
        """Add what some points give to g and the upper triangle of H."""
        P, G = self.form.shared, self.G
        curves, firsts = np.unique(at.curve, return_index=True)

        def place(j: int) -> Any:
            return j if j < P else P + (j - P) * G + curves

        def total(values: NDArray[np.float64], j: int) -> NDArray[np.float64]:
            if j < P:
                return np.asarray(values.sum(-1))
            return np.asarray(np.add.reduceat(values, firsts, axis=-1))

        for i in range(len(J)):
            g[:, place(i)] += total(g1 * J[i], i)
            bent = g2 * J[i]
            for j in range(i, len(J)):
                term = bent * J[j]
                if (i, j) in second:
                    term += g1 * second[i, j]
                H[:, place(i), place(j)] += total(term, j)

    def _derivatives(
        self, z: NDArray[np.float64], at: Points, *, rough: bool = False
    ) -> tuple[NDArray[np.float64], list[Any], Any]:
        local = self._local(z, at)
        exact = self.form.derivatives(local, at)
        if exact is not None:
            f, J, second = exact
            return f, J, second
        f, J = self._complex_step(local, at)
        second = {}
        for j in range(0 if rough else len(local)):
            # Second derivatives only steer the step, so differences will do.
            moved = [*local[:j], local[j] + _DIFFERENCE, *local[j + 1 :]]
            _, nearby = self._complex_step(moved, at, last=j)
            for i in range(j + 1):
                second[i, j] = (nearby[i] - J[i]) / _DIFFERENCE
        return f, J, second

    def _complex_step(
        self, local: list[NDArray[np.float64]], at: Points, last: int | None = None
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """f and its derivatives by each local coordinate, up to the `last`."""
        J = []
        f = None
        for j in range(len(local) if last is None else last + 1):
            moved = [*local[:j], local[j] + 1j * _COMPLEX_STEP, *local[j + 1 :]]
            f = self.form.value(moved, at)
            J.append(f.imag / _COMPLEX_STEP)
        assert f is not None
        return f.real, J

    def _near(
        self,
        z: NDArray[np.float64],
        problems: Problems,
        noise: NDArray[np.float64],
        fixed: NDArray[np.bool_] | None,
        h: float,
    ) -> NDArray[np.float64]:
        """Refits from a common start, in residuals that are quadratic about it.

        Every derivative of that model is a product of the weights with tables that all problems
        share, so that most of the way costs a few products of matrices.
        """
        model = _Model(self, z[0])
        levels = [h] if self.loss.name != "lad" else self._smoothings(z[0])
        step = np.zeros_like(z)
        lower, upper = self.lower - z[0], self.upper - z[0]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for level in levels:
                step = newton.minimise(
                    model.objective(problems, level),
                    step,
                    lower,
                    upper,
                    noise=noise,
                    fixed=fixed,
                    decrease=1e-6,
                ).z
        return np.asarray(z[0] + step)

    # Coordinates and points in pieces.

    def _whole(self, local: NDArray[np.float64]) -> NDArray[np.float64]:
        P = self.form.shared
        return np.concatenate([local[:P], np.repeat(local[P:], self.G)])

    def _local(self, z: NDArray[np.float64], at: Points) -> list[NDArray[np.float64]]:
        P, G = self.form.shared, self.G
        local = [z[..., j, None] for j in range(P)]
        if G == 1:
            return local + [z[..., P + q, None] for q in range(self.form.own)]
        return local + [z[..., P + q * G + at.curve] for q in range(self.form.own)]

    def _pieces(self, rows: NDArray[np.intp]) -> Iterator[tuple[slice, slice, Points]]:
        """Problems and points in pieces that fit the cache: places in `rows`, points, both."""
        n = len(self.window.x)
        points = min(n, _CHUNK)
        problems = max(1, _CHUNK // points)
        for first in range(0, n, points):
            part = slice(first, min(first + points, n))
            at = self._points(part)
            for start in range(0, len(rows), problems):
                yield slice(start, min(start + problems, len(rows))), part, at

    def _points(self, part: slice) -> Points:
        key = (part.start, part.stop)
        if key not in self._kept_points:
            self._kept_points[key] = points_of(self.window, self.form.scale, part)
        return self._kept_points[key]

    @cached_property
    def _kept_points(self) -> dict[tuple[int, int], Points]:
        return {}


class _Model:
    """Residuals about one point, to second order: r = r0 + J s + s H s / 2."""

    def __init__(self, estimator: Estimator, z: NDArray[np.float64]) -> None:
        window, self.loss = estimator.window, estimator.loss
        M, n = estimator.size, len(window.x)
        P, G = estimator.form.shared, estimator.G
        self.w = window.w
        upper = np.triu_indices(M)
        self.pairs = upper
        r0, J, H = np.zeros(n), np.zeros((n, M)), np.zeros((n, M, M))
        for _, part, at in estimator._pieces(np.arange(1)):
            f, by, second = estimator._derivatives(z[None], at)
            r0[part] = estimator.space.residual(f, at.y)[0]
            by_f, by_ff = estimator.space.slopes(f, at.y)
            points = np.arange(part.start, part.stop)

            def place(j: int, at: Points = at) -> Any:
                return j if j < P else P + (j - P) * G + at.curve

            for i, one in enumerate(by):
                J[points, place(i)] = np.broadcast_to(by_f * one, f.shape)[0]
                for j in range(i, len(by)):
                    term = by_f * second.get((i, j), 0.0)
                    if by_ff is not None:
                        term = term + by_ff * one * by[j]
                    term = np.broadcast_to(term, f.shape)[0]
                    H[points, place(i), place(j)] = term
                    H[points, place(j), place(i)] = term
        self.r0 = r0
        half = np.where(upper[0] == upper[1], 0.5, 1.0)
        self.tables = np.hstack([J, H[:, upper[0], upper[1]] * half]).T.copy()
        self.squares = J[:, upper[0]] * J[:, upper[1]]

    def objective(self, problems: Problems, h: float) -> newton.Objective:
        """F of the model, with its gradient and a Hessian good enough to steer by."""
        a, b = self.pairs
        n = len(self.r0)
        many = _ONE_THREAD // (n * len(self.tables))
        if many < _FEW:
            many = max(1, _CHUNK // n)

        def evaluate(s: NDArray[np.float64], rows: NDArray[np.intp]) -> Derivatives:
            R, M = s.shape
            F, sums = np.empty(R), np.empty((R, len(self.tables)))
            bends = np.empty((R, len(a)))
            moved = np.hstack([s, s[:, a] * s[:, b]])
            for start in range(0, R, many):
                part = slice(start, start + many)
                w = problems.weights(self.w, rows[part], slice(0, n))
                r = moved[part] @ self.tables
                r += self.r0
                rho, first, second = self.loss.smooth(r, h)
                F[part] = (w * rho).sum(-1)
                first *= w
                second *= w
                np.matmul(first, self.tables.T, out=sums[part])
                np.matmul(second, self.squares, out=bends[part])
            H = np.zeros((R, M, M))
            H[:, a, b] = sums[:, M:]
            H += H.transpose(0, 2, 1)  # the diagonal was halved in the tables
            g = sums[:, :M] + (H @ s[..., None])[..., 0]
            upper = np.zeros((R, M, M))
            upper[:, a, b] = bends
            upper[:, b, a] = bends
            return F, g, H + upper

        return evaluate
