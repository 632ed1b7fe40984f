"""A whole training run: warm-up, steps with evaluations and checkpoints, final evaluation."""

from __future__ import annotations

import hashlib
import math
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from harness.cell.contract import mapping_at
from harness.cell.evaluate.sample import Answers, answer
from harness.cell.train.rl.checkpoint import computed_by, load_state, save_state
from harness.cell.train.rl.checks import Prompts, check_finite, context_length
from harness.cell.train.rl.decode import Sampling, generate
from harness.cell.train.rl.flops import six_nd
from harness.cell.train.rl.learner import Learner, Rollout
from harness.cell.train.rl.policy import Policy, add_adapters, make_batch, open_policy
from harness.cell.train.rl.problems import Schedule
from harness.cell.train.rl.rewards import Rewards
from harness.cell.train.rl.seeds import derived_seed
from harness.cell.train.rl.warm_up import warm_up
from harness.data.rows import Row, load_rows
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.cell.contract import CellContext, MetricsWriter
    from harness.cell.train.rl.settings import TrainingSettings

CHECKPOINT_S = 15.0  # seconds of work that a killed cell may lose
FINAL = "checkpoints/final"  # in the cell's folder: a Hugging Face checkpoint


@dataclass
class Totals:
    """What a run has used so far; all cumulative.

    Attributes:
        problems: drawn for training (D). tokens: of their prompts and responses.
        flops: 6 N tokens, the papers' count. counted: matrix products that were really done, those
            of generation, of the reference and of padding included; evaluations are not.
        warm_up: loss at the end of the warm-up in nats per token; NaN without one.
    """

    problems: int = 0
    tokens: int = 0
    flops: float = 0.0
    counted: float = 0.0
    warm_up: float = math.nan
    silent: int = 0  # steps whose rewards were all 0
    full: int = 0  # steps whose rewards were all 1
    warnings: list[str] = field(default_factory=list)


