"""Published predictions on a fixed grid of sizes and abscissae, judged by one simultaneous band.

Parameters of a law trade off against each other, so that two fits with the same curves can have
very different ones. What they predict is comparable. The band is the maximum-t band of the run's
resampled refits: with q the quantile over refits of max_j |d_j| / se_j, d_j the refit's departure
from the mean refit at grid point j and se_j its standard deviation there, the true curves lie
within q se_j of the fitted ones at all points at once. With few curves or clusters q is widened by
the ratio of Student's quantile to the normal one. The golden's own error enters as independent
normal departures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from harness.verdict.intervals import (
    ALPHA_DIFFERENT,
    ALPHA_DRIFTED,
    ALPHA_EQUIVALENT,
    SAME,
    HalfWidths,
    outcome,
    student,
)
from harness.verdict.model import Comparison, Level, Statistics, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.verdict.entry import Band

_SEED = 0  # of the normal departures that stand for the golden's error
_FEWEST_REFITS = 200  # the 99% quantile of fewer is a guess


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a fit of the run says on a grid of G sizes and X abscissae.

    Attributes:
        values: (G, X) predicted loss; None where the run has no fit, and then `missing` says why.
        draws: (R, G, X) predictions of the resampled refits; None without resampling.
        df: degrees of freedom of their spread: curves or clusters drawn, less one.
        no_draws: why there are none.
        missing: why there are no values, or none that may be compared.
        doubt: why the predictions, though there, are not determined by the data.
    """

    values: NDArray[np.float64] | None
    draws: NDArray[np.float64] | None = None
    df: int = 0
    no_draws: str = "the fit was not resampled: without refits there is no band"
    missing: str | None = None
    doubt: str | None = None


class Predict(Protocol):
    """How bands ask for predictions: the name of a fit, sizes, abscissae."""

    def __call__(self, fit: str, N: Sequence[float], x: Sequence[float], /) -> Predicted: ...  # noqa: D102


def judge_band(band: Band, predict: Predict, level: Level, *, family: int = 1) -> Comparison:
    """Judge the predictions of one fit, all points of the grid together.

    At level R0 there is no sampling: every prediction has to lie within the margin. At the others
    the four outcomes follow from the simultaneous band. `found` and `difference` are those of the
    point where the difference is largest. `family` is the number of comparisons that give one
    verdict together.
    """
    predicted = predict(band.fit, band.N, band.x)
    if predicted.values is None or predicted.missing is not None:
        reason = predicted.missing or "the run has no predictions of it"
        return _comparison(band, None, Verdict.INCONCLUSIVE, reason)
    values = predicted.values
    if not np.isfinite(values).all():
        reason = "what the run predicts is not finite everywhere on the grid"
        return _comparison(band, None, Verdict.INCONCLUSIVE, reason)
    difference = values - np.array(band.predicted)
    if predicted.doubt is not None:
        reason = f"the data do not determine it: {predicted.doubt}"
        return _comparison(band, values, Verdict.INCONCLUSIVE, reason)
    if level is Level.R0:
        within = np.abs(difference).max() <= band.margin
        verdict = Verdict.REPRODUCED if within else Verdict.NOT_REPRODUCED
        return _comparison(band, values, verdict, "" if within else _where(band, values))
    usable = _usable(predicted)
    if isinstance(usable, str):
        return _comparison(band, values, Verdict.INCONCLUSIVE, usable)
    half = _half_widths(usable, predicted.df, band, family)
    points = set(outcome(difference, half, band.margin).ravel().tolist())
    verdict = _joined(points)
    reason = "" if verdict is Verdict.REPRODUCED else _where(band, values)
    if verdict is Verdict.INCONCLUSIVE:
        reason = f"the simultaneous band is neither inside the margin nor beyond it; {reason}"
    at = np.unravel_index(np.abs(difference).argmax(), difference.shape)
    width = float(np.asarray(half.equivalence)[at])
    statistics = Statistics(
        se=float(np.asarray(half.se)[at]),
        df=float(predicted.df),
        low=float(difference[at]) - width,
        high=float(difference[at]) + width,
        seeds=None,
        seeds_needed=None,
    )
    return _comparison(band, values, verdict, reason, statistics)


def _usable(predicted: Predicted) -> NDArray[np.float64] | str:
    """The refits that succeeded, or why no band can be made of them."""
    if predicted.draws is None:
        return predicted.no_draws
    if predicted.df < 1:
        return "one curve says nothing of how far another would be"
    draws = predicted.draws[np.isfinite(predicted.draws).all(axis=(1, 2))]
    if len(draws) < _FEWEST_REFITS:
        return f"only {len(draws)} refits succeeded; a band takes {_FEWEST_REFITS}"
    if not (np.ptp(draws, axis=0) > SAME * np.abs(draws).max(axis=0)).all():
        return "zero variance: all refits predict the same"
    return draws


def _half_widths(draws: NDArray[np.float64], df: int, band: Band, family: int) -> HalfWidths:
    own = draws.std(axis=0, ddof=1)
    # A source that gives no error is taken to be as uncertain as the run that repeats it.
    golden = own if band.se is None else np.array(band.se)
    normal = np.random.default_rng(_SEED).standard_normal(draws.shape)
    se = np.sqrt(own**2 + golden**2)
    departures = np.abs(draws - draws.mean(axis=0) + golden * normal) / se
    largest = departures.max(axis=(1, 2))

    def width(alpha: float) -> NDArray[np.float64]:
        wider = student(1 - alpha / 2, df) / student(1 - alpha / 2, math.inf)
        return np.asarray(np.quantile(largest, 1 - alpha) * wider * se)

    return HalfWidths(
        se=se,
        df=float(df),
        equivalence=width(2 * ALPHA_EQUIVALENT),
        drift=width(ALPHA_DRIFTED / family),
        difference=width(ALPHA_DIFFERENT / family),
    )


def _joined(points: set[str]) -> Verdict:
    """The band's verdict: a point beyond the margin decides, else one that is not inside it."""
    order = (Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE, Verdict.DRIFTED)
    return next((one for one in order if one.value in points), Verdict.REPRODUCED)


def _where(band: Band, values: NDArray[np.float64]) -> str:
    i, j = _worst(band, values)
    difference = values[i, j] - band.predicted[i][j]
    return f"largest difference {difference:+.3g} at N = {band.N[i]:g}, x = {band.x[j]:g}"


def _worst(band: Band, values: NDArray[np.float64]) -> tuple[int, int]:
    i, j = np.unravel_index(np.abs(values - np.array(band.predicted)).argmax(), values.shape)
    return int(i), int(j)


def _comparison(
    band: Band,
    values: NDArray[np.float64] | None,
    verdict: Verdict,
    reason: str,
    statistics: Statistics | None = None,
) -> Comparison:
    found = difference = None
    flat = [value for row in band.predicted for value in row]
    published = f"{min(flat):g} to {max(flat):g}" if len(flat) > 1 else f"{flat[0]:g}"
    if values is not None:
        i, j = _worst(band, values)
        found, published = float(values[i, j]), f"{band.predicted[i][j]:g}"
        difference = found - band.predicted[i][j]
    return Comparison(
        entry=band.id,
        group=band.group,
        quantity=band.quantity,
        label=f"{band.label} ({len(flat)} points)",
        unit="1",
        published=published,
        found=found,
        difference=difference,
        tolerance=band.margin,
        tolerance_reason=f"margin {band.margin:g}: at all points at once; {band.margin_reason}",
        verdict=verdict,
        reason=reason,
        declared=None,
        kind=band.kind.value,
        source=f"{band.source}, {band.place}",
        statistics=statistics,
    )
