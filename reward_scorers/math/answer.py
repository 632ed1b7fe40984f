r"""Scorer `math`: is the answer that a text ends in the reference answer?

A row: data_source "math__deepscaler_preview", truth "-\\frac{1}{4} + \\frac{\\sqrt{3}}{2}", text
"... so \\boxed{\\frac{2\\sqrt3-1}{4}}": 1.

A cascade, the cheapest step first: the same text; the same text without cosmetics; the same value,
exact or at several points and then to 80 digits; at last SymPy in a worker process, where the
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
from reward_scorers.values import plain as plain_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reward_scorers.math.tree import Node

_EUROPEAN = re.compile(r"-?\d+,\d+")
_CALL = re.compile(r"[fghFG]\s*(?:\\left)?\s*\(")
# All white space but that between two digits, two letters, or a comma and a digit.
_SPACES = re.compile(r"(?<=\d)\s+(?!\d)|(?<=[^\W\d_])\s+(?![^\W\d_])|(?<=,)\s+(?!\d)|(?<![\w,])\s+")
_CONSTANT = re.compile(r"(?<![A-Za-z\\])c(?![A-Za-z])")
_LABEL = re.compile(
    r"\s*(?:\\(?:text|math)[a-z]{0,2}\s?\{)?\s*\(([A-J])\)[.:~\s]*\}?[~\s\\]+(?=\S)"
)
_NAME = re.compile(r"(?:\\(?:text|math)[a-z]{0,2}\s?\{)?\s*([A-Za-z]{2,})\s*\}?")
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
    names = _NAME.fullmatch(gold.strip("$ ")), _NAME.fullmatch(answer.strip("$ "))
    if names[0] and names[1] and _is_word(names[0][1]) and _is_word(names[1][1]):
        return "the same word" if names[0][1].lower() == names[1][1].lower() else None
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
    if found:
        return True
    for a, b in _other_readings(gold, answer):
        if a is not None and b is not None and same(a, b):
            return True
    return found


def _other_readings(gold: str, answer: str) -> Iterator[tuple[Node | None, Node | None]]:
    """What the two may mean besides."""
    if bool(_CALL.search(gold)) != bool(_CALL.search(answer)):  # h(x + 1) may be a product
        yield _tree(gold, calls=False), _tree(answer, calls=False)
    if ("C" in gold) != ("C" in answer):  # constants of integration
        yield _tree(_CONSTANT.sub("C", gold)), _tree(_CONSTANT.sub("C", answer))
    if label := _LABEL.match(answer):  # (C) 12
        yield _tree(gold), _tree(answer[label.end() :])
        yield _tree(gold), _tree(label[1])
    if "," in gold + answer:  # 3,125 may be a list of two
        yield _tree(gold, thousands=False), _tree(answer)
        yield _tree(gold), _tree(answer, thousands=False)
    if "." in gold and _EUROPEAN.fullmatch(answer.strip(" $")):  # 1,22 where the reference is 1.22
        yield _tree(gold), _tree(answer.replace(",", "."))


def _is_word(letters: str) -> bool:
    """Whether letters are a name, as AB and no, not a product of variables, as xy."""
    return letters.isupper() or not set("eiou").isdisjoint(letters.lower())


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


def _tree(text: str, *, thousands: bool = True, calls: bool = True) -> Node | None:
    """The tree of an answer; None if it cannot be read."""
    read = _short_tree if len(text) <= _SHORT else _read
    return read(text, thousands=thousands, calls=calls)


def _read(text: str, *, thousands: bool, calls: bool) -> Node | None:
    try:
        return parse(text, thousands=thousands, calls=calls)
    except Unreadable:
        return None


_short_tree = lru_cache(maxsize=_MEMORY)(_read)


def _condensed(text: str) -> str:
    """The text without what changes no meaning: spacing, sizes, dollar signs, a final period."""
    for long in (r"\dfrac", r"\tfrac"):
        text = text.replace(long, r"\frac")
    return _SPACES.sub("", plain(text)).rstrip(".")


def _references(truth: Any) -> list[str]:
    told = plain_value(truth)
    found = [_reference(one) for one in (told if isinstance(told, list) else [told])]
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
