"""Cells of half a second: a model of some thousand parameters, a few problems, a few steps."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from harness.cell.__main__ import run_cell
from harness.cell.engines import engine_version
from reward_scorers import versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

STEPS = 5
MEASURED = ("seconds", "generation_s", "scoring_s")  # never twice the same
SETTINGS: dict[str, Any] = {
    "seed": 7,
    "model": {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "intermediate": 32},
    "problems": {"data": "rows", "domains": {"math": 1}},
    "warm_up": {"steps": 60, "batch": 8, "lr": 2e-2},
    "algorithm": {"name": "grpo", "rollout_n": 4, "prompts": 4, "minibatches": 2},
    "train": {"steps": STEPS, "lr": 1e-2, "max_new_tokens": 6},
    "evaluation": {"every": 2, "questions": 2, "samples": 2},
}
# In the place of an architecture: the data set is a checkpoint, which has its own.
NO_SHAPE = dict.fromkeys(("hidden", "layers", "heads", "kv_heads", "intermediate"), 0)
# One for each thing that a state must hold: moments, a reference, a critic, adapters.
VARIANTS: dict[str, dict[str, Any]] = {
    "grpo": {"algorithm": {"kl": {"coef": 0.01}, "epochs": 2}, "train": {"lr_warm_up": 4}},
    "ppo": {
        "algorithm": {
            "name": "ppo",
            "kl": {"coef": 0.01, "place": "reward", "form": "k1"},
            "critic": {"warm_up": 2},
        }
    },
    "reinforce_plus_plus": {"algorithm": {"name": "reinforce_plus_plus"}},
    "reinforce_plus_plus_baseline": {"algorithm": {"name": "reinforce_plus_plus_baseline"}},
    "lora": {
        "algorithm": {"kl": {"coef": 0.01}},
        "train": {"lora": {"r": 4, "alpha": 8}, "lr": 1e-2},
    },
}


@dataclass(frozen=True)
class Finished:
    """What a cell left."""

    out: Path
    result: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def curve(self) -> list[dict[str, Any]]:
        """The lines without what is measured in seconds."""
        return [{k: v for k, v in line.items() if k not in MEASURED} for line in self.lines]

    @property
    def outcome(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """All that two equal cells have in common."""
        return self.result, self.curve


def tiny_config(kind: str, *, vocabulary: int, spread: float, **options: Any) -> Any:
    """A configuration of two layers; weights are drawn with the standard deviation `spread`."""
    from transformers import AutoConfig

    return AutoConfig.for_model(
        kind,
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=spread,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        **options,
    )


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, mapping by mapping."""
    both = dict(base)
    for key, value in changes.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and value else value
    return both


@functools.cache
def toy_rows(train: int = 40, heldout: int = 4, truth: str = "5") -> tuple[dict[str, Any], ...]:
    """Problems whose answer is 5, with solutions that say 2, 3, 5 or 7.

    A warm-up on them makes a model that is right about one time in four, and only reinforcement
    learning makes a better one. Half of the prompts tell their solution, so that the model comes to
    know digits apart: adapters, which leave the embeddings as they are, need that.
    """
    rows = []
    for split, size in (("train", train), ("heldout", heldout)):
        for number in range(size):
            hint = "2357"[number % 4]
            digit = hint if number // 4 % 2 else "2357"[number // 8 % 4]
            rows.append(
                {
                    "data_source": "math__toy",
                    "prompt": [{"role": "user", "content": f"{number}+{hint}="}],
                    "ability": "math",
                    "reward_model": {"ground_truth": truth},
                    "extra_info": {
                        "split": split,
                        "difficulty": 1 + number % 3,
                        "solution": f"\\boxed{{{digit}}}",
                    },
                }
            )
    return tuple(rows)


def write_spec(
    root: Path,
    changes: Mapping[str, Any] | None = None,
    rows: Iterable[Mapping[str, Any]] | None = None,
    scorers: Mapping[str, object] | None = None,
    pins: Mapping[str, object] | None = None,
) -> Path:
    """A cell's spec.json and the data set that it pins, both in `root`.

    Args:
        changes: of SETTINGS.
        scorers: those pinned; that of mathematics, unless given.
        pins: of further data sets.
    """
    given = toy_rows() if rows is None else rows
    content = "".join(json.dumps(row) + "\n" for row in given).encode()
    (root / "rows.jsonl").write_bytes(content)
    pin = {"path": "rows.jsonl", "sha256": sha256(content).hexdigest()}
    document = {
        "schema": 1,
        "suite": "toy",
        "engine": "torch_rl",
        "engine_version": engine_version("torch_rl"),
        "settings": merged(SETTINGS, changes or {}),
        "pins": {
            "data": {"rows": pin, **(pins or {})},
            "scorers": {"math": versions()["math"]} if scorers is None else scorers,
        },
    }
    spec = root / "spec.json"
    spec.write_text(json.dumps(document))
    return spec


def train(root: Path, spec: Path, name: str = "out", resume: Path | None = None) -> Finished:
    """Run the cell in this process, its results in the folder `name`."""
    out = root / name
    out.mkdir()
    run_cell(spec, out, root, resume)
    return finished(out)


def train_with(root: Path, changes: Mapping[str, Any], **more: Any) -> Finished:
    """Run the cell that differs from SETTINGS by `changes`."""
    return train(root, write_spec(root, changes, **more))


def finished(out: Path) -> Finished:
    """Read what a cell left in its folder."""
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return Finished(
        out, json.loads((out / "result.json").read_bytes()), [json.loads(one) for one in lines]
    )


def environment() -> dict[str, str]:
    """Of another process that shall compute as this one does: the same number of threads."""
    import torch

    return {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
