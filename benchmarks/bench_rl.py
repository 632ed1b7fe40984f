"""Reinforcement learning of very small models: the training engine against its peers.

Training: the same weights, micro-Guru problems of mathematics, scorer and settings (GRPO without
KL, 32 problems times 8 responses of at most 16 tokens, 4 updates a step, learning rate 3e-4) in
`harness run` and in TRL's GRPOTrainer, CPU seconds of one step, median of the run. The model of
0.1M parameters is the pinned base math-107K; the one of 0.4M is warmed up here for a while. Reward
is the mean of the first five steps and of the last five.
Generation: a model of 1.6M parameters, batch 64, against transformers' generate(), by turns in one
process, best of five rounds. Tokens up to the end token count. Fixed length: 64 prompts, 64 tokens
that cannot end. Rollouts: 8 prompts times 8 responses of at most 16 tokens, which end.
All of that in one thread. Limits are shares of a peer's time: 0.5 is twice as fast.
Cells: two processes `python -m harness.cell` at once on two cores against one alone, wall time,
median of the pairs. On a machine that is busy otherwise this says nothing: the reference, two
processes that only multiply matrices, is then far from 2, too. CPU time tells what two cells do to
each other.
Rerun: `harness all exp1 --tier micro` with every cell finished, in the workspace that
HARNESS_WORKSPACE names; left out where its store is not finished.
GPU: a model of the shape of Qwen2.5-0.5B with random weights in bfloat16; left out without one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import rl_cells, rl_generation, rl_gpu, rl_training
from benchmarks.rl_models import STARTS, apart, make_checkpoint, write_rows
from benchmarks.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

STEPS = 24
PAIRS = 3
TRAINING_LIMITS = {"0.1M": 1 / 2, "0.4M": 1 / 1.5}
GENERATION_LIMIT = 1 / 2
CELLS_LIMIT = 1 / 1.7  # time of two cells, each counted as half
RERUN_LIMIT_S = 3.0


def measure() -> Iterable[Row]:
    """All figures; needs about six minutes."""
    with tempfile.TemporaryDirectory(prefix="bench-rl-") as root:
        folder = Path(root)
        write_rows(folder)
        sizes = {name: apart(make_checkpoint, folder, name) for name in STARTS}
        for name, limit in TRAINING_LIMITS.items():
            yield from _training(folder, name, sizes[name], limit)
        yield from _generation(folder, "1.6M")
        yield from _cells(folder, "0.1M")
    yield from _rerun()
    yield from _gpu()


def _training(folder: Path, name: str, size: int, limit: float) -> Iterator[Row]:
    ours = apart(rl_training.ours, folder, name, STEPS)
    theirs = apart(rl_training.trls, folder, name, STEPS)
    what = f"a training step, {size:,} parameters"
    yield Row(f"{what}: ours", ours.per_step, "s CPU", note=ours.learned())
    yield Row(f"{what}: TRL", theirs.per_step, "s CPU", note=theirs.learned())
    share = ours.per_step / theirs.per_step
    note = f"{1 / share:.2f} times as many steps in a second"
    yield Row(f"{what}: ours over TRL's", share, "", limit, note)


def _generation(folder: Path, name: str) -> Iterator[Row]:
    for kind in rl_generation.SHAPES:
        speed = apart(rl_generation.compare, folder, name, kind)
        what = f"generation, {kind}, {speed.length:.1f} tokens a response"
        yield Row(f"{what}: ours", speed.ours, "tokens/s CPU")
        yield Row(f"{what}: transformers", speed.theirs, "tokens/s CPU")
        share = speed.theirs / speed.ours
        note = f"{1 / share:.2f} times as many tokens in a second"
        yield Row(f"{what}: our time over theirs", share, "", GENERATION_LIMIT, note)


def _cells(folder: Path, name: str) -> Iterator[Row]:
    cells = rl_cells.two_at_once(folder, name, PAIRS)
    products = rl_cells.two_products_at_once(PAIRS)
    for what, pairs, limit in (
        ("two cells at once", cells, CELLS_LIMIT),
        ("reference: two processes of matrix products", products, None),
    ):
        ratios = [pair.throughput for pair in pairs]
        slower = median(pair.slower for pair in pairs)
        note = (
            f"{median(ratios):.2f} times the throughput of one; pairs: {_list(ratios)}; "
            f"CPU time of each {slower:.2f} times that of one alone"
        )
        yield Row(f"{what}, time over twice that of one", 1 / median(ratios), "", limit, note)


def _rerun() -> Iterator[Row]:
    costs = rl_cells.reruns(PAIRS)
    what = f"harness {' '.join(rl_cells.RERUN)}, nothing to do"
    if costs is None:
        yield Row(f"{what}: runs measured", 0, "", note="no workspace with all cells finished")
    else:
        walls = [one.wall for one in costs]
        yield Row(f"{what}, wall", median(walls), "s", RERUN_LIMIT_S, f"runs: {_list(walls)}")
        yield Row(f"{what}, CPU", median(one.cpu for one in costs), "s")


def _gpu() -> Iterator[Row]:
    import torch

    if not torch.cuda.is_available():
        yield Row("GPUs measured", 0, "", note="none is at hand: the 0.5B model is left out")
        return
    found = apart(rl_gpu.measure)
    what = "0.5B in bfloat16"
    yield Row(f"{what}, generation", found.generation, "tokens/s", note=found.name)
    yield Row(f"{what}, update of a step", found.update, "s", note=f"{1 / found.step:.3g} steps/s")
    yield Row(f"{what}, memory", found.memory / 1e9, "GB")
    share = 100 * found.flops / found.peak
    note = f"of {found.peak / 1e12:.0f} TFLOP/s, which one large product reaches"
    yield Row(f"{what}, update: matrix products", share, "%", note=note)


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
