"""How many seeds an equivalence test needs; nothing here looks at what a run found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.verdict.intervals import ALPHA_EQUIVALENT, POWER, Error, half_widths, student

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SEEDS = 10_000
_NODES = 400


def tost_power(sd: float, seeds: int, golden: Error, margin: float, step: float = 0.0) -> float:
    """Chance that the equivalence test succeeds where run and golden truly agree.

    The run's sample variance is sd^2 chi2 / (seeds - 1); given that, success means a normal
    difference within the margin less the half-width of the 90% interval. The mean over chi2 is
    taken at the midpoints of equal probabilities. The golden's variance is taken as printed.

    Args:
        sd: standard deviation between seeds of the run.
        seeds: two or more.
        golden: error of the golden mean.
        margin: largest difference that is still the same result, in the unit of `sd`.
        step: what one question more moves one seed's number by; 0 for what is no share.
    """
    from scipy import special

    seen = sd**2 / seeds * _chi2(seeds - 1) / (seeds - 1)
    room = margin - step / (2 * seeds) - half_widths(Error(seen, seeds - 1), golden).equivalence
    spread = math.sqrt(sd**2 / seeds + float(golden.variance))
    within = 2.0 * special.ndtr(np.maximum(room, 0.0) / spread) - 1.0
    return float(np.mean(within))


def seeds_needed(sd: float, golden: Error, margin: float, step: float = 0.0) -> int | None:
    """The fewest seeds that reach 80% power at the margin; None where no number does.

    None, too, beyond 10,000 seeds: the margin lies below the golden's own uncertainty, or so close
    to it that nobody could pay for the rest.
    """
    if golden.df <= 0 or tost_power(sd, MOST_SEEDS, golden, margin, step) < POWER:
        return None
    low, high = 1, 2
    while tost_power(sd, high, golden, margin, step) < POWER:
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        if tost_power(sd, middle, golden, margin, step) < POWER:
            low = middle
        else:
            high = middle
    return high


def least_margin(golden: Error) -> float:
    """The margin that no number of seeds can go below with 80% power, for the golden's own error.

    With endless seeds the 90% interval is that of the golden mean alone.
    """
    if golden.df <= 0:
        return math.inf
    quantiles = student(1.0 - ALPHA_EQUIVALENT, golden.df) + student(0.5 + POWER / 2, math.inf)
    return math.sqrt(float(golden.variance)) * quantiles


def _chi2(df: int) -> NDArray[np.float64]:
    from scipy import special

    # The quantiles of chi2 are twice those of a gamma distribution of shape df / 2.
    return np.asarray(2.0 * special.gammaincinv(df / 2, (np.arange(_NODES) + 0.5) / _NODES))
