"""Values between processes that do not trust each other: JSON, with a tag where JSON has no type.

What is read are builtin types and nothing else: whoever reads constructs them itself, so that no
code, no class and no method of the writer comes along. Text, True, None and finite numbers stand
for themselves and a list for a list; {"t": [...]} is a tuple, and so on, see `_TAGS`.

An object of another type travels only where `write_other` and `read_other` know how. What is nested
deeper than `MAX_DEPTH` is no value, on every side and whatever stands on its stack.
"""

from __future__ import annotations

import collections
import json
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Write = Callable[["Writer", Any, int], Any]
    Read = Callable[["Reader", Any, int], Any]

MAX_DEPTH = 150
_MANY = 1_000  # items of a set whose hashes are looked at
_ALIKE = 100  # of many items, as many may have the same hash


class NoValue(Exception):  # noqa: N818 - it says what is
    """A value that cannot be written, or a text that is none."""


def dumps(tree: Any) -> bytes:
    """The text of a tree that a `Writer` has made."""
    try:
        return json.dumps(tree, separators=(",", ":")).encode("ascii")
    except (RecursionError, ValueError, TypeError) as error:
        raise NoValue(f"cannot be written: {error}") from None


def loads(data: bytes) -> Any:
    """The tree of a text.

    Raises:
        NoValue: it is no JSON.
    """
    try:
        return json.loads(data)
    except (RecursionError, ValueError) as error:
        raise NoValue(f"not a value: {error}") from None


