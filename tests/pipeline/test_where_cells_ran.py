"""A report says what cells ran in, as their records have it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from harness.reporting import _where_cells_ran

if TYPE_CHECKING:
    from pathlib import Path

DOCKER = {"backend": "docker", "engine": "20.10", "image": "cpu", "digest": "sha256:5a"}


@pytest.mark.parametrize(
    ("containers", "told"),
    [
        ([], []),
        ([{"backend": "process", "digest": None}] * 2, ["2 as processes"]),
        ([{}], ["1 as processes"]),
        ([DOCKER, DOCKER], ["2 in docker 20.10, image cpu (sha256:5a)"]),
        (
            [DOCKER, {}, {**DOCKER, "digest": "sha256:6b"}],
            [
                "1 as processes",
                "1 in docker 20.10, image cpu (sha256:5a)",
                "1 in docker 20.10, image cpu (sha256:6b)",
            ],
        ),
        ([{"backend": "podman", "digest": "sha256:5a"}], ["1 in podman ?, image ? (sha256:5a)"]),
    ],
)
def test_cells_are_counted_by_place(containers: list[dict[str, object]], told: list[str]) -> None:
    results = [
        SimpleNamespace(cell=SimpleNamespace(id=str(number)), container=container)
        for number, container in enumerate(containers)
        for _curve in range(2)  # a cell may have several curves, and ran once
    ]
    assert _where_cells_ran(results) == told  # type: ignore[arg-type]


def test_the_report_has_it(checkout: Path, harness) -> None:
    assert harness("all", "exp1", "--where", "model.N < 1e9").code == 3  # a part decides nothing
    (report,) = (checkout / "runs" / "reports").iterdir()
    provenance = json.loads((report / "report.json").read_text())["provenance"]
    assert provenance["cells"] == ["2 as processes"]
    assert "2 as processes" in (report / "report.html").read_text()
