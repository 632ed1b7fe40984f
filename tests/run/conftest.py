from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.run.scheduler import run_cells
from harness.run.store import Store
from tests.run.support import TracingBackend, install_engine

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from harness.run.outcome import RunOutcome
    from harness.spec.grid import Cell


@dataclass(frozen=True)
class Bench:
    """A store, and what is needed to run scripted cells on it."""

    root: Path

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    @property
    def site(self) -> Path:
        return self.root / "site"

    @property
    def trace(self) -> Path:
        return self.root / "trace"

    def backend(self, run: str = "0") -> TracingBackend:
        return TracingBackend(self.site, self.trace, run)

    def run(self, cells: Collection[Cell], **options: object) -> RunOutcome:
        return run_cells(cells, self.store, self.backend(), self.root, **options)  # type: ignore[arg-type]

    def driver(self, run: str, cells: int) -> tuple[object, ...]:
        return self.store.root, self.site, self.trace, run, cells


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    install_engine(tmp_path / "site")
    return Bench(tmp_path)
