"""Profile likelihood: how far one parameter can move while all others make up for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis import newton
from harness.analysis.arguments import real
from harness.analysis.curves import Curves
from harness.analysis.estimator import NOISE, Problems
from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.analysis.estimator import Estimator
    from harness.analysis.fits import Fit

_WIDEST = 60.0  # e-folds, or steps of a standard error, after which an end counts as open
_EXACT = 1e-4  # of the statistic at an end
_GRID = 21
_DIFFERENCE = 1e-6
_COMPLEX_STEP = 1e-30


@dataclass(frozen=True, eq=False)
class ProfileInterval:
    """The profile of one shared parameter.

    values: (K,) of the parameter, ascending, from end to end and a little beyond. objective: (K,)
    the least F with the parameter held there. statistic: (K,) 2 (l_max - l), l the logarithm of
    the likelihood under the fit's loss; for squares n ln(F / F_min). low, high: where it reaches
    `limit`, the quantile of chi-squared with one degree of freedom; inf, -inf, or 0 for a positive
    parameter, where it never does. note: says what the reader has to know.
    """

    parameter: str
    level: float
    limit: float
    values: NDArray[np.float64]
    objective: NDArray[np.float64]
    statistic: NDArray[np.float64]
    low: float
    high: float
    note: str


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # steps too far give no value
def profile_likelihood(
    fit: Fit, curves: Curves, parameter: str, level: float = 0.95
) -> ProfileInterval:
    """The interval of one shared parameter of `fit` by its profile likelihood.

    `curves` are those that were fitted. The likelihood takes the points as independent, so that on
    learning curves the interval is too narrow; but unlike a standard error it is not symmetric and
    it knows of open ends. Raises DataError for a parameter that the law does not share, a level
    outside (0, 1), and a fit that leaves no residual.
    """
    if parameter not in fit.params:
        raise DataError(
            f"{fit.law} shares no parameter {parameter!r}",
            expected="one of " + ", ".join(fit.params) if fit.params else "a law that shares some",
            found=parameter,
            hint="take the name from `params` of the fit",
        )
    level = real("the level", level, above=0.0, below=1.0, hint="level=0.95")
    held = _Held(fit.estimator(Curves.of(curves)), fit, parameter)
    if fit.objective <= NOISE * held.estimator.scale:
        raise DataError(
            "the fit leaves no residual",
            expected="points that scatter about the law",
            found=f"objective {fit.objective:.1g}",
            hint="an exact fit has no likelihood to profile",
        )
    limit = NormalDist().inv_cdf((1 + level) / 2) ** 2
    low, high = (_end(held, side, limit) for side in (-1, 1))
    reach = [
        held.spot(end) if math.isfinite(end) else side * max(abs(held.seen[-1 if up else 0][0]), 1)
        for end, side, up in ((low, -1, False), (high, 1, True))
    ]
    for s in np.linspace(1.1 * reach[0], 1.1 * reach[1], _GRID):
        held.statistic(float(s))
    found = [(held.value_at(s), F) for s, F in held.seen if math.isfinite(F)]
    values, objective = np.array(found).T
    note = "points count as independent: on learning curves the interval is too narrow"
    best = float(objective.min())
    if best < fit.objective * (1 - 1e-6):
        note += f"; a lower optimum, by {1 - best / fit.objective:.1e}, stands off the fit"
    if held.positive and low == -math.inf:
        low = 0.0
    return ProfileInterval(
        parameter=parameter,
        level=level,
        limit=limit,
        values=values,
        objective=objective,
        statistic=np.array([held.of(F) for F in objective]),
        low=low,
        high=high,
        note=note,
    )


def _end(held: _Held, side: int, limit: float) -> float:
    """Where the statistic reaches `limit` on one side; -inf or inf if it never does."""
    inner, outer = 0.0, side * held.step
    while True:
        q = held.statistic(outer)
        if not math.isfinite(q):
            # Beyond a bound of the search there is nothing; on it there is.
            bound = held.at_bound(side)
            if bound is None or held.of(bound[1]) <= limit or abs(bound[0]) <= abs(inner):
                return side * math.inf
            outer = bound[0]
            break
        if q > limit:
            break
        if abs(outer) > _WIDEST * max(1.0, held.step if not held.positive else 1.0):
            return side * math.inf
        inner, outer = outer, 2 * outer
    return held.value_at(_crossing(held, inner, outer, limit))


def _crossing(held: _Held, inner: float, outer: float, limit: float) -> float:
    """The s between two where the root of the statistic, nearly linear, passes that of `limit`."""
    a, b = inner, outer
    fa = math.sqrt(max(held.statistic(a), 0.0)) - math.sqrt(limit)
    qb = held.statistic(b)
    fb = (math.sqrt(qb) if math.isfinite(qb) else 2 * math.sqrt(limit)) - math.sqrt(limit)
    kept = 0
    for _ in range(60):
        s = (a * fb - b * fa) / (fb - fa)
        q = held.statistic(s)
        f = (math.sqrt(max(q, 0.0)) if math.isfinite(q) else 2 * math.sqrt(limit)) - math.sqrt(
            limit
        )
        if abs(f) < _EXACT * math.sqrt(limit):
            return s
        # Illinois: an end that stays twice has its weight halved.
        if f < 0:
            a, fa = s, f
            fb = fb / 2 if kept == 1 else fb
            kept = 1
        else:
            b, fb = s, f
            fa = fa / 2 if kept == -1 else fa
            kept = -1
    return s


class _Held:
    """One published parameter held at a value, the others at their best.

    The parameter is moved by s: value = fitted exp(s) if it is positive, else fitted + s. The
    coordinate that stands at its place follows from the value and the other coordinates; its
    derivatives enter those of F by the chain rule.
    """

    def __init__(self, estimator: Estimator, fit: Fit, parameter: str) -> None:
        self.estimator, self.fit, self.name = estimator, fit, parameter
        self.j = list(fit.params).index(parameter)
        self.z = np.clip(estimator.coordinates_of(fit), estimator.lower, estimator.upper)
        self.fitted = fit.params[parameter]
        far = self.z.copy()
        far[self.j] = max(estimator.lower[self.j], far[self.j] - 1e3)
        self.positive = self.fitted > 0 and float(np.real(self._value(far))) >= 0
        error = fit.se.get(parameter, math.nan)
        size = abs(self.fitted) or 1.0
        error = error if math.isfinite(error) and error > 0 else 0.1 * size
        self.step = min(error / size, 1.0) if self.positive else error
        self.free = np.arange(estimator.size) != self.j
        self.known: dict[float, tuple[NDArray[np.float64], float]] = {0.0: (self.z, fit.objective)}

    @property
    def seen(self) -> list[tuple[float, float]]:
        """Every s with its F, ascending."""
        return sorted((s, F) for s, (_, F) in self.known.items())

    def value_at(self, s: float) -> float:
        """The parameter at s."""
        return self.fitted * math.exp(s) if self.positive else self.fitted + s

    def spot(self, value: float) -> float:
        """The inverse of `value_at`."""
        return math.log(value / self.fitted) if self.positive else value - self.fitted

    def of(self, F: float) -> float:
        """The statistic of an objective."""
        loss, delta, n = self.estimator.loss, self.estimator.delta, self.fit.n
        if not math.isfinite(F):
            return math.inf
        return 2 * (
            loss.log_likelihood(self.fit.objective, delta, n) - loss.log_likelihood(F, delta, n)
        )

    def statistic(self, s: float) -> float:
        """The statistic at s, from the nearest s that is known; inf beyond the bounds."""
        if s not in self.known:
            finite = [one for one, (_, F) in self.known.items() if math.isfinite(F)]
            near = min(finite, key=lambda one: abs(one - s))
            self.known[s] = self._least(self.known[near][0], self.value_at(s))
        return self.of(self.known[s][1])

    def at_bound(self, side: int) -> tuple[float, float] | None:
        """s and F with the coordinate of the parameter on its bound; None without one."""
        found = None
        for bound in (self.estimator.lower[self.j], self.estimator.upper[self.j]):
            if not math.isfinite(bound):
                continue
            z = self.z.copy()
            z[self.j] = bound
            end = self.estimator.minimise(z[None], held=~self.free)
            value = float(np.real(self._value(end.z[0])))
            if self.positive and value <= 0:
                continue
            s = self.spot(value)
            if s * side > 0:
                found = (s, float(end.F[0]))
        return found

    def _least(self, start: NDArray[np.float64], value: float) -> tuple[NDArray[np.float64], float]:
        """z and F of the best point with the parameter at `value`."""
        estimator = self.estimator
        z = start[None].copy()
        for h in estimator._smoothings(start)[-1:]:
            inner = estimator._objective(Problems(), h)

            def objective(
                w: NDArray[np.float64], rows: NDArray[np.intp], inner: newton.Objective = inner
            ) -> newton.Derivatives:
                whole = np.empty((len(w), estimator.size))
                whole[:, self.free] = w
                whole[:, self.j] = start[self.j]
                whole = np.stack([self._solved(one, value) for one in whole])
                F, g, H = inner(np.where(np.isfinite(whole), whole, start), rows)
                F = np.where(np.isfinite(whole).all(1), F, np.inf)
                c = np.stack([self._follows(one) for one in whole])
                by = np.stack(
                    [self._bends(one, slope) for one, slope in zip(whole, c, strict=True)]
                )
                j, free = self.j, self.free
                g_w = g[:, free] + g[:, j, None] * c
                H_w = H[:, free][:, :, free] + g[:, j, None, None] * by
                cross = c[:, :, None] * H[:, j][:, None, free]
                H_w += cross + cross.transpose(0, 2, 1)
                H_w += H[:, j, j, None, None] * c[:, :, None] * c[:, None, :]
                return F, g_w, H_w

            found = newton.minimise(
                objective,
                z[:, self.free],
                estimator.lower[self.free],
                estimator.upper[self.free],
                noise=np.full(1, NOISE * estimator.scale),
            )
            z[:, self.free] = found.z
        end = self._solved(z[0], value)
        if not np.isfinite(end).all() or not math.isfinite(found.F[0]):
            return start, math.inf
        return end, float(estimator.value(end[None])[0])

    def _value(self, z: NDArray[np.complex128] | NDArray[np.float64]) -> complex:
        return complex(self.estimator.parameters(z)[0][self.name])

    def _told(self, z: NDArray[np.complex128] | NDArray[np.float64]) -> complex:
        """The parameter, or its logarithm if it is positive."""
        value = self._value(z)
        return complex(np.log(value)) if self.positive else value

    def _slopes(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M,) derivatives of `_told`."""
        moved = z + 1j * _COMPLEX_STEP * np.eye(len(z))
        return np.array([self._told(one).imag for one in moved]) / _COMPLEX_STEP

    def _follows(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M - 1,) derivatives of the coordinate by the others, the parameter held."""
        slopes = self._slopes(z)
        return np.asarray(-slopes[self.free] / slopes[self.j])

    def _bends(self, z: NDArray[np.float64], c: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M - 1, M - 1) second derivatives; they only steer, so differences will do."""
        moved = np.repeat(z[None], len(c), axis=0)
        moved[:, self.free] += _DIFFERENCE * np.eye(len(c))
        moved[:, self.j] += _DIFFERENCE * c
        by = np.stack([(self._follows(one) - c) / _DIFFERENCE for one in moved])
        return (by + by.T) / 2

    def _solved(self, z: NDArray[np.float64], value: float) -> NDArray[np.float64]:
        """z with the coordinate that gives the parameter its value; NaN beyond the bounds."""
        low, high = self.estimator.lower[self.j], self.estimator.upper[self.j]
        wanted = math.log(value) if self.positive else value
        z = z.copy()
        for _ in range(100):
            miss = self._told(z).real - wanted
            if abs(miss) <= 1e-13 * max(1.0, abs(wanted)):
                return z
            at = z[self.j] - miss / self._slopes(z)[self.j]
            # A step over a bound goes halfway, unless there is no way left.
            if at <= low:
                at = (z[self.j] + low) / 2
            elif at >= high:
                at = (z[self.j] + high) / 2
            if at == z[self.j]:
                break
            z[self.j] = at
        close = abs(self._told(z).real - wanted) <= 1e-9 * max(1.0, abs(wanted))
        return z if close else np.full_like(z, math.nan)
