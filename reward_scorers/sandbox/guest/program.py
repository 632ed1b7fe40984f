"""The untrusted process: it runs a program and answers calls of what the program defines.

Nothing that this module says can be trusted once the program has run, for it shares a process with
it. So it says nothing but values and exceptions; whether they are right is decided elsewhere.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import importlib
import linecache
import operator
import os
import sys
import types
from typing import TYPE_CHECKING, Any, NoReturn

from . import values, wire
from .arrays import array, is_known
from .names import line_in
from .objects import ObjectWriter, blank, is_plain, set_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FILE = "<program>"
_LONGEST_MESSAGE = 300
_FRAMES = 30  # of ours that a program's stand on: what it may recurse is not less for them
_NOT_ASKED = bytes(16)  # in place of a nonce: the first message, a callback, and its reply

# How a program ended, as exit codes of its process.
ENDED, RAISED, OUT_OF_MEMORY, EXITED = 0, 101, 102, 103


def choose(sources: Sequence[str]) -> int:
    """The place of the first text that Python can compile, 0 if it can compile none.

    Nothing is run.
    """
    for place, source in enumerate(sources):
        try:
            compile(source, FILE, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return place
    return 0


def run_script(source: str) -> NoReturn:
    """Run a program as `python program.py` does, and end this process."""
    module = types.ModuleType("__main__")
    code = ENDED
    try:
        _execute(source, module)
    except SystemExit as error:
        code = ENDED if error.code in (None, 0) else EXITED
    except MemoryError:
        code = OUT_OF_MEMORY
    except BaseException as error:  # whatever a program raises
        _tell(error)
        code = RAISED
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()  # waits for threads, as the interpreter does
        atexit._run_exitfuncs()
        # Files that it has left open are written out when nothing refers to them any more.
        vars(module).clear()
        gc.collect()
    except BaseException:
        code = code or RAISED
    for stream in (sys.stdout, sys.__stdout__):
        try:
            if stream is not None:
                stream.flush()
        except BaseException:  # the program has closed it
            pass
    os._exit(code)


def serve(source: str, prefix: str, line: wire.Line) -> NoReturn:
    """Run a program as a module, then answer calls until the other side closes.

    Args:
        source: the program.
        prefix: trusted source that runs before it, in the same module.
        line: where questions come from; the first message says what running it came to.
    """
    guest = Guest(types.ModuleType("solution"), line)
    try:
        guest.load(prefix, source)
        while True:
            guest.answer(*guest.next_message())
    except wire.Gone:
        pass
    finally:
        os._exit(0)


def open_streams() -> None:
    """Make the standard streams of programs, in the warm parent, which never uses them itself."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = open(  # noqa: SIM115
            descriptor, mode, encoding="utf-8", errors="replace", newline="\n", closefd=False
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def add_site_builtins() -> None:
    """What the module site, which is not loaded, would add: scripts call exit()."""

    def leave(code: object = None) -> NoReturn:
        raise SystemExit(code)

    builtins.exit = builtins.quit = leave  # type: ignore[assignment]


def described(error: BaseException) -> str:
    """An exception's type, message and line of the program."""
    line = line_in(FILE, error)
    if isinstance(error, SyntaxError) and error.filename == FILE:
        line = error.lineno
    place = "" if line is None else f" (line {line})"
    try:
        message = str(error.msg if isinstance(error, SyntaxError) else error)
    except BaseException:
        message = ""
    return f"{type(error).__name__}: {message[:_LONGEST_MESSAGE]}{place}"


def _execute(source: str, module: types.ModuleType) -> None:
    sys.modules[module.__name__] = module
    module.__file__ = f"{os.getcwd()}/solution.py"
    vars(module)["__builtins__"] = builtins
    sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES)
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)


def _tell(error: BaseException) -> None:
    """The last words of a program, on its standard error."""
    try:
        sys.stderr.write(f"{described(error)}\n")
        sys.stderr.flush()
    except BaseException:
        pass


