"""What stands for an object of the program in the process that judges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., Any]  # ask(do, target, arguments, named)

# Not in the objects: what tests hand to the program, `"{0.x}".format`, finds no way on from them.
_STATES: dict[int, tuple[Ask, dict[str, Any], str, Any]] = {}
_TOLD = frozenset({"__class__", "__doc__", "__name__", "__qualname__", "__annotations__"})


def remote(ask: Ask, target: dict[str, Any], kind: str = "", value: Any = ...) -> Remote:
    """A stand-in.

    Args:
        ask: asks the program's process.
        target: what it stands for, there.
        kind: the name of its class, as the program tells it.
        value: the builtin value that it is besides, as a named tuple is a tuple.
    """
    made = Remote()
    _STATES[id(made)] = (ask, target, kind, value)
    return made


def target_of(one: Remote) -> dict[str, Any]:
    """What a stand-in stands for."""
    return _STATES[id(one)][1]


def is_remote(value: object) -> bool:
    """Whether a value is a stand-in, whatever it says itself."""
    return type(value) is Remote


def _ask(one: Remote, do: str, *arguments: Any, **named: Any) -> Any:
    ask, target, _, _ = _STATES[id(one)]
    return ask(do, target, arguments, named)


def _exact(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


def _both(do: str) -> Callable[[Remote, Any], Any]:
    """An operator, for two objects of the program only: it learns nothing that a test expects."""

    def operate(self: Remote, other: Any) -> Any:
        return _ask(self, do, other) if is_remote(other) else NotImplemented

    return operate


class Remote:
    """Stands for an object of the program: it can be called, asked for attributes, items, a length.

    A comparison with anything of the test's is not the program's to decide: an object of it equals
    a builtin value only if it is one besides, and has no order and no arithmetic but with another
    object of the program.
    """

    __slots__ = ()

    def __del__(self) -> None:
        _STATES.pop(id(self), None)

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        """Call it there."""
        return _ask(self, "call", *arguments, **named)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name not in _TOLD:
            raise AttributeError(name)
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "setattr", name, value)

    def __getitem__(self, key: Any) -> Any:
        return _ask(self, "getitem", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _ask(self, "setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        _ask(self, "delitem", key)

    def __len__(self) -> int:
        return int(_exact(int, _ask(self, "len")))

    def __iter__(self) -> Any:
        return _ask(self, "iter")

    def __next__(self) -> Any:
        return _ask(self, "next")

    def __enter__(self) -> Any:
        return _ask(self, "enter")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        return bool(_exact(bool, _ask(self, "exit", None if kind is None else kind.__name__)))

    def __str__(self) -> str:
        return str(_exact(str, _ask(self, "str")))

    def __repr__(self) -> str:
        return str(_exact(str, _ask(self, "repr")))

    def __bool__(self) -> bool:
        return bool(_exact(bool, _ask(self, "bool")))

    def __int__(self) -> int:
        return int(_exact(int, _ask(self, "int")))

    def __float__(self) -> float:
        return float(_exact(float, _ask(self, "float")))

    def __eq__(self, other: object) -> bool:
        if not is_remote(other):
            value = _STATES[id(self)][3]
            return value is not ... and bool(value == other)
        assert isinstance(other, Remote)
        return target_of(self) == target_of(other) or _ask(self, "eq", other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        _, _, kind, value = _STATES[id(self)]
        return hash(kind if value is ... else value)

    def __instancecheck__(self, instance: object) -> bool:
        return is_remote(instance) and _ask(self, "isinstance", instance) is True

    __lt__, __le__, __gt__, __ge__ = map(_both, ("lt", "le", "gt", "ge"))
    __add__, __sub__, __mul__, __matmul__ = map(_both, ("add", "sub", "mul", "matmul"))
    __truediv__, __floordiv__, __mod__ = map(_both, ("truediv", "floordiv", "mod"))
    __and__, __or__, __xor__ = map(_both, ("and_", "or_", "xor"))
