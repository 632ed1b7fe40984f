"""report.html: one file, nothing loaded from elsewhere, no script."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from harness.report import judged, limits
from harness.report.figures import Omitted, Rendered
from harness.report.numbers import format_value, significant, size_label
from harness.report.style import DARK_INKS, formula, symbol, unit_of
from harness.report.svg import color_variables, inline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.analysis import Extrapolation, Fit
    from harness.report.model import ReportInput
    from harness.report.svg import InlineSvg


@dataclass(frozen=True, slots=True)
class _FitView:
    """A fit as the page shows it."""

    name: str
    formula: str
    params: Sequence[tuple[str, str, str]]  # symbol, value with interval, unit
    per_curve: Sequence[tuple[str, str]]  # size, R2
    pooled: str
    points: str
    resample: str
    facts: Sequence[tuple[str, str]]
    flags: Sequence[tuple[str, str]]  # flag, what it means


@dataclass(frozen=True, slots=True)
class _FigureView:
    """A figure as the page shows it."""

    name: str
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
    return environment.get_template("report.html.j2").render(
        report=report,
        style=_style(figures, inlined.values()),
        headline=judged.headline(report),
        declared=judged.declared_sentence(report),
        sign=judged.SIGNS[report.verdict],
        rows=judged.rows(report),
        figures=[
            _FigureView(figure.name, figure.caption, inlined[figure.name].element)
            for figure in figures
            if isinstance(figure, Rendered)
        ],
        omitted=[figure for figure in figures if isinstance(figure, Omitted)],
        fits=[_fit_view(name, fit, report) for name, fit in report.fits.items()],
        extrapolations=list(_extrapolation_rows(report.extrapolations)),
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
    intervals = resample.intervals if resample else {}
    params = []
    for parameter, value in fit.params.items():
        lo, hi = intervals.get(parameter, (None, None))
        params.append((symbol(parameter), format_value(value, lo, hi), unit_of(fit, parameter)))
    told = "no resampling: intervals are not shown"
    if resample is not None:
        told = f"95% of {resample.n} refits to {resample.method}s drawn with replacement"
    return _FitView(
        name=name,
        formula=formula(fit),
        params=params,
        per_curve=[(size_label(N), f"{r2:.3f}") for N, r2 in sorted(fit.r2_by_curve.items())],
        pooled=f"{fit.r2:.4f}",
        points=f"{fit.n} points, {fit.p} parameters, weights {fit.weights.replace('_', ' ')}, "
        f"{fit.space} loss",
        resample=told,
        facts=_facts(fit),
        flags=[
            *((flag, limits.flag_meaning(flag)) for flag in fit.certificate.flags),
            *([("resampling", resample.note)] if resample is not None and resample.note else []),
        ],
    )


def _facts(fit: Fit) -> list[tuple[str, str]]:
    certificate = fit.certificate
    gap = certificate.second_gap
    facts = [
        ("law", f"{fit.law} v{fit.law_version}"),
        ("objective", significant(fit.objective, 7)),
        ("gradient", significant(certificate.gradient_norm, 2)),
        ("condition number", significant(certificate.condition_number, 3)),
        (
            "starts",
            f"{certificate.starts}, {certificate.share_in_best:.0%} of them in the best basin",
        ),
        ("next basin", "none found" if gap is None else f"+{gap:.2%} of the objective"),
        ("on a bound", ", ".join(certificate.on_bound) or "none"),
    ]
    facts.extend(
        (f"correlation {a}, {b}", f"{value:.3f}") for (a, b), value in fit.correlation.items()
    )
    return facts


def _extrapolation_rows(
    extrapolations: Mapping[str, Sequence[Extrapolation]],
) -> Iterator[tuple[str, ...]]:
    # Unseen curves first: they are what the two kinds are about.
    for name, found in sorted(
        extrapolations.items(), key=lambda item: all(one.kind == "blind" for one in item[1])
    ):
        for one in found:
            yield (
                name,
                size_label(one.N),
                one.kind,
                one.law,
                str(len(one.x)),
                significant(one.rmse, 2),
                f"{one.relative_error:.1%}",
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
