"""junit.xml: a test suite per row of the verdict, a test case per quantity."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from harness.report import judged
from harness.verdict.expectation import told
from harness.verdict.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.judged import Line
    from harness.report.model import CellError, ReportInput

# XML 1.0 has no way to write these, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: ReportInput) -> str:
    """The verdict as JUnit XML.

    not_reproduced is a failure, inconclusive is skipped with its reason, a cell without a valid
    record is an error; reproduced and drifted pass. Accepted lock drift, and what verdict the suite
    expects, are properties of each test suite, the only place that the format has for them.
    """
    name = f"{report.suite} {report.tier}"
    top = ET.Element("testsuites", {"name": name})
    for row in judged.rows(report):
        suite = ET.SubElement(top, "testsuite", {"name": row.name})
        for line in row.lines:
            _case(suite, name, line)
    if report.cell_errors:
        _cells(ET.SubElement(top, "testsuite", {"name": "cells"}), name, report.cell_errors)
    for suite in top:
        _count(suite, [suite])
        if properties := _properties(report):
            suite.insert(0, properties)
        suite.set("time", "0")
    _count(top, list(top))
    top.set("time", f"{sum(report.timing.values()):.3f}")
    for element in top.iter():
        element.text = _legal(element.text) if element.text else element.text
        for key, value in element.items():
            element.set(key, _legal(value))
    ET.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n"


def _properties(report: ReportInput) -> ET.Element | None:
    """What the format has no other place for; None where there is nothing of the kind."""
    facts = []
    if report.drift:
        facts.append(("lock_drift_accepted", report.drift.reason))
        facts.extend(("lock_drift", difference) for difference in report.drift.differences)
    if expected := told(report.verdict, report.expected):
        facts.append(("expected_verdict", expected))
    if not facts:
        return None
    properties = ET.Element("properties")
    for name, value in facts:
        ET.SubElement(properties, "property", {"name": name, "value": value})
    return properties


def _case(suite: ET.Element, name: str, line: Line) -> None:
    comparison = line.comparison
    case = ET.SubElement(
        suite,
        "testcase",
        {"classname": f"{name}.{comparison.group}", "name": comparison.entry, "time": "0"},
    )
    details = (
        f"{comparison.kind} {line.published} {line.unit}".rstrip()
        + f", found {line.found}, difference {line.difference}, "
        f"tolerance {line.tolerance} ({comparison.tolerance_reason})"
    )
    if line.beside:
        details += f"\n{line.beside}"
    if comparison.verdict is Verdict.NOT_REPRODUCED:
        message = comparison.reason or "not reproduced"
        failure = ET.SubElement(case, "failure", {"message": message, "type": "not_reproduced"})
        failure.text = details
    elif comparison.verdict is Verdict.INCONCLUSIVE:
        ET.SubElement(case, "skipped", {"message": comparison.reason or "inconclusive"})
        ET.SubElement(case, "system-out").text = details
    else:
        ET.SubElement(case, "system-out").text = f"{line.word}: {details}"


def _cells(suite: ET.Element, name: str, errors: Sequence[CellError]) -> None:
    for error in errors:
        case = ET.SubElement(
            suite, "testcase", {"classname": f"{name}.cells", "name": error.cell, "time": "0"}
        )
        found = ET.SubElement(case, "error", {"message": error.message, "type": error.status})
        found.text = error.message


def _count(element: ET.Element, suites: Sequence[ET.Element]) -> None:
    tags = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
    for attribute, tag in tags.items():
        element.set(attribute, str(sum(len(list(suite.iter(tag))) for suite in suites)))


def _legal(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
