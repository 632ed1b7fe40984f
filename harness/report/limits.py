"""What a run does not say, and what the flags of a fit's certificate mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.model import ReportInput

_BY_LEVEL = {
    "R0": (
        "Level R0 repeats the fit from published points. Nothing was trained, sampled or scored: "
        "a reproduced entry says that the published number follows from the published points, "
        "not that the points would come out again."
    ),
    "R1": (
        "Level R1 repeats the scoring of stored generations. Nothing was trained or sampled: what "
        "the models would write today is not tested."
    ),
    "R2": (
        "Level R2 repeats the evaluation of stored checkpoints. Nothing was trained: how the "
        "checkpoints came about is not tested."
    ),
    "R3": (
        "Level R3 repeats the training at the scale of this tier. What holds at its model sizes "
        "and lengths need not hold at others."
    ),
}
_POOLED = (
    "Pooled R² is mostly the variance between model sizes, which any law with a free offset per "
    "size explains; only R² per curve says how well the fall along a curve is described."
)
_INTERVALS = (
    "Least-squares standard errors take the points of a learning curve as independent, which they "
    "are not; the intervals shown come from drawing whole curves, and with few curves they are "
    "coarse."
)
_CALIBRATED = (
    "A calibrated extrapolation uses the points that it predicts for its offset; only a blind one "
    "is a forecast."
)
_FLAGS = {
    "not_converged": "the search stopped before the gradient vanished; the numbers are not final",
    "close_optimum": "another optimum is almost as good; which is found may depend on the start",
    "on_bound": "the parameter ended on a bound of the search and has no error",
    "flat_profile": "the data do not say where the parameter ends: its 95% interval is open",
    "correlated": "the two parameters can be traded for each other; compare predictions instead",
    "ill_conditioned": "some combination of parameters is hardly determined",
    "few_points": "fewer than five degrees of freedom are left",
    "asymptote_outside": "the level that the law ends at lies outside 0 to 1, where no rate can be",
    "midpoint_outside": "the middle of the rise lies outside the data, so that both ends are "
    "guessed from one side",
    "outside_unit": "there are values above 1, where the law was made for error rates; they are "
    "fitted all the same",
    "worse_than_mean": "a curve is described worse than by its own mean: R² is below 0",
}


def sentences(report: ReportInput) -> list[str]:
    """The limits of a run: those of its level, those of every report, those the caller adds."""
    level = _BY_LEVEL.get(report.level)
    return [*([level] if level else []), _POOLED, _INTERVALS, _CALIBRATED, *report.limits]


def flag_meaning(flag: str) -> str:
    """What a certificate's flag says in words; `correlated:a~b` is looked up by its head."""
    return _FLAGS.get(flag.partition(":")[0], "see the documentation of the analysis that sets it")
