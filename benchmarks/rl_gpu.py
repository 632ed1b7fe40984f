"""A model of the shape of Qwen2.5-0.5B with random weights, on a GPU."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.rl_generation import endless

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.cell.train.rl.policy import Policy

SHAPE = {
    "vocab_size": 151_936,
    "hidden_size": 896,
    "intermediate_size": 4_864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
}
PROMPTS, GROUP, MINIBATCHES, MICRO_BATCH = 32, 8, 4, 16
PROMPT_TOKENS, NEW_TOKENS = 128, 256
MATRIX = 8_192


@dataclass(frozen=True)
class Gpu:
    """What one step of reinforcement learning costs; an update is of all its responses.

    Attributes:
        generation: tokens per second. update: seconds. memory: peak in bytes.
        flops: rate of the update, matrix products alone. peak: rate of one large bfloat16 product.
    """

    name: str
    generation: float
    update: float
    memory: float
    flops: float
    peak: float

    @property
    def step(self) -> float:
        """Seconds of generation and update."""
        return PROMPTS * GROUP * NEW_TOKENS / self.generation + self.update


def measure(device: str = "cuda") -> Gpu:
    """Generation and update of a step, the second time that they are done."""
    import torch

    from harness.cell.train.rl.decode import Sampling, generate
    from harness.cell.train.rl.learner import Learner, Rollout
    from harness.cell.train.rl.policy import make_batch
    from harness.cell.train.rl.settings import Algorithm, Train

    policy = _policy(device)
    source = torch.Generator().manual_seed(1)
    prompts = torch.randint(0, 1_000, (PROMPTS, PROMPT_TOKENS), generator=source).tolist()
    algorithm = Algorithm("grpo", rollout_n=GROUP, prompts=PROMPTS, minibatches=MINIBATCHES)
    train = Train(steps=2, lr=1e-6, micro_batch=MICRO_BATCH, max_new_tokens=NEW_TOKENS)
    learner = Learner(policy, algorithm, train, seed=1)
    groups = torch.arange(PROMPTS, device=device).repeat_interleave(GROUP)
    scores = torch.rand(PROMPTS * GROUP, generator=source).to(device)
    repeated = [prompt for prompt in prompts for _ in range(GROUP)]

    def one(step: int) -> tuple[float, float, float]:
        generation, responses = _timed(
            lambda: generate(policy, prompts, GROUP, Sampling(1.0, NEW_TOKENS, 1)), device
        )
        rollout = Rollout(make_batch(repeated, responses, policy.pad, device), scores, groups)
        before = policy.meter.total
        update, _ = _timed(lambda: learner.update(rollout, step), device)
        return generation, update, policy.meter.total - before

    one(1)
    generation, update, flops = one(2)
    tokens = PROMPTS * GROUP * NEW_TOKENS
    memory = torch.cuda.max_memory_allocated()
    name = torch.cuda.get_device_name()
    return Gpu(name, tokens / generation, update, memory, flops / update, _peak(device))


def _policy(device: str) -> Policy:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from harness.cell.train.rl.policy import Policy
    from harness.data.micro import micro_tokenizer

    torch.manual_seed(1)
    configuration: Any = Qwen2Config
    make: Any = Qwen2ForCausalLM
    model = make(configuration(**SHAPE, tie_word_embeddings=True)).to(device, torch.bfloat16)
    return endless(Policy(model.eval(), micro_tokenizer(), device))


def _peak(device: str) -> float:
    import torch

    matrix = torch.ones(MATRIX, MATRIX, device=device, dtype=torch.bfloat16)
    seconds = min(_timed(lambda: matrix @ matrix, device)[0] for _ in range(10))
    return float(2 * MATRIX**3 / seconds)


def _timed(work: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Seconds until the device has done it, and what it gave."""
    import torch

    torch.get_device_module(device).synchronize()
    start = time.perf_counter()
    told = work()
    torch.get_device_module(device).synchronize()
    return time.perf_counter() - start, told
