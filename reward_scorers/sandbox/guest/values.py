"""Values between processes that do not trust each other: JSON, with a tag where JSON has no type.

What is read are builtin types and nothing else: whoever reads constructs them itself, so that no
code, no class and no method of the writer comes along. Text, True, None and finite numbers stand
for themselves and a list for a list; {"t": [...]} is a tuple, and so on, see `_TAGS`.

An object of another type travels only where `write_other` and `read_other` know how.
"""

import collections
import json
from binascii import a2b_base64, b2a_base64

MAX_DIGITS = 100_000  # a longer integer is no value: reading it takes quadratic time


class NoValue(Exception):  # noqa: N818 - it says what is
    """A value that cannot be written, or a text that is none."""


def dumps(tree):
    """The text of a tree that a `Writer` has made."""
    try:
        return json.dumps(tree, separators=(",", ":")).encode("ascii")
    except (RecursionError, ValueError, TypeError) as error:
        raise NoValue(f"cannot be written: {error}") from None


def loads(data):
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

    def write(self, value):
        """The tree of a value.

        Raises:
            NoValue: it holds an object of another type, or is nested too deeply.
        """
        try:
            return self._write(value)
        except RecursionError:
            raise NoValue("nested too deeply") from None

    def _write(self, value):
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is list:
            if _PLAIN.issuperset(map(type, value)):
                return value
            return [self._write(item) for item in value]
        if kind is int:
            return value if -(1 << 63) < value < 1 << 63 else {"i": _hexadecimal(value)}
        writer = _WRITERS.get(kind) or _LATE.get((kind.__module__, kind.__qualname__))
        return self.write_other(value) if writer is None else writer(self, value)

    def write_other(self, value):
        """The tree of an object that is no builtin value."""
        raise NoValue(f"an object of type {type(value).__name__!r}")


class Reader:
    """Makes values of trees."""

    def read(self, tree):
        """The value of a tree.

        Raises:
            NoValue: it is none.
        """
        try:
            return self._read(tree)
        except NoValue:
            raise
        # Whatever a hostile writer may make of it.
        except (RecursionError, ValueError, TypeError, KeyError, ArithmeticError) as error:
            raise NoValue(f"not a value: {type(error).__name__}") from None

    def _read(self, tree):
        kind = type(tree)
        if kind is list:
            if _FLAT.issuperset(map(type, tree)):
                return tree
            return [self._read(item) for item in tree]
        if kind is not dict:
            return tree
        ((tag, content),) = tree.items()
        reader = _TAGS.get(tag)
        return self.read_other(tag, content) if reader is None else reader(self, content)

    def read_other(self, tag, content):
        """The object behind a tag that stands for no builtin value."""
        raise NoValue(f"unknown tag {tag!r}")


_PLAIN = frozenset({str, float, bool, type(None)})
_FLAT = _PLAIN | {int}


def _hexadecimal(value):
    if value.bit_length() > 4 * MAX_DIGITS:
        raise NoValue("an integer that is too long")
    return hex(value)


def _integer(reader, content):
    if len(content) > MAX_DIGITS + 3:
        raise NoValue("an integer that is too long")
    return int(content, 16)


def _items(tag):
    return lambda writer, value: {tag: [writer._write(item) for item in value]}


def _pairs(tag):
    return lambda writer, value: {
        tag: [[writer._write(key), writer._write(item)] for key, item in value.items()]
    }


def _read_pairs(make):
    return lambda reader, content: make(
        [(reader._read(key), reader._read(item)) for key, item in content]
    )


def _sequence(make):
    return lambda reader, content: make([reader._read(item) for item in content])


def _bytes(tag):
    return lambda writer, value: {tag: b2a_base64(value, newline=False).decode("ascii")}


def _moment(tag):
    return lambda writer, value: {tag: value.isoformat()}


_WRITERS = {
    tuple: _items("t"),
    set: _items("s"),
    frozenset: _items("f"),
    dict: _pairs("d"),
    bytes: _bytes("b"),
    bytearray: _bytes("ba"),
    complex: lambda writer, value: {"c": [value.real, value.imag]},
    range: lambda writer, value: {"r": [value.start, value.stop, value.step]},
    collections.deque: _items("dq"),
    collections.Counter: _pairs("ct"),
    collections.OrderedDict: _pairs("od"),
    collections.defaultdict: _pairs("d"),
    type({}.keys()): lambda writer, value: {"f": [writer._write(item) for item in value]},
    type({}.values()): lambda writer, value: {"l": [writer._write(item) for item in value]},
    type({}.items()): lambda writer, value: {"f": [writer._write(item) for item in value]},
}

# Types of modules that few programs import. Which class it is does not matter here: it is the
# reader that makes a value of the right one.
_LATE = {
    ("decimal", "Decimal"): lambda writer, value: {"de": str(value)},
    ("fractions", "Fraction"): lambda writer, value: {
        "fr": [writer._write(value.numerator), writer._write(value.denominator)]
    },
    ("datetime", "datetime"): _moment("dt"),
    ("datetime", "date"): _moment("da"),
    ("datetime", "time"): _moment("ti"),
    ("datetime", "timedelta"): lambda writer, value: {
        "td": [value.days, value.seconds, value.microseconds]
    },
}


def _decimal(reader, content):
    import decimal

    return decimal.Decimal(content)


def _fraction(reader, content):
    import fractions

    return fractions.Fraction(*map(reader._read, content))


def _read_moment(kind):
    def read(reader, content):
        import datetime

        return getattr(datetime, kind).fromisoformat(content)

    return read


def _duration(reader, content):
    import datetime

    return datetime.timedelta(*content)


_TAGS = {
    "i": _integer,
    "l": _sequence(list),
    "t": _sequence(tuple),
    "s": _sequence(set),
    "f": _sequence(frozenset),
    "d": _read_pairs(dict),
    "b": lambda reader, content: a2b_base64(content, strict_mode=True),
    "ba": lambda reader, content: bytearray(a2b_base64(content, strict_mode=True)),
    "c": lambda reader, content: complex(*content),
    "r": lambda reader, content: range(*content),
    "dq": _sequence(collections.deque),
    "ct": _read_pairs(lambda pairs: collections.Counter(dict(pairs))),
    "od": _read_pairs(collections.OrderedDict),
    "de": _decimal,
    "fr": _fraction,
    "dt": _read_moment("datetime"),
    "da": _read_moment("date"),
    "ti": _read_moment("time"),
    "td": _duration,
}
