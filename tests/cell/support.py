"""A small suite folder with pinned data, and specs of cells that replay it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.cell.contract import CellContext, read_spec
from harness.spec.identity import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLE = """\
source,N,step,E,C_raw,ErrRate
base,1.4e+10,1,512,1.5e+15,0.9
base,1.4e+10,2,1024,3e15,0.8
base,14000000000,5,2560,7.5E+15,0.7
base,500000000,1,512,1e14,0.95
instruct,1.4e+10,1,512,1e15,0.6
"""
CURVE: dict[str, object] = {
    "data": "curve",
    "select": {"source": "base", "N": 14e9},
    "columns": {"step": "step", "samples": "E", "flops": "C_raw"},
    "evals": {"holdout.ErrRate": "ErrRate"},
}
BEST: dict[str, object] = {
    "data": "curve",
    "select": {"source": "instruct", "N": 14e9},
    "evals": {"holdout.ErrRate": "ErrRate"},
}


@dataclass(frozen=True)
class Suite:
    root: Path

    @property
    def table(self) -> Path:
        return self.root / "curve.csv"

    @property
    def out(self) -> Path:
        return self.root / "out"

    def spec(self, *, path: str = "curve.csv", **settings: object) -> Path:
        """A spec.json whose pin is of the table as it is now."""
        pin = {"path": path, "sha256": hashlib.sha256(self.table.read_bytes()).hexdigest()}
        document: Mapping[str, object] = {
            "schema": 1,
            "suite": "toy",
            "engine": "replay",
            "engine_version": 1,
            "settings": settings,
            "pins": {"data": {"curve": pin}},
        }
        spec = self.root / "spec.json"
        spec.write_bytes(canonical_json(document))
        return spec

    def context(self, *, path: str = "curve.csv", **settings: object) -> CellContext:
        return CellContext(read_spec(self.spec(path=path, **settings)), self.out, self.root)


def write_suite(root: Path, table: str = TABLE) -> Suite:
    suite = Suite(root)
    suite.out.mkdir()
    suite.table.write_text(table)
    return suite
