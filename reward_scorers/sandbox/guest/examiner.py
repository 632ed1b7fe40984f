"""Asking the program's process: calls go there as JSON, and plain values come back.

What a test uses of the program are stand-ins (`Remote`). The program never sees what a test
expects, and no method of an object of its own decides a comparison.
"""

from __future__ import annotations

import builtins
import collections
import os
import sys
from _thread import RLock
from typing import TYPE_CHECKING, Any, NoReturn

from . import values, wire
from .arrays import array
from .objects import ObjectWriter, blank, is_plain, set_state
from .remote import is_remote, remote, target_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NOT_ASKED = bytes(16)  # in place of a nonce: a callback, and its reply
_NONSENSE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class Over(BaseException):
    """No further call can be answered; tests cannot catch it, as `except Exception` would."""

    def __init__(self, ending: str, detail: str) -> None:
        super().__init__(ending, detail)
        self.ending, self.detail = ending, detail


class Examiner(ObjectWriter, values.Reader):
    """Asks the program's process.

    Args:
        line: to that process.
        prefix: names of the trusted source that runs before the program, and what they stand for;
            objects of its classes travel by value.
    """

    def __init__(self, line: wire.Line, prefix: Mapping[str, Any]) -> None:
        super().__init__()
        self._line = line
        self._turn = RLock()
        self.limit = line.limit  # how many bytes a reply may have
        self._classes: dict[str, Any] = {
            name: kind
            for name, kind in prefix.items()
            if is_plain(kind) and kind.__module__ == "__main__"  # not what it imports
        }
        self._errors: dict[str, type[Exception]] = {
            name: kind
            for name, kind in prefix.items()
            if isinstance(kind, type) and issubclass(kind, Exception)
        }
        self._callbacks: list[Any] = []
        self._made: list[Any] = []
        self.over: Over | None = None
        self.names: frozenset[str] = frozenset()
        self.values: frozenset[str] = frozenset()  # of those, what cannot be called
        self._told_errors: dict[str, list[str]] = {}
        self.asked = 0  # how many questions were answered

    def begin(self, mark: bytes) -> int:
        """Tell the process to run the program, and give which of its texts it has chosen.

        Raises:
            Over: compiling them has ended it.
        """
        try:
            self._line.send(mark)
            return self._line.receive(1)[0]
        except wire.Gone:
            self._end("gone", "the program ended")
        except wire.Late:
            self._end("timeout", "out of time")

    def start(self) -> None:
        """Wait until the program has been run.

        Raises:
            Over: it raised, or did not come to its end.
        """
        told = self._receive(_NOT_ASKED)
        if "raised" in told:
            error = self._exception(told["raised"])
            ending = "memory" if isinstance(error, MemoryError) else "failed"
            self._end(ending, error.of_program)  # type: ignore[attr-defined]
        names = told.get("names")
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            self._end("violation", "a reply that makes no sense")
        self.names = frozenset(name for name in names if not name.startswith("__"))
        try:
            self.values = self.names.intersection(told["values"])
            self._told_errors = {name: _named(told["errors"][name]) for name in told["errors"]}
        except _NONSENSE:
            self._end("violation", "a reply that makes no sense")

    def named(self, name: str) -> Any:
        """What a name of the program stands for: a value, an exception's class or a stand-in.

        Raises:
            Over
        """
        if name in self._told_errors:
            return self._error_class(self._told_errors[name])
        target = {"name": name}
        return self.ask("get", target) if name in self.values else remote(self.ask, target)

    def ask(
        self,
        do: str,
        target: Mapping[str, Any],
        arguments: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        """Have the program's process do something, and give what comes of it.

        Args:
            do: an operation that the process knows.
            target: {"name": ...} or {"handle": ...}.
            arguments, named: what it is given.

        Raises:
            Over: the process is gone, out of time or has broken the rules.
            Exception: what the program raised, as the nearest builtin exception.
        """
        with self._turn:  # tests may have threads
            return self._ask(do, target, arguments, named)

    def _ask(
        self,
        do: str,
        target: Mapping[str, Any],
        arguments: Sequence[Any],
        named: Mapping[str, Any] | None,
    ) -> Any:
        if self.over is not None:
            raise self.over
        self.open_table()
        trees = [self.write(item) for item in arguments]
        question: dict[str, Any] = {"do": do, "args": trees, **target}
        if named:
            question["kwargs"] = {name: self.write(item) for name, item in named.items()}
        given = [*arguments, *(named or {}).values()]
        trees = [*trees, *question.get("kwargs", {}).values()]
        if do == "call" and any(type(tree) in (list, dict) for tree in trees):
            question["watch"] = True
        question["table"] = self.rows()
        sent = list(self._table)
        nonce = os.urandom(16)
        self._send(nonce, question)
        while "callback" in (reply := self._receive(nonce)):
            self._call_back(reply)
        self.asked += 1
        if "raised" in reply:
            error = self._exception(reply["raised"])
            if isinstance(error, (StopIteration, StopAsyncIteration)) and do != "next":
                # It would end a loop of the tests, and nothing in it would be tested.
                raise RuntimeError("the program raised StopIteration")
            raise error
        try:
            self._make(reply.get("table", []), sent)
            for tree, before, argument in zip(reply.get("args", ()), trees, given, strict=False):
                if tree != before:
                    _become(argument, self.read(tree))
            return self.read(reply["value"])
        except (values.NoValue, *_NONSENSE):
            self._end("violation", "a reply that makes no sense")

    # -- messages

    def _send(self, nonce: bytes, message: Any) -> None:
        data = values.dumps(message)
        try:
            self._line.send(nonce + len(data).to_bytes(4, "big") + data)
        except wire.Gone:
            self._end("gone", "the program ended")
        except wire.Late:
            self._end("timeout", "out of time")

    def _receive(self, nonce: bytes) -> dict[str, Any]:
        try:
            head = self._line.receive(20)
            if head[:16] not in (nonce, _NOT_ASKED):
                self._end("violation", "a reply that was not asked for")
            told = values.loads(self._line.receive(int.from_bytes(head[16:], "big")))
        except wire.Gone:
            self._end("gone", "the program ended")
        except wire.Late:
            self._end("timeout", "out of time")
        except (wire.TooMuch, MemoryError):
            self._end("output_limit", "a value that is too large")
        except values.NoValue:
            self._end("violation", "a reply that makes no sense")
        if not isinstance(told, dict) or (head[:16] != nonce and "callback" not in told):
            self._end("violation", "a reply that was not asked for")
        return told

    def _end(self, ending: str, detail: str) -> NoReturn:
        self.over = Over(ending, detail)
        raise self.over

    def _call_back(self, told: dict[str, Any]) -> None:
        try:
            function = self._callbacks[told["callback"]]
            self._make(told.get("table", []))
            named = {str(name): self.read(tree) for name, tree in told["kwargs"].items()}
            found = function(*[self.read(tree) for tree in told["args"]], **named)
            self.open_table()
            reply = {"value": self.write(found), "table": self.rows()}
        except Exception as error:  # the program's to handle
            kinds = [kind.__name__ for kind in type(error).__mro__]
            reply = {"raised": [next(filter(_builtin, kinds), "Exception"), [str(error)]]}
        self._send(_NOT_ASKED, reply)

    def _exception(self, told: Any) -> Exception:
        try:
            kinds, detail, made_with = told[:3]
            exact = self._error_class(_named(kinds))
            items = [self.read(tree) for tree in made_with]
            error = exact.__new__(exact, *items)
            error.args = tuple(items)
            error.of_program = str(detail)[:300]  # type: ignore[attr-defined]
        except (values.NoValue, *_NONSENSE):
            self._end("violation", "an exception that makes no sense")
        return error

    def _error_class(self, kinds: list[str]) -> type[Exception]:
        """The class of exceptions of these names, the nearest base last; made once each."""
        if not kinds:
            return Exception
        known = self._errors.get(kinds[0]) or _builtin(kinds[0])
        if known is None:
            known = self._errors[kinds[0]] = type(kinds[0], (self._error_class(kinds[1:]),), {})
        # Which take five arguments.
        return ValueError if issubclass(known, UnicodeError) else known

    # -- objects

    def write_other(self, value: Any) -> Any:
        """A stand-in by its handle, an object of the prefix by value, a function by a handle."""
        if is_remote(value):
            return self._handle(value)
        if self._classes.get(type(value).__name__) is type(value) or _is_of_tests(value):
            return self.place(value)
        if callable(value) and not hasattr(value, "__next__"):
            if (reference := _reference(value)) is not None:
                return {"n": reference}
            self._callbacks.append(value)
            return {"x": len(self._callbacks) - 1}
        if hasattr(value, "__next__"):
            self._callbacks.append(value.__next__)
            return {"xi": len(self._callbacks) - 1}
        if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
            flat = self.write(value.ravel().tolist())
            return {"np": [value.dtype.str, list(value.shape), flat]}
        return super().write_other(value)

    def _handle(self, value: Any) -> Any:
        target = target_of(value)
        if "handle" in target:
            return {"h": target["handle"]}
        # A function of the program that has a name only, asked for while a question is written.
        kept = self._table, self._written
        try:
            return {"h": target_of(self.ask("get", target))["handle"]}
        finally:
            self._table, self._written = kept

    def _make(self, table: Sequence[Any], known: Sequence[Any] = ()) -> None:
        """The objects of a message; those that were sent with the question are the tests' own."""
        rows = [(name, dict(state)) for name, state in table]
        new = [blank(self._classes[name]) for name, _ in rows[len(known) :]]
        self._made = [*known, *new]
        for value, (_, state) in zip(self._made, rows, strict=True):
            if any(_is_of_class(type(value), name) for name in state):
                raise values.NoValue("an object with another method than its class has")
            set_state(value, {name: self.read(tree) for name, tree in state.items()})

    def read_other(self, tag: str, content: Any) -> Any:
        """A stand-in for a handle, an object of the prefix's classes, an array of NumPy."""
        if tag == "h":
            handle, kind, *besides = content
            if type(handle) is not int or type(kind) is not str:
                raise values.NoValue("a handle that is none")
            value = self.read(besides[0]) if besides else ...
            return remote(self.ask, {"handle": handle}, kind, value)
        if tag == "o":
            return self._made[content]
        if tag == "np":
            return array(content[0], content[1], self.read(content[2]))
        return super().read_other(tag, content)


def _is_of_class(kind: type, name: str) -> bool:
    """Whether an attribute is the class's own affair: a method, or one of Python's own names."""
    return name.startswith("__") or callable(getattr(kind, name, None))


def _named(told: Any) -> Any:
    if isinstance(told, list):
        return [str(item)[:100] for item in told[:20]]
    return str(told)[:300]


def _builtin(name: str) -> type[Exception] | None:
    kind = getattr(builtins, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, Exception) else None


def _reference(value: Any) -> list[str] | None:
    """Where the standard library has a class, a function or a method, None if it has it not."""
    owner = getattr(value, "__objclass__", None)  # of `str.format`, which has no module
    module = getattr(value if owner is None else owner, "__module__", None)
    name = getattr(value, "__qualname__", None)
    if not isinstance(name, str) or module not in sys.stdlib_module_names or module == "__main__":
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return [module, name] if found is value else None


def _is_of_tests(value: Any) -> bool:
    return type(value).__module__ == "__main__" and is_plain(type(value))


def _become(old: Any, new: Any) -> None:
    """Give an argument the content that the program has left it with, and so what it holds."""
    if type(old) is not type(new):
        return
    if isinstance(old, list):
        same = len(old) == len(new)
        for place, (before, after) in enumerate(zip(list(old), new, strict=False)):
            if same and type(before) in _CHANGED and type(before) is type(after):
                _become(before, after)
                new[place] = before
        old[:] = new
    elif isinstance(old, bytearray):
        old[:] = new
    elif isinstance(old, collections.deque):
        old.clear()
        old.extend(new)
    elif isinstance(old, dict | set):
        old.clear()
        old.update(new)


# What a call may change in place.
_CHANGED = frozenset({list, dict, set, bytearray, collections.deque})
