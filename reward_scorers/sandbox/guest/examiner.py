"""Tests of a program, run by a process that the program cannot reach.

The test code runs here. What it uses of the program are stand-ins (`Remote`): a call goes to the
program's process with the arguments, and what comes back are plain builtin values, made here. So
the program never sees what a test expects, and no method of an object of its own decides a
comparison: a `Remote` equals nothing but an object of the same state, and has no arithmetic.
"""

import builtins
import itertools
import os
import sys

from . import values, wire

_MAX_ITEMS = 1_000_000  # of an iterator that is passed to the program


class Over(BaseException):
    """No further call can be answered; tests cannot catch it, as `except Exception` would."""

    def __init__(self, ending, detail):
        super().__init__(ending, detail)
        self.ending, self.detail = ending, detail


class Examiner(values.Writer, values.Reader):
    """Asks the program's process.

    Args:
        line: to that process.
        prefix: names of the trusted source that runs before the program, and what they stand for;
            objects of its classes travel by value.
    """

    def __init__(self, line, prefix=None):
        self._line = line
        self._classes = {
            name: kind for name, kind in (prefix or {}).items() if isinstance(kind, type)
        }
        self._callbacks = []
        self._table, self._written = [], {}
        self._made = []
        self.over = None
        self.names = ()

    def start(self):
        """Wait until the program has been run.

        Raises:
            Over: it raised, or did not come to its end.
        """
        told = self._receive(bytes(16))
        if "raised" in told:
            kinds, detail = told["raised"][1:]
            self._end("memory" if "MemoryError" in kinds else "failed", str(detail))
        self.names = frozenset(told["names"])

    def ask(self, do, target, arguments=(), named=None):
        """Have the program's process do something, and give what comes of it.

        Args:
            do: an operation that the process knows.
            target: {"name": ...} or {"handle": ...}.
            arguments, named: what it is given.

        Raises:
            Over: the process is gone, out of time or has broken the rules.
            Exception: what the program raised, as the nearest builtin exception.
        """
        if self.over is not None:
            raise self.over
        self._table, self._written = [], {}
        trees = [self.write(item) for item in arguments]
        question = {"do": do, "args": trees, **target}
        if named:
            question["kwargs"] = {name: self.write(item) for name, item in named.items()}
        if do == "call" and any(type(tree) in (list, dict) for tree in trees):
            question["watch"] = True
        question["table"] = self._rows()
        nonce = os.urandom(16)
        self._send(nonce, question)
        while True:
            reply = self._receive(nonce)
            if "callback" not in reply:
                break
            self._call_back(reply)
        if "raised" in reply:
            raise self._exception(*reply["raised"])
        self._make(reply.get("table", []))
        for tree, before, argument in zip(reply.get("args", ()), trees, arguments):
            if tree != before:
                _become(argument, self.read(tree))
        return self.read(reply["value"])

    # -- messages

    def _send(self, nonce, message):
        data = values.dumps(message)
        try:
            self._line.send(nonce + len(data).to_bytes(4, "big") + data)
        except wire.Gone:
            self._end("gone", "the program ended")
        except wire.Late:
            self._end("timeout", "out of time")

    def _receive(self, nonce):
        try:
            head = self._line.receive(20)
            if head[:16] not in (nonce, _NOT_ASKED):
                self._end("violation", "a reply that was not asked for")
            body = self._line.receive(int.from_bytes(head[16:], "big"))
            told = values.loads(body)
            if not isinstance(told, dict) or (head[:16] != nonce and "callback" not in told):
                self._end("violation", "a reply that was not asked for")
        except wire.Gone:
            self._end("gone", "the program ended")
        except wire.Late:
            self._end("timeout", "out of time")
        except (wire.TooMuch, MemoryError):
            self._end("output_limit", "a value that is too large")
        except values.NoValue as error:
            self._end("violation", f"a reply that is {error}")
        return told

    def _end(self, ending, detail):
        self.over = Over(ending, detail)
        raise self.over

    def _call_back(self, told):
        try:
            function = self._callbacks[told["callback"]]
            found = function(*[self.read(tree) for tree in told["args"]])
            self._table, self._written = [], {}
            reply = {"value": self.write(found)}
        except Exception as error:
            reply = {"raised": f"{type(error).__name__}"}
        self._send(_NOT_ASKED, reply)

    def _exception(self, name, kinds, detail):
        for kind in kinds:
            base = getattr(builtins, kind, None) if isinstance(kind, str) else None
            if isinstance(base, type) and issubclass(base, Exception):
                break
        else:
            base = Exception
        exact = base if base.__name__ == name else type(str(name), (base,), {})
        if issubclass(base, UnicodeError):  # which take five arguments
            exact = ValueError
        error = exact(str(detail))
        error.of_program = True
        return error

    # -- objects

    def write_other(self, value):
        """A stand-in by its handle, an object of the prefix by value, a function by a handle."""
        if isinstance(value, Remote):
            return {"h": value._handle} if value._handle is not None else self._fetched(value)
        if type(value).__name__ in self._classes or _is_of_tests(value):
            place = self._written.get(id(value))
            if place is None:
                place = self._written[id(value)] = len(self._table)
                self._table.append(value)
            return {"o": place}
        if callable(value):
            if (reference := _reference(value)) is not None:
                return {"n": reference}
            self._callbacks.append(value)
            return {"x": len(self._callbacks) - 1}
        if hasattr(value, "__next__"):
            return {"it": [self._write(item) for item in itertools.islice(value, _MAX_ITEMS)]}
        return super().write_other(value)

    def _fetched(self, remote):
        # A function of the program, passed to another one.
        return self.write_other(self.ask_aside("get", remote))

    def ask_aside(self, do, remote):
        """Ask while a question is being written."""
        kept = self._table, self._written
        try:
            return self.ask(do, remote._target())
        finally:
            self._table, self._written = kept

    def _rows(self):
        rows = []
        while len(rows) < len(self._table):
            value = self._table[len(rows)]
            state = {name: self.write(item) for name, item in vars(value).items()}
            rows.append([type(value).__name__, state])
        return rows

    def _make(self, table):
        kinds = [self._classes[name] for name, _ in table]
        self._made = [kind.__new__(kind) for kind in kinds]
        for value, (_, state) in zip(self._made, table):
            for name, tree in state.items():
                object.__setattr__(value, name, self.read(tree))

    def read_other(self, tag, content):
        """A stand-in for a handle, an object of the prefix's classes, an array of NumPy."""
        if tag == "h":
            handle, kind, _ = content
            return Remote(self, handle=int(handle), kind=str(kind))
        if tag == "o":
            return self._made[content]
        if tag == "np":
            return _array(*content)
        return super().read_other(tag, content)


