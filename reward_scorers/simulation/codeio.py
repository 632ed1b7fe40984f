r"""Scorer `codeio`: the output of a program for an input, or an input for an output, as JSON.

Compared are JSON values: null, true, 1 and "1" differ, strings are never read further, the order of
keys does not matter, that of a list does. JSON has one kind of number: 1 equals 1.0, and 0.3 does
not equal 0.30000000000000004. An input is compared with the one of the row; that another one leads
to the same output cannot be told without running the program.

Read is the last fenced block or box that holds JSON; else the last JSON value with a wrapper
("output": ... or "input": ..., with or without braces); else the last object or list; else the
whole text. The wrapper may be missing.

So that a text of any length is read in a short time, only the last 300 blocks and boxes are looked
at; in running text, only the last 300 objects and lists of the last 200,000 characters. A longer
text that is JSON as a whole is read as a whole.

A row of the Guru data (arXiv 2506.14965; made from CodeI/O, arXiv 2502.07316):
ground truth `"output": {"total": 42}`. The prompt asks for `"output": <your output>` in \boxed{}
and for a ```json block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.text import answer_part, boxes, fenced_blocks, shown
from reward_scorers.values import plain

WRAPPERS: Final = ("output", "input")
MOST: Final = 300  # blocks and boxes, and values in running text, that are looked at
LONGEST: Final = 200_000  # characters at the end of running text in which values are sought

_LABEL = re.compile(r'"(output|input)"\s{0,16}:\s{0,16}')
_LABEL_BEFORE = re.compile(r'"(output|input)"\s{0,16}:\s{0,16}$')
_BRACKETS_ANYWHERE = re.compile(r"[{}\[\]]")
_BRACKETS = re.compile(r'"(?:[^"\\\n]++|\\[^\n])*+"?|[{}\[\]]')
_CLOSES: Final = {"}": "{", "]": "["}
_LATEX_TEXT = re.compile(r"\\(?:text|texttt|mathrm|mathtt)\{([^{}]{0,1000})\}")
_LATEX_ESCAPE = re.compile(r"\\([{}_%$#&])")
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A JSON value and the key that it was wrapped in, "" if in none."""

    key: str
    value: Any