class Run:
    """One cell's training, from wherever it stands."""

    def __init__(self, cell: CellContext, settings: TrainingSettings) -> None:
        self._cell, self._settings = cell, settings
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        _make_deterministic()
        source = cell.read_data(settings.problems.data)
        self._data_path = source.path
        self._rows = _by_split(load_rows(source.content, source.path))
        pinned = mapping_at(mapping_at(cell.document, "pins"), "scorers")
        self._rewards = Rewards(settings.compat, pinned=pinned)
        self._asked = self._questions("heldout", settings.evaluation.questions)
        self._final = self._final_questions()
        asked = [*self._asked, *(row for rows in self._final.values() for row in rows)]
        self._rewards.check([*self._training_rows(), *asked])
        self._schedule = Schedule(
            self._training_rows(),
            settings.problems.domains,
            steps=settings.train.steps,
            batch=settings.algorithm.prompts,
            order=settings.problems.order,
            tau=settings.problems.tau,
            seed=settings.seed,
        )
        self._used = [*self._schedule.rows, *asked]
        self._rewards.check_truths(self._used)
        self._totals = Totals()
        self._lines: list[Mapping[str, object]] = []
        self._prompts: Prompts
        self._saved = 0.0  # when the last checkpoint was written, or the run began

    def __call__(self) -> dict[str, object]:
        """Train and evaluate; returns what result.json says besides the contract's keys."""
        settings, seed = self._settings, self._settings.seed
        self._saved = time.monotonic()
        state = load_state(self._cell.resume) if self._cell.resume is not None else None
        policy = open_policy(
            settings.model,
            derived_seed(seed, "weights"),
            self._device,
            self._cell.find_data(settings.model.data) if settings.model.data else None,
        )
        n_parameters = policy.n_parameters()
        self._check(policy)
        if state is None:
            weights = settings.warm_up.domains or settings.problems.domains
            train = self._rows.get("train", [])
            self._totals.warm_up = warm_up(policy, train, settings.warm_up, weights, seed)
        if settings.train.lora is not None:
            policy = add_adapters(policy, settings.train.lora, derived_seed(seed, "adapters"))
        learner = Learner(policy, settings.algorithm, settings.train, seed)
        if state is not None:
            done = self._restore(policy, learner, state)
        else:
            done = 0
            self._save(policy, learner, done)
        with self._cell.metrics(kept=self._lines) as metrics:
            if not self._lines:
                self._write(metrics, 0, self._evaluate(policy, 0))
            self._train(policy, learner, metrics, done)
            return self._finish(policy, metrics, n_parameters)

    def _check(self, policy: Policy) -> None:
        """Refuse now what would be refused when hours of training are done."""
        settings = self._settings
        self._prompts = Prompts(policy, settings.train.max_new_tokens)
        self._prompts.check(self._used)
        if settings.evaluation.lm_eval:
            from harness.cell.evaluate.lm_eval import check_tasks

            check_tasks(
                settings.evaluation.lm_eval,
                policy.tokenizer,
                context_length(policy),
                data=self._cell.data_root / self._data_path,
                max_new_tokens=settings.train.max_new_tokens,
            )

    # Steps

    def _train(self, policy: Policy, learner: Learner, metrics: MetricsWriter, done: int) -> None:
        settings = self._settings
        for step in range(done + 1, settings.train.steps + 1):
            numbers = self._step(policy, learner, self._schedule[step - 1], step)
            is_last = step == settings.train.steps
            if is_last or step % settings.evaluation.every == 0:
                numbers |= {"evals": self._evaluate(policy, step)}
            self._write(metrics, step, numbers.pop("evals", {}), **numbers)
            # What follows the last step may take long, and needs none of the steps again.
            self._save(policy, learner, step, now=is_last)

    def _step(
        self, policy: Policy, learner: Learner, problems: Sequence[Row], step: int
    ) -> dict[str, Any]:
        """Draw, score, learn; returns the step's numbers."""
        started = time.perf_counter()
        settings, totals = self._settings, self._totals
        n = settings.algorithm.rollout_n
        sampling = Sampling(
            settings.train.temperature,
            settings.train.max_new_tokens,
            derived_seed(settings.seed, "rollout", step),
        )
        counted = policy.meter.total
        prompts = [self._prompts(row) for row in problems]
        responses = generate(policy, prompts, n, sampling)
        generated = time.perf_counter()
        texts = [policy.decode(response) for response in responses]
        scored = self._rewards([row for row in problems for _ in range(n)], texts)
        rewarded = time.perf_counter()
        scores = torch.tensor([one["score"] for one in scored], device=policy.device)
        repeated = [prompt for prompt in prompts for _ in range(n)]
        batch = make_batch(repeated, responses, policy.pad, policy.device)
        groups = torch.arange(len(problems), device=policy.device).repeat_interleave(n)
        told = learner.update(Rollout(batch, scores, groups), step)
        lengths = list(map(len, responses))
        totals.problems += len(problems)
        totals.tokens += sum(lengths) + sum(map(len, repeated))
        totals.flops = six_nd(policy.n_parameters(), totals.tokens)
        totals.counted += policy.meter.total - counted
        mean = float(scores.mean())
        totals.silent += mean == 0.0
        totals.full += mean == 1.0
        by_group = scores.view(len(problems), n)
        return {
            "reward": mean,
            "same_reward": float((by_group == by_group[:, :1]).all(dim=1).float().mean()),
            "response_length": sum(lengths) / len(lengths),
            "finished": sum(one[-1] == policy.eos for one in responses) / len(responses),
            **told,
            "seconds": time.perf_counter() - started,
            "generation_s": generated - started,
            "scoring_s": rewarded - generated,
        }

    def _write(
        self, metrics: MetricsWriter, step: int, evals: Mapping[str, float], **numbers: float
    ) -> None:
        totals = self._totals
        line = {
            "samples": totals.problems,
            "unique_samples": self._schedule.different(step),
            "tokens": totals.tokens,
            "flops": totals.flops,
            "flops_counted": totals.counted,
            **numbers,
        }
        metrics.write(step, evals=evals, **line)
        self._lines.append({"step": step, **line, "evals": dict(evals)})
        shown = {"reward": numbers.get("reward"), "pass_at_1": evals.get("heldout.pass_at_1")}
        self._cell.progress(
            step,
            self._settings.train.steps,
            **{name: value for name, value in shown.items() if value is not None},
        )

    # Evaluation

    def _evaluate(self, policy: Policy, step: int) -> dict[str, float]:
        """Held-out numbers by domain (`heldout.math.pass_at_1`) and over all questions."""
        settings = self._settings.evaluation
        place = "settings.train" if step else "settings.warm_up"
        check_finite(policy, self._prompts(self._asked[0]), step, place)
        answers = self._answer(policy, self._asked, settings.samples, f"heldout/{step}")
        return _numbers("heldout", answers)

    def _answer(self, policy: Policy, rows: Sequence[Row], n: int, purpose: str) -> Answers:
        sampling = Sampling(
            self._settings.evaluation.temperature,
            self._settings.train.max_new_tokens,
            derived_seed(self._settings.seed, purpose),
        )
        with policy.meter.paused():
            return answer(policy, rows, n, sampling, self._rewards, encode=self._prompts)

    def _finish(
        self, policy: Policy, metrics: MetricsWriter, n_parameters: int
    ) -> dict[str, object]:
        settings, totals = self._settings, self._totals
        folder = self._cell.out / FINAL
        policy.save(folder)
        result: dict[str, object] = {
            "steps": metrics.steps,
            "parameters": n_parameters,
            "weights_sha256": _weights_sha256(policy),
            "computed_by": computed_by(),
            "samples": totals.problems,
            "tokens": totals.tokens,
            "flops": totals.flops,
            "flops_counted": totals.counted,
            "warnings": self._warnings(),
            "domains": self._before_and_after() if self._settings.train.steps else [],
        }
        if math.isfinite(totals.warm_up):
            result["warm_up_loss"] = totals.warm_up
        evals = dict(metrics.evals)
        if self._final:
            evals |= self._final_answers(policy, result)
        if settings.evaluation.lm_eval:
            evals |= self._lm_eval(policy)
        result["evals"] = evals
        return result

    def _before_and_after(self) -> object:
        """Held-out pass@1 of each domain before the first step and after the last."""
        from harness.cell.evaluate.tables import domain_table

        asked = [row.ability for row in self._asked]
        samples = self._settings.evaluation.samples
        return domain_table(self._lines, {one: asked.count(one) * samples for one in asked})

    def _final_answers(self, policy: Policy, result: dict[str, object]) -> dict[str, float]:
        """Ask the final splits, store what was said, count right answers question by question."""
        from harness.cell.evaluate.generations import FILE as GENERATIONS
        from harness.cell.evaluate.generations import write_generations

        settings = self._settings.evaluation
        evals: dict[str, float] = {}
        parts, counts = [], {}
        for split, rows in self._final.items():
            answers = self._answer(policy, rows, settings.final_samples, f"final/{split}")
            evals |= _numbers(f"final.{split}", answers)
            counts[split] = {"n": answers.n, "c": answers.counts()}
            parts.append((split, answers))
        write_generations(
            self._cell.out / GENERATIONS,
            parts,
            self._settings.train.steps,
            compat=self._settings.compat,
        )
        result["counts"] = counts
        return evals

    def _lm_eval(self, policy: Policy) -> dict[str, float]:
        from harness.cell.evaluate.lm_eval import evaluate

        return evaluate(
            policy.causal_lm,
            policy.tokenizer,
            self._settings.evaluation.lm_eval,
            data=self._cell.data_root / self._data_path,
            max_new_tokens=self._settings.train.max_new_tokens,
            log_samples_to=self._cell.out / "lm_eval",
            seed=self._settings.seed,
        )

    # Rows

    def _training_rows(self) -> list[Row]:
        domains = self._settings.problems.domains
        return [row for row in self._rows.get("train", []) if row.ability in domains]

    def _questions(self, split: str, most: int) -> list[Row]:
        """The first `most` questions of each domain that is evaluated."""
        chosen = []
        for domain in self._settings.evaluation.domains or tuple(self._settings.problems.domains):
            mine = [row for row in self._rows.get(split, []) if row.ability == domain]
            if not mine:
                raise DataError(
                    f"no questions of domain {domain!r} in split {split!r}",
                    where=f"data set {self._settings.problems.data}",
                    expected=f"splits {', '.join(self._rows)}",
                    hint="correct `evaluation`, or generate more",
                )
            chosen.extend(mine[:most])
        return chosen

    def _final_questions(self) -> dict[str, list[Row]]:
        """Split -> the questions that are asked of it after the last step."""
        settings = self._settings.evaluation
        if not settings.final_samples:
            return {}
        most = settings.final_questions or settings.questions
        return {split: self._questions(split, most) for split in settings.final_splits}

    # Checkpoints

    def _save(self, policy: Policy, learner: Learner, step: int, *, now: bool = False) -> None:
        """Write a checkpoint where a killed cell would lose too much without, or `now`."""
        folder = self._cell.resume
        if folder is None or not (now or time.monotonic() - self._saved > CHECKPOINT_S):
            return
        state = {
            "step": step,
            "policy": policy.model.state_dict(),
            "learner": learner.state(),
            "totals": vars(self._totals),
            "lines": self._lines,
        }
        save_state(folder, state)
        self._saved = time.monotonic()
        self._cell.checkpointed(step)

    def _restore(self, policy: Policy, learner: Learner, state: Mapping[str, Any]) -> int:
        policy.model.load_state_dict(state["policy"])
        learner.load_state(state["learner"])
        self._totals = Totals(**state["totals"])
        self._lines = list(state["lines"])
        return int(state["step"])

    def _warnings(self) -> list[str]:
        totals, steps = self._totals, self._settings.train.steps
        warnings = list(totals.warnings)
        for count, value in ((totals.silent, 0), (totals.full, 1)):
            if steps and count >= max(2, steps // 2):
                warnings.append(
                    f"every reward was {value} in {count} of {steps} steps: they taught nothing"
                )
        return warnings


def _by_split(rows: Sequence[Row]) -> dict[str, list[Row]]:
    splits: dict[str, list[Row]] = {}
    for row in rows:
        splits.setdefault(row.split or "train", []).append(row)
    return splits


def _numbers(prefix: str, answers: Answers) -> dict[str, float]:
    told = {f"{prefix}.{name}": value for name, value in answers.summary().items()}
    domains = list(dict.fromkeys(row.ability for row in answers.rows))
    if len(domains) > 1:
        for domain in domains:
            part = answers.of(domain)
            told |= {f"{prefix}.{domain}.{name}": v for name, v in part.summary().items()}
    told[f"{prefix}.response_length"] = sum(answers.tokens) / len(answers.tokens)
    return told


def _make_deterministic() -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.backends.cuda.matmul.allow_tf32 = False


def _weights_sha256(policy: Policy) -> str:
    """Of all weights, in the order of their names: equal for equal runs on one machine."""
    digest = hashlib.sha256()
    for name, tensor in sorted(policy.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
