"""Rows of EvalPlus (HumanEval+ and MBPP+) as jobs of the sandbox.

A row has inputs and its own solution, whose results are what others are compared with. Being JSON,
the inputs have lost their tuples, sets and complex numbers. Where they do not keep the row's
contract, which is source code, they are restored: of the ways to read the lists and texts of each
argument, the one under which most inputs keep it, and of several that which looks like the calls in
the row's assertions.
"""

from __future__ import annotations

import ast
import gzip
import itertools
import json
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.sandbox import Call, Calls, Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from reward_scorers.sandbox import Outcome, Sandbox

    Restore = Callable[[Any], Any]

FLOAT_TOLERANCE: Final = 1e-6  # EvalPlus's own where a row names none and the result is a float

# EvalPlus compares some results as sets, since their order is that of a set, which is another in
# every process; and of some, which are matches of patterns, only whether there is one.
_AS_SETS: Final = frozenset(
    ["Mbpp/2", "Mbpp/7", "Mbpp/111", "Mbpp/140", "Mbpp/232", "Mbpp/249", "Mbpp/579", "Mbpp/769"]
)
_MATCHES: Final = frozenset(["check_str", "text_match_three", "text_starta_endb"])
_CHANGED: Final = """
def wrapped(function):
    def call(*arguments):
        result = function(*arguments)
        return {change}
    return call
{name} = wrapped({name})
"""


@dataclass(frozen=True)
class Problem:
    """A row with its inputs restored.

    Args:
        program: the row's own solution.
        inputs: lists of arguments.
    """

    name: str
    program: str
    entry: str
    inputs: Sequence[Sequence[Any]]
    tolerance: float

    def asking(self) -> Calls:
        """A job that tells what the solution returns."""
        return Calls(self.entry, [Call(args) for args in self.inputs])

    def comparing(self, values: Sequence[Any]) -> Calls:
        """A job that compares with what the solution returned."""
        return Calls(
            self.entry,
            [
                Call(args, expected=value, tolerance=self._tolerance(value))
                for args, value in zip(self.inputs, values, strict=True)
            ],
        )

    def _tolerance(self, value: object) -> float:
        several = value if isinstance(value, list | tuple) and value else [value]
        floats = all(isinstance(item, float) for item in several)
        return self.tolerance or (FLOAT_TOLERANCE if floats else 0.0)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file as EvalPlus publishes it."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def problem(sandbox: Sandbox, row: dict[str, Any]) -> Problem:
    """A row as a problem; its contract is tried in the sandbox."""
    program = row["prompt"] + row["canonical_solution"]
    inputs = [list(args) for args in [*row["base_input"], *row["plus_input"]]]
    restored = _restored(sandbox, row, program, inputs)
    entry = row["entry_point"]
    if row["task_id"] in _AS_SETS:
        program += _CHANGED.format(name=entry, change="set(result)")
    elif entry in _MATCHES:
        change = "result if isinstance(result, bool) else result is not None"
        program += _CHANGED.format(name=entry, change=change)
    return Problem(row["task_id"], program, entry, restored, row["atol"])


# -- what JSON has lost


def _nested(*kinds: Callable[[list[Any]], Any]) -> Restore:
    """Lists as other things, by how deep they are nested; below that they stay lists."""

    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: restore(item) for name, item in value.items()}
        if not isinstance(value, list) or not kinds:
            return value
        inner = _nested(*kinds[1:])
        return kinds[0]([inner(item) for item in value])

    return restore


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _set(items: list[Any]) -> Any:
    return set(items) if items else {}  # in a row's source, {} is what stands for an empty one


def _number(kind: Callable[[str], Any]) -> Restore:
    def restore(value: Any) -> Any:
        return kind(value) if isinstance(value, str) else value

    return restore


def _as_it_is(value: Any) -> Any:
    return value


_WAYS: Final[tuple[Restore, ...]] = (
    _as_it_is,
    _nested(tuple),
    _nested(list, tuple),
    _nested(tuple, tuple),
    _tuples,
    _nested(list, list, tuple),
    _nested(list, _set),
    _nested(_set),
    _number(float),
    _number(complex),
)


def _restored(
    sandbox: Sandbox, row: dict[str, Any], program: str, inputs: list[list[Any]]
) -> list[list[Any]]:
    contract, shown = _contract(row, program), _shown(row)

    def kept(candidate: list[list[Any]]) -> int:
        return sandbox.run(contract, Calls("contract", [Call(args) for args in candidate])).passed

    def agrees(candidate: list[list[Any]]) -> int:
        return sum(any(_alike(args, other) for other in shown) for args in candidate[: len(shown)])

    best, most = inputs, kept(inputs)
    if most == len(inputs):
        return inputs
    others = {repr(candidate): candidate for candidate in _candidates(inputs)}
    for candidate in sorted(others.values(), key=agrees, reverse=True):
        count = kept(candidate)
        if count > most:
            best, most = candidate, count
        if most == len(inputs):
            break
    return best


def _candidates(inputs: list[list[Any]]) -> Iterator[list[list[Any]]]:
    columns = max(map(len, inputs))
    ways = [
        [way for way in _WAYS if way is _as_it_is or _changes(way, inputs, column)]
        for column in range(columns)
    ]
    for chosen in itertools.product(*ways):
        yield [[way(value) for way, value in zip(chosen, args, strict=False)] for args in inputs]


def _changes(way: Restore, inputs: list[list[Any]], column: int) -> bool:
    """Whether an argument can be read so, and is then another."""
    values = [args[column] for args in inputs if column < len(args)]
    try:
        restored = [way(value) for value in values]
    except (ValueError, TypeError):  # no number, or an item of a set that has no hash
        return False
    return repr(restored) != repr(values)


def _shown(row: dict[str, Any]) -> list[list[Any]]:
    """The arguments in the row's assertions, where they are literals."""
    shown = []
    for node in ast.walk(ast.parse(row.get("assertion", ""))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == row["entry_point"]:
            try:
                shown.append([ast.literal_eval(argument) for argument in node.args])
            except ValueError:
                continue
    return shown


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are equal, and so are the types of what holds others."""
    if isinstance(one, list | tuple) or isinstance(other, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    return bool(one == other)


def _contract(row: dict[str, Any], program: str) -> str:
    """The solution's module with a function `contract` of the same parameters, which asserts."""
    functions = [node for node in ast.parse(program).body if isinstance(node, ast.FunctionDef)]
    (entry,) = [node for node in functions if node.name == row["entry_point"]][-1:]
    body = textwrap.indent(row["contract"].strip("\n") or "pass", "    ")
    return f"{program}\ndef contract({ast.unparse(entry.args)}):\n  if True:\n{body}\n"


def results(problem: Problem, outcome: Outcome) -> list[Any]:
    """What the solution returned.

    Raises:
        ValueError: it raised, or did not come to its end.
    """
    if outcome.ending != Ending.PASSED:
        raise ValueError(f"{problem.name}: {outcome.ending} {outcome.detail}")
    return list(outcome.values)
