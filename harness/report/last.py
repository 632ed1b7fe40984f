"""The report that stands already."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def last_report(reports: Path, name: str, inputs_sha256: str) -> Path | None:
    """The page of the newest report of `name` (SUITE-TIER), if it was made of the same inputs.

    A folder that somebody has damaged is none.
    """
    folders = sorted(reports.glob(f"{name}-[0-9]*T[0-9]*Z"))
    if not folders:
        return None
    page = (folders[-1] / "report.html").absolute()
    try:
        document = json.loads((folders[-1] / "report.json").read_bytes())
        same = document["inputs_sha256"] == inputs_sha256
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return page if same and page.is_file() else None
