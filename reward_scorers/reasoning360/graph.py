"""Scorer `reasoning360/graph`: the word in <answer> tags, as graph_dataset.py of the reference.

The example row is that of `reward_scorers.logic.graph`. The last <answer> whose two tags stand on
one line must hold letters a to z only; they are compared in lower case. Boxes, quotes, full stops
and whole texts are no answers.
"""

from __future__ import annotations

import re
from typing import Any

from reward_scorers.logic.graph import reference_word
from reward_scorers.reasoning360.tags import last_answer
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.text import shown

_LETTERS = re.compile(r"[A-Za-z]+")


@register("reasoning360/graph", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the word in the last <answer> is the reference.

    Args:
        text: what the model wrote.
        truth: the right word.
        context: nothing of it is used.

    Raises:
        GroundTruthError: `truth` is not one word.
    """
    wanted = reference_word(truth)
    said = last_answer(text, over_lines=False)
    if said is None:
        return verdict(acc=False, pred=None, reason="no <answer> on one line")
    if not _LETTERS.fullmatch(said):
        return verdict(acc=False, pred=None, reason="<answer> holds more than letters")
    return verdict(acc=said.lower() == wanted.lower(), pred=shown(said), reason="<answer>")
