r"""Scorer `reasoning360/math_dapo`: the line behind the last "Answer:", normalised as a string.

Only the last 300 characters are read, and no box: "\boxed{5}" alone is wrong. Both sides lose what
stands before their last "=", articles, spaces, about thirty words that may be units (also inside of
other words: "sue" of "issue"), \text and braces of short fractions and roots; then they must be the
same string. `\frac{1}{2}` is neither `1/2` nor `0.5`.

Row: data_source aime2024, truth "204", text "...\nAnswer: 204".
Source of the rule: verl/utils/reward_score/math_dapo.py of github.com/LLM360/Reasoning360 at commit
13158341d2a0dfe5f3bb80e7126ff21de0d16676, which follows the evaluation of Minerva
(arXiv 2206.14858, appendix D.1). Its -1 is 0 here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Outcome, register, verdict
from reward_scorers.text import shown

if TYPE_CHECKING:
    from reward_scorers.registry import Context

END: Final = 300  # characters
_STATED = re.compile(r"(?i)Answer\s*:\s*([^\n]+)")
_INVALID: Final = "[INVALID]"  # what the reference reads where nothing is stated

# Replaced in this order; what one leaves, the next one reads.
_REPLACED: Final = (
    *((article, "") for article in ("an ", "a ")),
    (".$", "$"),
    *((space, "") for space in ("\\$", "\\ ", " ")),
    ("mbox", "text"),
    *((f"{comma}\\text{{and}}", comma) for comma in (",", "")),
    ("\\text{m}", "\\text{}"),
)
# Removed in this order; a tilde stands for a line break.
_WORDS: Final = (
    r"square ways integers dollars mph inches hours km units \ldots sue points feet minutes digits "
    r"cents degrees cm gm pounds meters meals edges students childrentickets multiples \text{s} "
    r"\text{.} \text{~s} \text{}^2 \text{}^3 \text{~} \text{} \mathrm{th} ^\circ ^{\circ} \; ,\! "
    r'{,} " \dots'
)
_REMOVED: Final = tuple(word.replace("~", "\n") for word in _WORDS.split())

_BETWEEN_DOLLARS = re.compile(r"(.*?)\$(.*?)\$(.*)")
_WRAPPED = tuple(re.compile(rf"\\{name}\{{(.*?)\}}") for name in ("text", "textbf", "overline"))
_BOXED = re.compile(r"\\boxed\{(.*)\}")
_SHORT_FRACTION = re.compile(r"frac([^{])(.)")
_SHORT_ROOT = re.compile(r"sqrt([^{])")


@register("reasoning360/math_dapo", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the last stated answer is the reference once both are normalised, else 0.

    Raises:
        GroundTruthError: the reference is neither a string nor a number, or it is empty.
    """
    gold = reference(truth)
    found = _STATED.findall(text[-END:])
    pred = normalised(found[-1] if found else _INVALID)
    reason = "the last 'Answer:'" if found else "no 'Answer:' in the last 300 characters"
    acc = pred == normalised(gold)
    return verdict(acc=acc, pred=shown(pred) if found else None, reason=reason)


def reference(truth: Any) -> str:
    """The reference as a string.

    Raises:
        GroundTruthError: it is neither a string nor a number, or it is empty.
    """
    if isinstance(truth, (str, int, float)) and not isinstance(truth, bool) and str(truth).strip():
        return str(truth)
    raise GroundTruthError(
        f"expected a string or a number as the reference, found {shown(truth)!r}"
    )


def normalised(answer: str) -> str:
    """An answer as the reference implementation compares it."""
    answer = answer.split("=")[-1]
    for old, new in _REPLACED:
        answer = answer.replace(old, new)
    for old in _REMOVED:
        answer = answer.replace(old, "")
    answer = _BETWEEN_DOLLARS.sub(r"$\2$", answer)
    for wrapped in _WRAPPED:
        answer = wrapped.sub(r"\1", answer)
    answer = _BOXED.sub(r"\1", answer)
    answer = _SHORT_FRACTION.sub(r"frac{\1}{\2}", answer)
    answer = _SHORT_ROOT.sub(r"sqrt{\1}", answer)
    answer = answer.replace("$", "")
    without_commas = answer.replace(",", "")
    return (without_commas if without_commas.isdigit() else answer).strip()
