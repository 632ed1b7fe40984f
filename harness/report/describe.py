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


def objective_in_words(fit: Fit) -> str:
    """`least squares in L, every curve weighs the same; 9 parameters, 723 degrees of freedom`."""
    loss = getattr(fit, "loss", "squares")
    delta = getattr(fit, "delta", None)
    told = _LOSSES.get(loss, loss) + (f" (δ = {delta:g})" if delta is not None else "")
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
