"""The numbers of a run under the names by which golden files call them.

| name | number |
|---|---|
| fit/FIT/PARAMETER | shared parameter of a fit, in base units |
| fit/FIT/PARAMETER/SIZE | parameter of one curve |
| fit/FIT/R2, fit/FIT/R2/SIZE | pooled R2 in linear loss, and that of one curve |
| fit/FIT/R2_log/SIZE | R2 of one curve in the logarithm of the loss |
| fit/FIT/objective, fit/FIT/n | the minimised objective, and the number of points |
| fit/FIT/se/PARAMETER | least-squares standard error of a shared parameter |
| fit/FIT/correlation/P~Q | correlation of two shared parameters (of log N0 as of N0) |
| fit/FIT/loo_se/PARAMETER | its jackknife standard error by curves, where curves are resampled |
| extrapolation/FIT/KIND/E0/SIZE, .../R2/SIZE, .../rmse/SIZE | KIND is blind or calibrated |
| summary/NAME/LABEL/... | one number of one curve, by the labels that the suite names |
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.collect import summarise
from harness.report.numbers import size_label
from harness.verdict.model import Quantity, Sample, Spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.analysis.extrapolation import Extrapolation
    from harness.analysis.fits import Fit
    from harness.analysis.resampling import LeaveOneOut, Resample
    from harness.collect import CellResult
    from harness.spec.measures import Summary


# The label that tells runs of the same cell apart.
SEED = "seed"

# Flags of a fit's certificate under which no parameter, or not the one named, is determined.
_DOUBT_ALL = frozenset({"not_converged", "ill_conditioned"})
_DOUBT_ONE = ("on_bound", "flat_profile")


def label_text(name: str, value: object) -> str:
    """A label's value as part of a quantity's name: sizes as 0.5B, other numbers as short as exact.

    A size that the short form would round keeps all its digits, so that no two share a name.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if name == "N":
        short = size_label(value)
        unit = {"T": 1e12, "B": 1e9, "M": 1e6, "K": 1e3}.get(short[-1], 1.0)
        if math.isclose(float(short.rstrip("TBMK")) * unit, value, rel_tol=1e-12):
            return short
    return f"{value:.17g}" if float(f"{value:g}") != value else f"{value:g}"


def fit_quantities(
    name: str, fit: Fit, refits: Resample | None, *, missing: str | None
) -> Iterator[Quantity]:
    """All numbers of one fit; `missing` says why they may not be compared, if they may not.

    Shared parameters have the spread over `refits`, where there are any.
    """
    root = math.sqrt(max(fit.dof, 0))

    general = [flag for flag in fit.certificate.flags if flag in _DOUBT_ALL]

    def one(
        suffix: str,
        value: float,
        se: float | None = None,
        flags: Sequence[str] = (),
        spread: Spread | None = None,
    ) -> Quantity:
        slack = root * se if se is not None and math.isfinite(se) else 0.0
        doubt = ", ".join([*general, *flags]) or None
        return Quantity(
            f"fit/{name}/{suffix}",
            value,
            slack=slack,
            missing=missing,
            doubt=doubt,
            spread=spread,
        )

    for parameter, value in fit.params.items():
        flags = [f"{flag}:{parameter}" for flag in _DOUBT_ONE]
        found = [flag for flag in flags if flag in fit.certificate.flags]
        yield one(parameter, value, fit.se.get(parameter), found, _spread(fit, refits, parameter))
    for parameter, by_group in fit.by_curve.items():
        for group, value in by_group.items():
            key = label_text(fit.group, group)
            flags = [f"{flag}:{parameter}/{group:g}" for flag in _DOUBT_ONE]
            found = [flag for flag in flags if flag in fit.certificate.flags]
            yield one(f"{parameter}/{key}", value, fit.se_by_curve[parameter][group], found)
    yield one("R2", fit.r2)
    for group, value in fit.r2_by_curve.items():
        yield one(f"R2/{label_text(fit.group, group)}", value)
    for group, value in fit.r2_log_by_curve.items():
        yield one(f"R2_log/{label_text(fit.group, group)}", value)
    yield one("objective", fit.objective)
    yield one("n", float(fit.n))


