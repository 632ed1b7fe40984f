"""The canonical bytes of many documents that differ in the values of a few axes only.

Everything that no axis can change is spelt once; each place that an axis fills has one text for
each of the axis's values. A document is then one join.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from harness.errors import SuiteError
from harness.spec.identity import canonical_json
from harness.spec.reference import Constant, Joined, Node, Reference, as_text, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.spec.space import Point


@dataclass(frozen=True, slots=True)
class Computed:
    """A value that follows from the value of one axis."""

    axis: str
    value: Callable[[Mapping[str, object]], object]


Tree: TypeAlias = "Node | Computed | Mapping[str, Tree]"


class Fragments:
    """The texts of one tree for every point of some axes.

    Args:
        tree: mappings, lists, values, and references whose first name is an axis.
        axes: the axes' names.
        values: the values of each axis.
    """

    def __init__(self, tree: Tree, axes: Sequence[str], values: Sequence[Sequence[object]]) -> None:
        self._axes = axes
        self._values = values
        self._row: list[bytes] = []
        self._holes: list[tuple[int, int, list[bytes | None]]] = []
        self._spell(tree)

    def text(self, point: Point) -> bytes | None:
        """Canonical JSON of the tree at one point; None where a reference finds nothing."""
        row = self._row
        for place, axis, texts in self._holes:
            text = texts[point[axis]]
            if text is None:
                return None
            row[place] = text
        return b"".join(row)

    def _spell(self, tree: Tree) -> None:
        if isinstance(tree, Mapping):
            for place, key in enumerate(sorted(tree)):
                self._add((b"," if place else b"{") + canonical_json(key) + b":")
                self._spell(tree[key])
            self._add(b"}" if tree else b"{}")
        elif isinstance(tree, list):
            for place, item in enumerate(tree):
                self._add(b"," if place else b"[")
                self._spell(item)
            self._add(b"]" if tree else b"[]")
        elif isinstance(tree, Constant):
            self._add(canonical_json(tree.value))
        elif isinstance(tree, Reference):
            self._hole(tree.names[0], lambda values: canonical_json(look_up(tree, values)))
        elif isinstance(tree, Computed):
            self._hole(tree.axis, lambda values: canonical_json(tree.value(values)))
        else:
            self._spell_joined(tree)

    def _spell_joined(self, joined: Joined) -> None:
        # JSON escapes character by character, so that the parts of a text can be spelt apart.
        self._add(b'"')
        for piece in joined.pieces:
            if isinstance(piece, str):
                self._add(canonical_json(piece)[1:-1])
            else:
                self._hole(piece.names[0], _inside_text(piece))
        self._add(b'"')

    def _add(self, text: bytes) -> None:
        if self._row and (not self._holes or self._holes[-1][0] < len(self._row) - 1):
            self._row[-1] += text
        else:
            self._row.append(text)

    def _hole(self, axis: str, text: Callable[[Mapping[str, object]], bytes]) -> None:
        number = self._axes.index(axis)
        texts: list[bytes | None] = []
        for value in self._values[number]:
            try:
                texts.append(text({axis: value}))
            except SuiteError:  # an error only if a cell has this value
                texts.append(None)
        self._holes.append((len(self._row), number, texts))
        self._row.append(b"")


def _inside_text(reference: Reference) -> Callable[[Mapping[str, object]], bytes]:
    return lambda values: canonical_json(as_text(look_up(reference, values), reference))[1:-1]
