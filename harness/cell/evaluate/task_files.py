"""Where the tasks of lm-eval stand, and what they are: hashes for a suite's lock.

Reads YAML files only. Neither lm-eval nor torch is imported, so that a lock costs little.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.errors import DataError, InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MICRO: Final = Path(__file__).parent / "tasks" / "micro"

# Public benchmarks, and the folder of lm-eval's tasks that holds each. Reading lm-eval's whole
# collection, of some 14,000 files, would take longer than a small evaluation.
PUBLIC: Final[Mapping[str, str]] = {
    "aime24": "aime",
    "aime25": "aime",
    "arc_challenge": "arc",
    "bbh": "bbh/cot_fewshot",
    "gpqa_diamond_zeroshot": "gpqa/zeroshot",
    "gsm8k": "gsm8k",
    "gsm8k_cot": "gsm8k",
    "hellaswag": "hellaswag",
    "hendrycks_math500": "hendrycks_math",
    "humaneval": "humaneval",
    "humaneval_instruct": "humaneval",
    "humaneval_plus": "humaneval",
    "ifeval": "ifeval",
    "mbpp": "mbpp",
    "minerva_math500": "minerva_math",
    "mmlu": "mmlu/default",
    "mmlu_pro": "mmlu_pro",
}

_NAME: Final = re.compile(r"^(?:task|group):[ \t]*[\"']?([\w.+-]+)[\"']?[ \t]*(?:#.*)?$", re.M)
_FUNCTION: Final = "!function"


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A task's or a group's YAML file, and the folder that lm-eval must know to load it."""

    name: str
    path: Path
    folder: Path

    @property
    def is_micro(self) -> bool:
        """Whether it asks rows of a cell's data set."""
        return self.folder == MICRO


def find_tasks(names: Iterable[str], folders: Sequence[Path] = ()) -> list[TaskFile]:
    """The files of tasks: in `folders` first, then ours, then lm-eval's public benchmarks.

    Raises:
        DataError: no such task, with the nearest names.
        InfrastructureError: a public benchmark, and lm-eval is not installed.
    """
    own: dict[str, TaskFile] = {}
    for folder in (MICRO, *reversed(folders)):
        own |= _named(folder)
    found = []
    for name in names:
        if name in own:
            found.append(own[name])
        elif name in PUBLIC:
            found.append(_public(name))
        else:
            known = sorted({*own, *PUBLIC})
            near = get_close_matches(name, known, n=1)
            raise DataError(
                f"no task {name!r}",
                where="settings.evaluation.lm_eval",
                expected=f"one of {', '.join(known)}",
                hint=f"write `{near[0]}`" if near else None,
            )
    return found


def task_hashes(names: Iterable[str], folders: Sequence[Path] = ()) -> dict[str, str]:
    """Name -> SHA-256 of everything in a task's files that can move its number.

    That is its YAML with what it includes, the files of functions beside it or of ours, the version
    of the scorer that a task of ours goes to, and for a group all tasks of its folder. Comments in
    YAML, the order of keys and the folder's place do not count.

    Raises:
        DataError: no such task, or a file that cannot be read.
    """
    return {task.name: _hash(task) for task in find_tasks(names, folders)}


def _named(folder: Path) -> dict[str, TaskFile]:
    """The tasks and groups that the YAML files below a folder declare."""
    found: dict[str, TaskFile] = {}
    for path in sorted(folder.rglob("*.yaml")):
        for name in _NAME.findall(path.read_text(encoding="utf-8")):
            found.setdefault(name, TaskFile(name, path, folder))
    return found


def _public(name: str) -> TaskFile:
    spec = find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise InfrastructureError(
            f"task {name!r} comes with lm-eval, which is not installed",
            hint="pip install 'rl-scaling-harness[train]'",
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "tasks" / PUBLIC[name]
    task = _named(folder).get(name)
    if task is None:
        raise InfrastructureError(
            f"the installed lm-eval has no task {name!r} any more",
            where=str(folder),
            hint="install the version that the suite is locked to",
        )
    return task


def _hash(task: TaskFile) -> str:
    config = load_config(task.path)
    told: dict[str, Any] = {"config": config}
    if "group" in config:
        told["members"] = {
            path.relative_to(task.folder).as_posix(): load_config(path)
            for path in sorted(task.folder.rglob("*.yaml"))
        }
    source = (config.get("metadata") or {}).get("data_source")
    if source is not None:
        told["scorer"] = _scorer(str(source), task.path)
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _scorer(source: str, path: Path) -> str:
    from reward_scorers.errors import ScorerError
    from reward_scorers.scoring import find_scorer

    try:
        chosen = find_scorer(source)
    except ScorerError as error:
        raise DataError(str(error), where=str(path)) from None
    return f"{chosen.name}/{chosen.version}"


def load_config(path: Path) -> dict[str, Any]:
    """A task's configuration with what it includes; a function is its name and its file's hash.

    Raises:
        DataError: a file that is missing, no YAML, or includes itself.
    """
    return _load(path.resolve(), ())


def _load(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path in above:
        raise DataError("a task's file includes itself", where=str(path))
    config = _parse(path)
    includes = config.pop("include", [])
    merged: dict[str, Any] = {}
    for name in [includes] if isinstance(includes, str) else includes:
        merged |= _load((path.parent / name).resolve(), (*above, path))
    return merged | config


def _parse(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.error import YAMLError

    class Constructor(SafeConstructor):  # type: ignore[misc, unused-ignore]
        """Knows lm-eval's tag; a class of its own, since constructors are kept per class."""

    def function(_: object, node: Any) -> dict[str, str]:
        return _function(str(node.value), path.parent)

    Constructor.add_constructor(_FUNCTION, function)
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Constructor
    yaml.allow_duplicate_keys = True  # as the loader of lm-eval does
    try:
        config = yaml.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        found = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        raise DataError("a task's file cannot be read", where=str(path), found=found) from None
    if not isinstance(config, dict):
        raise DataError("a task's file is no mapping", where=str(path), found=f"{config!r:.60}")
    return config


def _function(name: str, folder: Path) -> dict[str, str]:
    module = name.rpartition(".")[0]
    file: Path | None = folder / f"{module.replace('.', '/')}.py"
    if module.startswith("harness."):
        spec = find_spec(module)
        file = Path(spec.origin) if spec is not None and spec.origin else None
    told = {_FUNCTION: name}
    if file is not None and file.is_file():
        told["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return told
