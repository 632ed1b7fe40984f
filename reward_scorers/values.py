"""Plain values out of what models write and data sets hold: JSON, Python literals, arrays."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from reward_scorers.errors import GroundTruthError

# No answer to a puzzle is longer (the largest grids have 4,000 characters). The time and memory
# that Python's parser takes stay small, and it refuses deep nesting instead of crashing.
MAX_CHARS: Final = 100_000

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES: Final = frozenset("\\'\"abfnrtvxuUN01234567\n")


def read(text: str) -> Any:
    """The value that a model's text spells in JSON or as a Python literal.

    Raises:
        ValueError: it spells none, or is longer than `MAX_CHARS`.
    """
    try:
        return json_value(text)
    except ValueError:
        return python_literal(text)


def json_value(text: str) -> Any:
    """The value that a text spells in JSON.

    Raises:
        ValueError: it spells none, or is longer than `MAX_CHARS`, or too deep.
    """
    _check_length(text)
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def python_literal(text: str) -> Any:
    """The value that a text spells as a Python literal; nothing is executed.

    Raises:
        ValueError: it spells none, or is longer than `MAX_CHARS`, or too deep.
    """
    _check_length(text)
    try:
        return ast.literal_eval(without_warnings(text))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        # NUL is a SyntaxError or a ValueError, and a number of too many digits either, by Python.
        raise ValueError(f"no Python literal: {type(error).__name__}") from None


def without_warnings(text: str) -> str:
    r"""Python text with `\d` and the like as `\\d`, which is how Python reads them, with a warning.

    Whether a warning is an error is a setting of the process, and no score may depend on that.
    """
    return _ESCAPE.sub(lambda m: m[0] if m[1] in _KNOWN_ESCAPES else f"\\{m[0]}", text)


def _check_length(text: str) -> None:
    if len(text) > MAX_CHARS:
        raise ValueError(f"longer than {MAX_CHARS} characters")


def truth_value(truth: Any) -> Any:
    """A reference answer as lists, dicts and scalars: arrays (of arrays) and JSON text are read.

    Raises:
        GroundTruthError: it is a text that is no JSON.
    """
    if isinstance(truth, str | bytes):
        try:
            return json.loads(truth)
        except (ValueError, RecursionError) as error:
            raise GroundTruthError(f"expected JSON as reference, found {truth!r:.200}") from error
    return plain(truth)


def plain(value: Any) -> Any:
    """A value from parquet, with lists and scalars in place of the arrays of numpy."""
    # numpy is not imported: whatever has a `tolist` is an array, or a scalar of one.
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
