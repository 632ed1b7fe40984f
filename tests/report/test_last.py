"""A report is not made twice of the same inputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.report.last import last_report
from tests.pipeline.conftest import checkout, edit, harness  # noqa: F401 (fixtures)

OLDER, NEWER = "s-micro-20260101T000000.000000Z", "s-micro-20260102T000000.000000Z"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Two reports of suite s, of the inputs `old` and `new`, and one of another tier."""
    for name, inputs in ((OLDER, "old"), (NEWER, "new"), (f"s-micro-2{NEWER[7:]}", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.html").touch()
        (tmp_path / name / "report.json").write_text(json.dumps({"inputs_sha256": inputs}))
    return tmp_path


def test_the_newest_is_it(reports: Path) -> None:
    assert last_report(reports, "s-micro", "new") == reports / NEWER / "report.html"
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
    def made() -> set[str]:
        assert harness("all", "exp1").code == 0
        return {folder.name for folder in Path("runs/reports").iterdir()}

    [first] = made()
    assert made() == {first}
    edit(Path("suites/exp1/suite.yaml"), "title: Scaling", "title: The scaling")
    assert len(made()) == 2
