"""pass@k of 10,000 questions for every k from 1 to 128, and peers.

CPU seconds of this process, least of five runs (a peer that takes seconds: of one). Questions have
256 or 10,000 samples, the right ones drawn evenly, so that with 10,000 nearly every question has a
count of its own. One peer takes lgamma of whole arrays. The other is the formula that is usual for
one question and one k, written anew here: a NumPy product of 1 - k / i over n - c < i <= n, in a
loop over questions and k, on a sample of them, scaled up. The error is the largest relative one
against exact fractions on 200 of the values.
`python -m benchmarks.bench_pass_at_k --json` prints the rows as JSON.
"""

from __future__ import annotations

import argparse
import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from benchmarks.rows import Row, cpu_seconds, show
from harness.analysis.pass_at_k import pass_at_k, pass_at_k_curve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

QUESTIONS = 10_000
K = np.arange(1, 129)
SAMPLE = 50  # questions of which a slow peer's time is scaled up
CHECKED = 200


def by_product(n: int, c: int, k: int) -> float:
    """One question and one k, as a product of n factors."""
    if n - c < k:
        return 1.0
    return 1.0 - float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def by_lgamma(n: NDArray[np.int64], c: NDArray[np.int64]) -> NDArray[np.float64]:
    """All questions and k from logarithms of factorials."""
    n, c = n[:, None], c[:, None]
    left = np.maximum(n - c - K, 0)
    logs = gammaln(n - c + 1) + gammaln(n - K + 1) - gammaln(left + 1) - gammaln(n + 1)
    return np.where(n - c < K, 1.0, 1.0 - np.exp(logs))


def measure() -> Iterator[Row]:
    """Ours first, then the peers, for few and many samples."""
    for samples in (256, 10_000):
        rng = np.random.default_rng(0)
        n = np.full(QUESTIONS, samples)
        c = rng.integers(0, samples + 1, size=QUESTIONS)
        of = f"n = {samples:,}"
        base = cpu_seconds(lambda n=n, c=c: pass_at_k(n[:, None], c[:, None], K))
        note = f"error {_error(n, c, pass_at_k(n[:, None], c[:, None], K)):.1e}"
        yield Row(f"pass@1..128 of each question, {of}", base, "s CPU", limit=0.2, note=note)
        curve = cpu_seconds(lambda n=n, c=c: pass_at_k_curve(n, c, K))
        yield Row(f"their means with errors, {of}", curve, "s CPU", limit=0.2)
        seconds = cpu_seconds(lambda n=n, c=c: by_lgamma(n, c))
        note = f"{seconds / base:.2g} times ours; error {_error(n, c, by_lgamma(n, c)):.1e}"
        yield Row(f"peer lgamma of arrays, {of}", seconds, "s CPU", note=note)
        few = list(zip(n[:SAMPLE].tolist(), c[:SAMPLE].tolist(), strict=True))
        seconds = cpu_seconds(
            lambda few=few: [by_product(a, b, k) for a, b in few for k in K], runs=1
        )
        seconds *= QUESTIONS / SAMPLE
        note = f"{seconds / base:.2g} times ours; scaled up from {SAMPLE} questions"
        yield Row(f"peer NumPy product in a loop, {of}", seconds, "s CPU", note=note)


def _error(n: NDArray[np.int64], c: NDArray[np.int64], found: NDArray[np.float64]) -> float:
    rng = np.random.default_rng(1)
    worst = 0.0
    for i, j in zip(
        rng.integers(QUESTIONS, size=CHECKED), rng.integers(len(K), size=CHECKED), strict=True
    ):
        a, b, k = int(n[i]), int(c[i]), int(K[j])
        truth = float(1 - Fraction(math.comb(a - b, k), math.comb(a, k)))
        if truth:
            worst = max(worst, abs(float(found[i, j]) / truth - 1))
    return worst


def main() -> None:
    """Print the rows, one per line, or as JSON."""
    parser = argparse.ArgumentParser(description="Measure pass@k against peers.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    show(list(measure()), as_json=as_json)


if __name__ == "__main__":
    main()
