"""Fit a law to curves by least squares, to convergence, with a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.certificate import Certificate, certify, flat_parameters
from harness.analysis.laws import SharedSlopeLaw, get_law
from harness.analysis.linearise import linearise
from harness.analysis.profile import profile
from harness.analysis.search import NOISE, Search, free_lines
from harness.analysis.window import Selection
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from harness.analysis.curves import Curves
    from harness.analysis.laws import Law
    from harness.analysis.window import Window


@dataclass(frozen=True)
class Fit:
    """A law fitted to a window of curves.

    params: shared parameters by name (K_max dimensionless, N0 in model parameters).
    by_curve: "k" and "E0" of every curve, by N; E0 is log10 L at X = 1.
    se, se_by_curve: least-squares standard errors, which take the points as independent and
    so understate by several times on learning curves: resample for intervals. NaN where a
    parameter is on a bound or no degree of freedom is left.
    objective: weighted mean of squared residuals; the weights sum to 1, and with `per_curve`
    every curve has the same share. r2: pooled over all points, unweighted, in L; it mostly
    says that sizes differ, so it is never shown without r2_by_curve.
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

    @property
    def selection(self) -> Selection:
        """How rows become this fit's window."""
        return Selection(
            x=self.x,
            y=self.y,
            group=self.group,
            weights=self.weights,
            space=self.space,
            drop_first=self.drop_first,
            drop_last=self.drop_last,
        )

    def slope(self, N: float) -> float:
        """k at size N; DataError where the law has none for a size that was not fitted."""
        if N in self.by_curve["k"]:
            return self.by_curve["k"][N]
        law = get_law(self.law)
        if not isinstance(law, SharedSlopeLaw):
            raise self._unknown("k", N)
        return float(law.slope(np.array(law.coordinates(self.params, N)), np.array([N]), N)[0])

    def intercept(self, N: float) -> float:
        """E0 at size N; DataError where the law has none for a size that was not fitted."""
        if N in self.by_curve["E0"]:
            return self.by_curve["E0"][N]
        law = get_law(self.law)
        if not (isinstance(law, SharedSlopeLaw) and law.shares_intercept):
            raise self._unknown("E0", N)
        return float(law.intercept(np.array(law.coordinates(self.params, N)), np.array([N]), N)[0])

    def predict(self, x: ArrayLike, N: ArrayLike) -> NDArray[np.float64]:
        """L at X = x for models of N parameters; x and N broadcast against each other.

        Raises DataError for an N whose k or E0 the law cannot know.
        """
        u, sizes = np.broadcast_arrays(np.log10(np.asarray(x, dtype=float)), N)
        distinct, which = np.unique(sizes, return_inverse=True)
        k = np.array([self.slope(float(size)) for size in distinct])
        E0 = np.array([self.intercept(float(size)) for size in distinct])
        which = which.reshape(u.shape)
        return np.asarray(10.0 ** (E0[which] - k[which] * u))

    def objective_ratio(
        self,
        curves: Curves,
        params: Mapping[str, float],
        by_curve: Mapping[str, Mapping[float, float]],
    ) -> float:
        """F(this fit)/F(given) - 1: above 0 where the given parameters are better than this fit.

        `curves` are those that were fitted. `params` and `by_curve` hold what this law leaves
        free, and all of it: a level found here instead would make the comparison laxer. Raises
        DataError that names what is missing, or what the fit does not have.
        """
        window = self.selection.window(curves)
        law = get_law(self.law)
        self._check_complete(law, window, params, by_curve)
        k, E0 = _lines_at(law, window, params, by_curve)
        given = _objective(window, self.space, k, E0 - k * window.centre)
        if given == 0.0:
            return 0.0 if self.objective == 0.0 else float("inf")
        return self.objective / given - 1.0

    def _unknown(self, name: str, N: float) -> DataError:
        known = ", ".join(f"{size:g}" for size in self.by_curve["E0"])
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
    curves: Curves,
    law: str = "loglinear_kn",
    *,
    x: str = "C",
    y: str = "ErrRate",
    group: str = "N",
    weights: str = "per_curve",
    space: str = "linear",
    drop_first: int = 0,
    drop_last: int = 0,
) -> Fit:
    """Fit `law` to `curves` by least squares.

    The rows of one value of `group` are a curve. `weights`: "per_curve" gives every curve
    the same total weight, "per_point" every point. `space`: squares of L ("linear") or of
    log10 L ("log10"). `drop_first`, `drop_last`: rows that each curve loses at its ends, in
    the order of `x`. Levels are eliminated in closed form (variable projection); the rest is
    searched from a grid of starts and polished by Newton's method with exact derivatives.

    Raises SuiteError for an unknown law or option, DataError for data that the law cannot
    be fitted to.
    """
    chosen = get_law(law)
    selection = Selection(x, y, group, weights, space, drop_first, drop_last)
    window = selection.window(curves)
    if len(window.N) < chosen.min_curves:
        raise DataError(
            f"{law} cannot be told from {len(window.N)} curve(s)",
            expected=f"{chosen.min_curves} or more distinct {group}",
            found=", ".join(f"{group}={N:g}" for N in window.N),
            hint="select more curves, or use the law loglinear",
        )
    if isinstance(chosen, SharedSlopeLaw):
        return _fit_shared(chosen, window, selection)
    return _fit_free(chosen, window, selection)


