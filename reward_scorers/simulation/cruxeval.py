r"""Scorer `cruxeval_output`: which value a Python function returns, told without running anything.

The answer is a Python literal, or an assertion that ends in one. Compared are values with exact
types at every depth: 1, 1.0 and True differ, a list is no tuple. As in Python, the order of a dict
or set does not matter and -0.0 is 0.0. An expression that is no literal ('a' * 3) is no answer, and
neither is `assert True`, though it passes where assertions are executed.

Read is what stands in the last [ANSWER]...[/ANSWER] or <answer>...</answer>, else the whole text:
there the last fenced block, the last box, the whole of it, the last line with `assert`.

A row of CRUXEval (arXiv 2401.03065): output "[(4, 1), (2, 3)]". A row of the Guru data has the
function as ground truth, {"functional": "def f(...): ..."}, and the output in
extra_info["reference"] (Reasoning360, data_preprocess/simulation/cruxeval-o.py).
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.simulation.answers import MAX_LENGTH, candidates, functional
from reward_scorers.text import answer_part, shown
from reward_scorers.values import without_warnings

if TYPE_CHECKING:
    from collections.abc import Mapping

_RAW = re.compile(r"\b(?:r|rb|br)['\"]", re.IGNORECASE)


class _NoValueError(Exception):
    """A text that is neither a literal nor an assertion that ends in one."""


@register("cruxeval_output", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the value that `text` states is the output of the function, else 0.

    Args:
        text: what the model wrote, of any length.
        truth: the output as a literal's text, or a mapping (or its JSON text) whose "functional" is
            such a text or the function.
        context: its `extra["reference"]` is the output where the truth is the function.

    Raises:
        GroundTruthError: no literal is found in the truth.
    """
    gold = _gold(truth, context.extra if context else {})
    found = [candidate.strip() for candidate in candidates(answer_part(text), ("assert ",))]
    found = [candidate for candidate in found if candidate]
    for candidate in found:
        try:
            value = _value(candidate)
        except _NoValueError:
            continue
        right = _typed(value) == _typed(gold)
        reason = "the value equals the output" if right else "another value than the output"
        return verdict(acc=right, pred=shown(repr(value)), reason=reason)
    if not found:
        return verdict(acc=False, pred=None, reason="an empty text")
    return verdict(acc=False, pred=None, reason="no Python literal is stated")


def _gold(truth: Any, extra: Mapping[str, Any]) -> Any:
    stated = functional(truth)
    for text in (stated, extra.get("reference")):
        if isinstance(text, str):
            try:
                return _value(text.strip())
            except _NoValueError:
                continue
    raise GroundTruthError(
        "expected the function's output as a Python literal in the ground truth, or in "
        f'extra_info["reference"] beside a function; found {shown(repr(truth))}'
    )


def _value(text: str) -> Any:
    """The value of a literal, or of the literal at the end of the last assertion."""
    if len(text) > MAX_LENGTH:
        raise _NoValueError
    try:
        statements = ast.parse(text if _RAW.search(text) else without_warnings(text)).body
        node = _stated(statements[-1]) if statements else None
        if node is not None:
            return ast.literal_eval(node)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass
    raise _NoValueError


def _stated(statement: ast.stmt) -> ast.expr | None:
    """The side of `f(...) == value` that is no call; a lone expression itself."""
    if not isinstance(statement, ast.Assert | ast.Expr):
        return None
    test = statement.test if isinstance(statement, ast.Assert) else statement.value
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        left, right = test.left, test.comparators[0]
        if isinstance(left, ast.Call):
            return right
        return left if isinstance(right, ast.Call) else None
    return test if isinstance(statement, ast.Expr) else None


def _typed(value: Any) -> Any:
    """A value in which each part stands beside its type, so that equality compares types too."""
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_typed, value))
    if isinstance(value, set):
        return set, frozenset(map(_typed, value))
    if isinstance(value, dict):
        return dict, frozenset((_typed(key), _typed(item)) for key, item in value.items())
    return type(value), value
