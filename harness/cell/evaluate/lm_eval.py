"""Evaluation by lm-eval (EleutherAI's Language Model Evaluation Harness) through its Python API.

Micro tasks ask rows of the cell's data set, and answers go to the scorers that training used;
public benchmarks are asked as lm-eval has them. Nothing is downloaded while a cell runs.

Heavy: imports torch, transformers and lm_eval when it evaluates.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.cell.evaluate.task_files import TaskFile, find_tasks, task_hashes
from harness.errors import DataError, HarnessError, InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["BACKENDS", "check_tasks", "evaluate", "task_hashes"]

BACKENDS: Final = ("hf", "vllm")
_OFFLINE: Final = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
_OFFLINE_FLAGS: Final = (
    ("huggingface_hub.constants", "HF_HUB_OFFLINE"),
    ("datasets.config", "HF_HUB_OFFLINE"),
)


def evaluate(
    model: Any,
    tokenizer: Any,
    tasks: Sequence[str],
    *,
    data: Path,
    batch_size: int = 64,
    limit: int | None = None,
    max_new_tokens: int | None = None,
    log_samples_to: Path | None = None,
    seed: int = 0,
    backend: str = "hf",
    folders: Sequence[Path] = (),
    allow_unsafe_code: bool = False,
) -> dict[str, float]:
    """Ask a model every task.

    Args:
        model: a causal language model of transformers with its `tokenizer`, or the folder of a
            checkpoint, with None for the tokenizer.
        tasks: names; see `task_files.find_tasks`.
        data: JSON lines in the Guru row schema, of which micro tasks ask the held-out rows.
        batch_size: sequences at a time.
        limit: the first questions of each task, at most; None for all.
        max_new_tokens: where a response is cut off; None for what each task says.
        log_samples_to: a folder for one `samples_TASK.jsonl` for each task: the questions, what was
            answered and how it was scored.
        seed: of Python, NumPy, torch and the choice of examples.
        backend: "hf", or "vllm", which takes a folder.
        folders: more YAML tasks.
        allow_unsafe_code: benchmarks that run the model's programs in this process, as lm-eval's
            humaneval does; they are refused otherwise.

    Returns:
        `lm_eval.TASK.METRIC` -> value; a filter other than the default follows the metric's name.

    Raises:
        DataError: an unknown task, rows or a checkpoint that cannot be used, prompts that the
            model's context cannot hold, vllm asked for and not installed.
        InfrastructureError: lm-eval is not installed, or a benchmark's data set is not at hand.
    """
    files = find_tasks(tasks, folders)
    if not files:
        return {}
    _check(backend, model)
    with _offline():
        manager = _task_manager(files, data)
        loaded = _load(manager, files, allow_unsafe_code=allow_unsafe_code)
        with _language_model(model, tokenizer, backend, batch_size, seed) as lm:
            micro = [loaded["tasks"][one.name] for one in files if one.is_micro]
            for task in micro:
                _check_prompts(task, lm.tokenizer, lm.max_length, max_new_tokens)
            found = _run(
                lm,
                [one.name for one in files] if loaded["groups"] else [*loaded["tasks"].values()],
                task_manager=manager,
                batch_size=batch_size,
                limit=limit,
                log_samples=log_samples_to is not None,
                gen_kwargs={"max_gen_toks": max_new_tokens} if max_new_tokens else None,
                confirm_run_unsafe_code=allow_unsafe_code,
                seed=seed,
            )
    if log_samples_to is not None:
        _log_samples(log_samples_to, found["samples"])
    return _metrics(tasks, found["results"])


def check_tasks(
    tasks: Sequence[str],
    tokenizer: Any,
    longest: int | None,
    *,
    data: Path,
    max_new_tokens: int | None = None,
) -> None:
    """Refuse before hours of training what `evaluate` would refuse after them.

    Args:
        longest: tokens that the model can hold; None where it does not tell.
        tasks, data, max_new_tokens: as for `evaluate`.

    Raises:
        DataError, InfrastructureError: as `evaluate` does.
    """
    files = find_tasks(tasks)
    if not files:
        return
    _check("hf", None)
    with _offline():
        loaded = _load(_task_manager(files, data), files, allow_unsafe_code=False)
    for one in files:
        if one.is_micro:
            _check_prompts(loaded["tasks"][one.name], tokenizer, longest, max_new_tokens)


def _check(backend: str, model: Any) -> None:
    """Raise where a backend is unknown, not installed, or cannot take this model."""
    if backend not in BACKENDS:
        raise DataError(
            f"no backend {backend!r} of lm-eval",
            where="settings.evaluation",
            expected=f"one of {', '.join(BACKENDS)}",
        )
    if find_spec("lm_eval") is None:
        raise InfrastructureError(
            "lm-eval is not installed", hint="pip install 'rl-scaling-harness[train]'"
        )
    if backend == "vllm" and find_spec("vllm") is None:
        raise DataError(
            "backend vllm is asked for, and vllm is not installed",
            where="settings.evaluation",
            hint="pip install vllm on a machine with a GPU, in an environment of its own; or use "
            "backend hf",
        )
    if backend == "vllm" and not isinstance(model, str | Path):
        raise DataError("backend vllm takes the folder of a checkpoint", found=type(model).__name__)


@contextmanager
def _offline() -> Iterator[None]:
    """Ask no hub for the block: a number must not depend on what is there today.

    The libraries read the environment when they are imported, which may have been long ago.
    """
    before = {name: os.environ.get(name) for name in _OFFLINE}
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))
    flags = [
        (sys.modules[module], name)
        for module, name in _OFFLINE_FLAGS
        if hasattr(sys.modules.get(module), name)
    ]
    values = [getattr(module, name) for module, name in flags]
    for module, name in flags:
        setattr(module, name, True)
    try:
        yield
    finally:
        for (module, name), value in zip(flags, values, strict=True):
            setattr(module, name, value)
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


def _task_manager(files: Sequence[TaskFile], data: Path) -> Any:
    from lm_eval.tasks import TaskManager

    folders = dict.fromkeys(one.folder for one in files)
    return TaskManager(
        include_path=[str(folder) for folder in folders],
        include_defaults=False,
        metadata={"data": str(data)},
    )


def _load(manager: Any, files: Sequence[TaskFile], *, allow_unsafe_code: bool) -> dict[str, Any]:
    """The tasks with their data sets, before a model costs anything."""
    names = [one.name for one in files]
    try:
        loaded: dict[str, Any] = manager.load(names)
    except HarnessError:
        raise
    except Exception as error:  # each data set's own code runs here
        raise InfrastructureError(
            "a task of lm-eval cannot be loaded",
            where=", ".join(names),
            found=f"{type(error).__name__}: {_first_line(error)}",
            hint="load its data set once with network (`lm-eval run --tasks NAME --limit 1 --model "
            "dummy`), then hand the cells that HF_HOME",
        ) from error
    unsafe = [name for name, task in loaded["tasks"].items() if getattr(task, "UNSAFE_CODE", False)]
    if unsafe and not allow_unsafe_code:
        raise DataError(
            "lm-eval would run the model's programs outside the sandbox",
            where=", ".join(unsafe),
            hint="evaluate programs by stored generations and the scorer `code`, or allow it "
            "inside a container without network",
        )
    return loaded


@contextmanager
def _language_model(
    model: Any, tokenizer: Any, backend: str, batch_size: int, seed: int
) -> Iterator[Any]:
    """The model as lm-eval takes it; one that is being trained is handed back as it was."""
    if backend == "vllm":
        from lm_eval.models.vllm_causallms import VLLM

        yield VLLM(pretrained=str(model), dtype="auto", batch_size="auto", seed=seed)
        return
    from lm_eval.models.huggingface import HFLM

    if isinstance(model, str | Path):
        from harness.cell.train.rl.policy import load_policy

        policy = load_policy(Path(model))
        model, tokenizer = policy.causal_lm, policy.tokenizer
    was_training = model.training
    try:
        # lm-eval sets the tokenizer's padding as it needs it.
        yield HFLM(
            pretrained=model,
            tokenizer=copy.deepcopy(tokenizer),
            backend="causal",
            batch_size=batch_size,
        )
    finally:
        model.train(was_training)


def _check_prompts(
    task: Any, tokenizer: Any, longest: int | None, max_new_tokens: int | None
) -> None:
    """Raise where lm-eval would cut prompts off at their beginning without a word."""
    if not getattr(tokenizer, "chat_template", None):
        raise DataError(
            "the tokenizer has no chat template, by which micro tasks write their prompts",
            where=task.config.task,
            hint="set chat_template in tokenizer_config.json",
        )
    room = 0
    if task.config.output_type == "generate_until":
        room = max_new_tokens or task.config.generation_kwargs["max_gen_toks"]
    for question in task.eval_docs["question"]:
        messages = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        length = len(tokenizer(text, add_special_tokens=False)["input_ids"])
        if longest is not None and length + room > longest:
            raise DataError(
                "the model's context cannot hold a prompt with its response",
                where=task.config.task,
                expected=f"at most {longest} tokens",
                found=f"{length} of the prompt and {room} of the response: {question!r:.60}",
                hint="let responses be shorter, or the model's `positions` more",
            )


def _run(lm: Any, tasks: Sequence[Any], *, seed: int, **settings: Any) -> dict[str, Any]:
    from lm_eval import simple_evaluate

    found: dict[str, Any] = simple_evaluate(
        model=lm,
        tasks=list(tasks),
        bootstrap_iters=0,
        apply_chat_template=bool(getattr(lm.tokenizer, "chat_template", None)),
        random_seed=seed,
        numpy_random_seed=seed,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
        **settings,
    )
    return found


def _metrics(tasks: Sequence[str], results: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    told: dict[str, float] = {}
    for task in tasks:
        for key, value in results.get(task, {}).items():
            name, comma, filtered = key.partition(",")
            if comma and not name.endswith("_stderr") and isinstance(value, int | float):
                suffix = "" if filtered == "none" else f".{filtered}"
                told[f"lm_eval.{task}.{name}{suffix}"] = float(value)
        if not any(name.startswith(f"lm_eval.{task}.") for name in told):
            raise InfrastructureError(f"lm-eval gave no number for task {task!r}")
    return told


def _log_samples(folder: Path, samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """One file for each task; lm-eval's own records, without what only its cache needs."""
    folder.mkdir(parents=True, exist_ok=True)
    for task, records in samples.items():
        lines = []
        for record in records:
            kept = {key: value for key, value in record.items() if not key.endswith("_hash")}
            lines.append(json.dumps(kept, default=str) + "\n")
        (folder / f"samples_{task}.jsonl").write_text("".join(lines), encoding="utf-8")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
