"""summary.md: the verdict for a pull-request comment, which holds 65,536 characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report import judged, limits
from harness.report.held import HEADS, RIVAL_HEADS, held_rows, rival_rows
from harness.report.model import group_of
from harness.report.numbers import format_value, share, significant, value_label
from harness.report.style import symbol, unit_of
from harness.verdict.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.judged import Line, Row
    from harness.report.model import ReportInput

COMMENT_LIMIT = 65_536
_HEAD = "| quantity | golden | found | difference | tolerance | verdict |"
_RULE = "|---|--:|--:|--:|--:|---|"


def render_markdown(report: ReportInput) -> str:
    """The summary; rows that are wholly reproduced are folded if it would not fit otherwise."""
    whole = _render(report, fold=False)
    return whole if len(whole) <= COMMENT_LIMIT else _render(report, fold=True)


def _render(report: ReportInput, *, fold: bool) -> str:
    lines = [
        f"## {judged.SIGNS[report.verdict]} {_text(report.title)}",
        "",
        f"**{_text(judged.headline(report))}**",
        "",
    ]
    lines += [f"{_text(s)}\n" for s in (judged.declared_sentence(report), *report.notes) if s]
    run = f"run `{report.run_id}`, tier `{report.tier}`, level {report.level}"
    lines += [f"`{report.suite}` version {report.version}, {run}", ""]
    lines.extend(_troubles(report))
    for row in judged.rows(report):
        lines.extend(_row(row, fold=fold))
    lines.extend(_not_recomputed(report))
    lines.extend(_fits(report))
    lines.extend(_extrapolations(report))
    if not fold:
        lines.extend(_held_out(report))
    if report.rerun:
        lines += ["### Rerun", "", "```sh", *report.rerun, "```", ""]
    lines += ["### Limits", "", *(f"- {_text(one)}" for one in limits.sentences(report)), ""]
    return "\n".join(lines)


def _troubles(report: ReportInput) -> Iterator[str]:
    for cell in report.cell_errors:
        yield f"- cell `{cell.cell[:12]}` {_text(cell.status)}: {_text(cell.message)}"
    if report.drift:
        yield f"- lock drift accepted ({_text(report.drift.reason)}):"
        for difference in report.drift.differences:
            yield f"  - {_text(difference)}"
    if report.cell_errors or report.drift:
        yield ""


def _row(row: Row, *, fold: bool) -> Iterator[str]:
    yield f"### {row.sign} {_text(row.name)}: {row.word}"
    yield ""
    if fold and row.verdict is Verdict.REPRODUCED:
        yield f"{row.counts}; the numbers stand in report.html."
        yield ""
        return
    yield _HEAD
    yield _RULE
    for line in row.lines:
        yield _line(line)
    yield ""
    reasons = dict.fromkeys(
        line.comparison.tolerance_reason for line in row.lines if line.comparison.tolerance_reason
    )
    if reasons:
        yield "Tolerance: " + "; ".join(map(_text, reasons))
        yield ""


def _line(line: Line) -> str:
    verdict = f"{line.sign} {line.word}"
    if line.comparison.reason:
        verdict += f": {line.comparison.reason}"
    found = f"{line.found} ({line.beside})" if line.beside else line.found
    label = f"{line.comparison.label} ({line.unit})" if line.unit else line.comparison.label
    cells = [label, line.published, found, line.difference, line.tolerance, verdict]
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


def _not_recomputed(report: ReportInput) -> Iterator[str]:
    if not report.not_recomputed and not report.refused:
        return
    yield "### Not recomputed, and not counted"
    yield ""
    if report.not_recomputed:
        yield "| numbers | published | why no run can find them again |"
        yield "|---|---|---|"
    for one in judged.beyond_reach(report):
        numbers = "; ".join(f"{label}: {shown}" for label, shown in one.numbers)
        yield (
            "| " + " | ".join(map(_text, (f"{one.name} ({one.place})", numbers, one.reason))) + " |"
        )
    if report.not_recomputed:
        yield ""
    for refusal in report.refused:
        yield f"- {_text(refusal.what)}: may not become goldens, because {_text(refusal.reason)}"
    if report.refused:
        yield ""


def _fits(report: ReportInput) -> Iterator[str]:
    if not report.fits:
        return
    yield "### Fits"
    yield ""
    yield "| fit | parameters | R² per curve | pooled R² | flags |"
    yield "|---|---|---|--:|---|"
    for name, fit in report.fits.items():
        resample = report.resamples.get(name)
        parts = []
        for parameter, value in fit.params.items():
            lo, hi = resample.intervals.get(parameter, (None, None)) if resample else (None, None)
            text = f"{symbol(parameter)} = {format_value(value, lo, hi)} {unit_of(fit, parameter)}"
            parts.append(text.rstrip())
        per_curve = judged.per_curve_r2(fit)
        pooled = f"{fit.r2:.4f}" if per_curve else "withheld"
        flags = ", ".join(fit.certificate.flags) or "none"
        cells = [name, ", ".join(parts) or "free per curve", per_curve or "none", pooled, flags]
        yield "| " + " | ".join(_text(cell) for cell in cells) + " |"
    yield ""


def _held_out(report: ReportInput) -> Iterator[str]:
    """Held-out errors of the fits, and their rivals, without the points of single curves."""
    if any(report.held_out.values()):
        yield "### Held-out errors, from refits without the points"
        yield ""
        yield "| fit | " + " | ".join(HEADS[:-1]) + " |"
        yield "|---" * len(HEADS) + "|"
        for name, found in report.held_out.items():
            for row in held_rows(report.fits[name], found):
                if not row.reason:
                    yield "| " + " | ".join(map(_text, (name, *row.cells[:-1]))) + " |"
        yield ""
    if any(report.rivals.values()):
        yield "### Rival laws on the same points"
        yield ""
        yield "| fit | " + " | ".join(RIVAL_HEADS) + " |"
        yield "|---" * (len(RIVAL_HEADS) + 1) + "|"
        for name, rivals in report.rivals.items():
            for cells in rival_rows(rivals):
                yield "| " + " | ".join(map(_text, (name, *cells))) + " |"
        yield ""


def _extrapolations(report: ReportInput) -> Iterator[str]:
    if not any(report.extrapolations.values()):
        return
    yield "### Extrapolations, blind and calibrated"
    yield ""
    yield "| fit | curve | kind | law | RMSE | relative error |"
    yield "|---|--:|---|---|--:|--:|"
    for name, found in report.extrapolations.items():
        for one in found:
            curve = value_label(group_of(report, name), one.N)
            yield (
                f"| {_text(name)} | {curve} | {one.kind} | {one.law} "
                f"| {significant(one.rmse, 2)} | {share(one.relative_error)} |"
            )
    yield ""


def _text(text: str) -> str:
    """Text that cannot end a table cell, start markup or be taken for HTML."""
    plain = " ".join(text.split())
    for mark in ("\\", "|", "`", "*", "_", "<", ">", "[", "]", "~"):
        plain = plain.replace(mark, f"\\{mark}")
    return plain
