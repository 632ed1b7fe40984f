r"""The last comparison of the reference's scorer of mathematics: numbers with a wide tolerance.

Two numbers are equal if they differ by less than 1e-4 of their size, also after one of them is
multiplied or divided by 100 (a percentage). Lists and tuples are compared part by part. Brackets
and braces are dropped before strings are compared, so that 3^{10} is 3^10 and (1 is 1. A number
with an index is its digits: 52_8 is 52.

A symbolic comparison follows in the reference and never succeeds (it uses a decorator as a context
manager; the exception is swallowed), and answers with \pi never come so far (a misspelt argument;
the same). Lists as matrices are evaluated there as Python; here, nothing is, and no row has them.
"""

from __future__ import annotations

import re
from math import isclose
from typing import Final

_TOLERANCE: Final = 1e-4
_MAX_LENGTH: Final = 1000
_MAX_DEPTH: Final = 200  # deeper, the reference runs out of stack, which is a wrong answer
_DOLLARS = re.compile(r"\$\d+")
_PERCENT = re.compile(r"\d+(?:\.\d+)?\\?%(?=\n?\Z)")
_INTERVAL = re.compile(r"Interval(?:\.(Ropen|Lopen|open))?\((.*)\)(?=\n?\Z)")
_ENDS: Final = {None: "[]", "Ropen": "[)", "Lopen": "(]", "open": "()"}
_NO_BRACKETS: Final = str.maketrans("", "", "{}()")


def equal(answer: str, gold: str, depth: int = 0) -> bool:
    """Whether two answers are equal.

    Raises:
        ValueError, OverflowError: an answer that ends the reference's comparison as a whole.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    pred, ref = _plain(answer), _plain(gold)
    if isinstance(pred, str):
        pred = pred[:_MAX_LENGTH]
    if isinstance(pred, str) and isinstance(ref, str) and _same_string(pred, ref):
        return True
    numbers = _number(pred), _number(ref)
    if numbers[0] is not None and numbers[1] is not None:
        return _close(numbers[0], numbers[1])
    if pred == "":
        return False
    return _same_parts(str(pred).strip(), str(ref).strip(), depth)


def _plain(answer: str) -> str | int:
    if _DOLLARS.match(answer):
        return answer[1:]
    if _PERCENT.match(answer):
        return answer.replace("\\%", "").replace("%", "")
    if "_" in answer:
        return int(float(answer.split("_")[0]))
    return answer


def _same_string(pred: str, ref: str) -> bool:
    return pred.strip().lower() == ref.strip().lower() or pred.replace(" ", "") == ref.replace(
        " ", ""
    )


def _number(value: str | int) -> float | None:
    text = str(value)
    try:
        return float(text.replace("{,}" if "{,}" in text else ",", ""))
    except ValueError:
        return None


def _close(pred: float, ref: float) -> bool:
    return any(isclose(item, pred, rel_tol=_TOLERANCE) for item in (ref / 100, ref, ref * 100))


def _same_parts(pred: str, ref: str, depth: int) -> bool:
    if found := _INTERVAL.match(pred):
        ends = _ENDS[found[1]]
        pred = ends[0] + found[2] + ends[1]
    if _without_brackets(pred, ref):
        return True
    if (
        pred and ref
        and pred[0] in "([" and pred[-1] in ")]" and pred[0] == ref[0] and pred[-1] == ref[-1]
        and _all_equal(pred[1:-1].split(","), ref[1:-1].split(","), depth)
    ):  # fmt: skip
        return True
    if "," in pred and "," in ref:
        parts = [part.strip() for part in pred.split(",")]
        others = [part.strip() for part in ref.split(",")]
        if len(parts) == len(others):
            return _all_equal(parts, others, depth)
    if pred.startswith("Point"):
        if not ref:
            raise ValueError("an empty reference")
        inside = pred[pred.find("(") + 1 : -1].split(",")
        return ref[0] + ref[-1] == "()" and _all_equal(inside, ref[1:-1].split(","), depth)
    return False


def _without_brackets(pred: str, ref: str) -> bool:
    square = pred.startswith("[") and pred.endswith("]") and not ref.startswith("(")
    round_ = pred.startswith("(") and pred.endswith(")") and not ref.startswith("[")
    if square or round_:
        pred, ref = pred.strip("[]()"), ref.strip("[]()")
    return pred.translate(_NO_BRACKETS) == ref.translate(_NO_BRACKETS)


def _all_equal(parts: list[str], others: list[str], depth: int) -> bool:
    if len(parts) != len(others):
        return False
    # All are compared first: one part may end the whole comparison, whatever the others are.
    same = [equal(part, other, depth + 1) for part, other in zip(parts, others, strict=True)]
    return all(same)
