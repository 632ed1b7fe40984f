"""What a run does not say, and what the flags of a fit's certificate mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.report.model import ReportInput

_R0 = (
    "Level R0 repeats the {work} from published {points}. Nothing was trained, sampled or scored: "
    "a reproduced entry says that the published number follows from the published {points}, not "
    "that the {points} would come out again."
)
_BY_LEVEL = {
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
    "Pooled R² is mostly the variance between curves, which any law with a free offset per curve "
    "explains; only R² per curve says how well the fall along a curve is described."
)
_STANDARD_ERRORS = (
    "{whose} two least-squares standard errors, which take the points of a curve as independent; "
    "they are not, so that the intervals are too short."
)
_BY_CURVE = (
    "{whose} from drawing whole curves; with few curves they are coarse, and what all curves have "
    "in common they do not show."
)
_BY_BLOCK = (
    "{whose} from drawing blocks of residuals within each curve: how far the points leave a curve "
    "open. How far another run would lie is not in them, and they are a lower bound."
)
_BY_COLUMN = (
    "{whose} from drawing values of {column}; what differs otherwise is not in them, and with few "
    "values they are coarse."
)
_WITHHELD = (
    "{whose} withheld: there are too few different things to draw, or too many draws do not "
    "determine the law, and what is left says nothing of its error."
)
_CALIBRATED = (
    "A calibrated extrapolation uses the points that it predicts for its offset; only a blind one "
    "is a forecast."
)
_NAMED = 4  # up to so many fits are named, where they differ in their intervals
_FLAGS = {
    "not_converged": "the search stopped before the gradient vanished; the numbers are not final",
    "close_optimum": "another optimum is almost as good; which is found may depend on the start",
    "on_bound": "the parameter ended on a bound of the search and has no error",
    "flat_profile": "the data do not say where the parameter ends: its 95% interval is open",
    "correlated": "the two parameters can be traded for each other; compare predictions instead",
    "ill_conditioned": "some combination of parameters is hardly determined",
    "few_points": "fewer than five degrees of freedom are left",
    "asymptote_outside": "the level that the law ends at lies outside 0 to 1, where no rate can be",
    "no_number": "the parameter leaves the range of numbers: the data do not determine it",
    "midpoint_outside": "the middle of the rise (of N0 and N1: the size of half the value) lies "
    "outside the data, so that both ends are guessed from one side",
    "outside_unit": "there are values above 1, where the law was made for error rates; they are "
    "fitted all the same",
    "worse_than_mean": "a curve is described worse than by its own mean: R² is below 0",
}


def sentences(report: ReportInput) -> list[str]:
    """The limits of a run: of its level, of the fits that it holds, and those the suite adds."""
    return [*_of_level(report), *_of_fits(report), *report.limits]


def _of_level(report: ReportInput) -> Iterator[str]:
    if report.level == "R0":
        work, points = ("fit", "points") if report.fits else ("arithmetic", "numbers")
        yield _R0.format(work=work, points=points)
    elif report.level in _BY_LEVEL:
        yield _BY_LEVEL[report.level]


def _of_fits(report: ReportInput) -> Iterator[str]:
    if any(len(fit.r2_by_curve) > 1 for fit in report.fits.values()):
        yield _POOLED
    by_method: dict[str | None, list[str]] = {}
    for name in report.fits:
        resample = report.resamples.get(name)
        method = None
        if resample is not None:
            method = _NONE if resample.withheld else resample.method
        by_method.setdefault(method, []).append(name)
    for method, names in by_method.items():
        text = _STANDARD_ERRORS if method is None else _METHODS.get(method, _BY_COLUMN)
        whose = _whose(names, report, single=method in (None, _NONE))
        yield text.format(whose=whose, column=method)
    predictions = [*report.extrapolations.values(), *report.held_out.values()]
    if any(one.kind == "calibrated" and not one.reason for found in predictions for one in found):
        yield _CALIBRATED


def _whose(names: Sequence[str], report: ReportInput, *, single: bool) -> str:
    """`The intervals of base-C come`, or of so many fits, or of all."""
    verb = "are" if single else "come"
    if len(names) == len(report.fits):
        return f"The intervals of the fits {verb}"
    told = ", ".join(names) if len(names) <= _NAMED else f"{len(names)} of the fits"
    return f"The intervals of {told} {verb}"


_NONE = "no interval"
_METHODS = {_NONE: _WITHHELD, "curve": _BY_CURVE, "block": _BY_BLOCK}


def flag_meaning(flag: str) -> str:
    """What a certificate's flag says in words; `correlated:a~b` is looked up by its head."""
    return _FLAGS.get(flag.partition(":")[0], "see the documentation of the analysis that sets it")
