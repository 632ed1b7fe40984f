"""The untrusted process: it runs a program and answers calls of what the program defines.

Nothing that this module says can be trusted once the program has run, for it shares a process with
it. So it says nothing but values and exceptions; whether they are right is decided elsewhere.
"""

import atexit
import importlib
import linecache
import os
import sys
import types

from . import values, wire

FILE = "<program>"
_LONGEST_MESSAGE = 300

# How a program ended, as exit codes of its process.
ENDED, RAISED, OUT_OF_MEMORY, EXITED = 0, 101, 102, 103


def choose(sources):
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


def run_script(source):
    """Run a program as `python program.py` does, and end this process."""
    module = types.ModuleType("__main__")
    code = ENDED
    try:
        _execute(source, module)
    except SystemExit as error:
        code = ENDED if error.code in (None, 0) else EXITED
    except MemoryError:
        code = OUT_OF_MEMORY
    except BaseException as error:
        _tell(error)
        code = RAISED
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()  # waits for threads, as the interpreter does
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        code = code or RAISED
    os._exit(code)


def serve(source, prefix, line):
    """Run a program as a module, then answer calls until the other side closes.

    Args:
        source: the program.
        prefix: trusted source that runs before it, in the same module.
        line: where questions come from; the first message says what running it came to.
    """
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    guest = Guest(module, line)
    guest.load(prefix, source)
    try:
        while guest.answer():
            pass
    except wire.Gone:
        pass
    finally:
        os._exit(0)


def _execute(source, module):
    sys.modules[module.__name__] = module
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)


def open_streams():
    """Make the standard streams of programs, in the warm parent, which never uses them itself."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = open(descriptor, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _tell(error):
    """The last words of a program, on its standard error, as Python prints them."""
    try:
        sys.stderr.write(f"{described(error)}\n")
        sys.stderr.flush()
    except BaseException:
        pass


def described(error):
    """An exception's type, message and line of the program."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            place = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename == FILE:
        place = f" (line {error.lineno})"
    try:
        message = str(error.msg if isinstance(error, SyntaxError) else error)
    except BaseException:
        message = ""
    return f"{type(error).__name__}: {message[:_LONGEST_MESSAGE]}{place}"


class Guest(values.Writer, values.Reader):
    """A program's module, and the objects of it that the other side has handles of."""

    def __init__(self, module, line):
        self._module, self._line = module, line
        self._objects = []
        self._places = {}  # id -> handle; the objects live in the list, so ids stay theirs
        self._shared = {}  # classes of the prefix, whose objects travel by value
        self._written = {}  # of the message at hand: id -> place in its table
        self._table = []
        self._made = []

    def load(self, prefix, source):
        """Run the program and say what came of it."""
        try:
            if prefix:
                exec(compile(prefix, "<prefix>", "exec", dont_inherit=True), self._module.__dict__)
                self._shared = {
                    name: value
                    for name, value in vars(self._module).items()
                    if isinstance(value, type) and value.__module__ == self._module.__name__
                }
            _execute(source, self._module)
        except BaseException as error:
            self._say(bytes(16), {"raised": self._exception(error)})
            return
        names = [name for name in vars(self._module) if not name.startswith("__")]
        self._say(bytes(16), {"names": names})

    def answer(self):
        """Answer one question; whether there was one."""
        head = self._line.receive(20)
        nonce, length = head[:16], int.from_bytes(head[16:], "big")
        question = values.loads(self._line.receive(length))
        try:
            reply = self._do(question)
        except BaseException as error:
            reply = {"raised": self._exception(error)}
        self._say(nonce, reply)
        return True

    def _say(self, nonce, reply):
        try:
            data = values.dumps(reply)
        except values.NoValue as error:
            data = values.dumps({"raised": ["ValueError", ["ValueError"], str(error)]})
        self._line.send(nonce + len(data).to_bytes(4, "big") + data)

    def _do(self, question):
        self._make(question.get("table", []))
        target = self._target(question)
        arguments = [self.read(tree) for tree in question.get("args", [])]
        named = {name: self.read(tree) for name, tree in question.get("kwargs", {}).items()}
        found = _OPERATIONS[question["do"]](target, *arguments, **named)
        self._written, self._table = {}, []
        reply = {"value": self.write(found)}
        if question.get("watch"):
            # What the call did to its arguments, which stay with the other side.
            reply["args"] = [self.write(argument) for argument in arguments]
        # Writing an object may find further ones.
        reply["table"] = self._rows()
        return reply

    def _target(self, question):
        if "handle" in question:
            return self._objects[question["handle"]]
        found = self._module
        for name in question["name"].split("."):
            found = found() if name == "()" else getattr(found, name)
        return found

    def _exception(self, error):
        kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        return [type(error).__name__, kinds, described(error)]

    # -- objects that are no builtin values

    def write_other(self, value):
        kind = type(value)
        if kind.__name__ in self._shared:
            place = self._written.get(id(value))
            if place is None:
                place = self._written[id(value)] = len(self._table)
                self._table.append(value)
            return {"o": place}
        if kind.__module__ == "numpy":
            return self._write_numpy(value)
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self._objects)
            self._objects.append(value)
        return {"h": [place, kind.__name__, callable(value)]}

    def _write_numpy(self, value):
        return {"np": [value.dtype.str, list(value.shape), self.write(value.ravel().tolist())]}

    def _rows(self):
        rows = []
        while len(rows) < len(self._table):
            value = self._table[len(rows)]
            state = {name: self.write(item) for name, item in vars(value).items()}
            rows.append([type(value).__name__, state])
        return rows

    def read_other(self, tag, content):
        """An object of which the other side has a handle, a function of the other side, ..."""
        if tag == "h":
            return self._objects[content]
        if tag == "n":
            module, name = content
            return getattr(importlib.import_module(module), name)
        if tag == "x":
            return self._callback(content)
        if tag == "it":
            return iter([self._read(item) for item in content])
        if tag == "o":
            return self._made[content]
        return super().read_other(tag, content)

    def _make(self, table):
        """The objects of a message's table, which may refer to each other in a circle."""
        kinds = [getattr(self._module, name, None) for name, _ in table]
        self._made = [
            kind.__new__(kind) if isinstance(kind, type) else type(name, (), {})()
            for kind, (name, _) in zip(kinds, table)
        ]
        for value, (_, state) in zip(self._made, table):
            for name, tree in state.items():
                setattr(value, name, self._read(tree))

    def _callback(self, handle):
        def call(*arguments):
            self._written, self._table = {}, []
            told = {"callback": handle, "args": [self.write(item) for item in arguments]}
            self._say(bytes(16), told)
            head = self._line.receive(20)
            reply = values.loads(self._line.receive(int.from_bytes(head[16:], "big")))
            if "raised" in reply:
                raise RuntimeError(reply["raised"])
            return self.read(reply["value"])

        return call


def _call(target, /, *arguments, **named):
    return target(*arguments, **named)


def _set_attribute(target, name, value):
    setattr(target, name, value)


def _set_item(target, key, value):
    target[key] = value


def _state(target):
    return type(target).__name__, vars(target)


# What the other side may ask of an object. Nothing here sends it a test's expectation: there is no
# comparison, and no arithmetic.
_OPERATIONS = {
    "call": _call,
    "get": lambda target: target,
    "getattr": getattr,
    "setattr": _set_attribute,
    "getitem": lambda target, key: target[key],
    "setitem": _set_item,
    "len": len,
    "iter": iter,
    "next": next,
    "str": str,
    "repr": repr,
    "state": _state,
    "isinstance": lambda target, value: isinstance(value, target),
}
