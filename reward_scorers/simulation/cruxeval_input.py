r"""Scorer `cruxeval_input`: arguments with which a function returns the given output.

The answer is a call `f(...)`, alone or in an assertion `assert f(...) == output`, in either order;
what the assertion says that comes out does not matter. Any arguments are right that lead to the
output. The function is run in the sandbox. Arguments that are no literals ("[1] * 3", `set()`) are
evaluated there by a process that knows neither function nor output; they must come to plain data,
for an object of a class of its own could be made to answer anything.

Read is what stands in the last [ANSWER]...[/ANSWER] or <answer>...</answer>, else the whole text:
there the last fenced block, the last box, the whole of it, the last line with a call.

A row of CRUXEval (arXiv 2401.03065) has a code "def f(...)" and an output "[(4, 1), (2, 3)]". A row
of the Guru data has the function as ground truth, {"functional": "def f(...): ..."}, and the output
in extra_info["reference"] (Reasoning360, data_preprocess/simulation/cruxeval-i.py).
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.code.shared import sandbox
from reward_scorers.deadline import Deadline
from reward_scorers.errors import GroundTruthError, WorkerError
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.sandbox import Call, Calls, Ending, Job, Limits, Tests
from reward_scorers.sandbox.sandbox import START_S, TRIES
from reward_scorers.simulation.answers import MAX_LENGTH, candidates, functional
from reward_scorers.text import answer_part, shown
from reward_scorers.values import without_warnings
from reward_scorers.workers.pool import told_waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reward_scorers import sandbox as boxes

TIMEOUT_S: Final = 20.0
RUN_S: Final = 5.0
_NAME: Final = "f"
_BUILDER: Final = "arguments_of_the_answer"
_PLAIN: Final = "is_plain_data"
_HELPER: Final = f"""
def {_PLAIN}(value):
    if type(value).__name__ == "Remote":
        return False
    if isinstance(value, dict):
        return all({_PLAIN}(key) and {_PLAIN}(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return all({_PLAIN}(item) for item in value)
    return True
"""
_IMPORT = re.compile(r"^(?:import|from)\s.*$", re.MULTILINE)


@register("cruxeval_input", version=1, timeout_s=TIMEOUT_S, sandboxed=True)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the function, called as `text` says, returns the output, else 0.

    Args:
        text: what the model wrote, of any length.
        truth: a mapping (or its JSON text) with "functional", the function; or with "code" and
            "output"; or the function's text.
        context: its `extra["reference"]` is the output.

    Raises:
        GroundTruthError: there is no function, or no output.
        WorkerError: there is no sandbox, or it failed.
    """
    context = context or Context(deadline=Deadline.after(TIMEOUT_S))
    code, output = _function(truth, context.extra)
    call = next(_calls(text), None)
    if call is None:
        return verdict(acc=False, pred=None, reason="no call is stated")
    try:
        written = shown(ast.unparse(call))
        building = _building(call, code)
    except (ValueError, RecursionError, MemoryError):
        return verdict(acc=False, pred=None, reason="the call is too large")
    try:
        args, kwargs = _literals(call)
    except (ValueError, TypeError, RecursionError, MemoryError):
        outcome = _run(building, _tests(code, output), context)
    else:
        job = Calls(_NAME, [Call(args, kwargs, expected=output, types="equal")], prefix=code)
        outcome = _run("", job, context)
    if outcome.ending == Ending.PASSED:
        return verdict(acc=True, pred=written, reason="the function returns the output")
    return verdict(acc=False, pred=written, reason=f"{outcome.ending}: {outcome.detail}")


def _function(truth: Any, extra: Mapping[str, Any]) -> tuple[str, Any]:
    code, output = functional(truth), extra.get("reference")
    if isinstance(truth, dict) and "code" in truth:
        code, output = truth["code"], truth.get("output", output)
    if isinstance(code, str) and isinstance(output, str) and f"def {_NAME}" in code:
        try:
            return code, ast.literal_eval(output.strip())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
    raise GroundTruthError(
        f"expected a function {_NAME} in the ground truth and its output as a Python literal in"
        f' extra_info["reference"]; found {shown(repr(truth))} and {shown(repr(output))}'
    )


def _calls(text: str) -> Iterator[ast.Call]:
    """Calls of the function that the text may state, the likeliest first."""
    for candidate in candidates(answer_part(text), ("assert ", f"{_NAME}(")):
        said = candidate.strip()
        if not said or len(said) > MAX_LENGTH:
            continue
        try:
            statements = ast.parse(without_warnings(said)).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if statements and (call := _stated(statements[-1])) is not None:
            yield call


def _stated(statement: ast.stmt) -> ast.Call | None:
    """The call in `f(...)`, `assert f(...) == value` or `value == f(...)`."""
    if not isinstance(statement, ast.Assert | ast.Expr):
        return None
    test = statement.test if isinstance(statement, ast.Assert) else statement.value
    sides = [test.left, *test.comparators] if isinstance(test, ast.Compare) else [test]
    for side in sides:
        if isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == _NAME:
            return side
    return None


def _building(call: ast.Call, code: str) -> str:
    """A program that evaluates the arguments of a call, with what the function's module imports."""
    imports = "\n".join(_IMPORT.findall(code))
    return (
        f"{imports}\ndef {_BUILDER}():\n"
        f"    def {_NAME}(*args, **kwargs):\n"
        "        return args, kwargs\n"
        f"    return {ast.unparse(call)}\n"
    )


def _tests(code: str, output: Any) -> Tests:
    """Call the function, in the process that judges, with what the program has evaluated."""
    call = (
        f"args, kwargs = {_BUILDER}()\n"
        # An object could do what the function asks of it, whatever that is.
        f"assert {_PLAIN}(args) and {_PLAIN}(kwargs)\n"
        f"assert {_NAME}(*args, **kwargs) == {output!r}\n"
    )
    return Tests(call, helpers=f"{code}\n{_HELPER}")


def _literals(call: ast.Call) -> tuple[list[Any], dict[str, Any]]:
    named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords if word.arg}
    if len(named) < len(call.keywords):
        raise ValueError("**, which is no literal")
    return [ast.literal_eval(node) for node in call.args], named


def _run(program: str, job: Job, context: Context) -> boxes.Outcome:
    seconds = max(context.deadline.remaining(), 0.1)
    usual = sandbox().limits
    limits: Limits = replace(usual, time_s=min(usual.time_s, RUN_S, seconds))
    with told_waiting(TRIES * (seconds + START_S)):  # the sandbox has limits of its own
        outcome = sandbox().run(program, job, limits)
    if outcome.ending == Ending.INFRA_ERROR:
        if outcome.tests_broken:
            raise GroundTruthError(f"the function cannot be run: {outcome.detail}")
        raise WorkerError(f"the sandbox failed: {outcome.detail}")
    return outcome