_NOT_ASKED = bytes(16)


class Remote:
    """Stands for an object of the program."""

    __slots__ = ("_examiner", "_handle", "_kind", "_name")

    def __init__(self, examiner, *, name="", handle=None, kind=""):
        object.__setattr__(self, "_examiner", examiner)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_handle", handle)
        object.__setattr__(self, "_kind", kind)

    def _target(self):
        return {"name": self._name} if self._handle is None else {"handle": self._handle}

    def _ask(self, do, *arguments, **named):
        return self._examiner.ask(do, self._target(), arguments, named)

    def __call__(self, *arguments, **named):
        return self._ask("call", *arguments, **named)

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            if name in ("__name__", "__qualname__", "__doc__") and self._handle is None:
                return self._name.rpartition(".")[2]
            raise AttributeError(name)
        return self._ask("getattr", name)

    def __setattr__(self, name, value):
        self._ask("setattr", name, value)

    def __getitem__(self, key):
        return self._ask("getitem", key)

    def __setitem__(self, key, value):
        self._ask("setitem", key, value)

    def __len__(self):
        return self._ask("len")

    def __iter__(self):
        return self._ask("iter")

    def __next__(self):
        return self._ask("next")

    def __str__(self):
        return self._ask("str")

    def __repr__(self):
        return self._ask("repr")

    def __bool__(self):
        return True

    def __eq__(self, other):
        if not isinstance(other, Remote):
            return False
        if self._target() == other._target():
            return True
        return self._ask("state") == other._ask("state")

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(self._kind)

    def __instancecheck__(self, instance):
        return isinstance(instance, Remote) and self._ask("isinstance", instance)


def _reference(value):
    """Where the standard library has a class or function, None if it is not of it."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(name, str) or module not in sys.stdlib_module_names or module == "__main__":
        return None
    found = getattr(sys.modules.get(module), name, None)
    return [module, name] if found is value else None


def _is_of_tests(value):
    return type(value).__module__ == "__main__" and hasattr(value, "__dict__")


def _array(kind, shape, flat):
    import numpy as np

    found = np.array(flat, dtype=np.dtype(str(kind))).reshape([int(size) for size in shape])
    return found[()] if found.ndim == 0 else found


def _become(old, new):
    """Give an argument the content that the program has left it with."""
    if type(old) is not type(new):
        return
    if isinstance(old, list):
        old[:] = new
    elif isinstance(old, (dict, set)):
        old.clear()
        old.update(new)
    elif hasattr(old, "__dict__"):
        vars(old).update(vars(new))
