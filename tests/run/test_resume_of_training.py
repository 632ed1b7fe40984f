"""The engine that really trains: broken off and resumed, it ends as it would have without."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from harness.cell.contract import CellContext, MetricsWriter
from harness.cell.engines import find_engine
from harness.data.micro.generator import generate
from harness.run.resume import checkpoint_step, has_checkpoint
from reward_scorers import versions

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 5
TIMES = ("seconds", "generation_s", "scoring_s")  # measured: never twice the same

ALGORITHMS: dict[str, dict[str, Any]] = {
    "grpo": {"kl": {"coef": 0.01}, "epochs": 2},
    "ppo": {"kl": {"coef": 0.01, "place": "reward", "form": "k1"}},
    "reinforce_plus_plus": {},
    "reinforce_plus_plus_baseline": {},
}


class BrokenOffError(Exception):
    """Stands for whatever ends a cell in the middle of its work."""


@pytest.fixture(scope="module")
def problems() -> bytes:
    sizes = {"train": 24, "heldout": 4}
    rows = generate(0, domains=("math",), sizes=sizes)
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def document(problems: bytes, name: str, lora: dict[str, int] | None) -> dict[str, object]:
    """A cell of a few seconds' training of a model of some thousand parameters."""
    shape = {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "intermediate": 32}
    algorithm = {"name": name, "rollout_n": 4, "prompts": 4, "minibatches": 2}
    return {
        "pins": {
            "data": {"rows": {"path": "rows.jsonl", "sha256": sha256(problems).hexdigest()}},
            "scorers": {"math": versions()["math"]},
        },
        "settings": {
            "seed": 7,
            "model": shape,
            "problems": {"data": "rows", "domains": {"math": 1}},
            "warm_up": {"steps": 3, "batch": 8},
            "algorithm": {**algorithm, **ALGORITHMS[name]},
            "train": {
                "steps": STEPS,
                "lr": 1e-2,
                "lr_warm_up": 4,
                "max_new_tokens": 6,
                "lora": lora,
            },
            "evaluation": {"every": 2, "questions": 2, "samples": 2},
        },
    }


def attempt(root: Path, spec: dict[str, object], name: str) -> dict[str, object]:
    out = root / name
    out.mkdir()
    return find_engine("torch_rl").run(CellContext(spec, out, root, root / "resume"))


def curve(out: Path) -> list[dict[str, object]]:
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [{key: n for key, n in line.items() if key not in TIMES} for line in lines]


@pytest.mark.parametrize("lora", [None, {"r": 2}], ids=["full", "lora"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_ends_with_the_weights_of_an_uninterrupted_run(
    tmp_path: Path,
    problems: bytes,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    lora: dict[str, int] | None,
) -> None:
    (tmp_path / "rows.jsonl").write_bytes(problems)
    spec = document(problems, name, lora)
    whole = attempt(tmp_path, spec, "whole")
    assert not has_checkpoint(tmp_path / "resume"), "such short runs need none"

    write, broken = MetricsWriter.write, 4

    def write_or_break(self: MetricsWriter, step: int, **numbers: Any) -> None:
        if step == broken:
            raise BrokenOffError
        write(self, step, **numbers)

    monkeypatch.setattr("harness.cell.train.rl.run.CHECKPOINT_S", -1.0)
    with monkeypatch.context() as breaking:
        breaking.setattr(MetricsWriter, "write", write_or_break)
        with pytest.raises(BrokenOffError):
            attempt(tmp_path, spec, "broken")
    assert len(curve(tmp_path / "broken")) == broken
    assert checkpoint_step(tmp_path / "resume") == broken - 1

    assert attempt(tmp_path, spec, "resumed") == whole
    assert curve(tmp_path / "resumed") == curve(tmp_path / "whole")