class Guest(ObjectWriter, values.Reader):
    """A program's module, and the objects of it that the other side has handles of."""

    def __init__(self, module: types.ModuleType, line: wire.Line) -> None:
        super().__init__()
        self._module, self._line = module, line
        self._objects: list[Any] = []
        self._places: dict[int, int] = {}  # id -> handle; the objects live in the list
        self._shared: set[str] = set()  # classes of the prefix, whose objects travel by value
        self._made: list[Any] = []

    def load(self, prefix: str, source: str) -> None:
        """Run the program and say what came of it."""
        try:
            if prefix:
                sys.modules[self._module.__name__] = self._module
                exec(compile(prefix, "<prefix>", "exec", dont_inherit=True), vars(self._module))
                self._shared = {
                    name
                    for name, value in vars(self._module).items()
                    if isinstance(value, type) and value.__module__ == self._module.__name__
                }
            _execute(source, self._module)
        except BaseException as error:
            self._say(_NOT_ASKED, {"raised": _told(error)})
            return
        names = {n: item for n, item in vars(self._module).items() if not n.startswith("__")}
        errors = {
            name: [kind.__name__ for kind in item.__mro__]
            for name, item in names.items()
            if isinstance(item, type) and issubclass(item, BaseException)
        }
        plain = [name for name, item in names.items() if not callable(item)]
        self._say(_NOT_ASKED, {"names": list(names), "values": plain, "errors": errors})

    def next_message(self) -> tuple[bytes, Any]:
        """A nonce and what was asked with it.

        Raises:
            Gone: the other side has closed.
        """
        head = self._line.receive(20)
        length = int.from_bytes(head[16:], "big")
        return head[:16], values.loads(self._line.receive(length))

    def answer(self, nonce: bytes, question: Mapping[str, Any]) -> None:
        """Answer a question."""
        try:
            reply = self._do(question)
        except BaseException as error:
            reply = {"raised": _told(error)}
        self._say(nonce, reply)

    def _say(self, nonce: bytes, reply: Any) -> None:
        try:
            data = values.dumps(reply)
        except values.NoValue as error:
            data = values.dumps({"raised": ["ValueError", ["ValueError"], str(error)]})
        self._line.send(nonce + len(data).to_bytes(4, "big") + data)

    def _do(self, question: Mapping[str, Any]) -> dict[str, Any]:
        self._make(question.get("table", []))
        came = list(self._made)
        target = self._target(question)
        arguments = [self.read(tree) for tree in question.get("args", [])]
        named = {name: self.read(tree) for name, tree in question.get("kwargs", {}).items()}
        found = _OPERATIONS[question["do"]](target, *arguments, **named)
        # Objects that came with the question stand first: the other side has them.
        self.open_table(came)
        reply = {"value": self.write(found)}
        if question.get("watch"):
            # What the call did to its arguments, which stay with the other side.
            reply["args"] = [self.write(argument) for argument in (*arguments, *named.values())]
        reply["table"] = self.rows()  # last: writing an object may find further ones
        return reply

    def _target(self, question: Mapping[str, Any]) -> Any:
        if "handle" in question:
            return self._objects[question["handle"]]
        found: Any = self._module
        for name in question["name"].split("."):
            found = found() if name == "()" else getattr(found, name)
        return found

    # -- objects that are no builtin values

    def write_other(self, value: Any) -> Any:
        """An object of the prefix's classes by its place in the table, another one by a handle."""
        kind = type(value)
        if self.knows(value) or (kind.__name__ in self._shared and is_plain(kind)):
            return self.place(value)
        if kind.__module__ == "numpy" and kind.__name__ != "matrix" and _is_array(value):
            flat = self.write(value.ravel().tolist())
            return {"np": [value.dtype.str, list(value.shape), flat]}
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self._objects)
            self._objects.append(value)
        return {"h": [place, kind.__name__, *self._builtin_part(value)]}

    def _builtin_part(self, value: Any) -> list[Any]:
        """What an object of a subclass is besides, unless its class says itself what it equals."""
        for base in _BASES:
            if isinstance(value, base):
                if type(value).__eq__ is not base.__eq__:
                    return []
                return [self.write(base(value))]
        return []

    def read_other(self, tag: str, content: Any) -> Any:
        """An object of which the other side has a handle, a function of the other side, ..."""
        if tag == "h":
            return self._objects[content]
        if tag == "n":
            module, name = content
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
            return found
        if tag == "x":
            return self._callback(content)
        if tag == "xi":
            return _Iterator(self._callback(content))
        if tag == "o":
            return self._made[content]
        if tag == "np":
            return array(content[0], content[1], self.read(content[2]))
        return super().read_other(tag, content)

    def _make(self, table: Sequence[Any]) -> None:
        """The objects of a message's table, which may refer to each other in a circle."""
        made: list[Any] = []
        for name, _ in table:
            kind = getattr(self._module, name, None)
            made.append(blank(kind) if is_plain(kind) else type(name, (), {})())
        self._made = made
        for value, (_, state) in zip(made, table, strict=True):
            set_state(value, {name: self.read(tree) for name, tree in state.items()})

    def _callback(self, handle: int) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.open_table()
            told: dict[str, Any] = {"callback": handle}
            told["args"] = [self.write(item) for item in arguments]
            told["kwargs"] = {name: self.write(item) for name, item in named.items()}
            self._say(_NOT_ASKED, told | {"table": self.rows()})
            while "do" in (message := self.next_message())[1]:
                self.answer(*message)  # the function calls the program in its turn
            reply = message[1]
            if "raised" in reply:
                name, words = reply["raised"]
                raise getattr(builtins, name)(*words)
            self._make(reply["table"])
            return self.read(reply["value"])

        call.__name__ = call.__qualname__ = "function_of_the_tests"
        return call


