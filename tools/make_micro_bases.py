"""Make the pinned base models of the micro tiers: python tools/make_micro_bases.py [ID ...]

A base model stands in these tiers for the pretrained checkpoint of a publication: every run, on
every machine, begins with the same weights, so that runs differ in their reinforcement learning
alone. Each is trained on reference solutions of micro-Guru until it reaches the pass@1 below on the
validation split, and stored in bfloat16 in harness/data/micro/weights/.

Training on another machine gives other weights of the same kind. They are pinned by the locks of
the suites, and are not made again but for a new version of the generator `micro-base`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

import reward_scorers
from harness.cell.evaluate.sample import answer
from harness.cell.train.rl.decode import Sampling
from harness.cell.train.rl.policy import Policy, open_policy
from harness.cell.train.rl.rewards import Rewards
from harness.cell.train.rl.settings import Model, WarmUp
from harness.cell.train.rl.warm_up import warm_up
from harness.data.micro import data_bytes
from harness.data.rows import load_rows

FOLDER = Path(__file__).parents[1] / "harness" / "data" / "micro" / "weights"

SHAPES = {
    "31K": Model(hidden=32, layers=2, heads=4, kv_heads=2, intermediate=64),
    "60K": Model(hidden=48, layers=2, heads=4, kv_heads=2, intermediate=96),
    "107K": Model(hidden=56, layers=3, heads=4, kv_heads=2, intermediate=112),
    "205K": Model(hidden=80, layers=3, heads=4, kv_heads=2, intermediate=160),
}
ALL = {"math": 1.0, "logic": 1.0, "codegen": 1.0, "stem": 1.0}
# id -> shape, domains, pass@1 to reach, learning rate. `instruct` was warmed up for longer.
BASES = {
    "math-31K": ("31K", {"math": 1.0}, 0.32, 6e-3),
    "math-60K": ("60K", {"math": 1.0}, 0.34, 5e-3),
    "math-107K": ("107K", {"math": 1.0}, 0.37, 4e-3),
    "math-205K": ("205K", {"math": 1.0}, 0.41, 3e-3),
    "math-31K-instruct": ("31K", {"math": 1.0}, 0.42, 6e-3),
    "math-60K-instruct": ("60K", {"math": 1.0}, 0.46, 5e-3),
    "math-107K-instruct": ("107K", {"math": 1.0}, 0.50, 4e-3),
    "math-205K-instruct": ("205K", {"math": 1.0}, 0.55, 3e-3),
    "guru-107K": ("107K", ALL, 0.30, 4e-3),
}
SEED = 20261125
MOST_STEPS = 1200


def make(name: str) -> None:
    """Train and store one base model."""
    shape, domains, target, lr = BASES[name]
    rows = load_rows(data_bytes(0), "micro-Guru")
    train = [row for row in rows if row.split == "train"]
    asked = [row for row in rows if row.split == "validation" and row.ability in domains]
    rewards = Rewards(pinned=reward_scorers.versions())
    policy = open_policy(SHAPES[shape], SEED, "cpu")
    reached = {}

    def is_good(step: int) -> bool:
        if step % 3:
            return False
        policy.model.eval()
        sampling = Sampling(1.0, 24, SEED)
        reached[step] = answer(policy, asked, 8, sampling, rewards).summary()["pass_at_1"]
        policy.model.train()
        return reached[step] >= target

    warm_up(policy, train, WarmUp(steps=MOST_STEPS, batch=64, lr=lr), domains, SEED, stop=is_good)
    step, found = reached.popitem()
    print(f"{name}: {policy.n_parameters()} parameters, pass@1 {found:.3f} after {step} steps")
    store(policy, FOLDER / f"{name}.safetensors")


def store(policy: Policy, path: Path) -> None:
    """Write the weights in bfloat16, tied ones once."""
    path.parent.mkdir(exist_ok=True)
    state = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in policy.model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(state, path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for one in sys.argv[1:] or BASES:
        make(one)