@dataclass(frozen=True)
class Sampling:
    """How far a spread over refits can be trusted.

    Attributes:
        factor: what it has to be multiplied by: drawing n things with replacement gives the
            variance of a sample without Bessel's correction.
        df: degrees of freedom: things drawn, less one for each group that they are drawn within.
    """

    factor: float
    df: int


ONE_RUN = "blocks of a single run hold nothing of the variance between runs"


def sampling_of(fit: Fit, refits: Resample) -> Sampling | None:
    """Of blocks within one run None: the variance between runs is not in them."""
    if refits.method == "block":
        return None
    crossed = refits.method in ("curve", "question")
    df = refits.clusters - (1 if crossed else len(fit.r2_by_curve))
    return Sampling(math.sqrt(refits.clusters / df) if df > 0 else 1.0, df)


def _spread(fit: Fit, refits: Resample | None, parameter: str) -> Spread | None:
    """The standard deviation over refits; None without them, or where they have an open end."""
    if refits is None or not all(map(math.isfinite, refits.intervals[parameter])):
        return None
    sampling, draws = sampling_of(fit, refits), refits.draws[parameter]
    draws = draws[np.isfinite(draws)]
    if sampling is None or len(draws) < 2:
        return None
    return Spread(sampling.factor * float(draws.std(ddof=1)), df=sampling.df)


def uncertainty_quantities(
    name: str, fit: Fit, left_out: LeaveOneOut | None, *, missing: str | None
) -> Iterator[Quantity]:
    """How uncertain the shared parameters of a fit are, by points and by curves."""
    errors = {"se": fit.se, "loo_se": left_out.se if left_out else {}}
    for kind, by_parameter in errors.items():
        for parameter, value in by_parameter.items():
            yield Quantity(f"fit/{name}/{kind}/{parameter}", value, missing=missing)
    for pair, value in fit.correlation.items():
        yield Quantity(f"fit/{name}/correlation/{'~'.join(pair)}", value, missing=missing)


def extrapolation_quantities(
    name: str, extrapolations: Sequence[Extrapolation], *, missing: str | None
) -> Iterator[Quantity]:
    """How well curves that a fit has not seen were predicted, blind and calibrated told apart."""
    for one in extrapolations:
        size = label_text("N", one.N)
        head = f"extrapolation/{name}/{one.kind}"
        yield Quantity(f"{head}/rmse/{size}", one.rmse, missing=missing)
        yield Quantity(f"{head}/R2/{size}", one.r2, missing=missing)
        yield Quantity(f"{head}/E0/{size}", one.E0, missing=missing)


def summary_name(summary: Summary, key: Sequence[object]) -> str:
    """The quantity's name, from the values of the labels in `summary.by`."""
    labels = [label_text(name, one) for name, one in zip(summary.by, key, strict=True)]
    return "/".join(["summary", summary.name, *labels])


def summary_quantities(summary: Summary, results: Sequence[CellResult]) -> Iterator[Quantity]:
    """One number for each combination of the summary's labels.

    Where cells have a label `seed` that `by` does not name, each number is the mean over seeds, and
    has the sample behind it; what `reduce` does is done within each seed.
    """
    if SEED in summary.by or not any(SEED in result.labels for result in results):
        for key, value in summarise(summary, results).items():
            yield Quantity(summary_name(summary, key), value)
        return
    by_seed: dict[object, list[CellResult]] = {}
    for result in results:
        by_seed.setdefault(result.labels[SEED], []).append(result)
    values: dict[tuple[object, ...], list[float]] = {}
    for of_one_seed in by_seed.values():
        for key, value in summarise(summary, of_one_seed).items():
            values.setdefault(key, []).append(value)
    for key, found in values.items():
        mean = math.fsum(found) / len(found)
        yield Quantity(summary_name(summary, key), mean, sample=Sample(tuple(found)))


def by_name(quantities: Iterable[Quantity]) -> dict[str, Quantity]:
    """Index quantities by name; a name that comes twice is a mistake of the harness."""
    index: dict[str, Quantity] = {}
    for quantity in quantities:
        assert quantity.name not in index, quantity.name
        index[quantity.name] = quantity
    return index
