"""Small tables on disk, and the command line run on them."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.conftest import harness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["harness", "rows", "table"]


def rows(N: float, k: float, E0: float = 0.6, points: int = 10) -> list[tuple[float, ...]]:
    """One curve of the law with a ripple: N, C, ErrRate."""
    found = []
    for step in range(points):
        C = 1e16 * 2.0**step
        loss = 10 ** (E0 - k * math.log10(C)) * (1 + 0.01 * math.sin(step + N))
        found.append((N, C, loss))
    return found


THREE = [*rows(1e9, 0.05), *rows(7e9, 0.08), *rows(3e10, 0.1)]
FIVE = [*THREE, *rows(2e9, 0.06), *rows(1.4e10, 0.09)]  # as many as an interval takes


@pytest.fixture
def table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Sequence[Sequence[object]], Sequence[str]], str]:
    """Write rows as data.csv in the working folder and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(
        lines: Sequence[Sequence[object]] = THREE, head: Sequence[str] = ("N", "C", "ErrRate")
    ) -> str:
        with Path("data.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(head)
            writer.writerows(lines)
        return "data.csv"

    return write
