"""Find the best optimum of a law on a window: many starts, and what their ends say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.certificate import SAME_BASIN, rises
from harness.analysis.estimator import NOISE, Estimator
from harness.analysis.forms import FormulaForm, points_of
from harness.analysis.laws import SharedSlopeLaw
from harness.analysis.newton import DECREASE, Minima
from harness.analysis.polish import MOST_POINTS, polish
from harness.analysis.profile import profile
from harness.analysis.search import Search, free_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MANY = 5_000  # points above which basins are sought on a sample of them
_BASINS = 8  # least-squares optima that are followed to the end, and from which losses start
_SAME_PLACE = 1e-6  # objectives of rough searches that differ by less are followed as one
_FAST_SPACES = ("linear", "log10")


@dataclass(frozen=True, eq=False)
class Optimum:
    """The lowest of all ends.

    z: (M,) coordinates. F: its objective. ends: (starts,) where each search ended, best basin or
    not. basins: (B, M) the distinct ends, best first. held: (M,) coordinates on a bound. on_bound,
    flat: names of parameters on a bound, and of those that the data hardly hold back from one.
    """

    z: NDArray[np.float64]
    F: float
    ends: NDArray[np.float64]
    basins: NDArray[np.float64]
    held: NDArray[np.bool_]
    on_bound: tuple[str, ...]
    flat: tuple[str, ...]
    noise: float


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # told by flags
def find(estimator: Estimator) -> Optimum:
    """Search the objective of `estimator` from many starts."""
    if is_fast(estimator):
        return _find_lines(estimator)
    if estimator.form.shared == 0 and estimator.G > 1:
        return _find_each(estimator)
    return _find(estimator)


def is_fast(estimator: Estimator) -> bool:
    """Lines under squares have all but one or two coordinates eliminated in closed form."""
    lines = not isinstance(estimator.form, FormulaForm)
    return lines and estimator.loss.name == "squares" and estimator.space.name in _FAST_SPACES


def _find_lines(estimator: Estimator) -> Optimum:
    window, law = estimator.window, estimator.law
    if not isinstance(law, SharedSlopeLaw):
        return _find_free_lines(estimator)
    search = Search(law, window, estimator.space.name)
    starts = search.starts()
    on_bounds, kept = search.on_bounds(starts)
    found = search.minimise(
        np.concatenate([starts, on_bounds]),
        np.ones((len(starts) + len(on_bounds), len(window.N))),
        np.concatenate([np.zeros(starts.shape, dtype=bool), kept]),
    )
    ends = found.F[: len(starts)]
    order = np.argsort(ends, kind="stable")
    z = np.concatenate([found.z[: len(starts)], search.levels(found.z[: len(starts)])], axis=1)
    dof = len(window.x) - z.shape[1]
    best = float(ends.min())
    low = ~rises(estimator, best, found.F[len(starts) :], dof)
    held = _held(estimator, z[order[0]])
    names = _names(estimator)
    flat = np.flatnonzero(kept[low].any(axis=0))
    return Optimum(
        z=z[order[0]],
        F=best,
        ends=ends,
        basins=_distinct(z[order], ends[order]),
        held=held,
        on_bound=tuple(names[j] for j in np.flatnonzero(held)),
        flat=tuple(names[j] for j in flat),
        noise=search.noise,
    )


def _find_free_lines(estimator: Estimator) -> Optimum:
    search = profile(estimator.window, estimator.space.name)
    alone = free_lines(estimator.window, search)
    c = search.terms(alone.k[None], None).c[0]
    z = np.concatenate([alone.k, c])
    # Curves are independent: a start belongs to the best basin if every curve's does.
    ends = alone.starts.sum(1)
    noise = NOISE * float(search.total.sum())
    nothing = np.zeros(len(z), dtype=bool)
    return Optimum(z, float(alone.starts.min(0).sum()), ends, z[None], nothing, (), (), noise)


def _find_each(estimator: Estimator) -> Optimum:
    """Curves that share nothing are searched one by one, from the same number of starts each."""
    found = [_find(one) for one, _ in estimator.each_curve]
    starts = min(len(one.ends) for one in found)
    z = np.stack([one.z for one in found], axis=-1).ravel()
    names, held = _names(estimator), np.stack([one.held for one in found], axis=-1).ravel()
    return Optimum(
        z=z,
        F=sum(one.F for one in found),
        ends=np.sum([np.sort(one.ends)[:starts] for one in found], axis=0),
        basins=z[None],
        held=held,
        on_bound=tuple(names[j] for j in np.flatnonzero(held)),
        flat=tuple(name for one in found for name in one.flat),
        noise=sum(one.noise for one in found),
    )


def _find(estimator: Estimator) -> Optimum:
    thin = estimator
    if len(estimator.window.x) > _MANY:
        thin = estimator.on(estimator.window.thinned(_MANY))
    squares = thin.under("squares", None)
    basins, ends = _basins(squares, _starts(squares))
    if estimator.loss.name != "squares":
        # The corners of a sample are not those of all points.
        basins, ends = _basins(thin, basins, corners=thin is estimator)
    z_best, F_best = basins[0], float(ends.min())
    if thin is not estimator:
        polished = estimator.minimise(basins[:2], decrease=DECREASE, near=True)
        best = int(polished.F.argmin())
        if F_best > 0:
            ends = ends * (float(polished.F[best]) / F_best)
        z_best, F_best = polished.z[best], float(polished.F[best])
        if estimator.loss.name == "lad" and len(estimator.window.x) <= MOST_POINTS:
            z_best = polish(estimator, z_best)
            F_best = float(estimator.value(z_best[None])[0])
    held = _held(estimator, z_best)
    names = _names(estimator)
    return Optimum(
        z=z_best,
        F=F_best,
        ends=ends,
        basins=np.concatenate([z_best[None], basins[1:]]),
        held=held,
        on_bound=tuple(names[j] for j in np.flatnonzero(held)),
        flat=_flat(thin, z_best, names),
        noise=NOISE * estimator.scale,
    )


def _basins(
    estimator: Estimator, starts: NDArray[np.float64], *, corners: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distinct optima (B, M), best first, and the objective at which each start ended (S,).

    Starts that come to the same place on a rough search are followed to the end as one.
    """
    rough = estimator.minimise(starts, decrease=1e-8, rough=True)
    F = np.where(np.isfinite(rough.F), rough.F, np.inf)
    order = np.argsort(F, kind="stable")
    noise = NOISE * estimator.scale
    new = np.concatenate([[True], F[order][1:] > F[order][:-1] * (1 + _SAME_PLACE) + noise])
    first = order[new][:_BASINS]
    found = _followed(estimator, rough.z[first], corners=corners)
    place = np.empty(len(F), dtype=np.intp)
    place[order] = np.cumsum(new) - 1
    followed = place < len(first)
    ends = F.copy()
    ends[followed] = found.F[place[followed]]
    best_first = np.argsort(found.F, kind="stable")
    basins = _distinct(found.z[best_first], found.F[best_first])
    return (basins if len(basins) else rough.z[:1]), ends


