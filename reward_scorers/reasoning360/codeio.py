"""Scorer `reasoning360/codeio`: answers to simulation__codeio as Reasoning360 scores them.

The rules of github.com/LLM360/Reasoning360, verl/utils/reward_score/codeio.py (commit
13158341d2a0dfe5f3bb80e7126ff21de0d16676), written anew with what they get wrong:

- Reasoning is not removed, and the first fenced block counts, not the last.
- Values are equal as in Python: true is 1 is 1.0. The strings "true" and "false" of any case are
  booleans, and a string that holds a JSON list or object is that list or object.
- A wrong wrapper is taken off as well as the right one.
- Where null is right, a text without any answer is.

Where the reference raises an exception on account of a text, this scores 0.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.text import shown

_FENCE = "```"


@register("reasoning360/codeio", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 or 0 as the reference does.

    Args:
        text: what the model wrote, reasoning included.
        truth: the row's ground truth; any text is one.
        context: not used.

    Raises:
        GroundTruthError: the truth is missing or nested too deeply.
    """
    if truth is None or not str(truth).strip():
        raise GroundTruthError(f'expected "output": <JSON> or "input": <JSON>; found {truth!r}')
    stated = str(truth)
    try:
        gold = _normal(_gold(stated))
    except (ValueError, RecursionError):
        raise GroundTruthError(f"expected JSON that can be read; found {shown(stated)}") from None
    try:
        found = _normal(_answer(text))
        right = _same_word(found, stated) or bool(found == gold)
        pred = None if found is None else shown(json.dumps(found))
    except (ValueError, RecursionError):
        return verdict(acc=False, pred=None, reason="JSON that cannot be read")
    reason = "no JSON is given" if found is None else "compared as the reference does"
    return verdict(acc=right, pred=pred, reason=reason)


def _answer(text: str) -> Any:
    body = _first_block(text)
    try:
        found = json.loads(body)
    except json.JSONDecodeError:
        last = _last_object(body)
        return None if last is None else _unwrapped(last, "output", "input")
    except (ValueError, RecursionError):
        return None
    return _unwrapped(found, "output", "input") if isinstance(found, dict) else None


def _first_block(text: str) -> str:
    start = text.find(_FENCE)
    end = text.find(_FENCE, start + len(_FENCE)) if start >= 0 else -1
    if end < 0:
        return text.strip()
    return text[start + len(_FENCE) : end].removeprefix("json").strip()


def _last_object(body: str) -> dict[str, Any] | None:
    """The last {...} at depth 0, strings not told from the rest; None if it is not JSON."""
    depth, start = 0, 0
    last: tuple[int, int] | None = None
    for place, mark in enumerate(body):
        if mark == "{":
            if depth == 0:
                start = place
            depth += 1
        elif mark == "}" and depth:
            depth -= 1
            if depth == 0:
                last = (start, place + 1)
    if last is None:
        return None
    try:
        found: dict[str, Any] = json.loads(body[slice(*last)].replace("\n", ""))
    except json.JSONDecodeError:
        return None
    return found


def _gold(stated: str) -> Any:
    if '"input":' in stated or '"output":' in stated:
        bare = stated.strip()
        if not (bare.startswith("{") and bare.endswith("}")):
            stated = "{" + stated + "}"
        try:
            return _unwrapped(json.loads(stated), "input", "output")
        except json.JSONDecodeError:
            pass
    try:
        found = json.loads(stated)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return _unwrapped(found, "output", "input")
    try:
        return ast.literal_eval(stated)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return stated


def _unwrapped(found: dict[str, Any], *keys: str) -> Any:
    return next((found[key] for key in keys if key in found), found)


def _normal(value: Any) -> Any:
    if isinstance(value, list):
        return [_normal(part) for part in value]
    if isinstance(value, dict):
        return {key: _normal(part) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    bare = value.strip()
    if bare[:1] + bare[-1:] in ("{}", "[]"):
        try:
            return _normal(json.loads(bare))
        except json.JSONDecodeError:
            pass
    return {"true": True, "false": False}.get(bare.lower(), value)


def _same_word(found: Any, stated: str) -> bool:
    """Whether the ground truth is the bare name of a boolean that equals the answer."""
    words = {"True": True, "true": True, "False": False, "false": False}
    return stated in words and bool(found == words[stated])
