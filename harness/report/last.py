"""The report that stands already."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.verdict.model import Verdict

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class LastReport:
    """What stands in a report folder: its page and, in words, its verdict and notes."""

    page: Path
    verdict: Verdict
    headline: str
    notes: tuple[str, ...]


def last_report(reports: Path, name: str, inputs_sha256: str) -> LastReport | None:
    """The newest report of `name` (SUITE-TIER), if it was made of the same inputs.

    A folder that somebody has damaged is none.
    """
    folders = sorted(reports.glob(f"{name}-[0-9]*T[0-9]*Z"))
    if not folders:
        return None
    page = (folders[-1] / "report.html").absolute()
    try:
        told = json.loads((folders[-1] / "report.json").read_bytes())
        same = told["inputs_sha256"] == inputs_sha256 and page.is_file()
        found = LastReport(page, Verdict(told["verdict"]), told["headline"], tuple(told["notes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if same else None
