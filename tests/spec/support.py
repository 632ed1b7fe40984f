"""A small suite to change in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.spec.load import load_suite
from harness.spec.lock import DataPin, Lock

if TYPE_CHECKING:
    from pathlib import Path

    from harness.spec.suite import Suite

LAWS = {"loglinear": 1, "loglinear_kn": 2}
ENGINES = {"replay": 1, "torch_rl": 4}

# 2 models x 2 algorithms x 2 seeds.
BASE = """\
schema: 1
name: small
version: 1
title: A small suite
data:
  curves: {path: curves.csv, columns: [N, step, L], unique: [N, step], numeric: [N, L]}
axes:
  model:
    - {id: tiny, source: base, N: 1e6}
    - {id: wide, source: instruct, N: 7e9}
  algorithm:
    - {id: grpo, rollout_n: 8}
    - {id: ppo, gamma: 1.0}
  seed: [0, 1]
include: []
exclude: []
where: null
settings:
  lr: 1e-6
  run: {name: "${model.id}-${algorithm.id}-s${seed}", size: "${model.N}"}
tiers:
  first:
    level: R0
    engine: replay
    settings: {curve: {data: curves, select: {N: "${model.N}"}}}
  second:
    extends: first
    level: R3
    engine: torch_rl
    axes: {seed: [5]}
    settings: {lr: 2e-6}
curves:
  labels: {N: model.N, source: model.source, seed: seed}
  columns: {step: step, D: samples, L: evals.loss}
analyses:
  - name: "${source}-D"
    for: [{source: base, cut: 2}, {source: instruct, cut: 3}]
    law: loglinear_kn
    x: D
    y: L
    where: source == "${source}"
    drop_last: "${cut}"
summaries:
  - {name: final, field: L, take: last, by: [N]}
judge: [fit/*/K_max, summary/final/*]
figures:
  - {name: base, kind: scaling, fit: base-D}
tables:
  - {name: all, kind: table, fits: ["*-D"], params: [K_max]}
"""

LOCK = Lock(
    "small",
    1,
    data={"curves": DataPin(path="curves.csv", sha256="ab" * 32, bytes=40, rows=2)},
    engines=ENGINES,
)


def changed(*changes: tuple[str, str]) -> str:
    """The text of the small suite with pieces replaced; each piece stands in it once."""
    text = BASE
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the small suite"
        text = text.replace(old, new)
    return text


def write_suite(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the small suite and its data file; return the path of the suite file."""
    path = folder / "suite.yaml"
    path.write_text(changed(*changes), encoding="utf-8", newline="")
    (folder / "curves.csv").write_text("N,step,L\n1e6,1,0.9\n7e9,1,0.8\n", encoding="utf-8")
    return path


def make_suite(folder: Path, *changes: tuple[str, str]) -> Suite:
    """Write, read and check the small suite."""
    return load_suite(write_suite(folder, *changes), laws=LAWS, engines=ENGINES, scorers=())
