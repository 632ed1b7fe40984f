"""`${dotted.reference}` in text: parsed once, checked for circles, resolved for each cell.

Text that is one reference and nothing else takes the referenced value with its type; inside longer
text a reference is replaced by the value's text. `$${` stands for a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from harness.errors import SuiteError
from harness.spec.identity import canonical_json
from harness.spec.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from harness.spec.source import KeyPath

_TOKEN: Final = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_DOTTED: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)*")


@dataclass(frozen=True, slots=True)
class Reference:
    """`${root.field.field}`."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "${" + ".".join(self.names) + "}"


@dataclass(frozen=True, slots=True)
class Joined:
    """Text with references in it; never a single one."""

    pieces: tuple[str | Reference, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value without references."""

    value: object


Node: TypeAlias = "Constant | Reference | Joined | dict[str, Node] | list[Node]"


def parse(text: str, where: str | None = None) -> Constant | Reference | Joined:
    """Split text at its references.

    Raises:
        SuiteError: a `${` that is not closed, or a name that is not dotted words.
    """
    pieces: list[str | Reference] = []
    position = 0
    for match in _TOKEN.finditer(text):
        pieces.append(text[position : match.start()])
        position = match.end()
        if match[0] == "$${":
            pieces.append("${")
            continue
        if match[1] is None or not _DOTTED.fullmatch(match[1].strip()):
            raise SuiteError(
                "not a reference",
                where=where,
                expected="${axis.field}, or $${ for the two characters themselves",
                found=text[match.start() : match.start() + 40],
            )
        pieces.append(Reference(tuple(match[1].strip().split("."))))
    pieces.append(text[position:])
    return _join(pieces)


def compile_tree(
    tree: Mapping[str, object],
    roots: Collection[str],
    where: Callable[[KeyPath], str],
    *,
    self_name: str = "settings",
) -> dict[str, Node]:
    """Parse all text of a tree and put in place what it refers to inside itself.

    What stays are references whose first name is one of `roots`.

    Args:
        tree: mappings, lists and scalars.
        roots: names whose values are known only later (axes).
        where: `file:line` of a key path of the tree.
        self_name: the root that means the tree.

    Raises:
        SuiteError: a malformed or unknown reference, or references in a circle.
    """
    return _Compiler(tree, roots, where, self_name).mapping(tree, ())


def resolve(node: Node, values: Mapping[str, object]) -> object:
    """The node's plain value, its references looked up in nested mappings.

    Raises:
        SuiteError: a reference finds nothing, or text holds a reference to a list or mapping.
    """
    if isinstance(node, dict):
        return {key: resolve(item, values) for key, item in node.items()}
    if isinstance(node, list):
        return [resolve(item, values) for item in node]
    if isinstance(node, Reference):
        return look_up(node, values)
    if isinstance(node, Joined):
        return "".join(
            piece if isinstance(piece, str) else as_text(look_up(piece, values), piece)
            for piece in node.pieces
        )
    return node.value


def look_up(reference: Reference, values: Mapping[str, object]) -> object:
    """The value that a reference names.

    Raises:
        SuiteError: there is none; the nearest names are told.
    """
    found: object = values
    for depth, name in enumerate(reference.names):
        if not isinstance(found, Mapping) or name not in found:
            raise _nothing(reference, depth, found)
        found = found[name]
    return found


def as_text(value: object, reference: Reference) -> str:
    """A scalar as it stands inside longer text: text itself, else its canonical JSON.

    Raises:
        SuiteError: the value is a list or a mapping.
    """
    if isinstance(value, Mapping | list | tuple):
        raise SuiteError(
            f"{reference} inside longer text is not a scalar",
            expected="text, a number, true, false or null",
            hint=f"refer to one of its fields: {str(reference)[:-1]}.id}}",
        )
    return value if isinstance(value, str) else canonical_json(value).decode()


def references(node: Node) -> set[Reference]:
    """All references that stand in a node."""
    if isinstance(node, dict):
        return set().union(*(references(item) for item in node.values()))
    if isinstance(node, list):
        return set().union(*(references(item) for item in node))
    if isinstance(node, Joined):
        return {piece for piece in node.pieces if isinstance(piece, Reference)}
    return {node} if isinstance(node, Reference) else set()


def _nothing(reference: Reference, depth: int, found: object) -> SuiteError:
    known = [str(key) for key in found] if isinstance(found, Mapping) else []
    at = ".".join(reference.names[:depth])
    identity = found.get("id") if isinstance(found, Mapping) and depth else None
    near = nearest(reference.names[depth], known)
    suggestion = Reference((*reference.names[:depth], *near))
    return SuiteError(
        f"{reference} refers to nothing"
        + (f": `{at}`" + (f" ({identity})" if identity is not None else "") if at else ""),
        expected="one of " + ", ".join(known) if known else "a value with fields",
        found=reference.names[depth],
        hint=f"did you mean {suggestion}?" if near else None,
    )


def _join(pieces: list[str | Reference]) -> Constant | Reference | Joined:
    joined: list[str | Reference] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    if not joined or (len(joined) == 1 and isinstance(joined[0], str)):
        return Constant(joined[0] if joined else "")
    return (
        joined[0] if len(joined) == 1 and isinstance(joined[0], Reference) else Joined((*joined,))
    )


class _Compiler:
    def __init__(
        self,
        tree: Mapping[str, object],
        roots: Collection[str],
        where: Callable[[KeyPath], str],
        self_name: str,
    ) -> None:
        self._tree = tree
        self._roots = roots
        self._where = where
        self._self_name = self_name
        self._chain: list[Reference] = []

    def mapping(self, tree: Mapping[str, object], path: KeyPath) -> dict[str, Node]:
        return {key: self._node(value, (*path, key)) for key, value in tree.items()}

    def _node(self, value: object, path: KeyPath) -> Node:
        if isinstance(value, Mapping):
            return self.mapping(value, path)
        if isinstance(value, list | tuple):
            return [self._node(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return Constant(value)
        node = parse(value, self._where(path)) if "${" in value else Constant(value)
        if isinstance(node, Reference):
            return self._inline(node, path)
        if isinstance(node, Joined):
            pieces = [
                inner
                for piece in node.pieces
                for inner in ([piece] if isinstance(piece, str) else self._text(piece, path))
            ]
            return _join(pieces)
        return node

    def _text(self, reference: Reference, path: KeyPath) -> list[str | Reference]:
        target = self._inline(reference, path)
        if isinstance(target, Reference):
            return [target]
        if isinstance(target, Joined):
            return list(target.pieces)
        value = target.value if isinstance(target, Constant) else target
        try:
            return [as_text(value, reference)]
        except SuiteError as error:
            error.where = self._where(path)
            raise

    def _inline(self, reference: Reference, path: KeyPath) -> Node:
        root, *fields = reference.names
        if root != self._self_name:
            if root not in self._roots:
                known = dict.fromkeys([*self._roots, self._self_name])
                error = _nothing(reference, 0, known)
                error.where = self._where(path)
                raise error
            return reference
        if reference in self._chain:
            circle = [*self._chain[self._chain.index(reference) :], reference]
            raise SuiteError(
                "references in a circle",
                where=self._where(path),
                found=" -> ".join(map(str, circle)),
                hint="replace one of them by its value",
            )
        try:
            target = look_up(reference, {self._self_name: self._tree})
        except SuiteError as error:
            error.where = self._where(path)
            raise
        self._chain.append(reference)
        node = self._node(target, (*fields,))
        self._chain.pop()
        return node