class _Iterator:
    """An iterator of the tests."""

    def __init__(self, following: Callable[[], Any]) -> None:
        self._following = following

    def __iter__(self) -> _Iterator:
        return self

    def __next__(self) -> Any:
        return self._following()


# What a subclass may be besides; bool cannot have one.
_BASES: tuple[Any, ...] = (int, float, str, bytes, tuple, list, dict, set, frozenset)


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and is_known(value.dtype.str)


def _told(error: BaseException) -> list[Any]:
    """An exception: names of its classes, a line about it, and what it was made with."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    try:
        made_with = [values.Writer().write(item) for item in error.args]
        values.dumps(made_with)
    except BaseException:
        made_with = []
    return [kinds, described(error), made_with]


def _set_item(target: Any, key: Any, value: Any) -> None:
    target[key] = value


def _delete_item(target: Any, key: Any) -> None:
    del target[key]


def _exit(target: Any, kind: str | None) -> bool:
    error = None if kind is None else getattr(builtins, kind, Exception)
    return bool(type(target).__exit__(target, error, None, None))


def _call(target: Any, /, *arguments: Any, **named: Any) -> Any:
    return target(*arguments, **named)


_BOTH = (
    *("eq", "lt", "le", "gt", "ge", "add", "sub", "mul", "matmul", "truediv", "floordiv", "mod"),
    *("and_", "or_", "xor"),
)

# What the other side may ask of an object. Nothing here sends it a test's expectation: operators
# are for two objects of the program.
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": _call,
    "get": lambda target: target,
    "getattr": getattr,
    "setattr": setattr,
    "getitem": lambda target, key: target[key],
    "setitem": _set_item,
    "delitem": _delete_item,
    "len": len,
    "iter": iter,
    "next": next,
    "str": str,
    "repr": repr,
    "bool": bool,
    "int": int,
    "float": float,
    "enter": lambda target: type(target).__enter__(target),
    "exit": _exit,
    "isinstance": lambda target, value: isinstance(value, target),
    **{name: getattr(operator, name) for name in _BOTH},
}
