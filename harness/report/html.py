"""report.html: one file, nothing loaded from elsewhere, no script."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from harness.report import judged, limits
from harness.report.describe import (
    flags_in_words,
    interval_in_words,
    next_basin_in_words,
    objective_in_words,
    starts_in_words,
)
from harness.report.figures import Omitted, Rendered
from harness.report.held import HEADS, RIVAL_HEADS, held_rows, rival_rows
from harness.report.intervals import curve_interval, shared_interval
from harness.report.model import group_of
from harness.report.numbers import format_value, share, significant, value_label
from harness.report.style import DARK_INKS, formula, symbol, unit_of
from harness.report.svg import color_variables, inline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.analysis import Fit, ProfileInterval
    from harness.report.model import ReportInput
    from harness.report.svg import InlineSvg


# What the golden number of a row is.
_KINDS = {
    "published": "Published",
    "refit": "Independent refit",
    "transcribed": "Transcribed from the figure that the run replays",
    "recorded": "Recorded",
}


@dataclass(frozen=True, slots=True)
class _FitView:
    """A fit as the page shows it."""

    name: str
    formula: str
    params: Sequence[tuple[str, str, str]]  # symbol, value with interval, unit
    own: Sequence[str]  # symbols of the parameters that every curve has
    of_curves: Sequence[tuple[str, Sequence[str]]]  # curve, its values of those with intervals
    per_curve: Sequence[tuple[str, str]]  # curve, R2
    pooled: str
    points: str
    resample: str
    held_out: Sequence[Sequence[str]]  # rows under HEADS
    rivals: Sequence[Sequence[str]]  # rows under RIVAL_HEADS
    facts: Sequence[tuple[str, str]]
    flags: Sequence[tuple[str, str]]  # flag, what it means


@dataclass(frozen=True, slots=True)
class _FigureView:
    """A figure as the page shows it."""

    name: str
    title: str
    caption: str
    svg: str


def render_html(report: ReportInput, figures: Sequence[Rendered | Omitted]) -> str:
    """The page as one string."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    inlined = {
        figure.name: inline(
            figure.svg, prefix=f"f{rank}", alt=figure.alt, dark={**DARK_INKS, **figure.dark}
        )
        for rank, figure in enumerate(figures)
        if isinstance(figure, Rendered)
    }
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows, first = judged.rows(report), judged.shown_rows(report.comparisons)
    return environment.get_template("report.html.j2").render(
        report=report,
        style=_style(figures, inlined.values()),
        headline=judged.headline(report),
        declared=judged.declared_sentence(report),
        sign=judged.SIGNS[report.verdict],
        rows=[row for row in rows if row.name in first],
        folded=[row for row in rows if row.name not in first],
        tolerance_words=judged.tolerance_words(report.comparisons),
        beyond_reach=judged.beyond_reach(report),
        kinds=_KINDS,
        figures=[
            _FigureView(figure.name, figure.title, figure.caption, inlined[figure.name].element)
            for figure in figures
            if isinstance(figure, Rendered)
        ],
        omitted=[figure for figure in figures if isinstance(figure, Omitted)],
        held_heads=HEADS,
        rival_heads=RIVAL_HEADS,
        fits=[_fit_view(name, fit, report) for name, fit in report.fits.items()],
        extrapolations=list(_extrapolation_rows(report)),
        provenance=list(_flat(report.provenance)),
        timing=[(step, f"{seconds:.2f} s") for step, seconds in report.timing.items()],
        limits=limits.sentences(report),
    )


def _style(figures: Sequence[Rendered | Omitted], inlined: Iterable[InlineSvg]) -> str:
    colors = dict(DARK_INKS)
    for figure in figures:
        if isinstance(figure, Rendered):
            colors.update(figure.dark)
    light, dark = (color_variables(colors, dark=night) for night in (False, True))
    rules = "".join(one.css for one in inlined)
    sheet = files("harness.report").joinpath("templates/style.css").read_text("utf-8")
    return (
        f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"{sheet}{rules}"
    )


def _fit_view(name: str, fit: Fit, report: ReportInput) -> _FitView:
    resample = report.resamples.get(name)
    curves = sorted(fit.r2_by_curve)
    return _FitView(
        name=name,
        formula=formula(fit),
        params=[
            (
                symbol(parameter),
                format_value(value, *shared_interval(fit, resample, parameter)),
                unit_of(fit, parameter),
            )
            for parameter, value in fit.params.items()
        ],
        own=[symbol(parameter) for parameter in fit.by_curve],
        of_curves=[
            (
                value_label(fit.group, curve),
                [
                    format_value(values[curve], *curve_interval(fit, resample, parameter, curve))
                    for parameter, values in fit.by_curve.items()
                ],
            )
            for curve in curves
        ],
        per_curve=[
            (value_label(fit.group, curve), f"{fit.r2_by_curve[curve]:.3f}") for curve in curves
        ],
        pooled=f"{fit.r2:.4f}",
        points=f"{fit.n:,} points; {objective_in_words(fit)}",
        resample=interval_in_words(resample),
        held_out=[row.cells for row in held_rows(fit, report.held_out.get(name, ()))],
        rivals=rival_rows(report.rivals.get(name, ())),
        facts=[*_facts(fit), *_profiles(fit, report.profiles.get(name, ()))],
        flags=[
            *flags_in_words(fit, resample),
            *(("note", text) for text in report.fit_notes.get(name, ())),
        ],
    )


def _facts(fit: Fit) -> list[tuple[str, str]]:
    certificate = fit.certificate
    facts = [
        ("law", f"{fit.law} v{fit.law_version}"),
        ("objective", significant(fit.objective, 7)),
        ("BIC", significant(fit.bic, 6)),
        ("gradient", significant(certificate.gradient_norm, 2)),
        ("condition number", significant(certificate.condition_number, 3)),
        ("search", starts_in_words(fit)),
        ("other optima", next_basin_in_words(fit)),
        ("on a bound", ", ".join(certificate.on_bound) or "none"),
    ]
    facts.extend(
        (f"correlation {a}, {b}", f"{value:.3f}") for (a, b), value in fit.correlation.items()
    )
    return facts


def _profiles(fit: Fit, found: Sequence[ProfileInterval]) -> list[tuple[str, str]]:
    return [
        (
            f"profile likelihood of {symbol(one.parameter)}, {one.level:.0%}",
            format_value(fit.params[one.parameter], one.low, one.high)
            + (f" ({one.note})" if one.note else ""),
        )
        for one in found
    ]


def _extrapolation_rows(report: ReportInput) -> Iterator[tuple[str, ...]]:
    # Unseen curves first: they are what the two kinds are about.
    for name, found in sorted(
        report.extrapolations.items(), key=lambda item: all(one.kind == "blind" for one in item[1])
    ):
        for one in found:
            yield (
                name,
                value_label(group_of(report, name), one.N),
                one.kind,
                one.law,
                str(len(one.x)),
                significant(one.rmse, 2),
                share(one.relative_error),
                significant(one.r2, 3),
            )


def _flat(value: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested provenance as lines; long mappings, such as all packages, stay one line each."""
    for key, inner in value.items():
        name = f"{above}{key}"
        if isinstance(inner, dict) and inner:
            yield from _flat(inner, f"{name}.")
        elif isinstance(inner, list | tuple):
            yield name, ", ".join(map(str, inner)) or "none"
        else:
            yield name, "none" if inner is None else str(inner)
