"""A fit in words: what was minimised, over what, and what its flags mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.report import limits
from harness.report.numbers import significant, value_label

if TYPE_CHECKING:
    from harness.analysis import Fit, Resample

_LOSSES = {
    "squares": "least squares",
    "huber": "Huber loss",
    "lad": "least absolute deviations",
}
_SPACES = {
    "linear": "in {y}",
    "log10": "in log₁₀ {y}",
    "relative": "relative to {y}",
}
_WEIGHTS = {
    "per_curve": "every curve weighs the same",
    "per_point": "every point weighs the same",
}

_DRAWN = {"curve": "curves", "block": "blocks of residuals within curves"}


def objective_in_words(fit: Fit) -> str:
    """`least squares in L, every curve weighs the same; 9 parameters, 723 degrees of freedom`."""
    told = _LOSSES.get(fit.loss, fit.loss)
    if fit.delta is not None:
        told += f" (δ = {fit.delta:g})"
    # The paper's letter stands on the axis of its own loss only; a reward is no L.
    y = "L" if fit.y == "ErrRate" else fit.y
    space = _SPACES.get(fit.space, fit.space).format(y=y)
    weights = _WEIGHTS.get(fit.weights, fit.weights)
    parts = [f"{told} {space}", weights]
    clips = [
        f"the {word} {count} points of each curve left out"
        for word, count in (("first", fit.drop_first), ("last", fit.drop_last))
        if count
    ]
    return f"{', '.join(parts + clips)}; {fit.p} parameters, {fit.dof} degrees of freedom"


def flags_in_words(fit: Fit, resample: Resample | None) -> list[tuple[str, str]]:
    """Each flag of the fit's certificate with its meaning, then what its resampling says.

    A flag of one curve's parameter, `on_bound:A/7e+09`, stands once for all curves that have it.
    """
    flags = []
    for flag, curves in _by_flag(fit).items():
        meaning = limits.flag_meaning(flag)
        if 0 < len(curves) < len(fit.r2_by_curve) or (curves and len(fit.r2_by_curve) == 1):
            meaning += f" ({fit.group} {', '.join(curves)})"
        elif curves:
            meaning += " (every curve)"
        flags.append((flag, meaning))
    if resample is not None and resample.note:
        flags.append(("resampling", resample.note))
    return flags


def starts_in_words(fit: Fit) -> str:
    """From how many starts the optimum was searched, and how many of them came to it."""
    certificate = fit.certificate
    if certificate.starts > 1:
        return f"{certificate.starts} starts, {certificate.share_in_best:.0%} in the best basin"
    if fit.loss == "squares":
        return "one start only, which says nothing of other optima"
    return (
        "one start only, the optimum of least squares, so that nothing is known of optima far "
        "from it"
    )


def next_basin_in_words(fit: Fit) -> str:
    """How much worse the second-best optimum is, where there was more than one search."""
    certificate = fit.certificate
    gap = certificate.second_gap
    if certificate.starts == 1:
        return "no other was looked for"
    if gap is None:
        return "no other found"
    if gap == math.inf:
        return "the next is not exact"  # the best one is: nothing is a multiple of it
    if gap < 1:
        return f"the next {gap:.2%} worse"
    return f"the next {significant(gap, 2)} times worse"


def _by_flag(fit: Fit) -> dict[str, list[str]]:
    """Flags without the curves in their names, and the curves."""
    found: dict[str, list[str]] = {}
    for flag in fit.certificate.flags:
        head, colon, rest = flag.partition(":")
        names = [part.partition("/") for part in rest.split("~")]
        curves = found.setdefault(head + colon + "~".join(name for name, _, _ in names), [])
        for value in dict.fromkeys(value for _, _, value in names if value):
            curves.append(value_label(fit.group, float(value)))
    return found


def interval_in_words(resample: Resample | None) -> str:
    """What the intervals of a fit are: what was drawn again, or standard errors and their fault."""
    if resample is None:
        return (
            "± 2 least-squares standard errors, which take the points of a curve for independent "
            "and so understate"
        )
    if resample.withheld:
        return f"none ({', '.join(resample.flags)}): {resample.note}"
    drawn = _DRAWN.get(resample.method, f"values of {resample.method}")
    return f"95% of {resample.n:,} refits to {drawn} drawn with replacement"
