"""Wrong variants of right programs: one small change of the syntax tree each, always the same."""

from __future__ import annotations

import ast
import copy
import random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COMPARISONS: Final = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_OPERATORS: Final = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.FloorDiv,
    ast.FloorDiv: ast.Div, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult,
}  # fmt: skip
_VALUES: Final = ("None", "0", "True", "[]", "''")


def mutants(program: str, most: int, seed: int) -> list[str]:
    """Up to `most` different variants of a program, drawn by `seed` out of all."""
    tree = ast.parse(program)
    changes = [
        (place, change) for place, node in enumerate(ast.walk(tree)) for change in _changes(node)
    ]
    random.Random(seed).shuffle(changes)
    found: dict[str, None] = {}
    for place, change in changes:
        other = copy.deepcopy(tree)
        change(list(ast.walk(other))[place])
        text = ast.unparse(ast.fix_missing_locations(other))
        if text != ast.unparse(tree):
            found.setdefault(text)
        if len(found) == most:
            break
    return list(found)


def _changes(node: ast.AST) -> Iterator[Callable[[Any], object]]:  # noqa: C901 - a table
    """What can be done to a node, each as a function that does it to its copy."""
    match node:
        case ast.Compare():
            for place, kind in enumerate(map(type, node.ops)):
                yield lambda n, place=place, kind=kind: _set(n.ops, place, _COMPARISONS[kind]())
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            yield lambda n: setattr(n, "value", value + 1)
            yield lambda n: setattr(n, "value", value - 1)
        case ast.Constant(value=bool() as value):
            yield lambda n: setattr(n, "value", not value)
        case ast.BoolOp():
            yield lambda n: setattr(n, "op", ast.Or() if isinstance(n.op, ast.And) else ast.And())
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _OPERATORS:
            yield lambda n: setattr(n, "op", _OPERATORS[type(n.op)]())
        case ast.UnaryOp(op=ast.Not()):
            yield lambda n: setattr(n, "operand", _not(n.operand))
        case ast.Return(value=ast.expr()):
            for text in _VALUES:
                yield lambda n, text=text: setattr(n, "value", _expression(text))
        case ast.Call(func=ast.Name(id="range"), args=[*_, _]):
            yield lambda n: _set(n.args, min(1, len(n.args) - 1), _more(n.args, 1))
            yield lambda n: _set(n.args, min(1, len(n.args) - 1), _more(n.args, -1))
        case ast.If() | ast.While():
            yield lambda n: setattr(n, "test", _not(n.test))
    yield from _removals(node)


def _removals(node: ast.AST) -> Iterator[Callable[[Any], object]]:
    if isinstance(node, ast.FunctionDef | ast.If | ast.For | ast.While):
        for place, statement in enumerate(node.body):
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                yield lambda n, place=place: _set(n.body, place, ast.Pass())


def _set(items: list[Any], place: int, value: ast.AST) -> None:
    items[place] = value


def _not(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _more(args: list[ast.expr], by: int) -> ast.expr:
    return ast.BinOp(args[min(1, len(args) - 1)], ast.Add(), ast.Constant(by))


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
