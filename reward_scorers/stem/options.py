"""The options of a multiple-choice question: where they stand in a row, and which one is meant.

Rows hold them in one of these ways:

- `extra_info["options"]` or `["choices"]`: a list of texts, or a mapping letter -> text;
- in the question's text, `extra_info["question"]` or `["original_prompt"]`, as Guru holds them:
  SuperGPQA "Options are:\\n(A): 0.36g\\n(B): 0.58g\\n...", GPQA "A) 10 nm\\nB) 12 nm\\n...".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.stem.wording import key
from reward_scorers.text import shown
from reward_scorers.values import plain

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LISTED: Final = ("options", "choices")
_QUESTIONS: Final = ("question", "original_prompt")
# "(A): text", "(A) text", "A) text", "A. text", "A: text" at the beginning of a line.
_LABEL = re.compile(r"^[ \t]{0,4}(?:\(([A-Z])\)[:.]?|([A-Z])[).:])[ \t]{1,4}", re.MULTILINE)
# Behind the last option: a blank line, or the prompt's next sentence.
_END_OF_LAST = re.compile(r"\n[ \t]{0,4}\n|\n(?=Please |Answer[: ])")


class Options:
    """The texts of a question's options, in their order."""

    def __init__(self, texts: Sequence[str]) -> None:
        if not 1 <= len(texts) <= len(ALPHABET):
            raise GroundTruthError(f"expected 1 to 26 options, found {len(texts)}")
        self.letters = ALPHABET[: len(texts)]
        self._longest = max(map(len, texts))
        self._exact: dict[str, str] = {}
        self._alike: dict[str, str] = {}
        for letter, text in zip(self.letters, texts, strict=True):
            for known, one in ((self._exact, " ".join(text.split())), (self._alike, key(text))):
                known[one] = known.get(one, "") + letter

    def letter_of(self, text: str) -> str | None:
        """The letter of the option that has this text; None if none or several have it.

        Options that differ in case or signs alone are told apart by their exact texts.
        """
        if self._is_far_too_long(text):
            return None
        letters = self._exact.get(" ".join(text.split())) or self.letters_of(text)
        return letters if len(letters) == 1 else None

    def letters_of(self, text: str) -> str:
        """The letters of all options that are worded like a text, in their order."""
        wording = "" if self._is_far_too_long(text) else key(text)
        return self._alike.get(wording, "") if wording else ""

    def _is_far_too_long(self, text: str) -> bool:
        return len(text) > 100 + 4 * self._longest  # room for wrappers and spaces


def options_of(extra: Mapping[str, Any]) -> Options | None:
    """The options that a row holds; None if it holds none.

    Raises:
        GroundTruthError: it holds something else where options belong.
    """
    for name in _LISTED:
        if extra.get(name) is not None:
            return Options(_texts(extra[name]))
    for name in _QUESTIONS:
        question = extra.get(name)
        if isinstance(question, str) and (texts := _in_question(question)):
            return Options(texts)
    return None


def _texts(value: Any) -> list[str]:
    found = plain(value)
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            found = value
    if isinstance(found, Mapping):
        # A column of structs has all letters that any row has, and None behind a row's last one.
        told = {str(name).strip("(). ").upper(): text for name, text in found.items()}
        told = {name: text for name, text in told.items() if text is not None}
        if sorted(told) == list(ALPHABET[: len(told)]):
            return [str(told[letter]) for letter in sorted(told)]
    elif isinstance(found, list | tuple) and all(
        isinstance(one, str | int | float) for one in found
    ):
        return [str(text) for text in found]
    raise GroundTruthError(
        f"expected options as a list of texts or as letter -> text from A on, found {shown(value)}"
    )


def _in_question(question: str) -> list[str]:
    """The texts of the last run of lines that are labelled A, B, C, ..."""
    run: list[re.Match[str]] = []
    for label in _LABEL.finditer(question):
        letter = label[1] or label[2]
        if letter == "A":
            run = [label]
        elif run and letter == ALPHABET[len(run) : len(run) + 1]:
            run.append(label)
    if len(run) < 2:
        return []
    ends = [label.start() for label in run[1:]]
    last = _END_OF_LAST.search(question, run[-1].end())
    ends.append(last.start() if last else len(question))
    return [question[label.end() : end].strip() for label, end in zip(run, ends, strict=True)]
