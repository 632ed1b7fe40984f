"""pass@k: the chance that at least one of k samples is right, estimated without bias from n.

    pass@k = 1 - C(n - c, k) / C(n, k)          (Chen et al. 2021, arXiv 2107.03374, eq. 1)

for a question of which c of n samples were right. The quotient is the product of 1 - c / (n - j)
over j < k; its logarithm is summed, so that no binomial is ever formed, and all k come from one
cumulative sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.analysis.arguments import told, whole
from harness.analysis.tables import unmasked
from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
NORMAL_95 = 1.959963984540054  # the two-sided 95 % point of the normal distribution
DRAWS = 1000
_CERTAIN = 40.0  # exp(-40) is nothing beside 1
MOST_SAMPLES = 10_000_000
_INTERVALS = ("normal", "percentile")
_CELLS = 1 << 20  # of one table of logarithms; longer ones are made piece by piece


def pass_at_k(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> float | NDArray[np.float64]:
    """The estimate for n samples of which c were right; n, c and k broadcast.

    A float for three scalars, else an array. Good to about 1e-13 of its value, however small.

    Raises DataError unless all are whole numbers with 0 <= c <= n and 1 <= k <= n.
    """
    n, c, k = _whole("n", n, 1), _whole("c", c, 0), _whole("k", k, 1)
    try:
        shape = np.broadcast_shapes(n.shape, c.shape, k.shape)
    except ValueError:
        raise DataError(
            "n, c and k do not fit each other",
            expected="shapes that broadcast",
            found=f"{n.shape}, {c.shape} and {k.shape}",
            hint="give questions along one axis and k along another",
        ) from None
    n, c = np.broadcast_arrays(n, c)
    _check_most("c", c, n, "more samples were right than were drawn")
    _check_most("k", k, n, "pass@k needs k samples of each question")
    distinct, which = _distinct(n, c)
    ks, where = np.unique(k, return_inverse=True)
    table = _table(distinct[0], distinct[1], ks)
    found = table[which.reshape(n.shape), where.reshape(k.shape)] if shape else table[0, 0]
    return found if shape else float(found)


@dataclass(frozen=True, eq=False)
class PassAtK:
    """pass@k of a set of questions.

    k: (K,). value: (K,) means over questions. se: (K,) standard errors between clusters of
    questions; NaN for one cluster. low, high: (K,) ends of the 95 % interval. questions,
    clusters: how many. interval: "normal" (value -+ 1.96 se within [0, 1]) or "percentile" (of
    means over clusters drawn with replacement). flags: one_cluster (no error can be told),
    no_spread (every question has the same value at some k: an error of 0 says little).
    """

    k: NDArray[np.int64]
    value: NDArray[np.float64]
    se: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    questions: int
    clusters: int
    interval: str
    flags: tuple[str, ...]


def pass_at_k_curve(
    n: ArrayLike,
    c: ArrayLike,
    k: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    interval: Literal["normal", "percentile"] = "normal",
    draws: int = DRAWS,
    seed: int = 0,
) -> PassAtK:
    """Mean pass@k over questions n, c (Q,) for each of k (K,), with errors.

    The samples of one question say nothing about other questions, so that the error is that
    between questions: SE^2 = G / (G - 1) sum_g (sum over the cluster of value - mean)^2 / Q^2
    over G clusters (Miller 2024, arXiv 2411.00640). `clusters` (Q,) names questions that belong
    together, such as those on one text; without it every question stands alone.

    Raises DataError as `pass_at_k`, and for no questions, clusters of another length or without a
    name, an interval of another kind, and draws that are no whole number of 1 or more.
    """
    if interval not in _INTERVALS:
        raise DataError(
            f"there is no interval {interval!r}",
            expected=" or ".join(_INTERVALS),
            found=told(interval),
            hint='interval="normal"',
        )
    draws = whole("draws", draws, 1, hint=f"draws={DRAWS}")
    seed = whole("the seed", seed, 0, hint="seed=0")
    each = Questions(n, c, k, clusters)
    value, se = each.mean(), each.standard_error()
    flags = ["one_cluster"] if each.G == 1 else ["no_spread"] if (se == 0).any() else []
    if interval == "percentile":
        tail = 50 * (1 - LEVEL)
        low, high = np.percentile(each.resampled(draws, seed), [tail, 100 - tail], axis=0)
    else:
        low, high = value - NORMAL_95 * se, value + NORMAL_95 * se
    return PassAtK(
        k=each.k,
        value=value,
        se=se,
        low=np.clip(low, 0.0, 1.0),
        high=np.clip(high, 0.0, 1.0),
        questions=each.Q,
        clusters=each.G,
        interval=interval,
        flags=tuple(flags),
    )


class Questions:
    """pass@k of single questions, summed by cluster: what means and their errors are made of.

    k: (K,). Q, G: number of questions and of clusters. Distinct pairs of n and c are few, so
    that nothing of Q x K values is kept where every question is its own cluster.
    """

    def __init__(
        self, n: ArrayLike, c: ArrayLike, k: ArrayLike, clusters: ArrayLike | None = None
    ) -> None:
        n, c = np.broadcast_arrays(_whole("n", n, 1), _whole("c", c, 0))
        if n.ndim != 1 or not len(n):
            raise DataError(
                "there is no list of questions",
                expected="n and c with one entry for each question",
                found=f"shape {n.shape}",
                hint="give the number of samples and of right ones by question",
            )
        self.k = np.atleast_1d(_whole("k", k, 1))
        _check_most("c", c, n, "more samples were right than were drawn")
        _check_most("k", self.k[None], n[:, None], "pass@k needs k samples of each question")
        distinct, which = _distinct(n, c)
        table = _table(distinct[0], distinct[1], self.k)
        self.Q = len(n)
        if clusters is None:
            # Questions of equal n and c are exchangeable: `times` says how many there are.
            self.times = np.bincount(which).astype(float)
            self.sums, self.sizes = table, np.ones(len(table))
        else:
            names = _array("clusters", clusters)
            if names.shape != n.shape:
                raise DataError(
                    "clusters do not fit the questions",
                    expected=f"{self.Q} names",
                    found=f"shape {names.shape}",
                    hint="name the cluster of every question",
                )
            nameless = np.array([name is None or name != name for name in names.tolist()])
            if nameless.any():
                raise DataError(
                    f"{int(nameless.sum())} of {self.Q} questions have no cluster",
                    expected="a name for the cluster of every question",
                    found=told(names.tolist()[int(nameless.argmax())]),
                    hint="give a question that belongs to no other a name of its own",
                )
            _, member = np.unique(names, return_inverse=True)
            self.sizes = np.bincount(member).astype(float)
            self.sums = np.zeros((len(self.sizes), len(self.k)))
            np.add.at(self.sums, member, table[which])
            self.times = np.ones(len(self.sizes))
        self.G = int(self.times.sum())

    def mean(self) -> NDArray[np.float64]:
        """(K,) means over questions."""
        return np.asarray(self.times @ self.sums / self.Q)

    def standard_error(self) -> NDArray[np.float64]:
        """(K,) standard errors of the means; NaN for one cluster."""
        if self.G == 1:
            return np.full(len(self.k), np.nan)
        off = self.sums - self.sizes[:, None] * self.mean()
        off[np.abs(off) < 1e-14] = 0.0
        return np.asarray(np.sqrt(self.times @ off**2 * self.G / (self.G - 1)) / self.Q)

    def resampled(self, draws: int, seed: int) -> NDArray[np.float64]:
        """(draws, K) means over clusters drawn with replacement."""
        rng = np.random.default_rng(seed)
        counts = rng.multinomial(self.G, self.times / self.G, size=draws).astype(float)
        return np.asarray(counts @ self.sums / (counts @ self.sizes)[:, None])


@dataclass(frozen=True, eq=False)
class PowerOfPass:
    """The fit -log pass@k = a k^-b.

    a, b: by least squares in log(-log pass@k) against log k; NaN where fewer than two k are
    usable. se_a, se_b: standard deviations over draws of questions with replacement. r2: in the
    fitted coordinates. used: (K,) which k entered. flags: zero_at_k (pass@k = 0 somewhere: its
    logarithm is infinite), one_at_k (pass@k = 1: the law cannot reach it), both left out;
    undetermined; unstable (some draws left fewer than two k and are in no error).
    """

    a: float
    b: float
    se_a: float
    se_b: float
    r2: float
    used: NDArray[np.bool_]
    flags: tuple[str, ...]


def fit_power(
    n: ArrayLike,
    c: ArrayLike,
    k: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> PowerOfPass:
    """Fit -log pass@k = a k^-b to the means over questions.

    The form is that of Brown et al. 2024 (arXiv 2407.21787, section 3) and Schaeffer et al. 2025
    (arXiv 2502.17578). Arguments and errors as `pass_at_k_curve`.
    """
    draws = whole("draws", draws, 1, hint=f"draws={DRAWS}")
    seed = whole("the seed", seed, 0, hint="seed=0")
    each = Questions(n, c, k, clusters)
    value = each.mean()[None]
    a, b, r2, used = _lines(each.k, value)
    flags = [
        *(["zero_at_k"] if (value <= 0).any() else []),
        *(["one_at_k"] if (value >= 1 - 1e-15).any() else []),
        *(["undetermined"] if math.isnan(b[0]) else []),
    ]
    se_a = se_b = math.nan
    if not math.isnan(b[0]) and each.G > 1:
        drawn_a, drawn_b, _, _ = _lines(each.k, each.resampled(draws, seed))
        good = np.isfinite(drawn_b)
        if not good.all():
            flags.append("unstable")
        if good.sum() > 1:
            se_a, se_b = (float(one[good].std(ddof=1)) for one in (drawn_a, drawn_b))
    return PowerOfPass(float(a[0]), float(b[0]), se_a, se_b, float(r2[0]), used[0], tuple(flags))


def _lines(
    k: NDArray[np.int64], value: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """a, b, r2 (R,) and usable k (R, K) for curves (R, K)."""
    used = (value > 0) & (value < 1 - 1e-15)
    x = np.log(k.astype(float))
    y = np.log(-np.log(np.where(used, value, 0.5)))
    with np.errstate(invalid="ignore", divide="ignore"):
        count = used.sum(1, keepdims=True)
        dx = np.where(used, x - (used * x).sum(1, keepdims=True) / count, 0.0)
        dy = np.where(used, y - (used * y).sum(1, keepdims=True) / count, 0.0)
        # A single k leaves no spread, and the quotient NaN.
        slope = (dx * dy).sum(1) / (dx * dx).sum(1)
        level = ((used * y).sum(1) - slope * (used * x).sum(1)) / count[:, 0]
        rest = ((dy - slope[:, None] * dx) ** 2).sum(1)
        r2 = 1.0 - rest / (dy * dy).sum(1)
    return np.exp(level), -slope, r2, used


def _table(n: NDArray[np.int64], c: NDArray[np.int64], k: NDArray[np.int64]) -> NDArray[np.float64]:
    """pass@k (M, K) for pairs n, c (M,)."""
    found = np.zeros((len(n), len(k)))
    widest = int(k.max(initial=1))
    some = np.flatnonzero(c)
    # Beyond this many factors nothing is left of the product, which is 1 - pass@k.
    needed = np.minimum(np.ceil(_CERTAIN * n[some] / c[some]).astype(np.int64) + 1, widest)
    some = some[np.argsort(needed, kind="stable")]
    needed = np.sort(needed)
    start = 0
    while start < len(some):
        fits = needed[start:] * np.arange(1, len(some) - start + 1) <= _CELLS
        stop = start + max(int(fits.sum()), 1)
        rows, width = some[start:stop], int(needed[stop - 1])
        left = n[rows, None] - np.arange(width)
        # Where fewer than k samples were wrong the product is 0, and its logarithm -inf.
        with np.errstate(divide="ignore"):
            factors = np.maximum(-c[rows, None] / np.maximum(left, 1), -1.0)
            logs = np.cumsum(np.log1p(factors, out=factors), axis=1, out=factors)
        found[rows] = -np.expm1(logs[:, np.minimum(k, width) - 1])
        start = stop
    return found


def _distinct(
    n: NDArray[np.int64], c: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Distinct pairs (2, M), and which one each is (size,)."""
    base = int(c.max(initial=0)) + 1
    codes, which = np.unique(n.reshape(-1) * base + c.reshape(-1), return_inverse=True)
    return np.stack(np.divmod(codes, base)), which.reshape(-1)


