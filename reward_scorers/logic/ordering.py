"""Scorer `ordering`: whether a list of names stands in the right order.

A row of the Guru data (arXiv 2506.14965) asks for the order of "the birds from left to right" and
says: "Please put your answer within <answer> and </answer> tags, for example <answer> ['pigeon',
'sparrow', 'quail'] </answer>." Its reference is the list ['goose', 'duck', 'seagull'].

The rule: the last <answer> holds the names, without one the last box does, without either the last
list in brackets. It may be a JSON or Python list, or names between commas, arrows or line ends,
numbered or not. Names are compared whole, without regard to case and to an article before them.
All must be there, in order, and nothing else.
"""

from __future__ import annotations

import re
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register
from reward_scorers.text import answer_part, last_box, last_tag, shown
from reward_scorers.values import read, truth_value

_LIST = re.compile(r"\[([^\[\]]*+)\]")
_FENCE = re.compile(r"^[ ]{0,3}(?:```|~~~).*$", re.MULTILINE)
_ARROW: Final = (
    r"-{1,2}>|={1,2}>|[\u2192\u27f6\u21d2]|\\(?:right|Right|longright)arrow(?![a-zA-Z])|"
    r"\\to(?![a-zA-Z])"
)
_BETWEEN = re.compile(rf"[,;\n]|{_ARROW}")
# What may stand before a bare name: "1. ", "2) ", "- " or "and ".
_BEFORE = re.compile(r"\A(?:(?:[0-9]{1,3}[.)]|[-*\u2022])\s+)?(?:and\s+)?", re.IGNORECASE)
_MARKS: Final = " \t\"'`*_\u2018\u2019\u201c\u201d$"


@register("ordering", version=1)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the names are the reference's in its order.

    `fraction` is the share of positions with the right name, of those of the longer of the two
    lists. With `context.partial`, the score is the fraction.

    Args:
        text: what the model wrote.
        truth: the names in order, as a list, an array or JSON.
        context: only `partial` is used.

    Raises:
        GroundTruthError: `truth` is no list of different names.
    """
    wanted = [_name(name) for name in reference_names(truth)]
    found, reason = _names(answer_part(text))
    right = sum(one == other for one, other in zip(found, wanted, strict=False))
    fraction = right / max(len(found), len(wanted))
    return Outcome(
        score=fraction if context is not None and context.partial else float(fraction == 1),
        acc=fraction == 1,
        pred=shown(", ".join(found)) if found else None,
        reason=reason,
        fraction=fraction,
    )


def reference_names(truth: Any) -> list[str]:
    """The names of a reference, as they are spelt.

    Raises:
        GroundTruthError: it is no list of names, or has none, or one twice.
    """
    value = truth_value(truth)
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        names = {_name(name) for name in value}
        if len(names) == len(value) and names and "" not in names:
            return value
    raise GroundTruthError(f"expected a list of different names as reference, found {value!r:.200}")


def _names(said: str) -> tuple[list[str], str]:
    tagged = last_tag(said)
    if tagged is not None:
        return _listed(tagged), "<answer>"
    boxed = last_box(said)
    if boxed is not None:
        return _listed(boxed), "a box"
    lists = _LIST.findall(said)
    if lists:
        return _listed(f"[{lists[-1]}]"), "the last list of the text"
    return [], "no <answer>, no box and no list in brackets"


def _listed(part: str) -> list[str]:
    lists = _LIST.findall(part)
    if len(lists) > 1:
        return []  # two answers are none
    if lists:
        spelt = _literal(f"[{lists[0]}]")
        if spelt is not None:
            return [_name(name) for name in spelt]
    names = _BETWEEN.split(lists[0] if lists else _FENCE.sub("", part))
    return [name for name in map(_bare_name, names) if name]


def _literal(spelt: str) -> list[str] | None:
    try:
        value = read(spelt)
    except ValueError:
        return None
    return value if all(isinstance(name, str) for name in value) else None


def _bare_name(name: str) -> str:
    bare = _BEFORE.sub("", name.strip(), count=1)
    return _name(bare.removesuffix("."))


def _name(name: str) -> str:
    plain = " ".join(name.strip(_MARKS).casefold().split())
    for article in ("the ", "an ", "a "):
        if plain.startswith(article):
            return plain.removeprefix(article)
    return plain