@register("codeio", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the JSON value that `text` gives last is the one of `truth`, else 0.

    Args:
        text: what the model wrote, of any length.
        truth: `"output": <JSON>` or `"input": <JSON>`, with or without braces around it; JSON text
            without such a wrapper; or the decoded value.
        context: not used.

    Raises:
        GroundTruthError: the truth is not JSON, such as a set, bytes or, as a whole, NaN.
    """
    gold = _gold(truth)
    said = answer_part(text)
    found = _answer(said)
    if found is None:
        reason = "no JSON is given" if said.strip() else "an empty text"
        return verdict(acc=False, pred=None, reason=reason)
    readings = _readings(found, gold.key)
    try:
        right = any(_same(value, gold.value) for value in readings)
        pred = shown(json.dumps(readings[-1]))
    except RecursionError:
        return verdict(acc=False, pred=None, reason="the JSON is nested too deeply")
    return verdict(acc=right, pred=pred, reason=f"{'the' if right else 'another'} value")


def _gold(truth: Any) -> Wrapped:
    found = _read(truth) if isinstance(truth, str) else Wrapped("", plain(truth))
    if found is None or (not isinstance(truth, str) and _missing(found.value)):
        seen = repr(truth) if isinstance(truth, str) else truth
        raise GroundTruthError(
            f'expected JSON, or "output": <JSON> or "input": <JSON>; found {shown(seen)}'
        )
    if found.key:
        return found
    value = found.value
    if isinstance(value, dict) and len(value) == 1 and (key := next(iter(value))) in WRAPPERS:
        return Wrapped(key, value[key])
    return Wrapped("", value)


def _missing(value: Any) -> bool:
    """Whether a decoded truth is none: empty in its table, or nothing that JSON can hold."""
    return value is None or value != value or not _is_json(value)


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int | float)


def _readings(found: Wrapped, key: str) -> list[Any]:
    """What an answer may mean: itself, and what its wrapper holds.

    A value may itself be an object with the key "output", so that both have to be looked at.
    """
    keys = (key,) if key else WRAPPERS
    if found.key:
        return [found.value] if found.key in keys else [{found.key: found.value}]
    readings = [found.value]
    if isinstance(found.value, dict):
        readings += [found.value[name] for name in keys if name in found.value][:1]
    return readings


def _answer(said: str) -> Wrapped | None:
    for content in _contents(said):
        if (found := _read(content)) is not None:
            return found
    if len(said) > LONGEST:
        return _read(said) or _last_value(said[-LONGEST:])
    return _last_value(said) or _read(said)


def _contents(said: str) -> Iterator[str]:
    """What fenced blocks and boxes hold, the last ones first; of a box also without its LaTeX."""
    places: list[tuple[int, bool, str]] = []
    cursor = 0
    for block in fenced_blocks(said):
        cursor = max(cursor, said.find(block.content, cursor))
        places.append((cursor, False, block.content))
    places += [(box.start, True, box.content) for box in boxes(said)[-MOST:]]
    for _, boxed, content in sorted(places, reverse=True)[:MOST]:
        if boxed:
            content = content.strip().removeprefix("```json").strip("`")
        yield content
        if boxed:
            yield _LATEX_ESCAPE.sub(r"\1", _LATEX_TEXT.sub(r"\1", content))


def _read(text: str) -> Wrapped | None:
    """A whole text as JSON, also as `"output": ...` without braces."""
    text = text.strip()
    label = _LABEL.match(text)
    if label:
        wrapped = _loads("{" + text + "}")
        if isinstance(wrapped, dict) and len(wrapped) == 1:
            return Wrapped(label[1], wrapped[label[1]])
        return None
    value = _loads(text)
    return None if value is _NOTHING else Wrapped("", value)


_NOTHING: Final = object()


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # a number of over 4,300 digits is a ValueError as well
        return _NOTHING


def _last_value(said: str) -> Wrapped | None:
    """The last object or list in running text; one with a wrapper before all others."""
    labels = list(_LABEL.finditer(said))
    label = labels[-1] if labels else None
    bare: Wrapped | None = None
    for start, end in _spans(said):
        if label and label.start() >= end:
            if labelled := _behind(said, label):
                return labelled
            label = None
        value = _loads(said[start:end])
        if value is _NOTHING:
            continue
        if before := _LABEL_BEFORE.search(said[max(0, start - 64) : start]):
            return Wrapped(before[1], value)
        if isinstance(value, dict) and any(key in value for key in WRAPPERS):
            return Wrapped("", value)
        bare = bare or Wrapped("", value)
        if label and label.start() >= start:  # a key somewhere inside this value is no wrapper
            label = None
    return (_behind(said, label) if label else None) or bare


def _behind(said: str, label: re.Match[str]) -> Wrapped | None:
    try:
        return Wrapped(label[1], _DECODER.raw_decode(said, label.end())[0])
    except (ValueError, RecursionError):
        return None


def _spans(said: str) -> list[tuple[int, int]]:
    """Where the outermost closed brackets are, the last ones first.

    Brackets in strings do not count. As an odd quotation mark in the text turns strings inside out,
    they are looked for a second time with no regard to strings.
    """
    found = {*_closed(_BRACKETS, said), *_closed(_BRACKETS_ANYWHERE, said)}
    return sorted(found, key=lambda span: (-span[1], span[0]))[:MOST]


def _closed(tokens: re.Pattern[str], said: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    opened: list[tuple[str, int]] = []
    for token in tokens.finditer(said):
        mark = token[0]
        if mark in "{[":
            opened.append((mark, token.start()))
        elif mark in _CLOSES and opened:
            opening, start = opened.pop()
            if opening != _CLOSES[mark]:
                opened.clear()
                continue
            # One that is never closed does not hide those behind it.
            while found and found[-1][0] > start:
                found.pop()
            found.append((start, token.end()))
    return found


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values, in which a truth value is no number and NaN equals NaN."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other or (one != one and other != other))
