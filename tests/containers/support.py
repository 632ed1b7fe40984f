"""Engines of this machine, an image of this Python with the harness in it, and cells for both."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.run.containers import Limits, open_backend, probe
from harness.run.scheduler import run_cells
from harness.run.store import Store
from harness.spec.grid import Cell
from harness.spec.identity import cell_id
from tests.sandbox.image import image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.containers import Backend
    from harness.run.outcome import RunOutcome
    from harness.run.record import Record

ROOT = Path(__file__).parents[2]
ENGINES = ("docker", "podman")


@cache
def missing(engine: str) -> str:
    """Why the engine cannot be tested here; empty if it can."""
    found = probe(engine)
    return "" if found.works else f"{engine}: {found.reason}; {found.hint}"


def require(engine: str) -> None:
    if reason := missing(engine):
        pytest.skip(reason)


@cache
def image_for(engine: str) -> str:
    """The id of an image of this Python, the harness, its scorers and the engine `probing`."""
    with tempfile.TemporaryDirectory() as folder:
        info = Path(folder, "probing-1.dist-info")
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probing\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[harness.engines]\nprobing = probing:probing\n")
        package = Path(folder, "probing")
        package.mkdir()
        (package / "__init__.py").write_text((ROOT / "tests/containers/engine.py").read_text())
        found = image(
            engine,
            {
                "harness": ROOT / "harness",
                "reward_scorers": ROOT / "reward_scorers",
                "probing": package,
                info.name: info,
            },
        )
    return found if found.startswith("sha256:") else f"sha256:{found}"


def probing_cell(*do: Sequence[object], index: int = 0, **settings: object) -> Cell:
    """A cell that does these things and tells what came of each."""
    pins = settings.pop("pins", {})
    document: dict[str, object] = {
        "schema": 1,
        "suite": "toy",
        "suite_version": 1,
        "tier": "micro",
        "engine": "probing",
        "engine_version": 1,
        "axes": {"index": index},
        "settings": {"do": [list(one) for one in do], **settings},
        "pins": pins,
    }
    return Cell(cell_id(document), {"index": index}, document)


@dataclass
class Place:
    """A store, and an engine that cells run in."""

    engine: str
    root: Path
    data: Path

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    def backend(self) -> Backend:
        return open_backend(self.engine, image_for(self.engine))

    def run(self, *cells: Cell, **options: object) -> RunOutcome:
        return run_cells(cells, self.store, self.backend(), self.data, **options)  # type: ignore[arg-type]

    def found(self, *do: Sequence[object], limits: Limits | None = None, **options: object) -> list:
        """What came of what a cell did."""
        cell = probing_cell(*do)
        outcome = self.run(cell, limits=limits or Limits(), **options)
        assert not outcome.failures, outcome.failures[0].message
        return list(self.store.load(cell.id).result["found"])  # type: ignore[call-overload]

    def failure(self, cell: Cell, **options: object) -> Record:
        """The record of a cell that fails."""
        outcome = self.run(cell, **options)
        assert outcome.failures, "it did not fail"
        record = self.store.last_failure(cell.id)
        assert record is not None
        return record

    def containers(self) -> list[str]:
        """The containers of this store's runs that are there, running or not."""
        from harness.run.containers.leases import OWNER
        from harness.run.containers.registry import open_keeper

        found = open_keeper(self.engine).list(OWNER)
        return [one.id for one in found if one.labels[OWNER].startswith(str(self.root))]


def record_of(place: Place, cell: Cell) -> Record:
    return place.store.record(cell.id)


def as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True)
