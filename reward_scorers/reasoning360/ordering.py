r"""Scorer `reasoning360/ordering`: the order of names, as puzzles_dataset.py of the reference.

The example row is that of `reward_scorers.logic.ordering`. The last <answer> whose two tags stand
on one line is searched for a list in brackets without empty places. Its names are its runs of
letters, digits, underscores and spaces, in lower case: a name with a capital in the reference is
never met (153 of 1,000 puzzles generated with the reference's generator are about people).

Where there is no such list (["a", "b",] has an empty place), the reference quotes some of the bare
words and executes the result as Python. Here it is read as a Python literal, nothing is executed:
expressions that compute the right list score 1 there and 0 here.
"""

from __future__ import annotations

import re
from typing import Any

from reward_scorers.logic.ordering import reference_names
from reward_scorers.reasoning360.tags import last_answer
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.text import shown
from reward_scorers.values import python_literal

_RUN = re.compile(r"[\w\s]+")
# A bare word between marks; spaces are looked at from their first one on, for linear time.
_BARE = re.compile(r"(?P<before>\[|(?<!\s)\s*,\s*)(?P<word>\w+)(?P<after>\s*,|\])")


@register("reasoning360/ordering", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the names in the last <answer> are the reference's in its order.

    Args:
        text: what the model wrote.
        truth: the names in order, as a list, an array or JSON.
        context: nothing of it is used.

    Raises:
        GroundTruthError: `truth` is no list of different names.
    """
    wanted = reference_names(truth)
    said = last_answer(text, over_lines=False)
    if said is None:
        return verdict(acc=False, pred=None, reason="no <answer> on one line")
    listed = _first_list(said)
    if listed is not None:
        runs = (run.lower().strip() for run in _RUN.findall(listed))
        names = [run for run in runs if run]
        return verdict(acc=names == wanted, pred=shown(", ".join(names)), reason="a list")
    try:
        value = python_literal(_BARE.sub(_quoted, said))
    except ValueError:
        return verdict(acc=False, pred=None, reason="<answer> holds no list")
    return verdict(acc=value == wanted, pred=shown(said), reason="a Python literal")


def _first_list(said: str) -> str | None:
    """The first [...] up to the nearest closing bracket that has no empty place between commas."""
    for part in said.split("]")[:-1]:
        start = part.find("[", part.rfind(",,") + 1)
        while 0 <= start < len(part) - 1 and part[start + 1] == ",":
            start = part.find("[", start + 1)
        if 0 <= start < len(part) - 1 and not part.endswith(","):
            return part[start:]
    return None


def _quoted(bare: re.Match[str]) -> str:
    return f'{bare["before"]}"{bare["word"]}"{bare["after"]}'
