"""The verdict in words and rows, the same for the page, Markdown, JUnit and JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.numbers import at_resolution, signed, significant, value_label
from harness.verdict.expectation import told
from harness.verdict.model import Verdict, by_group, of_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis import Fit
    from harness.report.model import ReportInput
    from harness.verdict.model import Comparison

WORDS = {
    Verdict.REPRODUCED: "reproduced",
    Verdict.DRIFTED: "drifted",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.NOT_REPRODUCED: "not reproduced",
}
SIGNS = {
    Verdict.REPRODUCED: "✓",
    Verdict.DRIFTED: "≈",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_REPRODUCED: "✗",
}

_WITHHELD = "withheld: this run has no R² per curve to stand beside it"


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison as text. `beside` is what its number may not be shown without."""

    comparison: Comparison
    unit: str
    published: str
    found: str
    difference: str
    tolerance: str
    word: str
    sign: str
    declared: str
    reason: str
    beside: str


@dataclass(frozen=True, slots=True)
class Row:
    """Lines that belong together, for example one row of a published table."""

    name: str
    verdict: Verdict
    word: str
    sign: str
    lines: Sequence[Line]
    counts: str
    tolerance_reason: str  # if it is the same for all lines
    declared: str  # if it and `reason` are the same for all of several lines
    reason: str


def rows(report: ReportInput) -> list[Row]:
    """The verdict table, in the order of the golden file."""
    return [_row(name, group, report.fits) for name, group in by_group(report.comparisons).items()]


# Up to so many independent refits are shown like the other numbers.
_FEW_REFITS = 12


def few_refits(comparisons: Sequence[Comparison]) -> bool:
    """Whether the independent refits are few enough to stand among the other numbers."""
    return sum(c.kind == "refit" for c in comparisons) <= _FEW_REFITS


def shown_rows(
    comparisons: Sequence[Comparison], *, everything: bool = False
) -> dict[str, list[Comparison]]:
    """Rows that a reader sees first: without those of many independent refits that agree.

    All rows if there are no others.
    """
    rows = by_group(comparisons)
    if everything or few_refits(comparisons):
        return rows
    return {name: row for name, row in rows.items() if not _goes_without_saying(row)} or rows


def _goes_without_saying(row: Sequence[Comparison]) -> bool:
    """Whether a row is of independent refits only, and none of them found anything else."""
    return all(c.kind == "refit" and c.verdict is not Verdict.NOT_REPRODUCED for c in row)


# What a tolerance can be made of, by the word that stands for it.
_TOLERANCE_WORDS = {
    "½ digit": "½ digit is half a unit of the last printed digit",
    "SE·√": "slack is SE·√(ε(n-p)), how far a parameter moves while the objective stays within ε "
    "of its minimum",
    "margin": "margin is the largest difference that is still the same result, set before the run; "
    "the 90% interval has to lie within it",
}


def tolerance_words(comparisons: Sequence[Comparison]) -> list[str]:
    """What the words mean in which the tolerances of comparisons are told."""
    why = [comparison.tolerance_reason for comparison in comparisons]
    return [
        text for word, text in _TOLERANCE_WORDS.items() if any(word in reason for reason in why)
    ]


# What the golden entries of each kind are called in a sentence.
KINDS = {
    "published": "published numbers",
    "refit": "independent refits",
    "transcribed": "numbers transcribed from the figure that the run replays",
    "recorded": "numbers recorded by this harness",
}


def headline(report: ReportInput) -> str:
    """The verdict of the suite, how many entries of each kind came out how, what was expected.

    Declared entries are left to `declared_sentence`: they do not count.
    """
    sentence = _verdict_sentence(report)
    expected = told(report.verdict, report.expected)
    return f"{sentence} {expected[0].upper()}{expected[1:].rstrip('.')}." if expected else sentence


def _verdict_sentence(report: ReportInput) -> str:
    verdict = WORDS[report.verdict].capitalize()
    if not report.comparisons:
        return f"{verdict}: this tier has no golden entries to be held against."
    parts = []
    for kind, name in KINDS.items():
        of_kind = [c for c in report.comparisons if c.kind == kind and c.counts]
        if of_kind:
            counts = Counter(comparison.verdict for comparison in of_kind)
            came = _join([f"{counts[one]} {WORDS[one]}" for one in Verdict if counts[one]])
            parts.append(f"of {len(of_kind)} {name}, {came}")
    return f"{verdict}: {'; '.join(parts) or 'nothing that counts'}."


