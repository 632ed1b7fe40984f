"""What training has gained: questions that can be solved at all, and accuracy for its FLOPs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.arguments import real
from harness.analysis.pass_at_k import NORMAL_95, pass_at_k
from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

CREATIVITY_K = 128
_ROUNDING = 1e-13  # of differences of two shares


@dataclass(frozen=True)
class Creativity:
    """Whether training adds questions that the model before it could not solve.

    value: mean over questions of pass@k after less pass@k before, between -1 and 1; above 0,
    questions were gained, below 0 they were lost. se, low, high: by question, paired; NaN for a
    single question. gained: questions never right before and right at least once after; lost: the
    reverse. flags: one_question,
    no_spread (every question has the same difference, so that there is no interval).
    """

    k: int
    value: float
    se: float
    low: float
    high: float
    gained: int
    lost: int
    questions: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class GainPerFlop:
    """Accuracy gained for each FLOP of training.

    value, se, low, high: pass@1 as a share per FLOP; 95 %, NaN where nothing tells the error.
    gain, gain_se: pass@1 after less before, paired by question. flags: one_question (no error can
    be told), no_spread (every question gained the same: the error, of 0 or of the FLOPs alone, says
    nothing of other questions, and there is no interval).
    """

    value: float
    se: float
    low: float
    high: float
    gain: float
    gain_se: float
    flags: tuple[str, ...] = ()


def creativity_index(
    n_before: ArrayLike,
    c_before: ArrayLike,
    n_after: ArrayLike,
    c_after: ArrayLike,
    *,
    k: int = CREATIVITY_K,
) -> Creativity:
    """pass@k after training less pass@k before, at a k so large that luck hardly matters.

    This is our definition: index = mean_q [pass@128_q(after) - pass@128_q(before)]. That
    pass@k at large k tells new abilities from better odds is argued by Yue et al. 2025 (arXiv
    2504.13837); an index of the same name by Lu et al. 2024 (arXiv 2410.04265) counts phrases that
    are on no web page, and has nothing to do with this one.

    The counts are (Q,), the questions in the same order. Raises DataError as `pass_at_k`, so
    for fewer than k samples of a question, and for lists of different lengths.
    """
    before, after = _paired(n_before, c_before, n_after, c_after, k)
    value, se = _mean(after - before)
    flags = _flags(after - before)
    if flags:
        se = math.nan
    right_before, right_after = (np.asarray(c) > 0 for c in (c_before, c_after))
    return Creativity(
        k=k,
        value=value,
        se=se,
        low=max(value - NORMAL_95 * se, -1.0) if math.isfinite(se) else math.nan,
        high=min(value + NORMAL_95 * se, 1.0) if math.isfinite(se) else math.nan,
        gained=int((right_after & ~right_before).sum()),
        lost=int((right_before & ~right_after).sum()),
        questions=len(before),
        flags=flags,
    )


def gain_per_flop(
    n_before: ArrayLike,
    c_before: ArrayLike,
    n_after: ArrayLike,
    c_after: ArrayLike,
    flops: float,
    *,
    flops_se: float = 0.0,
) -> GainPerFlop:
    """(pass@1 after - pass@1 before) / FLOPs, with an interval by the delta method.

    The variance is var(gain) / F^2 + gain^2 var(F) / F^4; that of the gain is between questions,
    paired. `flops_se` is the standard error of the FLOPs where they were estimated.

    Raises DataError as `creativity_index`, and for FLOPs that are no number above 0.
    """
    hint = "give the FLOPs of the training alone, as one number"
    flops = real("flops, the work done,", flops, above=0.0, hint=hint)
    flops_se = real("flops_se", flops_se, least=0.0, hint=hint)
    before, after = _paired(n_before, c_before, n_after, c_after, 1)
    gain, gain_se = _mean(after - before)
    flags = _flags(after - before)
    if flags:
        gain_se = math.nan
    value = gain / flops
    se = math.hypot(gain_se / flops, value * (flops_se / flops))
    return GainPerFlop(
        value=value,
        se=se,
        low=value - NORMAL_95 * se,
        high=value + NORMAL_95 * se,
        gain=gain,
        gain_se=gain_se,
        flags=flags,
    )


def _flags(gains: NDArray[np.float64]) -> tuple[str, ...]:
    if len(gains) == 1:
        return ("one_question",)
    return ("no_spread",) if float(np.ptp(gains)) < _ROUNDING else ()


def _paired(
    n_before: ArrayLike, c_before: ArrayLike, n_after: ArrayLike, c_after: ArrayLike, k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    before, after = (
        np.atleast_1d(np.asarray(pass_at_k(n, c, k)))
        for n, c in ((n_before, c_before), (n_after, c_after))
    )
    if before.shape != after.shape or before.ndim != 1 or not len(before):
        raise DataError(
            "the questions before and after do not pair",
            expected="the same questions, in the same order",
            found=f"shapes {before.shape} and {after.shape}",
            hint="keep the questions that both models answered",
        )
    return before, after


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    n = len(values)
    se = float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return float(values.mean()), se
