"""Fit a law to curves, to convergence, with a certificate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.certificate import Certificate, certify
from harness.analysis.curves import ONE_CURVE, Curves
from harness.analysis.estimator import NOISE, Estimator
from harness.analysis.forms import evaluate
from harness.analysis.laws import FormulaLaw, SharedSlopeLaw, get_law
from harness.analysis.linearise import linearise
from harness.analysis.optimum import find
from harness.analysis.smoothed_values import refuse_remembered
from harness.analysis.window import Selection
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from harness.analysis.laws import Law
    from harness.analysis.optimum import Optimum
    from harness.analysis.window import Window

_SAME = 1e-6  # relative difference of objectives of one fit on one table


@dataclass(frozen=True)
class Fit:
    """A law fitted to a window of curves.

    params: shared parameters by name (K_max dimensionless, N0 in model parameters).
    by_curve: parameters of every curve, by the value of `group`: "k" and "E0" for laws of
    straight lines, whether or not they are shared (E0 is log10 L at X = 1), and for other laws
    whatever is free for each curve.
    se, se_by_curve: least-squares standard errors, which take the points as independent and
    so understate by several times on learning curves: resample for intervals. NaN where a
    parameter is on a bound, no degree of freedom is left, or the loss is not squares.
    objective: weighted mean of the loss of the residuals in `space`; the weights sum to 1, and
    with `per_curve` every curve has the same share. r2: pooled over all points, unweighted, in
    L whatever the space; it mostly says that sizes differ, so it is never shown without
    r2_by_curve. NaN where the points do not vary. r2_log_by_curve: of ln L, for papers that fit
    lines to logarithms; NaN where a point or the law is not positive. bic: (p + 1) ln n -
    2 ln(likelihood of y), normal for squares, Laplace for LAD, for Huber the density proportional
    to exp(-rho/s), each with its most likely scale; the points count as independent and equally
    weighted in total.
    """

    law: str
    law_version: int
    x: str
    y: str
    group: str
    weights: str
    space: str
    drop_first: int
    drop_last: int
    params: dict[str, float]
    by_curve: dict[str, dict[float, float]]
    se: dict[str, float]
    se_by_curve: dict[str, dict[float, float]]
    correlation: dict[tuple[str, str], float]
    n: int
    p: int
    dof: int
    objective: float
    r2: float
    r2_by_curve: dict[float, float]
    certificate: Certificate
    loss: str = "squares"
    delta: float | None = None
    run: str | None = None
    bic: float = float("nan")
    r2_log_by_curve: dict[float, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Law, shared parameters, size and flags: what a person wants of a fit at a prompt."""
        params = [f"{name}={value:.6g}" for name, value in self.params.items()]
        curves = len(self.r2_by_curve)
        counted = f"{self.n} points of {curves} curve" + "s" * (curves != 1)
        flags = ", ".join(self.certificate.flags) or "no flags"
        return f"<Fit {'; '.join([' '.join([self.law, *params]), counted, flags])}>"

    @property
    def selection(self) -> Selection:
        """How rows become this fit's window."""
        return _selection(
            get_law(self.law),
            x=self.x,
            y=self.y,
            group=self.group,
            weights=self.weights,
            space=self.space,
            drop_first=self.drop_first,
            drop_last=self.drop_last,
            loss=self.loss,
            delta=self.delta,
            run=self.run,
        )

    def estimator(self, curves: Any) -> Estimator:
        """This fit's problem on the curves that were fitted, to be minimised again.

        Its optimum there is `estimator.coordinates_of(fit)`. Raises DataError for curves that are
        not those: of other sizes or length, or of another objective at this fit.
        """
        estimator = self._problem(curves)
        window = estimator.window
        found = f"{len(window.x)} points of {len(window.N)} curves"
        same = len(window.x) == self.n and list(window.N) == list(self.r2_by_curve)
        if same:
            objective = float(estimator.value(estimator.coordinates_of(self)[None])[0])
            room = _SAME * self.objective + NOISE * estimator.scale
            # Where a parameter has left the numbers nothing can be compared.
            same = not abs(objective - self.objective) > room
            found += f", whose objective is {objective:.6g}"
        if not same:
            raise DataError(
                "these are not the curves that were fitted",
                expected=f"{self.n} points of {len(self.r2_by_curve)} curves, whose objective at "
                f"this fit is {self.objective:.6g}",
                found=found,
                hint="give the table that the fit was made to; a fit of other curves: fit(...)",
            )
        return estimator

    def _problem(self, curves: Any) -> Estimator:
        window = self.selection.window(Curves.of(curves))
        return _estimator(get_law(self.law), window, self.selection)

    def slope(self, N: float) -> float:
        """k at size N; DataError where the law has none for a size that was not fitted."""
        if N in self._lines("k"):
            return self.by_curve["k"][N]
        law = get_law(self.law)
        if not isinstance(law, SharedSlopeLaw):
            raise self._unknown("k", N)
        return float(law.slope(np.array(law.coordinates(self.params, N)), np.array([N]), N)[0])

    def intercept(self, N: float) -> float:
        """E0 at size N; DataError where the law has none for a size that was not fitted."""
        if N in self._lines("E0"):
            return self.by_curve["E0"][N]
        law = get_law(self.law)
        if not (isinstance(law, SharedSlopeLaw) and law.shares_intercept):
            raise self._unknown("E0", N)
        return float(law.intercept(np.array(law.coordinates(self.params, N)), np.array([N]), N)[0])

    def predict(self, x: ArrayLike, N: ArrayLike | None = None) -> NDArray[np.float64]:
        """y at X = x for models of N parameters; x and N broadcast against each other. A fit of
        one curve needs no N.

        Raises DataError for an N of which a parameter of the law is not known, or that is no size,
        and for an x of which the law takes no value.
        """
        if N is None:
            N = self._only()
        self._check_places(np.asarray(x, dtype=float), np.asarray(N, dtype=float))
        at, sizes = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(N, dtype=float))
        distinct, which = np.unique(sizes, return_inverse=True)
        which = which.reshape(at.shape)
        law = get_law(self.law)
        if isinstance(law, FormulaLaw):
            own = {one.name: self._own(one.name, distinct)[which] for one in law.per_curve}
            return evaluate(law, self.params, own, at, sizes)
        k = np.array([self.slope(float(size)) for size in distinct])
        E0 = np.array([self.intercept(float(size)) for size in distinct])
        return np.asarray(10.0 ** (E0[which] - k[which] * np.log10(at)))

    def _check_places(self, x: NDArray[np.float64], N: NDArray[np.float64]) -> None:
        """Refuse what has no logarithm where the law takes one."""
        law = get_law(self.law)
        takes_log_x = not isinstance(law, FormulaLaw) or law.takes_log_x
        bad_x = x <= 0 if takes_log_x else x < 0
        bad_N = (N <= 0) & (law.min_curves > 1)
        for name, values, bad in ((self.x, x, bad_x), (self.group, N, bad_N)):
            bad = bad | np.isinf(values)
            if bad.any():
                raise DataError(
                    f"the law {self.law} has no value at {name}={float(values[bad].flat[0]):g}",
                    expected=f"{name} finite and above 0"
                    + ("" if takes_log_x or name != self.x else ", or 0"),
                    found=f"{int(bad.sum())} of {values.size} values that are not",
                    hint=f"leave them out; the fit knows {self.group} "
                    + ", ".join(f"{size:g}" for size in self.r2_by_curve),
                )

    def objective_ratio(
        self,
        curves: Any,
        params: Mapping[str, float],
        by_curve: Mapping[str, Mapping[float, float]],
    ) -> float:
        """F(this fit)/F(given) - 1: above 0 where the given parameters are better than this fit.

        `curves` are those that were fitted. `params` and `by_curve` hold what this law leaves
        free, and all of it: a level found here instead would make the comparison laxer. Raises
        DataError that names what is missing, or what the fit does not have.
        """
        estimator = self._problem(curves)
        self._check_complete(estimator.law, estimator.window, params, by_curve)
        own = {
            name: np.array([at[float(N)] for N in estimator.window.N])
            for name, at in by_curve.items()
        }
        z = estimator.coordinates(dict(params), own)
        given = float(estimator.value(z[None])[0])
        if given == 0.0:
            return 0.0 if self.objective == 0.0 else float("inf")
        return self.objective / given - 1.0

    def _lines(self, name: str) -> dict[float, float]:
        """k or E0 by curve; DataError for a law whose curves are no lines."""
        if name in self.by_curve:
            return self.by_curve[name]
        raise DataError(
            f"the law {self.law} has no {name}",
            expected="a law of straight lines in logarithms, e.g. loglinear_kn",
            found=get_law(self.law).formula,
            hint="use `predict`",
        )

    def _only(self) -> float:
        if len(self.r2_by_curve) == 1:
            return next(iter(self.r2_by_curve))
        raise DataError(
            f"predict does not know for which {self.group}",
            expected=f"a value of {self.group} for each x",
            found=f"{len(self.r2_by_curve)} curves",
            hint="predict(x, N)",
        )

    def _own(self, name: str, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        known = self.by_curve[name]
        for N in sizes:
            if float(N) not in known:
                raise self._unknown(name, float(N))
        return np.array([known[float(N)] for N in sizes])

    def _unknown(self, name: str, N: float) -> DataError:
        known = ", ".join(f"{size:g}" for size in self.r2_by_curve)
        return DataError(
            f"the law {self.law} has no {name} for {self.group}={N:g}",
            expected=f"one of the fitted {self.group}: {known}",
            found=f"{N:g}",
            hint="calibrate on that curve's own points, or fit a law that shares "
            f"{name}, e.g. loglinear_kn_e0",
        )

    def _check_complete(
        self,
        law: Law,
        window: Window,
        params: Mapping[str, float],
        by_curve: Mapping[str, Mapping[float, float]],
    ) -> None:
        shared = [one.name for one in law.shared]
        single = [(one.name, float(N)) for one in law.per_curve for N in window.N]
        given = [(name, N) for name, values in by_curve.items() for N in values]
        missing = _told(set(shared) - set(params), set(single) - set(given), self.group)
        foreign = _told(set(params) - set(shared), set(given) - set(single), self.group)
        if missing or foreign:
            first = missing or foreign
            raise DataError(
                f"{first[0]} is {'not given' if missing else 'no parameter of this fit'}",
                expected=f"all parameters of {law.name} and no others: " + law.formula,
                found=("no " if missing else "") + ", ".join(first),
                hint="add them" if missing else "take them out",
            )


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # told by flags
def fit(
    curves: Any,
    law: str = "loglinear_kn",
    *,
    x: str = "C",
    y: str = "ErrRate",
    group: str | None = "N",
    weights: str = "per_curve",
    space: str = "linear",
    loss: str = "squares",
    delta: float | None = None,
    run: str | None = None,
    drop_first: int = 0,
    drop_last: int = 0,
) -> Fit:
    """Fit `law` to `curves`, a table of any kind that `Curves.of` takes.

    The rows of one value of `group` are a curve, and all rows are one where `group` is None, which
    takes a law that can do without N; its parameters then stand under curve 1. `run` names the
    column that tells several runs of one curve apart. `weights`: "per_curve" gives every curve the
    same total weight, "per_point" every point. `space`: residuals of L ("linear"), of log10 L
    ("log10") or of L relative to the point ("relative"). `loss`: "squares", "huber" with `delta` in
    units of the space, or "lad". `drop_first`, `drop_last`: rows that each curve, or each run of
    it, loses at its ends, in the order of `x`. What is linear in a law has a closed form; the rest
    is searched from many starts and polished by Newton's method.

    Raises SuiteError for an unknown law or option, DataError for data that the law cannot
    be fitted to.
    """
    table = Curves.of(curves)
    chosen = get_law(law)
    selection = _selection(
        chosen,
        x=x,
        y=y,
        group=_grouped(table, group),
        weights=weights,
        space=space,
        drop_first=drop_first,
        drop_last=drop_last,
        loss=loss,
        delta=delta,
        run=run,
    )
    window = selection.window(table)
    refuse_remembered(y, window.L, window.curve)
    refuse_remembered(x, window.x, window.curve)
    if len(window.N) < chosen.min_curves:
        raise DataError(
            f"{law} cannot be told from {len(window.N)} curve(s)",
            expected=f"{chosen.min_curves} or more distinct "
            + ("N, in a column of its own" if selection.group == ONE_CURVE else selection.group),
            found=", ".join(f"{selection.group}={N:g}" for N in window.N),
            hint="select more curves, or fit a law that has none of them in common: loglinear, "
            "power, saturating_power, sigmoid",
        )
    estimator = _estimator(chosen, window, selection)
    if len(window.x) < estimator.size:
        raise DataError(
            f"{law} has more parameters than there are points",
            expected=f"{estimator.size} points or more",
            found=f"{len(window.x)}",
            hint="keep more rows, or fit a law with fewer parameters",
        )
    optimum = find(estimator)
    if not np.isfinite(optimum.F):
        raise DataError(
            f"no start of {law} gives a finite objective",
            expected=f"{y} that {law} can take in the space {space}",
            found=f"{y} from {window.L.min():g} to {window.L.max():g}",
            hint="look at the points; a loss or space that fits them may be another",
        )
    return _result(estimator, optimum, selection)


def _grouped(table: Curves, group: str | None) -> str:
    """The column that tells curves apart; one that all rows share where none does."""
    if group is not None:
        if group not in table.names:
            known = ", ".join(table.names)
            raise DataError(
                f"the curves have no column {group!r}",
                expected=f"a column that tells curves apart: one of {known}",
                found=group,
                hint="name it with `group`; group=None (--one-curve) takes all rows for one curve",
            )
        return group
    if ONE_CURVE in table.names:
        raise DataError(
            f"the table has a column {ONE_CURVE!r}, but is to be one curve",
            expected=f"no column {ONE_CURVE!r} where group is None",
            found=", ".join(table.names),
            hint=f"fit each of its curves with group={ONE_CURVE!r}, or rename the column",
        )
    return ONE_CURVE


def _selection(law: Law, **options: Any) -> Selection:
    """How rows become a window of `law`."""
    ties = law.min_curves > 1  # then it does so by N, of which no law can do without the logarithm
    if not isinstance(law, FormulaLaw):
        return Selection(**options, takes_sizes=ties)
    own = len(law.per_curve)
    return Selection(
        **options,
        takes_sizes=ties,
        takes_log_x=law.takes_log_x,
        takes_log_y=False,
        min_points=max(2, own) if own else 1,
    )


def _estimator(law: Law, window: Window, selection: Selection) -> Estimator:
    return Estimator(law, window, space=selection.space, loss=selection.loss, delta=selection.delta)


def _result(estimator: Estimator, optimum: Optimum, selection: Selection) -> Fit:
    law, window = estimator.law, estimator.window
    near = linearise(estimator, optimum.z, optimum.held)
    shared, by_curve = estimator.parameters(optimum.z)
    params = {name: float(value) for name, value in shared.items()}
    own = {name: _by_size(window, values) for name, values in by_curve.items()}
    # The line of one curve through its own points has k and E0 correlated whatever the data.
    lines = not (shared or isinstance(law, FormulaLaw))
    correlation = {} if lines else near.correlation
    fitted = estimator.predicted(optimum.z)
    r2, r2_by_curve = _r2(window, window.L, fitted)
    n, p = len(window.x), estimator.size
    objective = float(estimator.value(optimum.z[None])[0])
    certificate = certify(
        gradient_norm=near.gradient_norm,
        condition_number=near.condition_number,
        dof=n - p,
        ends=optimum.ends,
        noise=optimum.noise,
        on_bound=optimum.on_bound,
        flat=optimum.flat,
        correlation=correlation,
        more=_doubts(law, window, params, own, (r2, *r2_by_curve)),
    )
    return Fit(
        law=law.name,
        law_version=law.version,
        x=selection.x,
        y=selection.y,
        group=selection.group,
        weights=selection.weights,
        space=selection.space,
        drop_first=selection.drop_first,
        drop_last=selection.drop_last,
        params=params,
        by_curve=own,
        se=near.se,
        se_by_curve={name: _by_size(window, near.se_by_curve[name]) for name in own},
        correlation=correlation,
        n=n,
        p=p,
        dof=n - p,
        objective=objective,
        r2=r2,
        r2_by_curve=_by_size(window, r2_by_curve),
        certificate=certificate,
        loss=selection.loss,
        delta=selection.delta,
        run=selection.run,
        bic=_bic(estimator, objective, n, p),
        r2_log_by_curve=_by_size(window, _r2_log(window, fitted)),
    )


def _doubts(
    law: Law,
    window: Window,
    params: dict[str, float],
    by_curve: dict[str, dict[float, float]],
    r2: tuple[float, ...],
) -> tuple[str, ...]:
    """Flags that say the numbers make no sense, though the optimum may be one."""
    flags = []
    share = bool((window.L >= 0).all() and (window.L <= 1).all())
    named = [(name, name, value) for name, value in params.items()]
    named += [
        (name, f"{name}/{N:g}", value)
        for name, values in by_curve.items()
        for N, value in values.items()
    ]
    flags += [f"no_number:{told}" for _, told, value in named if not np.isfinite(value)]
    if isinstance(law, FormulaLaw):
        for name, told, value in named:
            if name in law.asymptotes and share and not 0 <= value <= 1:
                flags.append(f"asymptote_outside:{told}")
    flags += [f"midpoint_outside:{told}" for told in _outside(law, window, params, by_curve)]
    if not isinstance(law, FormulaLaw) and not share:
        flags.append("outside_unit")
    if any(one < 0 for one in r2):
        flags.append("worse_than_mean")
    return tuple(flags)


def _outside(
    law: Law,
    window: Window,
    params: dict[str, float],
    by_curve: dict[str, dict[float, float]],
) -> list[str]:
    """Midpoints that do not lie among the data: the x of a formula, the sizes of lines."""
    if isinstance(law, SharedSlopeLaw):
        low, high = window.N[0], window.N[-1]
        return [name for name in law.midpoints if not low <= params[name] <= high]
    if not isinstance(law, FormulaLaw):
        return []
    firsts = np.concatenate([[0], np.cumsum(window.n)[:-1]])
    lows, highs = np.minimum.reduceat(window.x, firsts), np.maximum.reduceat(window.x, firsts)
    found = []
    for name in law.midpoints:
        for N, a, b in zip(window.N, lows, highs, strict=True):
            if name in by_curve and not a <= by_curve[name][float(N)] <= b:
                found.append(f"{name}/{N:g}")
        if name in params and not lows.min() <= params[name] <= highs.max():
            found.append(name)
    return found


def _bic(estimator: Estimator, objective: float, n: int, p: int) -> float:
    likelihood = estimator.loss.log_likelihood(objective, estimator.delta, n)
    likelihood += estimator.space.log_jacobian(estimator.window.L)
    return float((p + 1) * np.log(n) - 2.0 * likelihood)


def _told(shared: set[str], single: set[tuple[str, float]], group: str) -> list[str]:
    return sorted(shared) + [f"{name} of {group}={N:g}" for name, N in sorted(single)]


def _r2(
    window: Window, L: NDArray[np.float64], fitted: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """1 - squares about the law / squares about the mean, pooled and by curve; NaN for 0/0."""
    squares = (fitted - L) ** 2
    mean = window.sums(L) / window.n
    spread = window.sums((L - mean[window.curve]) ** 2)
    total = float(((L - L.mean()) ** 2).sum())
    by_curve = np.where(spread > 0, 1.0 - window.sums(squares) / spread, np.nan)
    return 1.0 - float(squares.sum()) / total if total > 0 else float("nan"), by_curve


def _r2_log(window: Window, fitted: NDArray[np.float64]) -> NDArray[np.float64]:
    """R2 of ln L by curve; NaN for a curve on which it cannot be had."""
    positive = (window.L > 0) & (fitted > 0)
    logs = (np.log(np.where(positive, values, 1.0)) for values in (window.L, fitted))
    by_curve = _r2(window, *logs)[1]
    return np.where(window.sums((~positive).astype(np.float64)) > 0, np.nan, by_curve)


def _by_size(window: Window, values: NDArray[np.float64]) -> dict[float, float]:
    return {float(N): float(v) for N, v in zip(window.N, values, strict=True)}
