"""What is done with a program: it is run on inputs, or its functions are called and tested."""

from __future__ import annotations

import marshal
import re
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import MAGIC_NUMBER
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol

from reward_scorers.sandbox.guest import values
from reward_scorers.sandbox.guest.counting import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# So that every Python since 3.4 can read what is sent; later versions of the format are not needed.
_FORMAT: Final = 4

_CALLED = re.compile(r"(?<![.\w])([A-Za-z_]\w*)\(")


class Job(Protocol):
    """Something to do with a program, sent in two parts."""

    @property
    def kind(self) -> str:
        """Whether the program runs as a "script" or is imported as a "module"."""

    def parts(self, programs: Sequence[str]) -> tuple[bytes, bytes]:
        """What the process that runs the program may know, and what it must not."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Run the program as a script, once for each text on its standard input."""

    texts: Sequence[str]
    kind: ClassVar[str] = "script"

    def parts(self, programs: Sequence[str]) -> tuple[bytes, bytes]:
        """The program and its inputs; nothing is secret, for outputs are compared outside."""
        if not self.texts:
            raise ValueError("a program is run on one input at least")
        texts = [text.encode("utf-8", "surrogateescape") for text in self.texts]
        return _packed({"sources": list(programs), "inputs": texts}), b""


@dataclass(frozen=True, slots=True)
class Call:
    """A call and, if it is to be compared, the value that it should return.

    Args:
        args, kwargs: builtin values.
        expected: a builtin value; `NOTHING` has the value returned.
        tolerance: within which numbers are equal, absolute or relative.
        types: "exact" tells 1 from 1.0 and True, and a list from a tuple; "equal" compares as
            Python does; with "loose" a tuple is as good as a list, and the only item of a list
            as the list.
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = ...
    tolerance: float = 0.0
    types: Literal["exact", "equal", "loose"] = "exact"


@dataclass(frozen=True, slots=True)
class Calls:
    """Call a function of the program.

    Args:
        entry: its name; "Solution().solve" is a method of a new object, for each call.
        calls: with what.
        prefix: trusted source that runs before the program, in its module.
    """

    entry: str
    calls: Sequence[Call]
    prefix: str = ""
    kind: ClassVar[str] = "module"

    def parts(self, programs: Sequence[str]) -> tuple[bytes, bytes]:
        """The program; and the calls, which it sees one by one, without what they should return."""
        if not self.calls:
            raise ValueError("a function is called once at least")
        calls = []
        for call in self.calls:
            told: dict[str, Any] = {"args": list(call.args), "kwargs": dict(call.kwargs)}
            if call.expected is not ...:
                told |= {"expected": call.expected, "tolerance": call.tolerance}
                told["types"] = call.types
            calls.append(told)
        entry = self.entry.replace("()", ".()")
        secret = {"kind": "calls", "entry": entry, "calls": _sendable(calls)}
        secret |= {"prefix": self.prefix, "helpers": ""}
        return _module(programs, self.prefix), _packed(secret)


@dataclass(frozen=True, slots=True)
class Tests:
    """Run test code that uses what the program defines.

    Args:
        code: Python; names that it does not define are the program's, and so is the module
            `solution`.
        by: "script" runs it as if it stood behind the program in one file; "pytest" collects tests.
        prefix: trusted source that runs before the program, in its module, and before the tests.
        helpers: trusted source that runs before the tests only.
        names: what the tests take from the program though Python has a builtin of that name, such
            as a function `sum` that was asked for.
    """

    code: str
    by: Literal["script", "pytest"] = "script"
    prefix: str = ""
    helpers: str = ""
    names: Sequence[str] = ()
    kind: ClassVar[str] = "module"
    __test__: ClassVar[bool] = False  # pytest is not to collect it

    def parts(self, programs: Sequence[str]) -> tuple[bytes, bytes]:
        """The program; and the tests."""
        compiled, called = _read(self.code) if self.by == "script" else (None, ())
        names = [*self.names, *called]
        secret: dict[str, Any] = {"kind": self.by, "code": self.code, "names": names}
        secret["compiled"] = compiled
        secret |= {"prefix": self.prefix, "helpers": self.helpers}
        return _module(programs, self.prefix), _packed(secret)


Compiled = tuple[bytes, bytes, int]


@lru_cache(maxsize=1024)
def _read(code: str) -> tuple[Compiled | None, tuple[str, ...]]:
    """Test code compiled, and what it calls by the name of a module.

    Many programs of one problem are scored one after the other. Compiled is what a sandbox runs
    whose Python has this magic number, None if that is not possible: the sandbox then says why. A
    module cannot be called: what is called by the name of one is the program's.
    """
    called = tuple(sorted(sys.stdlib_module_names.intersection(_CALLED.findall(code))))
    try:
        made, count = counted(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None, called
    return (MAGIC_NUMBER, marshal.dumps(made), count), called


def _module(programs: Sequence[str], prefix: str) -> bytes:
    return _packed({"sources": list(programs), "prefix": prefix})


def _sendable(calls: list[dict[str, Any]]) -> list[dict[str, Any]] | bytes:
    """Calls as they are, or, where they hold a Counter or a Decimal, say, as text with tags."""
    try:
        marshal.dumps(calls, _FORMAT)
    except ValueError:
        try:
            return values.dumps(values.Writer().write(calls))
        except values.NoValue as error:
            raise ValueError(f"only builtin values can be sent to a sandbox: {error}") from None
    return calls


def _packed(value: Any) -> bytes:
    try:
        return marshal.dumps(value, _FORMAT)
    except ValueError as error:
        raise ValueError(f"only builtin values can be sent to a sandbox: {error}") from None
