"""What stands for an object of the program in the process that judges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., Any]  # ask(do, target, arguments, named)

# Not in the objects: what tests hand to the program, `"{0.x}".format`, finds no way on from them.
_STATES: dict[int, tuple[Ask, dict[str, Any], str]] = {}


def remote(ask: Ask, target: dict[str, Any], kind: str = "") -> Remote:
    """A stand-in for what a target names, of a kind as the program tells it."""
    made = Remote()
    _STATES[id(made)] = (ask, target, kind)
    return made


def target_of(one: Remote) -> dict[str, Any]:
    """What a stand-in stands for."""
    return _STATES[id(one)][1]


def is_remote(value: object) -> bool:
    """Whether a value is a stand-in, whatever it says itself."""
    return type(value) is Remote


def _ask(one: Remote, do: str, *arguments: Any, **named: Any) -> Any:
    ask, target, _ = _STATES[id(one)]
    return ask(do, target, arguments, named)


class Remote:
    """Stands for an object of the program: it can be called, asked for attributes, items, a length.

    It equals an object of the same class and state, has no arithmetic and no order, and is true: no
    method of the program takes part in a comparison.
    """

    __slots__ = ()

    def __del__(self) -> None:
        _STATES.pop(id(self), None)

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        """Call it there."""
        return _ask(self, "call", *arguments, **named)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            target = _STATES[id(self)][1]
            if name in ("__name__", "__qualname__") and "name" in target:
                return target["name"].rpartition(".")[2]
            raise AttributeError(name)
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "setattr", name, value)

    def __getitem__(self, key: Any) -> Any:
        return _ask(self, "getitem", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _ask(self, "setitem", key, value)

    def __len__(self) -> int:
        found = _ask(self, "len")
        if type(found) is not int:
            raise TypeError("a length that is no int")
        return found

    def __iter__(self) -> Any:
        return _ask(self, "iter")

    def __next__(self) -> Any:
        return _ask(self, "next")

    def __str__(self) -> str:
        return str(_ask(self, "str"))

    def __repr__(self) -> str:
        return str(_ask(self, "repr"))

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if not is_remote(other):
            return False
        assert isinstance(other, Remote)
        if target_of(self) == target_of(other):
            return True
        return bool(_ask(self, "state") == _ask(other, "state"))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(_STATES[id(self)][2])

    def __instancecheck__(self, instance: object) -> bool:
        return is_remote(instance) and _ask(self, "isinstance", instance) is True
