"""Answers made by hand, and a model that fits in a second."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from harness.cell.evaluate.sample import Answers
from harness.data.rows import Row, load_rows
from reward_scorers import score_batch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.cell.train.rl.policy import Policy

PROBLEMS = {
    "math": ("math__micro", "3+1=", "4", r"4\boxed{4}"),
    "logic": ("logic__ordering_puzzle__micro", "sort 31", ["1", "3"], r"\boxed{1,3}"),
    "codegen": (
        "codegen__micro",
        "x plus 1",
        json.dumps({"functional": "assert f(0) == 1\nassert f(4) == 5"}),
        "def f(x):return x+1",
    ),
    "stem": ("stem__supergpqa__micro", "color of dax? A:red B:blue", "B", r"\boxed{B}"),
}


def row(ability: str, split: str = "heldout", index: int = 0, **changes: Any) -> dict[str, Any]:
    source, prompt, truth, solution = PROBLEMS[ability]
    made = {"prompt": prompt, "truth": truth, "solution": solution, **changes}
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": made["prompt"]}],
        "ability": ability,
        "reward_model": {"style": "rule", "ground_truth": made["truth"]},
        "extra_info": {
            "split": split,
            "index": index,
            "difficulty": 1,
            "solution": made["solution"],
        },
    }


def sums(count: int, split: str = "heldout") -> list[dict[str, Any]]:
    """Sums of two digits below ten."""
    pairs = [(a, b) for a in range(10) for b in range(10 - a)][:count]
    return [
        row("math", split, i, prompt=f"{a}+{b}=", truth=str(a + b), solution=rf"\boxed{{{a + b}}}")
        for i, (a, b) in enumerate(pairs)
    ]


def as_lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in rows).encode()


def as_rows(rows: Sequence[dict[str, Any]]) -> list[Row]:
    return load_rows(as_lines(rows), "rows.jsonl")


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_bytes(as_lines(rows))
    return path


def answers(rows: Sequence[dict[str, Any]], texts: Sequence[str]) -> Answers:
    """Texts, those of one question together, scored now."""
    questions = as_rows(rows)
    n = len(texts) // len(questions)
    asked = [
        {
            "data_source": one.data_source,
            "solution_str": texts[place * n + i],
            "ground_truth": one.ground_truth,
            "extra_info": one.extra_info,
        }
        for place, one in enumerate(questions)
        for i in range(n)
    ]
    lengths, ended = [len(text) + 1 for text in texts], [True] * len(texts)
    return Answers(questions, n, list(texts), lengths, ended, score_batch(asked))


@functools.cache
def tiny_policy(positions: int = 64) -> Policy:
    """A model with random weights."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from harness.cell.train.rl.policy import Policy
    from harness.data.micro import micro_tokenizer

    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer: Any = micro_tokenizer()
    config = Qwen2Config(
        vocab_size=-(-len(tokenizer) // 32) * 32,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Policy(Qwen2ForCausalLM(config), tokenizer, "cpu")


@functools.cache
def fitted_policy() -> Policy:
    """A model that answers some of `sums` and not others, and boxes its answers."""
    import copy

    import torch

    from harness.cell.train.rl.policy import Policy, make_batch

    blank = tiny_policy()
    policy = Policy(copy.deepcopy(blank.model), blank.tokenizer, "cpu")
    rows = as_rows(sums(55))
    prompts = [policy.encode(one.messages) for one in rows]
    said = [[*policy.tokenizer(one.solution)["input_ids"], policy.eos] for one in rows]
    batch = make_batch(prompts, said, policy.pad, "cpu")
    optimiser = torch.optim.Adam(policy.model.parameters(), lr=1e-2)
    for _ in range(60):
        logp, _ = policy.log_probs(batch, 1.0)
        loss = -(logp * batch.mask).sum() / batch.mask.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return policy
