"""The same training by this project's engine and by TRL's GRPOTrainer."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.rl_models import (
    GROUP,
    LR,
    MINIBATCHES,
    NEW_TOKENS,
    PROMPTS,
    Training,
    document,
    load_checkpoint,
    read_rows,
)
from tests.scorers.processes import cpu_seconds_of_all

if TYPE_CHECKING:
    from collections.abc import Sequence


def ours(folder: Path, name: str, steps: int) -> Training:
    """A cell's training run as `harness run` does it; its evaluations are not counted."""
    import torch

    from harness.cell.contract import CellContext
    from harness.cell.settings import read_settings
    from harness.cell.train.rl.run import Run
    from harness.cell.train.rl.settings import TrainingSettings

    torch.set_num_threads(1)
    told = Training([], [], [])

    class Timed(Run):
        def _step(self, *arguments: Any) -> dict[str, Any]:
            start = cpu_seconds_of_all()
            numbers = super()._step(*arguments)
            told.cpu.append(cpu_seconds_of_all() - start)
            told.rewards.append(numbers["reward"])
            told.lengths.append(numbers["response_length"])
            return numbers

    with tempfile.TemporaryDirectory() as out:
        cell = CellContext(document(folder, name, steps), Path(out), folder)
        Timed(cell, read_settings(TrainingSettings, cell.settings))()
    return told


def trls(folder: Path, name: str, steps: int) -> Training:
    """The same by TRL: a rollout of 256 responses serves four updates, as a step does here."""
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback

    from harness.cell.train.rl.rewards import Rewards
    from reward_scorers import versions

    torch.set_num_threads(1)
    trl: Any = importlib.import_module("trl")
    policy, rows = load_checkpoint(folder, name), read_rows(folder)
    scorer = Rewards(pinned={"math": versions()["math"]})
    told = Training([], [], [])

    def reward(
        completions: Sequence[Any], index: Sequence[int], completion_ids: Any, **_: object
    ) -> list[float]:
        texts = [one[0]["content"] for one in completions]
        scores = [one["score"] for one in scorer([rows[at] for at in index], texts)]
        told.rewards.append(sum(scores) / len(scores))
        told.lengths.append(sum(map(len, completion_ids)) / len(completion_ids))
        return scores

    class Clock(TrainerCallback):
        last = 0.0

        def on_train_begin(self, args: object, state: object, control: object, **_: object) -> None:
            self.last = cpu_seconds_of_all()

        def on_step_end(self, args: object, state: Any, control: object, **_: object) -> None:
            if state.global_step % MINIBATCHES == 0:
                now = cpu_seconds_of_all()
                told.cpu.append(now - self.last)
                self.last = now

    with tempfile.TemporaryDirectory() as out:
        settings = trl.GRPOConfig(
            output_dir=out,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=PROMPTS * GROUP // MINIBATCHES,
            steps_per_generation=MINIBATCHES,
            num_generations=GROUP,
            max_steps=steps * MINIBATCHES,
            max_completion_length=NEW_TOKENS,
            learning_rate=LR,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            beta=0.0,
            epsilon=0.2,
            loss_type="bnpo",  # the mean over the tokens of a minibatch
            scale_rewards="group",
            logging_steps=10_000,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=1,
        )
        trainer = trl.GRPOTrainer(
            model=policy.model,
            reward_funcs=reward,
            args=settings,
            train_dataset=Dataset.from_list(
                [{"prompt": list(row.messages), "index": at} for at, row in enumerate(rows)]
            ),
            processing_class=policy.tokenizer,
            callbacks=[Clock()],
        )
        trainer.train()
    return told
