"""The published curves, and curves drawn from planted parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis import Curves

PUBLISHED = Path(__file__).parents[2] / "suites/exp1/published/exp1_holdout.csv"


@pytest.fixture(scope="session")
def published():
    """Curves of one source of Tan et al., by its name."""
    table = Curves.from_csv(PUBLISHED, unique=("source", "N", "step"))
    return {name: table.where(table["source"] == name) for name in ("base", "instruct")}
