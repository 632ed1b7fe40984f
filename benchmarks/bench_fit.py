"""Fitting: the eight fits of Table 6 with a certificate, with 1,000 resamples each, and peers.

CPU seconds of this process, imports and reading of the table excluded, least of five runs. A peer
fits the same eight windows with the same weights, once each, over all parameters at once, from one
start (K_max .1, N0 1e10, every curve at L = .63 in the middle of X) that is close to the optimum;
it makes neither certificate nor resamples, and only lmfit and iminuit give standard errors. Ours
searches from 14 starts. The excess of a peer is the largest F(peer)/F(ours) - 1 of the eight: how
far from the optimum it stopped.
`python -m benchmarks.bench_fit --json` prints the rows as JSON.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares, minimize

from benchmarks.rows import Row, cpu_seconds, show
from harness.analysis import Curves, fit, resample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

TABLE = Path(__file__).parents[1] / "suites/exp1/published/exp1_holdout.csv"
RESAMPLES = 1000
SAMPLE = 20  # of which a slow peer's time is scaled up
CONFIGURATIONS = [
    (source, x, cut)
    for x in ("C_raw", "E")
    for source, cut in (("base", 80), ("base", 0), ("instruct", 65), ("instruct", 0))
]


@dataclass(frozen=True)
class Problem:
    """One fit, for us (curves, x, cut) and, in plain arrays, for peers."""

    curves: Curves
    x: str
    cut: int
    N: NDArray[np.float64]
    curve: NDArray[np.intp]
    u: NDArray[np.float64]
    L: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def start(self) -> NDArray[np.float64]:
        """K_max, log10 N0 and the levels, at the mean of u."""
        return np.concatenate([[0.1, 10.0], np.full(len(self.N), -0.2)])

    def residual(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted residuals at K_max, log10 N0, levels."""
        with np.errstate(over="ignore", invalid="ignore"):
            k = theta[0] / (1 + 10.0 ** theta[1] / self.N)
            L = 10.0 ** (theta[2 + self.curve] - k[self.curve] * (self.u - self.u.mean()))
            return np.nan_to_num(self.weight * (L - self.L), nan=1e6, posinf=1e6, neginf=-1e6)

    def objective(self, theta: NDArray[np.float64]) -> float:
        """Sum of squares at K_max, log10 N0, levels."""
        return float(np.sum(self.residual(theta) ** 2))


def problems() -> list[Problem]:
    """The eight windows of Table 6: intra cuts the end of each curve, inter the largest size."""
    table = Curves.from_csv(TABLE, unique=("source", "N", "step"))
    found = []
    for source, x, cut in CONFIGURATIONS:
        curves = table.where(table["source"] == source)
        if not cut:
            curves = curves.where(curves["N"] <= 32e9)
        parts = [rows for _, rows in curves.groups(["N"])]
        kept = [rows.where(np.arange(len(rows)) < len(rows) - cut) for rows in parts]
        N, curve = np.unique(np.concatenate([rows["N"] for rows in kept]), return_inverse=True)
        weight = 1 / np.sqrt(np.bincount(curve)[curve] * len(N))
        u = np.log10(np.concatenate([rows[x] for rows in kept]))
        L = np.concatenate([rows["ErrRate"] for rows in kept])
        found.append(Problem(curves, x, cut, N, curve, u, L, weight))
    return found


def by_least_squares(problem: Problem) -> NDArray[np.float64]:
    """Plain scipy.optimize.least_squares, finite differences, default stopping."""
    return least_squares(problem.residual, problem.start).x


def by_lbfgsb(problem: Problem) -> NDArray[np.float64]:
    """scipy L-BFGS-B on the sum of squares, finite differences, default stopping."""
    return minimize(problem.objective, problem.start, method="L-BFGS-B").x


def by_lmfit(problem: Problem) -> NDArray[np.float64]:
    """lmfit's Levenberg-Marquardt, default stopping, its standard errors included."""
    import lmfit

    names = [f"p{i}" for i in range(len(problem.start))]
    params = lmfit.Parameters()
    for name, value in zip(names, problem.start, strict=True):
        params.add(name, value=value)

    def residual(p: lmfit.Parameters) -> NDArray[np.float64]:
        return problem.residual(np.array([p[name].value for name in names]))

    found = lmfit.minimize(residual, params)
    return np.array([found.params[name].value for name in names])


def by_iminuit(problem: Problem) -> NDArray[np.float64]:
    """iminuit's MIGRAD, default stopping."""
    from iminuit import Minuit

    # Its stopping rule takes F as a chi-squared: residuals are about .01.
    scale = len(problem.L) / 0.01**2
    minuit = Minuit(lambda theta: scale * problem.objective(theta), problem.start)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.migrad()
    return np.array(minuit.values)


PEERS: dict[str, Callable[[Problem], NDArray[np.float64]]] = {
    "scipy least_squares": by_least_squares,
    "scipy L-BFGS-B": by_lbfgsb,
    "lmfit": by_lmfit,
    "iminuit": by_iminuit,
}


def measure() -> Iterator[Row]:
    """Ours first, then each peer that is installed."""
    all_problems = problems()
    ours: list[float] = []

    def fit_all() -> None:
        ours[:] = [fit(p.curves, x=p.x, drop_last=p.cut).objective for p in all_problems]

    def resample_all() -> None:
        for p in all_problems:
            resample(fit(p.curves, x=p.x, drop_last=p.cut), p.curves, n=RESAMPLES)

    base = cpu_seconds(fit_all)
    yield Row("all eight fits of Table 6", base, "s CPU", limit=0.1)
    with_resamples = cpu_seconds(resample_all)
    yield Row(f"the same with {RESAMPLES:,} resamples each", with_resamples, "s CPU", limit=4.0)
    yield _resampled_by_least_squares(all_problems)
    for name, solve in PEERS.items():
        if name in ("lmfit", "iminuit"):
            if importlib.util.find_spec(name) is None:
                continue
            importlib.import_module(name)  # so that the import is not measured
        yield _peer(name, solve, all_problems, ours, base)


def _peer(
    name: str,
    solve: Callable[[Problem], NDArray[np.float64]],
    all_problems: Sequence[Problem],
    ours: Sequence[float],
    base: float,
) -> Row:
    ends: list[NDArray[np.float64]] = []

    def solve_all() -> None:
        ends[:] = [solve(p) for p in all_problems]

    seconds = cpu_seconds(solve_all)
    excess = [p.objective(end) / F - 1 for p, end, F in zip(all_problems, ends, ours, strict=True)]
    note = f"{seconds / base:.2g} times ours; excess {max(max(excess), 0.0):.1e}"
    return Row(f"peer {name}: the eight fits", seconds, "s CPU", note=note)


def _resampled_by_least_squares(all_problems: Sequence[Problem]) -> Row:
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(p.N), size=(SAMPLE, len(p.N))) for p in all_problems]

    def solve_all() -> None:
        for p, drawn in zip(all_problems, draws, strict=True):
            for indices in drawn:
                counts = np.bincount(indices, minlength=len(p.N))
                by_least_squares(replace(p, weight=p.weight * np.sqrt(counts[p.curve])))

    seconds = cpu_seconds(solve_all, runs=1) * RESAMPLES / SAMPLE
    note = f"scaled up from {SAMPLE} resamples each; one start, whether it converged or not"
    return Row("peer scipy least_squares: the resamples", seconds, "s CPU", note=note)


def main() -> None:
    """Print the rows, one per line, or as JSON."""
    parser = argparse.ArgumentParser(description="Measure the fits against peers.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    show(list(measure()), as_json=as_json)


if __name__ == "__main__":
    main()
