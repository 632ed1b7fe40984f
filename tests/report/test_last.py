"""A report is not made twice of the same inputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.report.last import LastReport, last_report
from harness.verdict.model import Verdict
from tests.pipeline.conftest import checkout, edit, harness  # noqa: F401 (fixtures)

OLDER, NEWER = "s-micro-20260101T000000.000000Z", "s-micro-20260102T000000.000000Z"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Two reports of suite s, of the inputs `old` and `new`, and one of another tier."""
    for name, inputs in ((OLDER, "old"), (NEWER, "new"), (f"s-micro-2{NEWER[7:]}", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.html").touch()
        told = {"inputs_sha256": inputs, "verdict": "drifted", "headline": "So.", "notes": ["n"]}
        (tmp_path / name / "report.json").write_text(json.dumps(told))
    return tmp_path


def test_the_newest_is_it(reports: Path) -> None:
    page = reports / NEWER / "report.html"
    expected = LastReport(page, Verdict.DRIFTED, "So.", ("n",))
    assert last_report(reports, "s-micro", "new") == expected
    # What came between is not forgotten: the older one may tell of another result.
    assert last_report(reports, "s-micro", "old") is None
    assert last_report(reports, "s", "new") is None
    assert last_report(reports / "none", "s-micro", "new") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '"new"', "{\xe4"])
def test_one_that_cannot_be_read_is_none(reports: Path, text: str) -> None:
    (reports / NEWER / "report.json").write_text(text, encoding="latin-1")
    assert last_report(reports, "s-micro", "new") is None


def test_a_folder_without_its_page_is_none(reports: Path) -> None:
    (reports / NEWER / "report.html").unlink()
    assert last_report(reports, "s-micro", "new") is None


def test_a_run_with_nothing_to_do_keeps_its_report(checkout, harness) -> None:  # noqa: F811
    first = harness("all", "exp1")
    assert first.code == 0
    [made] = Path("runs/reports").iterdir()
    again = harness("all", "exp1")
    assert (again.code, "nothing has changed" in again.out) == (0, True)
    assert "verdict: reproduced\n" in again.out
    assert f"report: {made.absolute()}/report.html" in again.out.replace("\n", " ")
    # The tables come again for who asks, from the same report.
    whole = harness("all", "exp1", "--everything")
    assert (whole.code, "nothing has changed" in whole.out) == (0, False)
    assert "K_max" in whole.out
    assert list(Path("runs/reports").iterdir()) == [made]


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("suites/exp1/suite.yaml", "title: Scaling", "title: The scaling"),
        ("golden/exp1/published.json", '"0.135"', '"0.235"'),
    ],
)
def test_what_has_changed_is_done_again(checkout, harness, path, before, after) -> None:  # noqa: F811
    harness("all", "exp1")
    edit(Path(path), before, after)
    assert "nothing has changed" not in harness("all", "exp1").out
    assert len(list(Path("runs/reports").iterdir())) == 2
