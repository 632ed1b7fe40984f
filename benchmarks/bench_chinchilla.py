"""4,000 resamples of a Chinchilla fit under the Huber loss, and peers.

Synthetic points of the shape of Hoffmann et al. 2022 as Besiroglu et al. 2024 refitted them: 240
runs, each with a size and an amount of data of its own and one final loss, L = E + A N^-alpha +
B D^-beta with relative noise of 1 % and heavy tails, fitted in log10 L under the Huber loss with
delta 1e-3 / ln 10, which is 1e-3 in ln L. Every point is a run, so that runs are drawn with
replacement. CPU seconds of this process, least of three, the first fit excluded; peak memory is
that of a process of its own that imports, fits and resamples, and of one that only imports.

The excess of a replicate is its F over the least F that SciPy finds for it: BFGS with exact
gradients of the scaled objective and Nelder-Mead in turns, from our end and from the fit, until
neither gains 1e-13.

A peer minimises the same objective of the same draws, one after another, from the full data's
optimum, on fewer of them, and its time is scaled up. It stops where it stops by default; the note
says how far from the optimum the worst of them was. L-BFGS-B is the loop of the literature.
`python -m benchmarks.bench_chinchilla --json` prints the rows as JSON.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from benchmarks.rows import Row, cpu_seconds, show
from harness.analysis import Curves, fit, resample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from harness.analysis import Fit, Resample

POINTS, RESAMPLES = 240, 4000
CHECKED = 40  # replicates whose optimum is sought again
SAMPLES = {"scipy L-BFGS-B": 40, "lmfit": 20, "iminuit": 20}
DELTA = 1e-3 / np.log(10)
TRUTH = {"E": 1.82, "A": 482.0, "alpha": 0.3478, "B": 2085.4, "beta": 0.3658}


def table() -> Curves:
    """240 runs."""
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7.6, 10.2, POINTS), 10 ** rng.uniform(8.5, 11.3, POINTS)
    L = TRUTH["E"] + TRUTH["A"] / N ** TRUTH["alpha"] + TRUTH["B"] / D ** TRUTH["beta"]
    L = L * np.exp(0.01 * rng.standard_t(3, POINTS))
    return Curves({"N": N, "D": D, "loss": L, "run": np.arange(float(POINTS))})


def ours(curves: Curves) -> Fit:
    """The fit that is resampled."""
    return fit(
        curves,
        "chinchilla",
        x="D",
        y="loss",
        space="log10",
        loss="huber",
        delta=DELTA,
        weights="per_point",
    )


def drawn(found: Fit, curves: Curves) -> Resample:
    """The 4,000 resamples."""
    return resample(found, curves, by="run", n=RESAMPLES)


@dataclass(frozen=True)
class Problem:
    """The objective in plain arrays: theta = log E, log A, alpha, log B, beta, centred in ln."""

    u: NDArray[np.float64]
    v: NDArray[np.float64]
    y: NDArray[np.float64]
    scale: float

    def theta(self, values: list[float]) -> NDArray[np.float64]:
        """E, A, alpha, B, beta to theta."""
        E, A, alpha, B, beta = values
        return np.array([np.log(E), np.log(A) - alpha * 20, alpha, np.log(B) - beta * 23, beta])

    def terms(self, theta: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Residuals and the three terms of L."""
        e = np.exp(theta[0])
        a = np.exp(theta[1] - theta[2] * self.v)
        b = np.exp(theta[3] - theta[4] * self.u)
        return np.log10(e + a + b) - self.y, np.full_like(a, e), a, b

    def F(self, theta: NDArray[np.float64], times: NDArray[np.float64]) -> float:  # noqa: N802
        """Scaled objective of one draw."""
        r = np.abs(self.terms(theta)[0])
        small = np.minimum(r, DELTA)
        return float((times * small * (r - small / 2)).sum() * self.scale)

    def both(
        self, theta: NDArray[np.float64], times: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Scaled objective and its gradient."""
        r, e, a, b = self.terms(theta)
        small = np.clip(r, -DELTA, DELTA)
        push = times * small / ((e + a + b) * np.log(10)) * self.scale
        J = np.stack([e, a, -self.v * a, b, -self.u * b])
        return float((times * small * (r - small / 2)).sum() * self.scale), J @ push


def problem(curves: Curves) -> Problem:
    """The points; F of the full data is about 1, since optimisers stop by max(F, 1)."""
    scale = 1 / (DELTA * 0.005 * POINTS)
    return Problem(
        np.log(curves["D"]) - 23, np.log(curves["N"]) - 20, np.log10(curves["loss"]), scale
    )


def multiplicities(curves: Curves, found: Fit) -> NDArray[np.float64]:
    """The draws of `drawn`, (4000, 240), points in the order of the table."""
    from harness.analysis.draws import scheme_of

    scheme = scheme_of("run", curves)
    made = scheme(found, curves, RESAMPLES, np.random.default_rng(0), None)
    rows = made.estimator.window.rows
    times = np.empty((RESAMPLES, POINTS))
    parts = [piece.factors[:, piece.cluster] for piece, _ in made.pieces]
    times[:, rows] = np.concatenate(parts)
    return times


def converged(p: Problem, times: NDArray[np.float64], starts: list[NDArray[np.float64]]) -> float:
    """The least F of one draw that SciPy finds."""
    best = np.inf
    for start in starts:
        theta, last = start, np.inf
        for _ in range(60):
            theta = minimize(p.both, theta, (times,), "BFGS", jac=True, options={"gtol": 1e-12}).x
            corners = theta + np.vstack([np.zeros(5), 1e-4 * np.eye(5)])
            options = {"xatol": 1e-13, "fatol": 1e-15, "maxiter": 2000, "initial_simplex": corners}
            end = minimize(p.F, theta, (times,), "Nelder-Mead", options=options)
            theta = end.x
            if last - end.fun < 1e-13 * end.fun:
                break
            last = end.fun
        best = min(best, end.fun)
    return float(best)


def by_lbfgsb(p: Problem, start: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray:
    """scipy L-BFGS-B, finite differences, default stopping."""
    return minimize(p.F, start, (times,), "L-BFGS-B").x


def by_lmfit(p: Problem, start: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray:
    """lmfit's L-BFGS-B on the objective, default stopping."""
    import lmfit

    params = lmfit.Parameters()
    for i, value in enumerate(start):
        params.add(f"p{i}", value=value)

    def objective(q: lmfit.Parameters) -> float:
        return p.F(np.array([q[f"p{i}"].value for i in range(5)]), times)

    found = lmfit.minimize(objective, params, method="lbfgsb", calc_covar=False)
    return np.array([found.params[f"p{i}"].value for i in range(5)])


def by_iminuit(p: Problem, start: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray:
    """iminuit's MIGRAD, default stopping."""
    from iminuit import Minuit

    minuit = Minuit(lambda theta: p.F(theta, times), start)
    minuit.errordef = 1.0 / POINTS
    minuit.migrad()
    return np.array(minuit.values)


PEERS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "scipy L-BFGS-B": by_lbfgsb,
    "lmfit": by_lmfit,
    "iminuit": by_iminuit,
}


def measure() -> Iterator[Row]:
    """Ours first, then each peer that is installed."""
    curves = table()
    found = ours(curves)
    seconds = cpu_seconds(lambda: drawn(found, curves), runs=3)
    yield Row("4,000 resamples", seconds, "s CPU", limit=1.0)
    yield Row("their fit", cpu_seconds(lambda: ours(curves), runs=3), "s CPU")
    peak, bare = _memory("work"), _memory("import")
    note = f"{bare:.0f} MB of it are the interpreter and its imports"
    yield Row("peak memory", peak, "MB", limit=250.0, note=note)
    p, times, replicates = problem(curves), multiplicities(curves, found), drawn(found, curves)
    ends = [p.theta([replicates.draws[name][r] for name in TRUTH]) for r in range(RESAMPLES)]
    start = p.theta([found.params[name] for name in TRUTH])
    chosen = np.random.default_rng(1).choice(RESAMPLES, CHECKED, replace=False)
    best = {int(r): converged(p, times[r], [ends[r], start]) for r in chosen}
    excess = max(p.F(ends[r], times[r]) / F - 1 for r, F in best.items())
    note = f"of {CHECKED} replicates; {replicates.failed} of {RESAMPLES} failed"
    yield Row("worst relative excess", max(excess, 0.0), "", limit=1e-6, note=note)
    for name, solve in PEERS.items():
        if name in ("lmfit", "iminuit"):
            if importlib.util.find_spec(name) is None:
                continue
            importlib.import_module(name)  # so that the import is not measured
        some = list(best)[: SAMPLES[name]]
        theirs: list[NDArray[np.float64]] = []

        def solve_all(some=some, solve=solve, theirs=theirs) -> None:
            theirs[:] = [solve(p, start, times[r]) for r in some]

        peer = cpu_seconds(solve_all, runs=1) * RESAMPLES / len(some)
        worst = max(p.F(end, times[r]) / best[r] - 1 for end, r in zip(theirs, some, strict=True))
        note = f"{peer / seconds:.2g} times ours; scaled up from {len(some)}; excess {worst:.1e}"
        yield Row(f"peer {name}: the resamples", peer, "s CPU", note=note)


def peak() -> float:
    """Peak resident MB of this process; its parent's counts in getrusage, in /proc it does not."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return float(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _memory(what: str) -> float:
    """Peak resident MB of a process that does `what`."""
    command = [sys.executable, "-m", "benchmarks.bench_chinchilla", "--memory", what]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print the rows, one per line, or as JSON."""
    parser = argparse.ArgumentParser(description="Measure resamples of a Chinchilla fit.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--memory", choices=["work", "import"], help="print the peak MB of this")
    arguments = parser.parse_args()
    if arguments.memory:
        if arguments.memory == "work":
            curves = table()
            drawn(ours(curves), curves)
        print(peak())
        return
    show(list(measure()), as_json=arguments.json)


if __name__ == "__main__":
    main()
