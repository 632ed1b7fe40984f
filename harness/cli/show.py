"""What commands print for a person: tables. JSON is printed by the verbs."""

from __future__ import annotations

from collections import Counter
from textwrap import wrap
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from harness.report.judged import (
    KINDS,
    few_refits,
    pooled_r2_fit,
    shown_rows,
    tolerance_words,
    uncounted,
)
from harness.report.limits import flag_meaning
from harness.report.numbers import is_withheld, share, size_label
from harness.verdict.entry import Kind
from harness.verdict.expectation import is_expected, told
from harness.verdict.model import Verdict, of_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from harness.fitting import Analysed
    from harness.planning import Need
    from harness.steps import Checked
    from harness.verdict.model import Comparison, Statistics

_COLOURS = {
    Verdict.REPRODUCED: "green",
    Verdict.DRIFTED: "yellow",
    Verdict.INCONCLUSIVE: "cyan",
    Verdict.NOT_REPRODUCED: "bold red",
}

# Logs and pipes have no width of their own, and 80 columns would fold every row of the table.
_PLAIN_WIDTH = 130


def console(*, stderr: bool = False) -> Console:
    """A console that keeps tables readable in a terminal and in a log alike."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, width=_PLAIN_WIDTH)
    return made


def number(value: float | None) -> str:
    """Six significant digits, or a hyphen."""
    return "-" if value is None else f"{value:.6g}"


def verdict_text(verdict: Verdict) -> Text:
    """A verdict as spelled in JSON, coloured where there is colour."""
    return Text(verdict.value, style=_COLOURS[verdict])


def fit_table(analyses: Mapping[str, Analysed]) -> Table:
    """Shared parameters with intervals, and R2 pooled and by curve: never the one alone.

    The flags of a fit's certificate stand beneath it, since its numbers look like any others.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Fits", title_justify="left")
    for name in ("fit", "points", "parameters [95% of refits]", "R2 pooled"):
        table.add_column(name)
    table.add_column("R2 of each curve, by size")
    for name, one in analyses.items():
        if one.outcome is None:
            table.add_row(name, "-", Text(f"not done: {one.incomplete}", style="cyan"), "", "")
            continue
        fit, resampled = one.outcome.fit, one.outcome.resample
        intervals = resampled.intervals if resampled is not None else {}
        shown = [
            f"{parameter} {value:.4g}" + _interval(intervals.get(parameter))
            for parameter, value in fit.params.items()
        ]
        if not shown:
            shown = [
                f"{parameter} " + " ".join(f"{value:.4f}" for value in by_group.values())
                for parameter, by_group in fit.by_curve.items()
                if parameter != "E0"  # a level: the held-out table has it where it says something
            ]
        by_curve = " ".join(f"{value:.3f}" for value in fit.r2_by_curve.values())
        mark = "*" if one.incomplete else ""
        table.add_row(name + mark, str(fit.n), ", ".join(shown), f"{fit.r2:.6f}", by_curve)
        if one.incomplete:
            table.add_row("", "", Text(f"* {one.incomplete}", style="cyan"), "", "")
        if resampled is not None and resampled.flags:
            table.add_row("", "", Text(f"! resampling: {resampled.note}", style="yellow"), "", "")
        for flag in fit.certificate.flags:
            text = Text(f"! {flag}: {flag_meaning(flag)}", style="yellow")
            table.add_row("", "", text, "", "")
    return table


def behind_verdict(
    comparisons: Sequence[Comparison], analyses: Mapping[str, Analysed], *, everything: bool
) -> dict[str, Analysed]:
    """The analyses whose numbers the verdict table shows; all if it shows none of any."""
    shown = {
        comparison.quantity.split("/")[1]
        for row in shown_rows(comparisons, everything=False).values()
        for comparison in row
        if comparison.quantity.startswith(("fit/", "extrapolation/"))
    }
    if everything or not shown:
        return dict(analyses)
    return {name: one for name, one in analyses.items() if name in shown}


def _interval(ends: tuple[float, float] | None) -> str:
    """Both ends, since a resampled interval can reach decades further on one side."""
    if ends is not None and is_withheld(*ends):
        return " (no interval)"
    return "" if ends is None else f" [{ends[0]:.3g}, {ends[1]:.3g}]"


def power_table(needs: Sequence[Need]) -> Group:
    """Seeds for 80% power at each margin, what all of them cost, and why others have no margin."""
    with_margin = [need for need in needs if need.margin is not None]
    parts: list[RenderableType] = []
    if with_margin:
        told = dict.fromkeys(need.reason for need in with_margin if need.reason)
        legend = Text(_POWER_LEGEND, style="dim")
        parts = [_seeds(with_margin), legend, *map(Text, told)]
        if all(need.cost_s is None for need in with_margin):
            parts.append(
                Text("no time: the suite's budget does not say what a cell takes (cell_s)")
            )
    others = [need for need in needs if need.margin is None]
    return Group(*parts, *([_unplanned(others)] if others else []))


