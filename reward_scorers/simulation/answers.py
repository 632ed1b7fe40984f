"""Where CRUXEval's answers stand in a text, and its functions in a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reward_scorers.text import fenced_blocks, last_box, last_tag

# A longer text is no answer: the longest output of CRUXEval has under 1,000 characters, and the
# time that Python's parser takes shall stay small.
MAX_LENGTH: Final = 20_000


def functional(truth: Any) -> Any:
    """The "functional" of the Guru form; whatever else it is, the truth itself."""
    if isinstance(truth, str) and truth.lstrip().startswith("{") and '"functional"' in truth:
        try:
            truth = json.loads(truth)
        except (ValueError, RecursionError):
            return truth
    if isinstance(truth, Mapping):
        return truth.get("functional")
    return truth


def candidates(said: str, marks: tuple[str, ...]) -> Iterator[str]:
    """Texts that may hold the answer, the likeliest first.

    Args:
        said: a text without its reasoning.
        marks: with what a line begins that states an answer among others.
    """
    scope = _marked(said)
    if blocks := fenced_blocks(scope):
        yield blocks[-1].content
    if box := last_box(scope):
        yield box
    yield scope.strip().strip("`")
    for mark in marks:
        place = scope.rfind(mark)
        if place >= 0:
            yield scope[place:].partition("\n")[0].strip("` ")


def _marked(said: str) -> str:
    """What stands between the marks of an answer, or all where there are none.

    A completion of CRUXEval's prompt begins behind [ANSWER], so that it may have the end only.
    """
    end = said.rfind("[/ANSWER]")
    before = said[:end] if end >= 0 else said
    start = before.rfind("[ANSWER]")
    if start >= 0:
        return before[start + len("[ANSWER]") :]
    if end >= 0:
        return before
    tagged = last_tag(said)
    return said if tagged is None else tagged