def _fit_free(law: Law, window: Window, selection: Selection) -> Fit:
    curve_profile = profile(window, selection.space)
    alone = free_lines(window, curve_profile)
    c = curve_profile.terms(alone.k[None], None).c[0]
    near = linearise(window, selection.space, alone.k, c, None, None, None)
    dof = int(window.n.sum()) - near.p
    # Curves are independent: a start belongs to the best basin if every curve's does.
    certificate = certify(
        gradient_norm=near.gradient_norm,
        condition_number=near.condition_number,
        dof=dof,
        ends=alone.starts.sum(1),
        noise=NOISE * float(curve_profile.total.sum()),
        on_bound=(),
        flat=(),
        correlation={},
    )
    return _result(law, window, selection, {}, alone.k, c, near.covariance, {}, certificate)


def _fit_shared(law: SharedSlopeLaw, window: Window, selection: Selection) -> Fit:
    search = Search(law, window, selection.space)
    starts = search.starts()
    on_bounds, kept = search.on_bounds(starts)
    found = search.minimise(
        np.concatenate([starts, on_bounds]),
        np.ones((len(starts) + len(on_bounds), len(window.N))),
        np.concatenate([np.zeros(starts.shape, dtype=bool), kept]),
    )
    ends, ends_on_bounds = found.F[: len(starts)], found.F[len(starts) :]
    best = int(ends.argmin())
    z = found.z[best]
    held = search.bounded & ((z <= search.lower) | (z >= search.upper))
    lines = search.lines(z)
    k = lines[0]
    level = lines[1][None] if len(lines) == 2 else None
    c = search.curves.terms(k[None], level).c[0]
    near = linearise(window, selection.space, k, c, search, z, held)
    names = [one.name for one in law.shared]
    covariance = near.covariance.copy()
    if held.any():
        covariance[:] = np.nan
    dof = int(window.n.sum()) - near.p
    correlation = _correlation(names, covariance)
    certificate = certify(
        gradient_norm=near.gradient_norm,
        condition_number=near.condition_number,
        dof=dof,
        ends=ends,
        noise=search.noise,
        on_bound=tuple(name for name, on in zip(names, held, strict=True) if on),
        flat=flat_parameters(search, kept, ends_on_bounds, float(ends[best]), dof),
        correlation=correlation,
    )
    values = law.published(z, search.N_ref)
    params = {name: float(value) for name, value in zip(names, values, strict=True)}
    return _result(law, window, selection, params, k, c, covariance, correlation, certificate)


def _result(
    law: Law,
    window: Window,
    selection: Selection,
    params: dict[str, float],
    k: NDArray[np.float64],
    c: NDArray[np.float64],
    covariance: NDArray[np.float64],
    correlation: dict[tuple[str, str], float],
    certificate: Certificate,
) -> Fit:
    P, G = len(params), len(window.N)
    errors = np.sqrt(np.diagonal(covariance))
    n = int(window.n.sum())
    p = P + G * len(law.per_curve)
    r2, r2_by_curve = _r2(window, k, c)
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
        by_curve={"k": _by_size(window, k), "E0": _by_size(window, c + k * window.centre)},
        se={name: float(error) for name, error in zip(params, errors[:P], strict=True)},
        se_by_curve={
            "k": _by_size(window, errors[P : P + G]),
            "E0": _by_size(window, errors[P + G :]),
        },
        correlation=correlation,
        n=n,
        p=p,
        dof=n - p,
        objective=_objective(window, selection.space, k, c),
        r2=r2,
        r2_by_curve=_by_size(window, r2_by_curve),
        certificate=certificate,
    )


def _lines_at(
    law: Law,
    window: Window,
    params: Mapping[str, float],
    by_curve: Mapping[str, Mapping[float, float]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """k and E0 (G,) of the window's curves, from the law where they are not given by curve."""
    N = window.N
    given = {name: np.array([at[float(size)] for size in N]) for name, at in by_curve.items()}
    if isinstance(law, SharedSlopeLaw):
        N_ref = float(N[0])
        z = np.array(law.coordinates(params, N_ref))
        given["k"] = law.slope(z, N, N_ref)
        if law.shares_intercept:
            given["E0"] = law.intercept(z, N, N_ref)
    return given["k"], given["E0"]


def _told(shared: set[str], single: set[tuple[str, float]], group: str) -> list[str]:
    return sorted(shared) + [f"{name} of {group}={N:g}" for name, N in sorted(single)]


def _objective(window: Window, space: str, k: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    fitted = c[:, None] - k[:, None] * (window.u - window.centre[:, None])
    if space == "linear":
        residual = 10.0**fitted - window.L
    else:
        residual = fitted - np.log10(np.where(window.used, window.L, 1.0))
    return float((window.w * residual**2).sum())


def _r2(
    window: Window, k: NDArray[np.float64], c: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    used = window.used
    fitted = 10.0 ** (c[:, None] - k[:, None] * (window.u - window.centre[:, None]))
    squares = np.where(used, (fitted - window.L) ** 2, 0.0)
    mean = np.where(used, window.L, 0.0).sum(1) / window.n
    spread = np.where(used, (window.L - mean[:, None]) ** 2, 0.0).sum(1)
    pooled = window.L[used]
    total = float(((pooled - pooled.mean()) ** 2).sum())
    return 1.0 - float(squares.sum()) / total, 1.0 - squares.sum(1) / spread


def _correlation(names: list[str], covariance: NDArray[np.float64]) -> dict[tuple[str, str], float]:
    errors = np.sqrt(np.diagonal(covariance))
    return {
        (names[i], names[j]): float(covariance[i, j] / (errors[i] * errors[j]))
        for i in range(len(names))
        for j in range(i + 1, len(names))
    }


def _by_size(window: Window, values: NDArray[np.float64]) -> dict[float, float]:
    return {float(N): float(v) for N, v in zip(window.N, values, strict=True)}