def _seeds(needs: Sequence[Need]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title="Seeds for 80% power", title_justify="left"
    )
    table.add_column("quantity", no_wrap=True)
    for name in ("margin", "least margin", "sd", "seeds", "cells", "time", "FLOPs"):
        table.add_column(name, justify="right", no_wrap=True)
    group = None
    for need in needs:
        if need.group != group:
            group = need.group
            table.add_row(Text(group, style="bold"))
        word = need.reason.partition(":")[0]
        table.add_row(
            f"  {need.label}",
            f"{need.margin:g}",
            "-" if need.least_margin is None else f"{need.least_margin:.3g}",
            "-" if need.sd is None else f"{need.sd:.3g}",
            Text(word, style="cyan") if need.seeds is None else str(need.seeds),
            "-" if need.seeds is None else str(need.seeds * need.cells),
            "-" if need.cost_s is None else f"{need.cost_s:,.0f} s",
            "-" if need.flops is None else f"{need.flops:.2e}",
        )
    return table


def _unplanned(needs: Sequence[Need]) -> Table:
    """Why quantities have no margin: the groups of each reason, and what is in them."""
    table = Table(
        box=box.SIMPLE, pad_edge=False, show_header=False, title="No margin", title_justify="left"
    )
    table.add_column("quantities", overflow="fold")
    table.add_column("which", overflow="fold")
    found: dict[str, dict[str, list[str]]] = {}
    for need in needs:
        found.setdefault(need.reason, {}).setdefault(need.group, []).append(need.label)
    for reason, groups in found.items():
        table.add_row(Text(reason.partition(": ")[2], style="bold"))
        for group, labels in groups.items():
            which = labels[0] if len(labels) == 1 else f"{labels[0]} to {labels[-1]}"
            table.add_row(Text(f"  {group}"), Text(f"{len(labels)}: {which}"))
    return table


_POWER_LEGEND = (
    "margin, least margin and sd in the unit of the published number; sd is that between seeds, at "
    "least that of so many questions; below the least margin no number of seeds helps\n"
)


