"""Property tests run under one profile, in which nothing is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[2]


def test_no_example_has_a_deadline() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert settings.default.print_blob


@pytest.mark.parametrize("ci", [True, False])
def test_the_examples_are_the_same_each_time_where_nobody_looks(ci: bool) -> None:
    told = "import tests.conftest; from hypothesis import settings as s; print(s().derandomize)"
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    left = subprocess.run(
        [sys.executable, "-c", told],
        cwd=ROOT,
        env=environment | ({"CI": "true"} if ci else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert left.stdout.strip() == str(ci)
