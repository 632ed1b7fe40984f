"""What holds for all tests."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline would be a timed assertion: on a shared machine it says nothing of the code. Where
# nobody looks for new examples, the same ones are drawn every time.
settings.register_profile("here", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

HERE = Path(__file__).parent
LOCK = HERE.parent / "suites" / "exp1" / "suite.lock"

# These run suites as a user does, and a suite refuses to run with other packages than it is locked
# to. tests/house checks that the locks name those of constraints.txt, so `make test` skips nothing.
LOCKED = (
    HERE / "pipeline",
    HERE / "house" / "test_docs.py",
    HERE / "run" / "test_cell_limit.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the tests that run suites out where the session `minimums` has other packages."""
    packages = json.loads(LOCK.read_text())["packages"]
    drift = [name for name, locked in packages.items() if version(name) != locked]
    if not drift:
        return
    skip = pytest.mark.skip(reason=f"the suites are locked to another {', '.join(drift)}")
    for item in items:
        if any(item.path.is_relative_to(path) for path in LOCKED):
            item.add_marker(skip)
