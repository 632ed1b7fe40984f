"""A suite of any number of cells, locked, and a store in which all of them are finished."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from harness.spec.grid import Grid
from harness.spec.load import load_suite
from harness.spec.lock import load_lock

if TYPE_CHECKING:
    from pathlib import Path

    from harness.run.store import Store

TIER = "full"
SUITE = """\
schema: 1
name: bench
version: 1
title: A grid of {count} cells
data:
  points: {{path: points.csv, columns: [step, ErrRate], unique: [step], numeric: [step, ErrRate]}}
axes:
  model: [{models}]
  algorithm: [{{id: grpo, rollout_n: 8}}, {{id: ppo, rollout_n: 1}}]
  lr: [1e-6, 2e-6, 5e-6, 1e-5, 2e-5]
  seed: {{range: [0, {seeds}]}}
settings:
  run: {{name: "${{model.id}}-${{algorithm.id}}-s${{seed}}", size: "${{model.N}}"}}
  train: {{lr: "${{lr}}", batch_size: 512, kl: 0.001, clip: 0.2, prompt: 2048, response: 4096}}
  curve:
    {{data: points, select: {{}}, columns: {{step: step}}, evals: {{holdout.ErrRate: ErrRate}}}}
tiers:
  {tier}: {{level: R0, engine: replay}}
"""


def write_suite(folder: Path, count: int) -> Path:
    """Write and lock a suite of `count` cells (a multiple of 1,000); returns its folder."""
    # 100 models, 2 algorithms and 5 learning rates; seeds make up the rest.
    seeds, rest = divmod(count, 100 * 2 * 5)
    assert not rest
    models = ", ".join(f"{{id: m{n}, source: base, N: {n + 1}e9}}" for n in range(100))
    folder.mkdir(parents=True)
    text = SUITE.format(count=count, models=models, seeds=seeds, tier=TIER)
    (folder / "suite.yaml").write_text(text, encoding="utf-8")
    (folder / "points.csv").write_text("step,ErrRate\n1,0.9\n", encoding="utf-8")
    # In a process of its own: children begin with the peak memory of the process that starts them.
    subprocess.run([sys.executable, "-m", "harness", "lock", str(folder)], check=True)
    return folder


def finish_all(suite_folder: Path, store: Store) -> None:
    """Make the store say that every cell is finished: that is a folder of the cell's name."""
    suite = load_suite(suite_folder / "suite.yaml")
    for _, cell_id in Grid(suite, TIER, load_lock(suite)).ids():
        store.folder(cell_id).mkdir(parents=True)
