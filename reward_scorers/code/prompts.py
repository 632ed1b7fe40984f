"""Helpers that a prompt gives and its tests use: they are the data set's, not the program's.

Three problems of HumanEval test a function by another one of the prompt, for example that decoding
undoes encoding. Taken from the program, a wrong helper would excuse a wrong answer.
"""

from __future__ import annotations

import ast
import re
from typing import Final

from reward_scorers.text import fenced_blocks

_POLY: Final = """
def poly(coefficients, x):
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
"""
_ENCODE_CYCLIC: Final = """
def encode_cyclic(text):
    triples = len(text) // 3 * 3
    turned = [text[i + 1 : i + 3] + text[i] for i in range(0, triples, 3)]
    return "".join(turned) + text[triples:]
"""
_ENCODE_SHIFT: Final = """
def encode_shift(text):
    return "".join(chr((ord(letter) - 97 + 5) % 26 + 97) for letter in text)
"""

# By the tests' last line, for rows that do not carry the prompt (HumanEval/32, 38 and 50).
_KNOWN: Final = {
    "check(find_zero)": ("poly", _POLY),
    "check(decode_cyclic)": ("encode_cyclic", _ENCODE_CYCLIC),
    "check(decode_shift)": ("encode_shift", _ENCODE_SHIFT),
}


def helpers_of(tests: str, prompt: str) -> str:
    """Source of the helpers that tests use, "" if they use none.

    Args:
        tests: the test code.
        prompt: the code that the model was given, or a text with it in a fenced block; "" if the
            row does not carry it.
    """
    if prompt and (found := _helpers_in(prompt, tests)):
        return found
    for mark, (name, source) in _KNOWN.items():
        if mark in tests and re.search(rf"\b{name}\(", tests) and f"def {name}(" not in tests:
            return source
    return ""


def _helpers_in(prompt: str, tests: str) -> str:
    blocks = fenced_blocks(prompt)
    for source in [block.content for block in blocks] or [prompt]:
        try:
            body = ast.parse(f"{source}\n").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        used = [node for node in body if _is_helper(node, tests)]
        if used:
            return "\n".join(ast.unparse(node) for node in [*imports, *used])
    return ""


def _is_helper(node: ast.stmt, tests: str) -> bool:
    """Whether this is a function that is written out, and that the tests call themselves."""
    if not isinstance(node, ast.FunctionDef) or f"def {node.name}(" in tests:
        return False
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    written = any(not isinstance(part, ast.Pass) for part in body)
    called = re.search(rf"(?<!check\()\b{re.escape(node.name)}\(", tests) is not None
    return written and called
