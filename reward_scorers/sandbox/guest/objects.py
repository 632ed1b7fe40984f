"""Objects of classes that both sides know, which travel by their state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import values

if TYPE_CHECKING:
    from collections.abc import Sequence

# What is built on one of these has a content besides its attributes, or is made in another way.
_NOT_PLAIN = (BaseException, int, str, float, bytes, list, tuple, dict, set, frozenset)


def is_plain(kind: Any) -> bool:
    """Whether objects of a class are their attributes, and nothing else."""
    return (
        isinstance(kind, type)
        and not issubclass(kind, _NOT_PLAIN)
        and type(kind).__name__ not in ("EnumType", "EnumMeta")
    )


def blank(kind: Any) -> Any:
    """An object of a class that was never initialised."""
    return object.__new__(kind)


def state_of(value: Any) -> dict[str, Any]:
    """The attributes of an object, also those in slots."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def set_state(value: Any, state: dict[str, Any]) -> None:
    """Give an object the attributes of a state, and no other, past what its class does about it."""
    for name in state_of(value).keys() - state.keys():
        object.__delattr__(value, name)
    for name, item in state.items():
        object.__setattr__(value, name, item)


class ObjectWriter(values.Writer):
    """Writes messages with a table of objects, which may refer to each other in a circle."""

    def __init__(self) -> None:
        self._table: list[Any] = []
        self._written: dict[int, int] = {}  # id -> place in the table

    def open_table(self, objects: Sequence[Any] = ()) -> None:
        """Begin a message; of these objects the other side knows the places."""
        self._table = list(objects)
        self._written = {id(value): place for place, value in enumerate(objects)}

    def knows(self, value: Any) -> bool:
        """Whether an object is in the table."""
        return id(value) in self._written

    def place(self, value: Any) -> dict[str, int]:
        """The tree of an object: its place in the table."""
        if id(value) not in self._written:
            self._written[id(value)] = len(self._table)
            self._table.append(value)
        return {"o": self._written[id(value)]}

    def rows(self) -> list[Any]:
        """The table: class and state of each; taken last, for a state may hold further objects."""
        rows: list[Any] = []
        while len(rows) < len(self._table):
            value = self._table[len(rows)]
            state = {name: self.write(item) for name, item in state_of(value).items()}
            rows.append([type(value).__name__, state])
        return rows
