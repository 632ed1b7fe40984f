r"""Scorer `math`: is the answer that a text ends in the reference answer?

A row: data_source "math__deepscaler_preview", truth "-\\frac{1}{4} + \\frac{\\sqrt{3}}{2}", text
"... so \\boxed{\\frac{2\\sqrt3-1}{4}}": 1.

A cascade, the cheapest step first: the same text; the same text without cosmetics; the same value,
exact or at several points and then to 50 digits; at last SymPy in a worker process, where the
shapes of both answers leave that open. A verdict of the value step is final.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.errors import GroundTruthError, WorkerCrashed
from reward_scorers.math import extract, symbolic
from reward_scorers.math.compare import same
from reward_scorers.math.evaluate import NoValue, Point, TooLarge, evaluate
from reward_scorers.math.parser import MAX_CHARS, parse
from reward_scorers.math.tokens import Unreadable, plain
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.text import answer_part, shown

if TYPE_CHECKING:
    from reward_scorers.math.tree import Node

_EUROPEAN = re.compile(r"-?\d+,\d+")
_SPACES = re.compile(r"\s+")
_LONG: Final = 100  # characters; shorter references are answers as they stand
_SHORT: Final = 200  # characters of an answer whose tree is kept: rollouts share their references
_MEMORY: Final = 4096


@register("math", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    r"""Score 1 if the answer that `text` gives is the same as `truth`.

    Args:
        text: what the model wrote, of any length.
        truth: the reference: LaTeX or plain text, with or without a box or dollar signs, or a
            number; a list holds alternatives, any of which is right.
        context: gives the deadline of the symbolic step, and the judge asked about misses.

    Raises:
        GroundTruthError: the reference is empty, or neither text nor number.
    """
    context = context or Context()
    golds = _references(truth)
    found, how = extract.answers(answer_part(text))
    if not found:
        return verdict(acc=False, pred=None, reason=how)
    for gold in golds:
        for answer in found:
            step = equal(gold, answer, context)
            if step is not None:
                return verdict(acc=True, pred=shown(answer), reason=f"{how}: {step}")
    if context.judge is not None:
        agreed = context.judge(
            question=str(context.extra.get("question", "")),
            answer=shown(found[0], 2_000),
            reference=golds[0],
            deadline=context.deadline,
        )
        if agreed:
            return verdict(acc=True, pred=shown(found[0]), reason=f"{how}: the judge agrees")
    return verdict(acc=False, pred=shown(found[0]), reason=f"{how}: not the reference")


def equal(gold: str, answer: str, context: Context) -> str | None:
    """The step of the cascade that finds two answers equal; None if none does."""
    if gold == answer:
        return "the same text"
    if len(answer) > MAX_CHARS or len(gold) > MAX_CHARS:
        return None
    if _condensed(gold) == _condensed(answer):
        return "the same but for spelling"
    try:
        found = _same_readings(gold, answer)
    except (RecursionError, ArithmeticError):  # 1/1/1/... nests deep without a bracket
        return None
    if found:
        return "the same value"
    if found is None and symbolic.can_matter(gold, answer):
        try:
            if symbolic.same(gold, answer, context.deadline):
                return "the same by computer algebra"
        except (TimeoutError, WorkerCrashed):  # no time or no memory is no equality
            return None
    return None


def _same_readings(gold: str, answer: str) -> bool | None:
    """Whether any reading of the two is the same; None if that takes more than this package."""
    one, other = _tree(gold), _tree(answer)
    if one is None or other is None:
        read = one or other
        return None if read is None or _may_equal_unread(read) else False
    found = same(one, other)
    if found is not False or {one.kind, other.kind} != {"list", "number"}:
        return found
    # 3,125 may be a number or a list of two, and 1,22 a number with a decimal comma.
    for a, b in ((gold, other), (answer, one)):
        readings = [_tree(a, thousands=False)] if "," in a else []
        if _EUROPEAN.fullmatch(a.strip(" $")):
            readings.append(_tree(a.replace(",", ".")))
        if any(same(reading, b) for reading in readings if reading is not None):
            return True
    return False


def _may_equal_unread(read: Node) -> bool:
    """Whether an answer that was read may be what another one means that was not."""
    if read.kind == "text":
        return False
    try:
        evaluate(read, Point())
    except TooLarge:
        return False
    except NoValue:
        return True
    return True


def _tree(text: str, *, thousands: bool = True) -> Node | None:
    """The tree of an answer; None if it cannot be read."""
    if len(text) <= _SHORT:
        return _short_tree(text, thousands=thousands)
    return _read(text, thousands=thousands)


@lru_cache(maxsize=_MEMORY)
def _short_tree(text: str, *, thousands: bool) -> Node | None:
    return _read(text, thousands=thousands)


def _read(text: str, *, thousands: bool) -> Node | None:
    try:
        return parse(text, thousands=thousands)
    except Unreadable:
        return None


def _condensed(text: str) -> str:
    """The text without what changes no meaning: spacing, sizes, dollar signs, a final period."""
    for long in (r"\dfrac", r"\tfrac"):
        text = text.replace(long, r"\frac")
    return _SPACES.sub("", plain(text)).rstrip(".")


def _references(truth: Any) -> list[str]:
    if hasattr(truth, "tolist"):
        truth = truth.tolist()
    several = truth if isinstance(truth, (list, tuple)) else [truth]
    found = [_reference(one) for one in several]
    if not found:
        raise GroundTruthError("the reference answer is an empty list; expected text or a number")
    return found


def _reference(truth: Any) -> str:
    if isinstance(truth, bool) or not isinstance(truth, (str, int, float)):
        raise GroundTruthError(f"the reference answer is {shown(truth)}; expected text or a number")
    text = str(truth).strip()
    if "boxed" in text:
        text = (extract.answers(text)[0] or [text])[-1]
    elif len(text) > _LONG:  # a whole solution
        text = extract.stated(text) or text
    if not text.strip("$ "):
        raise GroundTruthError("the reference answer is empty; expected text or a number")
    return text
