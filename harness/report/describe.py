"""A fit in words: what was minimised, over what, and what its flags mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report import limits

if TYPE_CHECKING:
    from harness.analysis import Fit, Resample

_LOSSES = {
    "squares": "least squares",
    "huber": "Huber loss",
    "lad": "least absolute deviations",
}
_SPACES = {
    "linear": "in L",
    "log10": "in log₁₀ L",
    "relative": "relative to L",
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
    space = _SPACES.get(fit.space, fit.space)
    weights = _WEIGHTS.get(fit.weights, fit.weights)
    parts = [f"{told} {space}", weights]
    clips = [
        f"the {word} {count} points of each curve left out"
        for word, count in (("first", fit.drop_first), ("last", fit.drop_last))
        if count
    ]
    return f"{', '.join(parts + clips)}; {fit.p} parameters, {fit.dof} degrees of freedom"


def flags_in_words(fit: Fit, resample: Resample | None) -> list[tuple[str, str]]:
    """Each flag of the fit's certificate with its meaning, then what its resampling says."""
    flags = [(flag, limits.flag_meaning(flag)) for flag in fit.certificate.flags]
    if resample is not None and resample.note:
        flags.append(("resampling", resample.note))
    return flags


def interval_in_words(resample: Resample | None) -> str:
    """What the intervals of a fit are: what was drawn again, or standard errors and their fault."""
    if resample is None:
        return (
            "± 2 least-squares standard errors, which take the points of a curve for independent "
            "and so understate"
        )
    drawn = _DRAWN.get(resample.method, f"values of {resample.method}")
    return f"95% of {resample.n:,} refits to {drawn} drawn with replacement"
