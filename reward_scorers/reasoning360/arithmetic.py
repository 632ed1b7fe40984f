"""The arithmetic of numbers as Python evaluates it, without evaluating Python."""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Nothing else stands in a number or an operator; without letters, no warning can arise either.
_ALPHABET = re.compile(r"[0-9eE.+\-*/()^|&~_ \t\n]+")
_OR, _AND = re.compile(r" +or +"), re.compile(r" +and +")
_LONGEST: Final = 1000  # characters
_LARGEST_EXPONENT: Final = 64
_LARGEST_BASE: Final = 1e6
_DEEPEST: Final = 100

_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.BitXor: operator.xor,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}
_UNARY: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
}


def evaluated(text: str) -> float | None:
    """The value of an expression of numbers; None if the text is none, or too large a one.

    As in Python, `5 or 8` is 5 and so is `5 or more`, while `5 and 8` is 8.
    """
    bare = text.strip()
    first, *others = _OR.split(bare[: _LONGEST + 1])
    if others:
        value = evaluated(first)
        sound = all(other.isidentifier() or evaluated(other) is not None for other in others)
        return value if value and sound else None
    first, *others = _AND.split(bare[: _LONGEST + 1])
    if others:
        values = [evaluated(part) for part in (first, *others)]
        return values[-1] if all(values) else None
    if len(bare) > _LONGEST or not _ALPHABET.fullmatch(bare):
        return None
    try:
        return float(_value(ast.parse(bare.lstrip(), mode="eval").body, 0))
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_value(node.operand, depth + 1))
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left, depth + 1), _value(node.right, depth + 1)
        if isinstance(node.op, ast.Pow) and not (
            abs(left) <= _LARGEST_BASE and abs(right) <= _LARGEST_EXPONENT
        ):
            raise ValueError("too large a power")
        return _BINARY[type(node.op)](left, right)
    raise ValueError("no arithmetic")