class Writer:
    """Writes values as trees of JSON; exact types only: a subclass of int is no int."""

    def write(self, value: Any, depth: int = 0) -> Any:
        """The tree of a value.

        Raises:
            NoValue: it holds an object of another type, or is nested too deeply.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        if depth > MAX_DEPTH:
            raise NoValue("nested too deeply")
        if kind is list:
            if _is_flat(value):
                return value
            return [self.write(item, depth + 1) for item in value]
        if kind is int:
            return value if -_LARGE < value < _LARGE else {"i": hex(value)}
        writer = _WRITERS.get(kind) or _LATE.get((kind.__module__, kind.__qualname__))
        return self.write_other(value) if writer is None else writer(self, value, depth + 1)

    def write_other(self, value: Any) -> Any:
        """The tree of an object that is no builtin value."""
        raise NoValue(f"an object of type {type(value).__name__!r}")


class Reader:
    """Makes values of trees."""

    def read(self, tree: Any) -> Any:
        """The value of a tree.

        Raises:
            NoValue: it is none.
        """
        try:
            return self._read(tree, 0)
        except NoValue:
            raise
        # Whatever a hostile writer may make of it.
        except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise NoValue(f"not a value: {type(error).__name__}") from None

    def _read(self, tree: Any, depth: int) -> Any:
        kind = type(tree)
        if kind is list:
            if _FLAT.issuperset(map(type, tree)):
                return tree
            return self._items(tree, depth)
        if kind is not dict:
            return tree
        if depth > MAX_DEPTH:
            raise NoValue("nested too deeply")
        ((tag, content),) = tree.items()
        reader = _TAGS.get(tag)
        return self.read_other(tag, content) if reader is None else reader(self, content, depth + 1)

    def _items(self, trees: Any, depth: int) -> list[Any]:
        if depth > MAX_DEPTH:
            raise NoValue("nested too deeply")
        if type(trees) is not list:
            raise NoValue("not a value: a list was expected")
        return [self._read(tree, depth + 1) for tree in trees]

    def read_other(self, tag: str, content: Any) -> Any:
        """The object behind a tag that stands for no builtin value."""
        raise NoValue(f"unknown tag {tag!r}")


_PLAIN = frozenset({str, float, bool, type(None)})
_FLAT = _PLAIN | {int}


# Python reads and writes decimal integers in quadratic time, and none of more than 4,300 digits.
_LARGE = 1 << 2_000


def _is_flat(items: list[Any]) -> bool:
    """Whether a list needs no tag for any of its items; most lists are of numbers or texts."""
    kinds = set(map(type, items))
    if int not in kinds or not kinds <= _FLAT:
        return kinds <= _PLAIN
    if kinds == {int}:
        return bool(min(items) > -_LARGE and max(items) < _LARGE)
    return all(-_LARGE < item < _LARGE for item in items if type(item) is int)


def _integer(reader: Reader, content: Any, depth: int) -> int:
    return int(content, 16)


def _unlike(items: Collection[Any]) -> Collection[Any]:
    """Items of a set, or keys, that were not made to have the same hash.

    Thirty thousand of those would take minutes, in which no other thread could do anything.
    """
    if len(items) > _MANY:
        hashes = sorted(map(hash, items))
        if any(one == other for one, other in zip(hashes, hashes[_ALIKE:], strict=False)):
            raise NoValue("a set of items that have the same hash")
    return items


def _items(tag: str) -> Write:
    return lambda writer, value, depth: {tag: [writer.write(item, depth) for item in value]}


def _pairs(tag: str) -> Write:
    return lambda writer, value, depth: {
        tag: [[writer.write(key, depth), writer.write(item, depth)] for key, item in value.items()]
    }


def _read_pairs(make: Callable[[Any], Any]) -> Read:
    def read(reader: Reader, content: Any, depth: int) -> Any:
        pairs = [(reader._read(key, depth), reader._read(item, depth)) for key, item in content]
        _unlike([key for key, _ in pairs])
        return make(pairs)

    return read


def _sequence(make: Callable[[Any], Any]) -> Read:
    return lambda reader, content, depth: make(reader._items(content, depth))


def _set(make: Callable[[Any], Any]) -> Read:
    return lambda reader, content, depth: make(_unlike(reader._items(content, depth)))


def _bytes(tag: str) -> Write:
    return lambda writer, value, depth: {tag: b2a_base64(value, newline=False).decode("ascii")}


def _moment(tag: str) -> Write:
    return lambda writer, value, depth: {tag: value.isoformat()}


def _arguments(tag: str, *names: str) -> Write:
    return lambda writer, value, depth: {
        tag: [writer.write(getattr(value, name), depth) for name in names]
    }


# Of a defaultdict that makes anything else, the other side has one that makes nothing.
_FACTORIES: dict[Any, str] = {
    kind: kind.__name__ for kind in (int, float, bool, str, list, dict, set, tuple)
}
_MAKERS = {name: kind for kind, name in _FACTORIES.items()}

_WRITERS: dict[type, Write] = {
    tuple: _items("t"),
    set: _items("s"),
    frozenset: _items("f"),
    dict: _pairs("d"),
    bytes: _bytes("b"),
    bytearray: _bytes("ba"),
    complex: _arguments("c", "real", "imag"),
    range: _arguments("r", "start", "stop", "step"),
    collections.deque: _items("dq"),
    collections.Counter: _pairs("ct"),
    collections.OrderedDict: _pairs("od"),
    collections.defaultdict: lambda writer, value, depth: {
        "dd": [_FACTORIES.get(value.default_factory), _pairs("d")(writer, value, depth)["d"]]
    },
    type({}.keys()): _items("dk"),
    type({}.values()): _items("dv"),
    type({}.items()): _items("di"),
    slice: _arguments("sl", "start", "stop", "step"),
}

# Types of modules that few programs import. Which class it is does not matter here: it is the
# reader that makes a value of the right one.
_LATE: dict[tuple[str, str], Write] = {
    ("decimal", "Decimal"): lambda writer, value, depth: {"de": str(value)},
    ("fractions", "Fraction"): _arguments("fr", "numerator", "denominator"),
    ("datetime", "datetime"): _moment("dt"),
    ("datetime", "date"): _moment("da"),
    ("datetime", "time"): _moment("ti"),
    ("datetime", "timedelta"): _arguments("td", "days", "seconds", "microseconds"),
}


def _decimal(reader: Reader, content: Any, depth: int) -> Any:
    import decimal

    return decimal.Decimal(content)


def _fraction(reader: Reader, content: Any, depth: int) -> Any:
    import fractions

    return fractions.Fraction(*[reader._read(item, depth) for item in content])


def _read_moment(kind: str) -> Read:
    def read(reader: Reader, content: Any, depth: int) -> Any:
        import datetime

        return getattr(datetime, kind).fromisoformat(content)

    return read


def _duration(reader: Reader, content: Any, depth: int) -> Any:
    import datetime

    return datetime.timedelta(*content)


def _read_bytes(make: Callable[[bytes], Any]) -> Read:
    return lambda reader, content, depth: make(a2b_base64(content, strict_mode=True))


_TAGS: dict[str, Read] = {
    "i": _integer,
    "l": _sequence(list),
    "t": _sequence(tuple),
    "s": _set(set),
    "f": _set(frozenset),
    "d": _read_pairs(dict),
    "b": _read_bytes(bytes),
    "ba": _read_bytes(bytearray),
    "c": _sequence(lambda items: complex(*items)),
    "r": _sequence(lambda items: range(*items)),
    "dq": _sequence(collections.deque),
    "dd": lambda reader, content, depth: collections.defaultdict(
        _MAKERS.get(content[0]), _TAGS["d"](reader, content[1], depth)
    ),
    "dk": _set(lambda items: dict.fromkeys(items).keys()),
    "dv": _sequence(lambda items: dict(enumerate(items)).values()),
    "di": _sequence(lambda pairs: dict(pairs).items()),
    "sl": _sequence(lambda items: slice(*items)),
    "ct": _read_pairs(lambda pairs: collections.Counter(dict(pairs))),
    "od": _read_pairs(collections.OrderedDict),
    "de": _decimal,
    "fr": _fraction,
    "dt": _read_moment("datetime"),
    "da": _read_moment("date"),
    "ti": _read_moment("time"),
    "td": _duration,
}