def held_out_table(analyses: Mapping[str, Analysed]) -> Table:
    """Predictions of sizes that a fit has not seen: blind and calibrated, told apart."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Held-out sizes", title_justify="left")
    for name in ("fit", "size", "prediction", "what it knew of this size"):
        table.add_column(name)
    for name in ("rmse", "mean relative error", "R2"):
        table.add_column(name, justify="right")
    knew = {"blind": "nothing", "calibrated": "E0, fitted on its points"}
    for name, one in analyses.items():
        if one.outcome is None:
            continue
        for prediction in one.outcome.extrapolations:
            if prediction.N in one.outcome.fit.by_curve.get("E0", {}):
                continue
            table.add_row(
                name,
                size_label(prediction.N),
                prediction.kind,
                knew[prediction.kind],
                f"{prediction.rmse:.4f}",
                share(prediction.relative_error, 2),
                f"{prediction.r2:.3f}",
            )
    return table


def verdict_table(
    comparisons: Sequence[Comparison],
    analyses: Mapping[str, Analysed],
    *,
    everything: bool,
    width: int,
) -> Group:
    """Published against found, row by row; what is not plain success is told below the table.

    Independent refits that agree are left to the closing line if there are many, unless
    `everything` is asked for.
    A pooled R2 has those of the curves beneath it. In less than `_WIDE` columns the tolerance and
    its reason have a line of their own, so that no number is cut.
    """
    rows = shown_rows(comparisons, everything=everything)
    reasons = [c.reason for row in rows.values() for c in row if c.reason]
    notes = {reason: number for number, reason in enumerate(dict.fromkeys(reasons), 1)}
    # A trained tier is held against this harness's own seeds, which nobody has published.
    own = all(comparison.kind == Kind.RECORDED.value for comparison in comparisons)
    golden = "recorded" if own else "published"
    layout = _Wide(golden) if width >= _WIDE else _Narrow(golden)
    for group, row in rows.items():
        layout.head(group, of_row(row), uncounted(row))
        for comparison in row:
            layout.entry(comparison, notes.get(comparison.reason))
            if comparison.statistics is not None:
                layout.beneath(*_interval_of(comparison.statistics))
            fit = pooled_r2_fit(comparison.quantity)
            outcome = analyses[fit].outcome if fit is not None else None
            if outcome is not None:
                by_curve = " ".join(f"{value:.3f}" for value in outcome.fit.r2_by_curve.values())
                layout.beneath("of each curve", by_curve)
        layout.end_of_row()
    told = [Text(f"[{number}] {reason}") for reason, number in notes.items()]
    legends = tolerance_words([comparison for row in rows.values() for comparison in row])
    legend = [Text(f"tolerance: {'; '.join(legends)}\n", style="dim")] if legends else []
    return Group(layout.body(), *legend, *told, Text(""))


def _interval_of(statistics: Statistics) -> tuple[str, str]:
    seeds = "" if statistics.seeds is None else f", {statistics.seeds} seeds"
    ends = f"{statistics.low:+.2g} to {statistics.high:+.2g}"
    return f"90% of the difference{seeds}", ends


_WIDE = 110
_HEADING = 34


class _Wide:
    """One line an entry, in columns."""

    def __init__(self, golden: str) -> None:
        self._table = Table(
            box=box.SIMPLE_HEAD, pad_edge=False, title="Verdict", title_justify="left"
        )
        self._table.add_column("quantity", no_wrap=True)
        for name in (golden, "found", "difference", "tolerance"):
            self._table.add_column(name, justify="right", no_wrap=True)
        self._table.add_column("why this tolerance", style="dim")
        self._table.add_column("verdict", no_wrap=True)

    def head(self, group: str, verdict: Verdict, aside: str) -> None:
        # A heading may not widen its column at the cost of the others.
        heading = Text("\n".join(wrap(group, _HEADING)), style="bold")
        self._table.add_row(heading, *[""] * 4, aside.strip(), verdict_text(verdict))

    def entry(self, comparison: Comparison, note: int | None) -> None:
        self._table.add_row(
            f"  {_label(comparison)}",
            comparison.published,
            number(comparison.found),
            _difference(comparison),
            _tolerance(comparison),
            _why(comparison),
            _marked(comparison, note),
        )

    def beneath(self, name: str, text: str) -> None:
        self._table.add_row(f"    {name}", "", "", "", "", text, "")

    def end_of_row(self) -> None:
        self._table.add_section()

    def body(self) -> Table:
        return self._table


class _Narrow:
    """Two lines an entry: the numbers and the verdict, then the tolerance and its reason."""

    def __init__(self, golden: str) -> None:
        self._lines: list[Text] = [Text(f"Verdict: {golden}, found", style="italic")]

    def head(self, group: str, verdict: Verdict, aside: str) -> None:
        line = Text(f"{group}: ", style="bold").append(verdict_text(verdict))
        self._lines.append(line.append(aside, style="dim"))

    def entry(self, comparison: Comparison, note: int | None) -> None:
        name = (
            f"  {_label(comparison):<24} {comparison.published:>9} {number(comparison.found):>12}"
        )
        self._lines.append(Text(f"{name}  ").append(_marked(comparison, note)))
        if comparison.tolerance is not None:
            difference = f"difference {_difference(comparison)}, tolerance {_tolerance(comparison)}"
            self.beneath(difference, f"= {_why(comparison)}")

    def beneath(self, name: str, text: str) -> None:
        self._lines.append(Text(f"    {name} {text}", style="dim"))

    def end_of_row(self) -> None:
        self._lines.append(Text(""))

    def body(self) -> Group:
        return Group(*self._lines)


def _label(comparison: Comparison) -> str:
    return comparison.label + _UNITS.get(comparison.unit, "")


# Where a column has no room for the unit in words.
_UNITS = {"1e9 parameters": " (1e9)"}


def _difference(comparison: Comparison) -> str:
    if comparison.difference is None or comparison.found is None:
        return "-"
    # What is left of a decimal fraction after subtracting is no difference.
    noise = 1e-12 * abs(comparison.found)
    return "0" if abs(comparison.difference) <= noise else f"{comparison.difference:+.2g}"


def _tolerance(comparison: Comparison) -> str:
    return "-" if comparison.tolerance is None else f"±{comparison.tolerance:.2g}"


def _why(comparison: Comparison) -> str:
    return comparison.tolerance_reason.split(":", 1)[0].replace("SE·√(ε(n-p))", "slack")


def _marked(comparison: Comparison, note: int | None) -> Text:
    verdict = verdict_text(comparison.verdict)
    return verdict.append(f" [{note}]", style="dim") if note else verdict


def closing_line(checked: Checked) -> Text:
    """The verdict and what it rests on, then whether the suite expects it."""
    text = Text("verdict: ").append(verdict_text(checked.verdict))
    text.append(_rests_on(checked.comparisons))
    if expected := told(checked.verdict, checked.expected):
        style = "" if is_expected(checked.verdict, checked.expected) else "bold red"
        text.append("\n").append(expected, style=style)
    if checked.golden is not None and checked.golden.not_recomputed:
        count = len(checked.golden.not_recomputed)
        text.append(f"\n{count} published numbers cannot be recomputed; the report says why")
    if not few_refits(checked.comparisons):
        text.append("\n--everything shows the independent refits too")
    return text


def _rests_on(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return " (no golden entries to be held against)"
    parts = []
    for kind, name in KINDS.items():
        of_kind = Counter(c.verdict for c in comparisons if c.counts and c.kind == kind)
        if of_kind:
            parts.append(f"{name}: {_counts(of_kind)}")
    declared = Counter(c.declared for c in comparisons if c.declared is not None)
    text = f" ({'; '.join(parts) or 'nothing that counts'}"
    if declared:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(declared.items()))
        text += f"; declared beforehand and not counted: {kinds.replace('_', ' ')}"
    if all(c.kind == "recorded" for c in comparisons):
        text += "; none of them published"
    elif parts and not any(c.counts and c.is_evidence for c in comparisons):
        text += "; nothing that counts says more than that the data file is whole"
    return f"{text})"


def _counts(verdicts: Counter[Verdict]) -> str:
    return ", ".join(f"{count} {name.value}" for name in Verdict if (count := verdicts[name]))
