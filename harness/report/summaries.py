"""LaTeX table of single numbers: a row for each set of labels, a column for each summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import SuiteError
from harness.report import latex
from harness.report.model import MissingError
from harness.report.numbers import MINUS, common_exponent, significant

if TYPE_CHECKING:
    from harness.report.model import ReportInput, TableDeclaration


def summaries_table(declaration: TableDeclaration, report: ReportInput) -> str:
    """Kind `table-summaries`: summaries with the same labels beside each other.

    Raises:
        MissingError: this run has none of their numbers.
        SuiteError: their labels differ, so that they share no rows.
    """
    known = report.summaries
    found = [known[name] for name in declaration.summaries if name in known]
    keys = list(dict.fromkeys(key for one in found for key in one.values))
    if not keys:
        raise MissingError("this run has no numbers of these summaries")
    labels = dict.fromkeys(one.by for one in found)
    if len(labels) > 1:
        raise SuiteError(
            f"table {declaration.name!r} shows summaries with different labels",
            expected="the same `by` for all of them",
            found=" and ".join(", ".join(by) or "none" for by in labels),
            hint="make a table for each",
        )
    exponents = [common_exponent(list(one.values.values())) for one in found]
    heads = [
        latex.parameter_head(name, exponent)
        for name, exponent in zip(declaration.summaries, exponents, strict=True)
    ]
    (by,) = labels
    rows = []
    for key in keys:
        cells = [latex.escape(label) for label in key] if by else ["all"]
        for one, exponent in zip(found, exponents, strict=True):
            value = one.values.get(key)
            cells.append("--" if value is None else _cell(value / 10.0**exponent))
        rows.append(cells)
    first = [latex.escape(label) for label in by] or [""]
    table = latex.tabular("l" * len(first) + "r" * len(found), [*first, *heads], rows)
    caption = (
        f"{latex.escape(report.title)} ({latex.escape(report.suite)} version {report.version}, "
        f"tier {latex.escape(report.tier)})."
    )
    return latex.floating([table], [], caption=caption, label=declaration.name)


def _cell(value: float) -> str:
    """Four significant digits in math mode, whose own minus is a hyphen in the source."""
    return f"${significant(value).replace(MINUS, '-')}$"
