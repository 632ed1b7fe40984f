"""A YAML file as plain values, and the line on which each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from harness.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

KeyPath = tuple[str | int, ...]

_TAG: Final = "tag:yaml.org,2002:"
_MOST_VALUES: Final = 1_000_000


@dataclass(frozen=True)
class Source:
    """One YAML document.

    Attributes:
        path: the file, as the user named it.
        value: the document as dicts, lists, str, int, float, bool and None; keys are text, numbers
            are finite, and no key stands twice in one mapping.
    """

    path: Path
    value: Any
    _node: Any = field(repr=False)

    def position(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Line and column (from 1) of a key or list item, or of its nearest ancestor."""
        node, mark = self._node, getattr(self._node, "start_mark", None)
        for part in path:
            step = _child(node, part)
            if step is None:
                break
            mark, node = step[0].start_mark, step[1]
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)

    def where(self, path: Sequence[str | int]) -> str:
        """`file:line` of a key path."""
        return f"{self.path}:{self.position(path)[0]}"

    def holds(self, path: Sequence[str | int]) -> bool:
        """Whether the file itself says something at this key path."""
        node = self._node
        for part in path:
            step = _child(node, part)
            if step is None:
                return False
            node = step[1]
        return True


def read_yaml(path: Path) -> Source:
    """Read a YAML 1.2 file of one document whose top is a mapping.

    Raises:
        SuiteError: the file is missing or unreadable, not UTF-8 or not YAML, has a duplicate key, a
            key that is not text, a number that is not finite, a tag of its own, or another top.
    """
    text = _read_text(path)
    try:
        node = YAML(typ="safe", pure=True).compose(text)
        value = _Builder(path).build(node) if node is not None else None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        tab = "\\t" in str(error.problem)
        raise SuiteError(
            f"not YAML: {'a tab where spaces are expected' if tab else error.problem}",
            where=f"{path}:{mark.line + 1}" if mark else str(path),
            hint="indent with spaces: YAML does not allow tabs there" if tab else None,
        ) from None
    except YAMLError as error:
        # Of ruamel's errors only the reader's, about control characters, has no mark.
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        raise SuiteError(
            "a control character, which YAML does not allow", where=f"{path}:{line}"
        ) from None
    except RecursionError:
        raise SuiteError("nested too deeply", where=str(path)) from None
    if not isinstance(value, dict):
        raise SuiteError(
            "not a suite file",
            where=f"{path}:1",
            expected="a mapping of keys to values",
            found="an empty file" if value is None else describe(value),
        )
    return Source(path=path, value=value, _node=node)


def describe(value: object) -> str:
    """A value as an error message shows it: what it is, and its text."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "a mapping of " + (", ".join(map(str, list(value)[:6])) or "nothing")
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    kind = {str: "text", bool: "a truth value", int: "an integer", float: "a number"}
    text = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return f"{text[:80]} ({kind.get(type(value), type(value).__name__)})"


def key_text(path: Sequence[str | int]) -> str:
    """A key path as a person writes it: `tiers.published.axes.model[3].id`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise SuiteError(
            "no such file", where=str(path), hint="`harness suites` lists the suites that are found"
        ) from None
    except OSError as error:
        raise SuiteError(f"cannot be read: {error.strerror}", where=str(path)) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SuiteError(
            "not UTF-8",
            where=f"{path}:{line}",
            expected="UTF-8 text",
            found=f"the byte 0x{raw[error.start]:02x}",
            hint="save the file as UTF-8",
        ) from None


def _child(node: Any, part: str | int) -> tuple[Any, Any] | None:
    """The node to point at and the node to go on from, for one step of a key path."""
    if isinstance(node, MappingNode):
        return next(((key, item) for key, item in node.value if key.value == part), None)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _children(node: Any) -> list[Any]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, SequenceNode) else []


class _Builder:
    """Plain values from nodes. Aliased nodes are built once, so that they cannot blow up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._built: dict[int, Any] = {}
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def build(self, node: Any) -> Any:
        if id(node) in self._built:
            return self._built[id(node)]
        if id(node) in self._open:
            raise self._error(node, "an alias to a value that contains it")
        self._open.add(id(node))
        value = self._value(node)
        self._open.discard(id(node))
        self._built[id(node)] = value
        # Shared values are one in memory, and as many as there are aliases once they are used.
        size = self._sizes[id(node)] = 1 + sum(self._sizes[id(child)] for child in _children(node))
        if size > _MOST_VALUES:
            raise self._error(node, f"more than {_MOST_VALUES:,} values, aliases followed")
        return value

    def _value(self, node: Any) -> Any:
        kind = str(node.ctag).removeprefix(_TAG) if node.ctag else ""
        if isinstance(node, MappingNode) and kind == "map":
            return self._mapping(node)
        if isinstance(node, SequenceNode) and kind == "seq":
            return [self.build(item) for item in node.value]
        if isinstance(node, ScalarNode) and kind in _SCALARS:
            try:
                value = _SCALARS[kind](node.value)
            except UnicodeDecodeError:
                raise self._error(node, "not Unicode text: half of a surrogate pair") from None
            except ValueError:  # text with an explicit tag, such as `!!int x`
                raise self._error(node, "not the number it is tagged as", kind) from None
            if isinstance(value, float) and not isfinite(value):
                raise self._error(
                    node, "a number that is not finite", "a finite number", node.value
                )
            return value
        raise self._error(node, "a YAML tag that suites do not use", "plain YAML", str(node.ctag))

    def _mapping(self, node: Any) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if isinstance(key_node, ScalarNode) and str(key_node.ctag) == f"{_TAG}merge":
                raise self._error(
                    key_node,
                    "a merge key `<<`, which YAML 1.2 does not have",
                    "the keys themselves",
                )
            if not isinstance(key_node, ScalarNode) or not isinstance(self.build(key_node), str):
                raise self._error(
                    key_node, "a key that is not text", "text (quote it)", repr(key)[:80]
                )
            if key in mapping:
                raise self._error(
                    key_node,
                    f"the key `{key}` stands twice in one mapping",
                    found=f"its first on line {lines[key]}",
                    hint="remove or rename one of the two",
                )
            lines[key] = key_node.start_mark.line + 1
            mapping[key] = self.build(value_node)
        return mapping

    def _error(
        self,
        node: Any,
        message: str,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ) -> SuiteError:
        where = f"{self._path}:{node.start_mark.line + 1}"
        return SuiteError(message, where=where, expected=expected, found=found, hint=hint)


def _text(text: str) -> str:
    """Join surrogate pairs, which JSON writes for what is beyond 16 bits."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    return int(text, 0) if digits[:2].lower() in ("0x", "0o", "0b") else int(text)


_SCALARS: Final[dict[str, Callable[[str], Any]]] = {
    "str": _text,
    "timestamp": str,  # YAML 1.2 has no dates; ruamel resolves them nevertheless
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
}