def _array(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:
        raise DataError(
            f"{name} is no array",
            expected="rows of one length",
            found=told(values),
            hint="count the samples of each question, and those that were right",
        ) from None


def _whole(name: str, values: ArrayLike, least: int) -> NDArray[np.int64]:
    if isinstance(values, np.ma.MaskedArray):
        values = unmasked(values)
    array = _array(name, values)
    good = array.dtype.kind in "iuf"
    if good and array.size:
        with np.errstate(invalid="ignore"):
            bad = ~(np.isfinite(array) & (array == np.floor(array)))
            bad |= (array < least) | (array > MOST_SAMPLES)
        good = not bad.any()
        if not good:
            array = array[bad]
    if not good:
        raise DataError(
            f"{name} is not a number of samples",
            expected=f"whole numbers from {least} to {MOST_SAMPLES:,}",
            found=told(array.reshape(-1)[:1].tolist()[0])
            if array.size
            else f"{array.dtype} values",
            hint="count the samples of each question, and those that were right",
        )
    return array.astype(np.int64)


def _check_most(name: str, values: NDArray[np.int64], n: NDArray[np.int64], message: str) -> None:
    values, n = np.broadcast_arrays(values, n)
    bad = values > n
    if bad.any():
        raise DataError(
            message,
            expected=f"{name} <= n",
            found=f"{name}={values[bad][0]}, n={n[bad][0]}",
            hint="draw more samples, or ask for a smaller k" if name == "k" else "check the counts",
        )
