"""Scorer `code`: whether a program passes the tests of its row.

The program is taken out of the text by the rule of `reward_scorers.code.extract`, and the tests are
those of `reward_scorers.code.truth`. It is right if all tests pass; `fraction` is the share that
does: of inputs, calls, assertions or test functions.

An answer has `TIMEOUT_S` in all unless the caller says otherwise, and one input or the whole of the
calls at most `RUN_S` of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.code.compare import same_output
from reward_scorers.code.extract import defines, programs
from reward_scorers.code.shared import sandbox
from reward_scorers.code.truth import Task, task_of
from reward_scorers.deadline import Deadline
from reward_scorers.errors import GroundTruthError, WorkerError
from reward_scorers.registry import Context, Outcome, register
from reward_scorers.sandbox import Ending, Limits
from reward_scorers.sandbox.sandbox import START_S, TRIES
from reward_scorers.text import answer_part, fenced_blocks, shown
from reward_scorers.workers.pool import told_waiting

if TYPE_CHECKING:
    from reward_scorers import sandbox as boxes

TIMEOUT_S: Final = 60.0
RUN_S: Final = 10.0


@register("code", version=1, timeout_s=TIMEOUT_S, sandboxed=True)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the program in `text` passes all tests, else 0.

    Args:
        text: what the model wrote, of any length and content.
        truth: the tests, in one of the shapes of `reward_scorers.code.truth`.
        context: its `extra` may hold `prefix` and the function's name.

    Raises:
        GroundTruthError: the tests are broken, whatever the program.
        WorkerError: there is no sandbox, or it failed; that is never a score of 0.
    """
    context = context or Context(deadline=Deadline.after(TIMEOUT_S))
    task = task_of(truth, context.extra)
    found = candidates(text, task)
    if not found:
        return Outcome(score=0.0, acc=False, pred=None, reason="no program is stated", fraction=0.0)
    box = sandbox([*found, task.source])
    limits = _limits(context, box.limits)
    with told_waiting(TRIES * (limits.total_s + START_S)):  # the sandbox has limits of its own
        outcome = box.run(found, task.job, limits)
    _refuse(outcome)
    passed, total, reason = _counted(outcome, task)
    right = outcome.ending == Ending.PASSED and (passed == total or not task.outputs)
    fraction = 1.0 if right else min(passed / total, 1 - 1 / (total + 1))
    return Outcome(
        score=fraction if context.partial else float(right),
        acc=right,
        pred=shown(found[outcome.candidate], 2_000),
        reason=reason,
        fraction=fraction,
    )


def candidates(text: str, task: Task) -> list[str]:
    """What may be the program, the likeliest first."""
    found = programs(text, task.names)
    if task.prompt and not any(defines(program, task.names[0]) for program in found):
        # The text goes on where the prompt has stopped, inside the function.
        said = answer_part(text)
        blocks = [block.content for block in fenced_blocks(said)]
        rest = blocks[-1] if blocks else said
        return [task.prompt + rest] if rest.strip() else []
    if task.prompt:
        # What the prompt imports and defines need not be repeated.
        before = _before(task.prompt, task.names[0])
        found = [p if "from __future__" in p else f"{before}\n{p}" for p in found]
    return found


def _before(prompt: str, name: str) -> str:
    head, found, _ = prompt.partition(f"def {name}(")
    return head if found else ""


def _limits(context: Context, usual: Limits) -> Limits:
    seconds = max(context.deadline.remaining(), 0.1)
    return replace(
        usual, time_s=min(usual.time_s, RUN_S, seconds), total_s=min(usual.total_s, seconds)
    )


def _refuse(outcome: boxes.Outcome) -> None:
    if outcome.ending != Ending.INFRA_ERROR:
        return
    if outcome.tests_broken:
        raise GroundTruthError(f"the tests cannot be run: {outcome.detail}")
    raise WorkerError(f"the sandbox failed: {outcome.detail}")


def _counted(outcome: boxes.Outcome, task: Task) -> tuple[int, int, str]:
    """How many parts passed, of how many, and why not all."""
    if not task.outputs:
        total = max(outcome.total, 1)
        passed = outcome.passed
        reason = f"{outcome.ending}: {outcome.detail}" if outcome.detail else str(outcome.ending)
        return passed, total, reason if outcome.ending != Ending.PASSED else "all tests pass"
    passed, reason = 0, ""
    for number, expected in enumerate(task.outputs):
        if number >= len(outcome.inputs):
            break
        result = outcome.inputs[number]
        if result.ending != Ending.PASSED:
            reason = reason or f"input {number + 1}: {result.ending}: {result.detail}"
        elif same_output(result.stdout.decode("utf-8", "replace"), expected):
            passed += 1
        else:
            reason = reason or f"input {number + 1}: another output than expected"
    if not outcome.inputs:
        reason = f"{outcome.ending}: {outcome.detail}"
    return passed, len(task.outputs), reason or "all tests pass"
