"""What every page of the documentation keeps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.errors import ExitCode
from harness.run.record import Status
from harness.verdict.model import Verdict
from tests.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted((ROOT / "docs").glob("*.md"))
LINKED = [
    *PAGES,
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
]
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def headings(path: Path) -> list[str]:
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    return [line.lstrip("#").strip() for line in text.splitlines() if re.match(r"#+ ", line)]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings(path)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_ends_with_its_limits(page: Path) -> None:
    assert headings(page)[-1] == "Limits"


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert set(LINK.findall(index)) >= {page.name for page in PAGES} - {"index.md"}


def rows_under(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading or sentence, without its head."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    table = re.search(r"(?:^\|.*\n)+", text[text.index(heading) :], re.MULTILINE)
    assert table is not None
    lines = table.group().splitlines()[2:]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


def test_documented_verdicts_are_the_verdicts() -> None:
    documented = [row[0] for row in rows_under("vocabulary.md", "A verdict is one of")]
    assert documented == [verdict.value for verdict in Verdict]


def test_documented_statuses_are_the_statuses() -> None:
    documented = [row[0] for row in rows_under("vocabulary.md", "A record's status is one of")]
    assert documented == [status.value for status in Status]


def test_documented_exit_codes_are_the_exit_codes() -> None:
    documented = {row[0]: row[1] for row in rows_under("cli.md", "## Exit codes")}
    assert documented == {str(code.value): code.name for code in ExitCode}
