"""Scorer `reasoning360/zebra`: the share of right cells, as zebra_puzzle.py of the reference.

The example row is that of `reward_scorers.logic.zebra`. The last <answer> whose two tags stand on
one line holds a Python literal or JSON. Every cell of the reference is compared with the one of the
same row and column number, with regard to case, spaces and type. The column of positions counts,
names of columns do not, nor do rows and columns too many; one cell that is missing makes it all 0.
The score is the share of right cells.
"""

from __future__ import annotations

from typing import Any

from reward_scorers.logic.zebra import reference_table
from reward_scorers.reasoning360.tags import last_answer
from reward_scorers.registry import Context, Outcome, register
from reward_scorers.text import shown
from reward_scorers.values import json_value, python_literal, truth_value


@register("reasoning360/zebra", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score the share of right cells; `acc` is whether all are.

    Args:
        text: what the model wrote.
        truth: {"header": names, "rows": lists of cells}, the positions first; or as JSON.
        context: nothing of it is used: there is no score but the share.

    Raises:
        GroundTruthError: `truth` is no such table.
    """
    reference_table(truth)
    wanted = truth_value(truth)["rows"]
    said = last_answer(text, over_lines=False)
    if said is None:
        return _outcome(0.0, None, "no <answer> on one line")
    try:
        found = _literal_or_json(said)
    except ValueError:
        return _outcome(0.0, None, "<answer> holds neither a Python literal nor JSON")
    if not isinstance(found, dict):
        return _outcome(0.0, said, "<answer> holds no dictionary")
    try:
        right = sum(
            bool(found["rows"][row][column] == cell)
            for row, cells in enumerate(wanted)
            for column, cell in enumerate(cells)
        )
    except (LookupError, TypeError):
        return _outcome(0.0, said, "a row or a cell is missing")
    return _outcome(right / sum(len(cells) for cells in wanted), said, "cells by row and column")


def _outcome(share: float, said: str | None, reason: str) -> Outcome:
    pred = None if said is None else shown(said)
    return Outcome(score=share, acc=share == 1, pred=pred, reason=reason, fraction=share)


def _literal_or_json(said: str) -> Any:
    try:
        return python_literal(said)
    except ValueError:
        return json_value(said)
