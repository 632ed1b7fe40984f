"""Inside lm-eval, TRL and verl themselves, where they are installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}

LM_EVAL = """
import lm_eval
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

class Echo(LM):
    def generate_until(self, requests, **_):
        return [request.args[0] for request in requests]
    def loglikelihood(self, requests): ...
    def loglikelihood_rolling(self, requests): ...

found = lm_eval.simple_evaluate(
    model=Echo(), tasks=["scored"], bootstrap_iters=0,
    task_manager=TaskManager(include_path="tasks", include_defaults=False),
)
print(found["results"]["scored"]["acc,none"])
"""
TASK = """
task: scored
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{said}}"
doc_to_target: ""
process_results: !function utils.process_results
generation_kwargs: {until: ["none"], max_gen_toks: 8}
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: score, aggregation: mean, higher_is_better: true}
"""
TRL = """
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer
from reward_scorers.trl import reward, reward_with

vocabulary = {c: i for i, c in enumerate([*map(chr, range(32, 127)), "<pad>", "<eos>"])}
words = Tokenizer(models.WordLevel(vocabulary, unk_token=" "))
words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
words.decoder = decoders.Fuse()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", padding_side="left"
)
model = Qwen2ForCausalLM(Qwen2Config(
    vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2,
))
row = {"prompt": "1+1=", "data_source": "math__any", "ground_truth": "2"}
trainer = GRPOTrainer(
    model=model, reward_funcs=[reward, reward_with(compat="reasoning360")],
    args=GRPOConfig(
        output_dir="out", per_device_train_batch_size=4, num_generations=4, max_steps=1,
        max_completion_length=6, report_to=[], use_cpu=True, bf16=False, logging_steps=1,
    ),
    train_dataset=Dataset.from_list([row] * 8), processing_class=tokenizer,
)
trainer.train()
print(trainer.state.log_history[0]["rewards/reward/mean"])
"""
VERL = """
from omegaconf import OmegaConf
from verl.trainer.ppo.reward import get_custom_reward_fn

told = {"path": SCORING, "name": "compute_score", "reward_kwargs": {"compat": "strict"}}
config = {"custom_reward_function": told, "reward": {"custom_reward_function": told}}
function = get_custom_reward_fn(OmegaConf.create(config))
print(function(
    data_source="math__any", solution_str=r"\\boxed{\\frac12}", ground_truth="0.5",
    extra_info={"num_turns": 1},
)["score"])
"""


def last_line(program: str, folder: Path) -> float:
    environment = os.environ | OFFLINE | {"PYTHONPATH": str(ROOT), "HF_HOME": str(folder / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return float(done.stdout.split()[-1])


@pytest.mark.skipif(find_spec("lm_eval") is None, reason="lm-eval is not installed")
def test_a_task_of_lm_eval_is_scored(tmp_path: Path) -> None:
    texts = {"So \\boxed{2}": "2", "\\boxed{\\frac12}": "0.5", "\\boxed{4}": "3", "none": "1"}
    rows = [
        {"said": said, "data_source": "math__any", "ground_truth": truth}
        for said, truth in texts.items()
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "scored.yaml").write_text(TASK, "utf-8")
    line = "from reward_scorers.lm_eval import process_results\n"
    (tmp_path / "tasks" / "utils.py").write_text(line, "utf-8")
    assert last_line(LM_EVAL, tmp_path) == 0.5


@pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed")
def test_trl_makes_a_step_with_our_rewards(tmp_path: Path) -> None:
    assert 0 <= last_line(TRL, tmp_path) <= 1


@pytest.mark.skipif(find_spec("verl") is None, reason="verl is not installed")
def test_verl_loads_and_calls_the_function_by_its_path(tmp_path: Path) -> None:
    scoring = ROOT / "reward_scorers" / "scoring.py"
    assert last_line(VERL.replace("SCORING", repr(str(scoring))), tmp_path) == 1.0