def _followed(estimator: Estimator, z: NDArray[np.float64], *, corners: bool) -> Minima:
    """Optima from rough ones (S, M), to full precision."""
    if not corners or estimator.loss.name != "lad":
        return estimator.minimise(z, decrease=DECREASE)
    exact = np.array([polish(estimator, one) for one in z])
    return Minima(exact, estimator.value(exact), np.ones(len(z), dtype=bool))


def _starts(squares: Estimator) -> NDArray[np.float64]:
    """Where squares are searched from: the law's own starts, or optima of the lines."""
    form = squares.form
    if isinstance(form, FormulaForm):
        return form.law.starts(points_of(squares.window, form.scale))
    space = "log10" if squares.space.name == "relative" else squares.space.name
    lines = [_find_lines(squares.within(one)).basins for one in {space, "log10"}]
    return np.concatenate(lines)[: 2 * _BASINS]


def _flat(estimator: Estimator, z: NDArray[np.float64], names: list[str]) -> tuple[str, ...]:
    """Parameters whose profile stays below the 95 % limit up to a bound of the search.

    On a sample of the points the limit is wider, so that a flag errs on the side of doubt.
    """
    best = float(estimator.value(z[None])[0])
    places: list[int] = []
    sides: list[float] = []
    for side in (estimator.lower, estimator.upper):
        finite = np.flatnonzero(np.isfinite(side))
        places.extend(finite.tolist())
        sides.extend(side[finite].tolist())
    dof = len(estimator.window.x) - estimator.size
    if not places or dof <= 0:
        return ()
    start = np.repeat(z[None], len(places), axis=0)
    start[np.arange(len(places)), places] = sides
    kept = np.arange(estimator.size) == np.array(places)[:, None]
    ends = estimator.minimise(start, held=kept, decrease=1e-8, rough=True)
    low = ~rises(estimator, best, ends.F, dof)
    return tuple(dict.fromkeys(names[places[i]] for i in np.flatnonzero(low)))


def _held(estimator: Estimator, z: NDArray[np.float64]) -> NDArray[np.bool_]:
    low, high = estimator.lower, estimator.upper
    return (np.isfinite(low) & (z <= low)) | (np.isfinite(high) & (z >= high))


def _names(estimator: Estimator) -> list[str]:
    """The parameter that stands at the place of each coordinate; "B/7e+09" for one curve's."""
    law, sizes = estimator.law, estimator.window.N
    own = [f"{one.name}/{N:g}" for one in law.per_curve for N in sizes]
    return [*(one.name for one in law.shared), *own]


def _distinct(z: NDArray[np.float64], F: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of z (S, M), sorted by F, whose F differs from the one before."""
    finite = np.isfinite(F)
    z, F = z[finite], F[finite]
    if not len(F):
        return z
    new = np.concatenate([[True], F[1:] > F[:-1] * (1 + SAME_BASIN)])
    return np.asarray(z[new])
