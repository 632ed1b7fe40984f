"""What the tests of a row are: every shape that data sets have, made a job for the sandbox.

A ground truth is a mapping, or its JSON text:

| keys | from | what is done |
|---|---|---|
| `functional` | Guru: HumanEval, MBPP, LeetCode, TACO, ... | test code as if behind the program |
| `pytest`, `solution_file` | Guru | test files that import `solution` |
| `inputs`, `outputs` | Guru, TACO, APPS | standard input and output |
| ... and `fn_name` | TACO, APPS, LiveCodeBench | calls with their results |
| a list of `input`, `output` (`testtype`) | LiveCodeBench | as its `testtype` says |
| `test`, `entry_point` (`prompt`) | HumanEval | `check(entry_point)` |
| `test_list` (`test_setup_code`, `test_imports`, `challenge_test_list`) | MBPP | assertions |

The row's `extra_info` may add `prefix`, trusted source that runs before the program, `fn_name` (or
`function_name`, `func_name`). A text that is no JSON is test code.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from reward_scorers.code.prompts import helpers_of
from reward_scorers.errors import GroundTruthError
from reward_scorers.sandbox import Call, Calls, Inputs, Job, Tests
from reward_scorers.text import shown

_SHAPES: Final = (
    "expected a mapping with functional, pytest, solution_file, inputs and outputs, test and"
    " entry_point, or test_list; or a list of tests with input and output"
)
_FUNCTION_KEYS: Final = ("fn_name", "function_name", "func_name")
_CHECKED = re.compile(r"^check\(\s*(?:Solution\(\)\.)?([A-Za-z_]\w*)\s*\)", re.MULTILINE)
_CALLED = re.compile(r"(?<![.\w])([A-Za-z_]\w*)\(")
_ASSERTION = re.compile(r"^\s*assert\b.*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Task:
    """The tests of a row.

    Args:
        job: what the sandbox does with a program.
        names: what a program must define; empty where it reads and writes.
        outputs: what it must write, per input, where it does.
        prompt: the code that the model was given to complete, "" if the row does not tell.
        source: what the tests are written in, "" if they are values.
    """

    job: Job
    names: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    prompt: str = ""
    source: str = ""


def task_of(truth: Any, extra: Mapping[str, Any]) -> Task:
    """The tests of a row.

    Raises:
        GroundTruthError: the ground truth has none of the known shapes.
    """
    value = _loaded(truth)
    if isinstance(value, str):
        value = {"functional": value}
    if isinstance(value, Sequence):
        return _listed(value, extra)
    if isinstance(value, Mapping):
        for keys, make in _BY_KEYS:
            if all(value.get(key) is not None for key in keys):
                return make(value, extra)
    raise GroundTruthError(f"{_SHAPES}; found {shown(repr(truth))}")


def _loaded(truth: Any) -> Any:
    if not isinstance(truth, str):
        return truth
    try:
        value = json.loads(truth)
    except (ValueError, RecursionError):
        return truth
    return value if isinstance(value, Mapping | list) else truth


def _tests(code: Any, extra: Mapping[str, Any], by: Any = "script", names: Any = ()) -> Task:
    if not isinstance(code, str) or not code.strip():
        raise GroundTruthError(f"expected test code as a text, found {shown(repr(code))}")
    prompt = _text(extra.get("original_prompt"))
    prefix, helpers = _text(extra.get("prefix")), helpers_of(code, prompt)
    job = Tests(code, by, prefix, helpers, names=tuple(names))
    return Task(job, tuple(names), source=f"{prefix}\n{code}")


def _functional(value: Mapping[str, Any], extra: Mapping[str, Any]) -> Task:
    code = value["functional"]
    named = _CHECKED.findall(code) if isinstance(code, str) else ()
    if isinstance(code, str) and "Solution()" in code:
        named = ["Solution"]
    return _tests(code, extra, names=named or _asserted(code))


def _pytest(value: Mapping[str, Any], extra: Mapping[str, Any]) -> Task:
    task = _tests(value["pytest"], extra, by="pytest")
    return replace(task, source=f"import pytest\n{task.source}")


def _solution_file(value: Mapping[str, Any], extra: Mapping[str, Any]) -> Task:
    return _tests(value["solution_file"], extra)


def _human_eval(value: Mapping[str, Any], extra: Mapping[str, Any]) -> Task:
    entry, prompt = _text(value["entry_point"]), _text(value.get("prompt"))
    code = f"{_text(value['test'])}\n\ncheck({entry})\n"
    job = Tests(code, prefix=_text(extra.get("prefix")), helpers=helpers_of(code, prompt))
    return Task(job, (entry,), prompt=prompt, source=code)


def _mbpp(value: Mapping[str, Any], extra: Mapping[str, Any]) -> Task:
    before = [*_texts(value.get("test_imports")), _text(value.get("test_setup_code"))]
    tests = [*_texts(value["test_list"]), *_texts(value.get("challenge_test_list"))]
    code = "\n".join([*before, *tests])
    return _tests(code, extra, names=_asserted("\n".join(tests)))


def _stdio(value: Mapping[str, Any], extra: Mapping[str, Any]) -> Task:
    inputs, outputs = value["inputs"], value["outputs"]
    if not (isinstance(inputs, list | tuple) and isinstance(outputs, list | tuple)):
        raise GroundTruthError("expected inputs and outputs as lists")
    if len(inputs) != len(outputs) or not inputs:
        raise GroundTruthError(
            f"expected as many outputs as inputs, one at least; found {len(inputs)} inputs and"
            f" {len(outputs)} outputs"
        )
    name = _function_name(value) or _function_name(extra)
    if name:
        return _calls(name, inputs, outputs, extra)
    return Task(
        Inputs([_lines(text) for text in inputs]), outputs=tuple(_lines(text) for text in outputs)
    )


def _calls(
    name: str, inputs: Sequence[Any], outputs: Sequence[Any], extra: Mapping[str, Any]
) -> Task:
    calls = []
    for given, expected in zip(inputs, outputs, strict=True):
        # Where arguments are written as text, so is the result.
        value = (
            _literal(expected) if isinstance(given, str) and isinstance(expected, str) else expected
        )
        calls.append(Call(_arguments(given), expected=value, tolerance=1e-5, types="loose"))
    prefix = _text(extra.get("prefix"))
    return Task(Calls(name, calls, prefix=prefix), (name.rpartition(".")[2], "Solution"))


def _listed(tests: Sequence[Any], extra: Mapping[str, Any]) -> Task:
    """LiveCodeBench: a list of tests."""
    if not tests or not all(
        isinstance(test, Mapping) and {"input", "output"} <= test.keys() for test in tests
    ):
        raise GroundTruthError(f"{_SHAPES}; found {shown(repr(tests))}")
    inputs = [test["input"] for test in tests]
    outputs = [test["output"] for test in tests]
    value: dict[str, Any] = {"inputs": inputs, "outputs": outputs}
    if _text(tests[0].get("testtype", tests[0].get("type"))) in ("functional", "function_call"):
        name = _function_name(extra)
        if not name:
            raise GroundTruthError(
                "tests of a function need its name in extra_info, as fn_name or function_name"
            )
        return _calls(name, inputs, outputs, extra)
    return _stdio(value, {})


def _function_name(holder: Mapping[str, Any]) -> str:
    return next((_text(holder[key]) for key in _FUNCTION_KEYS if holder.get(key)), "")


def _arguments(given: Any) -> list[Any]:
    """The arguments of a call: a list of them, or a text with one literal a line."""
    if isinstance(given, str):
        return [_literal(line) for line in given.splitlines() if line.strip()]
    return list(given) if isinstance(given, list | tuple) else [given]


def _literal(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


def _asserted(code: Any) -> list[str]:
    """The function that assertions are about: the first that one calls; at most one."""
    if not isinstance(code, str):
        return []
    asserted = [name for line in _ASSERTION.findall(code) for name in _CALLED.findall(line)]
    local = set(re.findall(r"^\s*def (\w+)", code, re.MULTILINE))
    known = local | vars(builtins).keys() | _COMMON
    for called in (asserted, _CALLED.findall(code)):
        if named := [name for name in called if name not in known]:
            return named[:1]
    # A function that is asked for may have a builtin's name, if nothing else is called.
    return [name for name in asserted if name not in local][:1]


# Called by tests, and never what is asked for.
_COMMON: Final = frozenset(["Counter", "OrderedDict", "defaultdict", "deque", "isclose", "reduce"])


def _lines(text: Any) -> str:
    """A text, which some data sets hold as a list of lines."""
    if isinstance(text, list | tuple):
        return "\n".join(map(str, text))
    if not isinstance(text, str):
        raise GroundTruthError(f"expected a text, found {shown(repr(text))}")
    return text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if value is not None else []


_BY_KEYS: Final[tuple[tuple[tuple[str, ...], Callable[[Any, Any], Task]], ...]] = (
    (("functional",), _functional),
    (("pytest",), _pytest),
    (("solution_file",), _solution_file),
    (("test", "entry_point"), _human_eval),
    (("test_list",), _mbpp),
    (("inputs", "outputs"), _stdio),
)
