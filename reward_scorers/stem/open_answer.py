r"""Scorer `stem`: open answers to science questions, in words or in formulas.

Example row (data source "stem_web", the WebInstruct part of the Guru data): "... should you accept?
Please ... put your final answer within \boxed{}.", reference "$8,645.09".

The answer is what the last box holds; where there is none, what follows the last "Answer:", also in
other languages (`reward_scorers.stem.stated`). It is right if

1. it is worded like the reference (`reward_scorers.stem.wording`): case, spacing, articles,
   punctuation and \text{} do not count; or
2. the reference looks like mathematics, and scorer `math` finds both equal; or
3. a judge says so, where one is passed. It is asked about misses alone.

The rule is this package's own. The reference implementation asks a model about every answer
(github.com/LLM360/Reasoning360, stem_llm_judge), so that no rule can reproduce its scores.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register, scorer, verdict
from reward_scorers.stem.stated import BEGINNING, statements
from reward_scorers.stem.wording import key
from reward_scorers.text import answer_part, joined_boxes, last_box, shown
from reward_scorers.values import plain

_LONGEST: Final = 1_000  # characters; a longer answer or reference is prose, not mathematics
_COMMAND = re.compile(r"\\[A-Za-z]+")
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mbox|operatorname) ?\{[^{}]*\}")
_SIGN = re.compile(r"\d|[=+*/^<>]|\\[A-Za-z]|[A-Za-z]\(")
_WORD = re.compile(r"[^\W\d_]{3,}")
_MOST_WORDS: Final = 2  # "5 square metres", "x = 3 volts": a unit, or a name before a sign


@register("stem", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the answer that `text` gives means the same as `truth`, else 0.

    Args:
        text: what the model wrote, of any length.
        truth: the reference answer, a text or a number; also in a list of one.
        context: its `judge`, where there is one, is asked about misses; it is shown
            `extra["question"]`.

    Raises:
        GroundTruthError: `truth` is empty or something else.
    """
    context = context if context is not None else Context()
    wanted = _reference(truth)
    found, how = _answer(answer_part(text))
    if not found:
        return verdict(acc=False, pred=None, reason=how)
    same = _same_by_rule(found, wanted, context)
    if same is None:
        acc, same = _ask(found, wanted, context)
    else:
        acc = True
    return verdict(acc=acc, pred=shown(found), reason=f"{how}: {same}")


def _answer(said: str) -> tuple[str, str]:
    """The answer, and where it stood; "" and why there is none."""
    contents, joints = joined_boxes(said)
    if joints & {"and", "or"}:
        return f" {'or' if 'or' in joints else 'and'} ".join(contents), "the last boxes"
    boxed = contents[-1] if contents else None
    if boxed is not None:
        word = BEGINNING.match(boxed)
        if word and not boxed.startswith("\\"):  # \boxed{Answer: 5}
            boxed = boxed[word.end() :].strip()
        return boxed, "the last box" if boxed else "the last box is empty"
    for statement in reversed(statements(said)):
        if content := statement.content.strip(" \t\n*_`"):
            return content, f"the last statement of an answer ({statement.mark})"
    return "", "no answer is stated" if said.strip() else "an empty text"


def _same_by_rule(found: str, wanted: str, context: Context) -> str | None:
    """The rule by which two answers are the same; None if they are not."""
    wording = key(wanted)
    if wording and key(found) == wording:
        return "worded like the reference"
    if not (_SIGN.search(wanted) and _has_few_words(wanted) and _has_few_words(found)):
        return None
    try:
        # Not the judge: it is asked once, when every rule has failed.
        outcome = scorer("math").score(f"\\boxed{{{found}}}", wanted, replace(context, judge=None))
    except GroundTruthError:  # words that only looked like mathematics
        return None
    return f"equal by scorer math ({outcome['reason']})" if outcome["acc"] else None


def _has_few_words(answer: str) -> bool:
    """Whether an answer is short and holds hardly a word, as mathematics does."""
    if len(answer) > _LONGEST:
        return False
    return len(_WORD.findall(_COMMAND.sub(" ", _TEXT.sub(" ", answer)))) <= _MOST_WORDS


def _ask(found: str, wanted: str, context: Context) -> tuple[bool, str]:
    if context.judge is None:
        return False, "not the reference by any rule; no judge was asked"
    said = context.judge(
        question=str(context.extra.get("question", "")),
        answer=found,
        reference=wanted,
        deadline=context.deadline,
    )
    if said is None:
        return False, "not the reference by any rule; the judge gave no verdict"
    return said, f"not the reference by any rule; the judge says {'same' if said else 'different'}"


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # CPython refuses to write it down
        return ""


def _reference(truth: Any) -> str:
    told = plain(truth)
    if isinstance(told, list) and len(told) == 1:
        told = told[0]
    if isinstance(told, int | float) and not isinstance(told, bool):
        told = shown(str(told)) if isinstance(told, float) else _digits(told)
    if not isinstance(told, str) or not told.strip():
        raise GroundTruthError(f"expected an answer as text or number, found {shown(truth)}")
    boxed = last_box(told)
    return boxed if boxed else told.strip()
