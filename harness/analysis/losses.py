"""What of the residuals is made least, and the space in which residuals are taken.

A loss gives, for residuals r, rho(r) with its first and second derivative. LAD has no second
derivative where it matters, so the search follows the Huber loss with ever smaller delta, scaled
to |r|; at its end the two differ by less than `NEGLIGIBLE` of the objective.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NEGLIGIBLE = 1e-7  # delta of the last smoothing of |r|, relative to the mean |r|
_LN10 = math.log(10.0)

Three = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]
"""A function of the residuals with its first and second derivative."""


@dataclass(frozen=True)
class Loss:
    """A loss by name.

    value: rho(r) for residuals and delta. smooth: rho, rho', rho'' where the search is at
    smoothing h, which is delta itself for `huber` and means nothing for `squares`.
    needs_delta: whether delta has to be stated. log_likelihood: the logarithm of the most
    likely density proportional to exp(-rho(r)/s), from F (the weighted mean of rho), delta and
    the number of points n.
    """

    name: str
    meaning: str
    needs_delta: bool
    smoothed: bool
    value: Callable[[NDArray[np.float64], float], NDArray[np.float64]]
    smooth: Callable[[NDArray[np.float64], float], Three]
    log_likelihood: Callable[[float, float, int], float]


_LOSSES: dict[str, Loss] = {}


def register_loss(loss: Loss) -> Loss:
    """Enter a loss under its name."""
    _LOSSES[loss.name] = loss
    return loss


def get_loss(name: str, delta: float | None) -> Loss:
    """The loss `name`, checked against `delta`.

    Raises SuiteError for an unknown loss, a Huber loss without a positive delta, and a delta
    that the loss would ignore.
    """
    if name not in _LOSSES:
        raise SuiteError(
            "loss is not known",
            expected=" or ".join(_LOSSES),
            found=repr(name),
            hint="write loss: squares",
        )
    loss = _LOSSES[name]
    if loss.needs_delta and not _is_positive(delta):
        raise SuiteError(
            f"the loss {name} needs a delta",
            expected="a number above 0, in units of the space",
            found="none" if delta is None else repr(delta)[:60],
            hint="write delta: 0.001",
        )
    if not loss.needs_delta and delta is not None:
        raise SuiteError(
            f"the loss {name} has no delta",
            expected="delta only with " + ", ".join(n for n in _LOSSES if _LOSSES[n].needs_delta),
            found=repr(delta)[:60],
            hint="take `delta` out, or write loss: huber",
        )
    return loss


def _is_positive(delta: object) -> bool:
    return isinstance(delta, int | float | np.number) and 0 < float(delta) < math.inf


def _squares(r: NDArray[np.float64], _delta: float) -> NDArray[np.float64]:
    return r * r


def _smooth_squares(r: NDArray[np.float64], _h: float) -> Three:
    return r * r, 2.0 * r, np.full_like(r, 2.0)


def _gaussian(F: float, _delta: float, n: int) -> float:
    """Normal density whose variance is F, its most likely value."""
    return -0.5 * n * (math.log(2.0 * math.pi * F) + 1.0) if F > 0 else math.inf


def _huber(r: NDArray[np.float64], delta: float) -> NDArray[np.float64]:
    small = np.minimum(np.abs(r), delta)
    return np.asarray(small * (np.abs(r) - 0.5 * small))


def _smooth_huber(r: NDArray[np.float64], h: float) -> Three:
    first = np.minimum(np.maximum(r, -h), h)
    return first * (r - 0.5 * first), first, (first == r).astype(float)


def _huber_density(F: float, delta: float, n: int) -> float:
    """The density exp(-rho(r)/s) / Z(s) at the s that makes it largest.

    Z(s) = sqrt(2 pi s) erf(delta / sqrt(2 s)) + 2 s/delta exp(-delta^2 / (2 s)).
    """
    if F <= 0:
        return math.inf

    def minus(log_s: float) -> float:
        s = math.exp(log_s)
        normal = math.sqrt(2.0 * math.pi * s) * math.erf(delta / math.sqrt(2.0 * s))
        tails = 2.0 * s / delta * math.exp(-delta * delta / (2.0 * s))
        return math.log(normal + tails) + F / s

    # s is 2 F where all residuals are small, F where all are large: golden section about both.
    low, high = math.log(F) - 3.0, math.log(F) + 3.0
    ratio = (math.sqrt(5.0) - 1.0) / 2.0
    while high - low > 1e-10:
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if minus(a) < minus(b) else (a, high)
    return -n * minus(0.5 * (low + high))


def _lad(r: NDArray[np.float64], _delta: float) -> NDArray[np.float64]:
    return np.abs(r)


def _smooth_lad(r: NDArray[np.float64], h: float) -> Three:
    value, first, second = _smooth_huber(r, h)
    return value / h, first / h, second / h


def _laplace(F: float, _delta: float, n: int) -> float:
    """Laplace density whose scale is F, its most likely value."""
    return -n * (math.log(2.0 * F) + 1.0) if F > 0 else math.inf


register_loss(
    Loss("squares", "r^2", False, False, _squares, _smooth_squares, _gaussian)  # noqa: FBT003
)
register_loss(
    Loss(
        "huber",
        "r^2/2 up to |r| = delta, delta (|r| - delta/2) beyond",
        needs_delta=True,
        smoothed=True,
        value=_huber,
        smooth=_smooth_huber,
        log_likelihood=_huber_density,
    )
)
register_loss(Loss("lad", "|r|", False, True, _lad, _smooth_lad, _laplace))  # noqa: FBT003


@dataclass(frozen=True)
class Space:
    """Where residuals are taken.

    residual: r from the law's f and the observed y. slopes: dr/df and d2r/df2 (None for 0).
    log_jacobian: sum of log |dr/dy| over the points, which makes likelihoods of different
    spaces comparable. positive: whether y has to be above 0.
    """

    name: str
    meaning: str
    positive: bool
    observed: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    residual: Callable[..., NDArray[np.float64]]
    slopes: Callable[..., tuple[NDArray[np.float64] | float, NDArray[np.float64] | None]]
    log_jacobian: Callable[[NDArray[np.float64]], float]


_SPACES = {
    one.name: one
    for one in (
        Space(
            "linear",
            "f - y",
            positive=False,
            observed=lambda y: y,
            residual=lambda f, y: f - y,
            slopes=lambda f, y: (1.0, None),
            log_jacobian=lambda y: 0.0,
        ),
        Space(
            "log10",
            "log10 f - log10 y",
            positive=True,
            observed=np.log10,
            residual=lambda f, y: np.log10(f / y),
            slopes=lambda f, y: (1.0 / (_LN10 * f), -1.0 / (_LN10 * f * f)),
            log_jacobian=lambda y: float(-np.log(_LN10 * y).sum()),
        ),
        Space(
            "relative",
            "(f - y) / y",
            positive=True,
            observed=np.ones_like,
            residual=lambda f, y: f / y - 1.0,
            slopes=lambda f, y: (1.0 / y, None),
            log_jacobian=lambda y: float(-np.log(y).sum()),
        ),
    )
}


def get_space(name: str) -> Space:
    """The space `name`; SuiteError that lists those there are if there is none."""
    if name in _SPACES:
        return _SPACES[name]
    raise SuiteError(
        "space is not known",
        expected=" or ".join(_SPACES),
        found=repr(name),
        hint="write space: linear",
    )