def declared_sentence(report: ReportInput) -> str:
    """What was declared beforehand and does not count; empty if nothing was."""
    counts = Counter(c.declared for c in report.comparisons if c.declared is not None)
    if not counts:
        return ""
    kinds = _join([f"{count} as {kind.replace('_', ' ')}" for kind, count in counts.items()])
    return (
        f"Declared in the golden file beforehand: {kinds}. Such an entry counts only if the run "
        "contradicts the declaration too."
    )


def uncounted(group: Sequence[Comparison]) -> str:
    """What of a row has no part in its verdict: ` (1 declared)`, or nothing."""
    kinds = [
        (sum(c.declared is not None and not c.counts for c in group), "declared"),
        (sum(c.declared is None and not c.counts for c in group), "shown only"),
    ]
    told = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
    return f" ({told})" if told else ""


@dataclass(frozen=True, slots=True)
class BeyondReach:
    """Published numbers of one table that no run can find again for one and the same reason."""

    name: str
    place: str
    numbers: Sequence[tuple[str, str]]  # what, and as published with its unit
    reason: str


def beyond_reach(report: ReportInput) -> list[BeyondReach]:
    """The numbers that are not recomputed, those with the same group, place and reason together."""
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for one in report.not_recomputed:
        shown = one.shown if one.unit == "1" else f"{one.shown} {one.unit}"
        key = (one.group, f"{one.source}, {one.place}", one.reason)
        found.setdefault(key, []).append((one.label, shown))
    return [
        BeyondReach(name, place, numbers, reason)
        for (name, place, reason), numbers in found.items()
    ]


def per_curve_r2(fit: Fit) -> str:
    """R2 of each curve in size order: `0.5B 0.512 · 1.5B 0.547`."""
    values = sorted(fit.r2_by_curve.items())
    return " · ".join(f"{value_label(fit.group, curve)} {r2:.3f}" for curve, r2 in values)


def pooled_r2_fit(quantity: str) -> str | None:
    """The fit whose pooled R2 a quantity is, or None: `fit/base-C-intra/R2` -> base-C-intra."""
    parts = quantity.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "fit" and parts[2] == "R2" else None


def _row(name: str, group: Sequence[Comparison], fits: Mapping[str, Fit]) -> Row:
    verdict = of_row(group)
    counts = Counter(comparison.verdict for comparison in group)
    tolerances = {comparison.tolerance_reason for comparison in group}
    reasons = {(comparison.declared, comparison.reason) for comparison in group}
    shared = len(group) > 1 and len(reasons) == 1
    lines = [_line(comparison, fits) for comparison in group]
    return Row(
        name=name,
        verdict=verdict,
        word=WORDS[verdict] + uncounted(group),
        sign=SIGNS[verdict],
        lines=lines,
        counts=", ".join(f"{counts[one]} {WORDS[one]}" for one in Verdict if counts[one]),
        tolerance_reason=group[0].tolerance_reason if len(tolerances) == 1 else "",
        declared=lines[0].declared if shared else "",
        reason=lines[0].reason if shared else "",
    )


def _line(comparison: Comparison, fits: Mapping[str, Fit]) -> Line:
    found = at_resolution(comparison.found, comparison.digits)
    declared = comparison.declared or ""
    beside = _interval(comparison)
    pooled = pooled_r2_fit(comparison.quantity)
    if pooled is not None and comparison.found is not None:
        fit = fits.get(pooled)
        if fit is None or not fit.r2_by_curve:
            found = _WITHHELD
        else:
            beside = (f"{beside}; " if beside else "") + f"R² per curve: {per_curve_r2(fit)}"
    return Line(
        comparison=comparison,
        unit="" if comparison.unit in ("", "1") else comparison.unit,
        published=comparison.published,
        found=found,
        difference=signed(_without_noise(comparison)),
        tolerance=significant(comparison.tolerance, 2),
        word=WORDS[comparison.verdict],
        sign=SIGNS[comparison.verdict],
        reason=comparison.reason.removeprefix(f"declared {declared}: "),
        declared=f"declared {declared.replace('_', ' ')}" if declared else "",
        beside=beside,
    )


def _interval(comparison: Comparison) -> str:
    """The interval of the difference that a statistical comparison rests on; else empty."""
    statistics = comparison.statistics
    if statistics is None:
        return ""
    seeds = "" if statistics.seeds is None else f", {statistics.seeds} seeds"
    low, high = signed(statistics.low), signed(statistics.high)
    return f"90% interval of the difference: {low} to {high}{seeds}"


def _without_noise(comparison: Comparison) -> float | None:
    """The difference, without the last bits that decimal digits leave in a float."""
    difference, found = comparison.difference, comparison.found
    if difference is None or found is None:
        return difference
    return 0.0 if abs(difference) < 1e-12 * abs(found) else difference


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
