r"""Scorer `graph`: whether the one word that answers a question about a graph is right.

A row of the Guru data (arXiv 2506.14965) gives predicates ("If Emma Mcclain is urox, then Mark
Turner is berlej.") and asks: "what is the next step to prove that Virginia Sutton is aceidk?
Respond with only the trait of the next step. Please put your answer within <answer> and </answer>
tags, for example <answer> fdebme </answer>." Its reference is one word: aceidk.

The rule: the word stands alone in the last <answer>; without one, in the last box; without either,
it is the last that the text states at the end of a sentence ("The answer is aceidk.", "Trait:
aceidk"), or the only one of the last line. It is compared without regard to case; quotes, emphasis
and a full stop around it do not count, more than one word is no answer.
"""

from __future__ import annotations

import re
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.text import answer_part, last_box, last_tag, shown

_WORD: Final = r"[^\W_](?:[^\W_]|['-](?=[^\W_])){0,63}"
_ALONE = re.compile(
    rf"[\s*_`\"'(\[{{\u201c\u2018]*+(?:\\(?:text|textbf|mathrm|textit)\{{)?({_WORD})"
    r"[\s*_`\"')\]}.!\u201d\u2019]*+"
)
_STATED = re.compile(
    r"(?<![^\W_])(?:answer|trait|next step)(?: of the next step)?[*_`\"']{0,4}[ ]{0,2}"
    r"(?:(?:is|was|would be|must be)(?:[ ]{0,2}:)?(?![^\W_])|[:=])"
    rf"[ *_`\"':\u201c\u2018]{{0,8}}({_WORD})(?![^\W_])"
    r"[*_`\"'\u201d\u2019]{0,4}[ ]{0,2}(?:[.!][*_`\"'\u201d\u2019]{0,4}(?=\s|$)|(?=\n|$))",
    re.IGNORECASE,
)


@register("graph", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the word that the text gives is the reference.

    Args:
        text: what the model wrote.
        truth: the right word.
        context: nothing of it is used.

    Raises:
        GroundTruthError: `truth` is not one word.
    """
    wanted = reference_word(truth)
    found, reason = _word(answer_part(text))
    right = found is not None and found.casefold() == wanted.casefold()
    return verdict(acc=right, pred=None if found is None else shown(found), reason=reason)


def reference_word(truth: Any) -> str:
    """The word of a reference.

    Raises:
        GroundTruthError: it is not one word.
    """
    if isinstance(truth, str) and re.fullmatch(_WORD, truth.strip()):
        return truth.strip()
    raise GroundTruthError(f"expected one word as reference, found {truth!r:.200}")


def _word(said: str) -> tuple[str | None, str]:
    for part_of, where in ((last_tag, "<answer>"), (last_box, "a box")):
        part = part_of(said)
        if part is not None:
            alone = _ALONE.fullmatch(part)
            return (alone[1], where) if alone else (None, f"{where} does not hold one word")
    stated = _STATED.findall(said)
    if stated:
        return stated[-1], "the last statement of an answer"
    alone = _ALONE.fullmatch(said.strip().rpartition("\n")[2])
    if alone:
        return alone[1], "the only word of the last line"
    return None, "no word is given as the answer"
