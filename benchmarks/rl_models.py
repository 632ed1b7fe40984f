"""What the benchmarks of reinforcement learning share: problems, models, processes."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.cell.train.rl.settings import Model, WarmUp
from harness.data.micro import base_bytes, generate
from harness.data.rows import load_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.cell.train.rl.policy import Policy
    from harness.data.rows import Row

ROWS = "rows.jsonl"
PROMPTS, GROUP, MINIBATCHES = 32, 8, 4
LR = 3e-4
SHAPE = ("hidden", "layers", "heads", "kv_heads", "intermediate")
NEW_TOKENS = 16
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Start:
    """A model that training begins with: a pinned base, or random weights with a warm-up."""

    model: Model
    base: str | None = None
    warm_up: int = 0  # steps


STARTS = {
    "0.1M": Start(
        Model(hidden=56, layers=3, heads=4, kv_heads=2, intermediate=112), base="math-107K"
    ),
    "0.4M": Start(Model(hidden=96, layers=4, heads=4, kv_heads=2, intermediate=256), warm_up=200),
    "1.6M": Start(Model(hidden=128, layers=8, heads=4, kv_heads=2, intermediate=384), warm_up=40),
}


@dataclass(frozen=True)
class Training:
    """What one run of reinforcement learning cost and gained.

    Attributes:
        cpu: CPU seconds of each step.
        rewards: mean reward of each step.
        lengths: mean length of the responses of each step, in tokens with the end token.
    """

    cpu: list[float]
    rewards: list[float]
    lengths: list[float]

    @property
    def per_step(self) -> float:
        """CPU seconds of a step: the median, which a machine busy for a while moves least."""
        return median(self.cpu)

    def learned(self) -> str:
        """Mean reward of the first five steps and of the last five, and the responses' length."""
        first, last = sum(self.rewards[:5]) / 5, sum(self.rewards[-5:]) / 5
        length = sum(self.lengths) / len(self.lengths)
        return f"reward {first:.2f} to {last:.2f}, {length:.1f} tokens a response"


def write_rows(folder: Path) -> None:
    """The default micro-Guru problems of mathematics, as a file in `folder`."""
    rows = generate(0, domains=("math",))
    (folder / ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_rows(folder: Path) -> list[Row]:
    """The training split of the file that `write_rows` wrote."""
    found = load_rows((folder / ROWS).read_bytes(), ROWS)
    return [row for row in found if row.split == "train"]


def make_checkpoint(folder: Path, name: str) -> int:
    """Write the model `name` of `STARTS` in `folder`; returns how many parameters it has."""
    from harness.cell.contract import PinnedFile
    from harness.cell.train.rl.policy import open_policy
    from harness.cell.train.rl.warm_up import warm_up

    start = STARTS[name]
    weights = None
    if start.base is not None:
        weights = PinnedFile(f"{start.base}.safetensors", base_bytes(start.base))
    policy = open_policy(start.model, 1, "cpu", weights)
    settings = WarmUp(steps=start.warm_up, batch=64)
    warm_up(policy, read_rows(folder), settings, {"math": 1.0}, 1)
    policy.save(folder / name)
    return policy.n_parameters()


def load_checkpoint(folder: Path, name: str) -> Policy:
    """The model that `make_checkpoint` wrote."""
    from harness.cell.train.rl.policy import load_policy

    policy = load_policy(folder / name)
    policy.model.eval()
    return policy


def document(folder: Path, name: str, steps: int) -> dict[str, object]:
    """The spec.json of a cell that trains the model `name` by GRPO."""
    from harness.cell.engines import find_engine
    from reward_scorers import versions

    model = STARTS[name].model
    shape = {key: getattr(model, key) for key in SHAPE}
    return {
        "schema": 1,
        "suite": "benchmark",
        "tier": "benchmark",
        "engine": "torch_rl",
        "engine_version": find_engine("torch_rl").version,
        "pins": {
            "data": {
                "rows": _pin(folder, ROWS),
                "weights": _pin(folder, f"{name}/model.safetensors"),
            },
            "scorers": {"math": versions()["math"]},
        },
        "settings": {
            "seed": 1,
            "model": {"data": "weights", **shape},
            "problems": {"data": "rows", "domains": {"math": 1}},
            "algorithm": {
                "name": "grpo",
                "rollout_n": GROUP,
                "prompts": PROMPTS,
                "minibatches": MINIBATCHES,
            },
            "train": {"steps": steps, "lr": LR, "max_new_tokens": NEW_TOKENS},
            "evaluation": {"every": steps, "questions": 1, "samples": 1},
        },
    }


def _pin(folder: Path, path: str) -> dict[str, str]:
    return {"path": path, "sha256": sha256((folder / path).read_bytes()).hexdigest()}


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function` in a fresh process with one thread: libraries set switches that others feel."""
    os.environ |= ONE_THREAD
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
