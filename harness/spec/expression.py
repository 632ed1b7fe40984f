"""Selections such as `model.N >= 7e9 and model.source == "base"`, without eval.

The language is a small part of Python's: dotted names, literals, tuples and lists, `and`, `or`,
`not`, comparisons (chained too), `in`, and `+ - * /` on numbers. What it accepts means what Python
would mean; anything else is refused when it is compiled.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Final, NoReturn

from harness.errors import SuiteError
from harness.spec.nearest import nearest

Predicate = Callable[[Mapping[str, object]], bool]
_Value = Callable[[Mapping[str, object]], object]

_MAX_LENGTH: Final = 4000
_MAX_NODES: Final = 1000
_COMPARE: Final[dict[type[ast.cmpop], Callable[..., object]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, container: operator.contains(container, item),
    ast.NotIn: lambda item, container: not operator.contains(container, item),
}
_ARITHMETIC: Final[dict[type[ast.operator], Callable[..., object]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SIGN: Final[dict[type[ast.unaryop], Callable[..., object]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_LANGUAGE: Final = "names, literals, comparisons, `in`, and/or/not, + - * / and parentheses"
_OTHER_SPELLINGS: Final = {"true": "True", "false": "False", "null": "None", "none": "None"}


def compile_expression(
    text: str, names: Collection[str] | None = None, *, where: str | None = None
) -> Predicate:
    """Compile a selection to a function from one mapping (a cell's values, a row) to bool.

    A dotted name is looked up as one key first (`evals.holdout` of a row), then step by step
    (`model`, then `N`). A mapping with an `id` stands for its id, so that `model == "tiny"` works.

    Args:
        text: the expression.
        names: the dotted names that may be used; None allows every name.
        where: `file:line` of the text, for errors.

    Raises:
        SuiteError: syntax, an unknown name or a forbidden construct, with its place in the text.
            The compiled function raises it where the values do not allow the operation or where a
            name is missing in the mapping.
    """
    return _Compiler(text, names, where).compile()


class _Compiler:
    def __init__(self, text: str, names: Collection[str] | None, where: str | None) -> None:
        # One line, so that a caret can point into it.
        self._text = " ".join(text.split("\n")).strip()
        self._names = names
        self._where = where

    def compile(self) -> Predicate:
        value = self._build(self._parse())

        def predicate(values: Mapping[str, object]) -> bool:
            result = value(values)
            if not isinstance(result, bool):
                self._fail(f"no condition: it is {result!r:.40}", 0, expected="a comparison")
            return result

        return predicate

    def _parse(self) -> ast.expr:
        if not self._text:
            self._fail("an empty expression", 0, expected=_LANGUAGE)
        if len(self._text) > _MAX_LENGTH:
            self._fail(f"an expression of more than {_MAX_LENGTH} characters", 0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                tree = ast.parse(self._text, mode="eval")
            if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
                self._fail(f"an expression of more than {_MAX_NODES} parts", 0)
        except SyntaxError as error:
            # Without an offset it is the end of the text that came too early.
            column = error.offset - 1 if error.offset else len(self._text)
            self._fail(f"a syntax error: {error.msg}", column)
        except (ValueError, RecursionError, MemoryError):
            self._fail("an expression that cannot be parsed", 0)
        return tree.body

    def _build(self, node: ast.expr) -> _Value:
        match node:
            case ast.Constant(value=constant) if isinstance(constant, str | int | float | None):
                return lambda _: constant
            case ast.Name() | ast.Attribute():
                return self._name(node)
            case ast.Tuple(elts=items):
                members = [self._build(item) for item in items]
                return lambda values: tuple([member(values) for member in members])
            case ast.List(elts=items):
                members = [self._build(item) for item in items]
                return lambda values: [member(values) for member in members]
            case ast.BoolOp():
                return self._logic(node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self._build(operand)
                return lambda values: not inner(values)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGN:
                return self._arithmetic(node, _SIGN[type(op)], self._build(operand))
            case ast.BinOp(op=op, left=left, right=right) if type(op) in _ARITHMETIC:
                sides = (self._build(left), self._build(right))
                return self._arithmetic(node, _ARITHMETIC[type(op)], *sides)
            case ast.Compare():
                return self._comparison(node)
        return self._forbid(node)

    def _logic(self, node: ast.BoolOp) -> _Value:
        operands = [self._build(operand) for operand in node.values]
        stop_at = isinstance(node.op, ast.Or)

        def logic(values: Mapping[str, object]) -> object:
            result: object = None
            for operand in operands:
                result = operand(values)
                if bool(result) is stop_at:
                    return result
            return result

        return logic

    def _comparison(self, node: ast.Compare) -> _Value:
        left = self._build(node.left)
        steps: list[tuple[Callable[..., object], _Value]] = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            if type(op) not in _COMPARE:
                self._fail(
                    "`is`, which compares identity", self._column(right), hint="write == or !="
                )
            steps.append((_COMPARE[type(op)], self._build(right)))

        def comparison(values: Mapping[str, object]) -> object:
            this, result = left(values), None
            for compare, other in steps:
                that = other(values)
                try:
                    result = compare(this, that)
                except TypeError as error:
                    self._fail(f"cannot compare: {error}", self._column(node))
                if not result:
                    return result
                this = that
            return result

        return comparison

    def _arithmetic(
        self, node: ast.expr, function: Callable[..., object], *operands: _Value
    ) -> _Value:
        def arithmetic(values: Mapping[str, object]) -> object:
            numbers = [operand(values) for operand in operands]
            for number in numbers:
                if not isinstance(number, int | float):
                    self._fail(
                        "arithmetic on something else than numbers",
                        self._column(node),
                        expected="a number",
                        found=repr(number)[:80],
                    )
            try:
                return function(*numbers)
            except ArithmeticError as error:
                return self._fail(f"{error}", self._column(node))

        return arithmetic

    def _name(self, node: ast.Name | ast.Attribute) -> _Value:
        parts: list[str] = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            parts.insert(0, base.attr)
            base = base.value
        if not isinstance(base, ast.Name):
            return self._forbid(base)
        parts.insert(0, base.id)
        dotted = ".".join(parts)
        if any(part.startswith("_") for part in parts):
            self._fail(f"the name `{dotted}`: names start with a letter", self._column(node))
        if self._names is not None and dotted not in self._names:
            near = nearest(dotted, self._names, 3)
            near = [_OTHER_SPELLINGS[dotted]] if dotted in _OTHER_SPELLINGS else near
            self._fail(
                f"the unknown name `{dotted}`",
                self._column(node),
                expected="one of " + ", ".join(sorted(self._names)),
                hint="did you mean " + " or ".join(near) + "?" if near else None,
            )
        column = self._column(node)

        def lookup(values: Mapping[str, object]) -> object:
            if dotted in values:
                found = values[dotted]
            else:
                found = values
                for part in parts:
                    if not isinstance(found, Mapping) or part not in found:
                        self._fail(f"no `{dotted}` in {_origin(values, parts[0])}", column)
                    found = found[part]
            return found.get("id", found) if isinstance(found, Mapping) else found

        return lookup

    def _forbid(self, node: ast.AST) -> NoReturn:
        column = self._column(node)
        self._fail(
            f"{type(node).__name__.lower()} is not part of the language", column, expected=_LANGUAGE
        )

    def _column(self, node: ast.AST) -> int:
        """In characters; ast counts the bytes of UTF-8."""
        return len(self._text.encode()[: getattr(node, "col_offset", 0)].decode(errors="ignore"))

    def _fail(
        self,
        message: str,
        column: int,
        *,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ) -> NoReturn:
        start = max(0, column - 60)
        shown = self._text[start : start + 90]
        raise SuiteError(
            f"in the expression: {message}\n  {shown}\n  {' ' * (column - start)}^",
            where=self._where,
            expected=expected,
            found=found,
            hint=hint,
        ) from None


def _origin(values: Mapping[str, object], name: str) -> str:
    """Which of the values lacks the name, as a person would call it."""
    value = values.get(name)
    identity = value.get("id") if isinstance(value, Mapping) else None
    return f"{name} {identity!r}" if identity is not None else f"the names {', '.join(values)}"
