r"""Scorer `reasoning360/multiple_choice`: letters as the reference implementation reads them.

Example row: data source "stem__supergpqa", text "... \boxed{B}", reference "B".

Source of the rules: verl/utils/reward_score/supergpqa.py and gpqa.py of
github.com/LLM360/Reasoning360 at commit 13158341d2a0dfe5f3bb80e7126ff21de0d16676, written anew:

- The answer is what the last box holds, with braces nested two deep at most; where there is none
  or it is empty, the line behind the last "Final Answer:", else behind "The answer is:". It must
  end, so that a last line without its newline is no answer.
- The first of the letters A to J that occurs anywhere in it is the letter: the word "Answer" is A,
  "B because E" is B, "b" is none.
- Data sources "stem__gpqa..." with "no_box" in their name: the first "Answer: X" of the text, X
  from A to D and the beginning of any word; a lower-case x is never right.
- Reasoning counts as text; options are not known.

One difference: where there is no letter, the reference draws one at random. Here that is 0, which
is .1 below its expectation.
"""

from __future__ import annotations

import re
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.text import shown

LETTERS: Final = "ABCDEFGHIJ"
_DEEPEST: Final = 2
_ENDS: Final = ("</s>", "<|im_end|>", "<|endoftext|>")
_PHRASES: Final = ("Final Answer:", "The answer is:")
_STATED = re.compile(r"answer[ \t]*:[ \t]*\$?([a-d])", re.IGNORECASE)
_BRACE = re.compile(r"[{}]")
_LINE_END = re.compile(r"(?<!<)\n")


@register("reasoning360/multiple_choice", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the letter that the reference implementation reads is the right one, else 0.

    Raises:
        GroundTruthError: `truth` is no letter from A to J; the reference implementation then scores
            every answer 0.
    """
    if not isinstance(truth, str) or len(truth) != 1 or truth not in LETTERS:
        raise GroundTruthError(f"expected a letter from A to J, found {shown(truth)}")
    source = context.data_source if context is not None else ""
    if source.startswith("stem__gpqa") and "no_box" in source:
        stated = _STATED.search(text)
        pred, reason = (stated[1], "the first statement") if stated else (None, "no statement")
        return verdict(acc=pred == truth, pred=pred, reason=reason)
    answer = _answer(text)
    if answer is None:
        return verdict(acc=False, pred=None, reason="no answer; the reference draws a letter")
    pred = next((letter for letter in LETTERS if letter in answer), None)
    reason = "the first letter in the answer"
    if pred is None:
        reason = "no letter in the answer; the reference draws one"
    return verdict(acc=pred == truth, pred=pred, reason=reason)


def _answer(text: str) -> str | None:
    said = _said(text)
    if boxed := _last_box(said):
        return boxed
    for phrase in _PHRASES:
        if (line := _last_line_behind(phrase, said)) is not None:
            return line
    return None


def _said(text: str) -> str:
    """The turn of the model, where the text holds a whole conversation."""
    if "<|im_start|>user" in text:
        start = text.find("<|im_start|>assistant")
        text = text[max(start, 0) :]
    elif "Assistant:" in text:
        text = text.rpartition("Assistant:")[2].strip()
    for end in _ENDS:
        if end in text:
            text = text.partition(end)[0].strip()
    return text


def _last_box(text: str) -> str | None:
    r"""What the last \boxed{} holds that closes and is nested no deeper than the reference reads.

    A backslash does not escape a brace, and a box inside one that counts is a part of it.
    """
    closes: dict[int, tuple[int, int]] = {}  # opening brace -> its end, levels inside
    opened: list[tuple[int, int]] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append((brace.start(), 0))
        elif opened:
            start, inside = opened.pop()
            closes[start] = (brace.start(), inside)
            if opened:
                outer, deepest = opened[-1]
                opened[-1] = (outer, max(deepest, inside + 1))
    found, position = None, 0
    mark = "\\boxed{"
    while (start := text.find(mark, position)) >= 0:
        position = start + len(mark)
        end, inside = closes.get(position - 1, (-1, 0))
        if end >= 0 and inside <= _DEEPEST:
            found, position = text[position:end], end + 1
    return found


def _last_line_behind(phrase: str, text: str) -> str | None:
    """What follows a phrase in the last line that has it and is ended by a newline.

    In the reference's pattern, "<" takes the next character with it, a newline as well, and "<<"
    ends the search.
    """
    lines = _LINE_END.split(text)[:-1]
    for line in reversed(lines):
        start = line.find(phrase, max(0, line.rfind("<<") + 1 - len(phrase)))
        if start >= 0:
            return line[start + len(phrase) :]
    return None
