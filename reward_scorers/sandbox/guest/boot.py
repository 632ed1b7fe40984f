"""The first thing that runs inside: it takes the package `guest` from standard input and starts it.

This text is what `python -c` is given, so that the sandbox needs nothing but a Python.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def _read(count: int) -> bytes:
    pieces = []
    while count:
        piece = os.read(0, count)
        if not piece:
            sys.exit(0)
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


class _Sent:
    # Not of importlib.abc, whose imports every program would carry.

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The modules that were sent."""
        if name in self._sources:
            loader: Any = self  # without `load_module`, which is optional
            return importlib.util.spec_from_loader(name, loader, is_package=name == "guest")
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's text."""
        name = module.__name__
        code = compile(self._sources[name], f"<{name}>", "exec", dont_inherit=True)
        exec(code, module.__dict__)


def _main() -> None:
    told = json.loads(_read(int.from_bytes(_read(4), "big")))
    sys.meta_path.insert(0, _Sent(told["sources"]))
    if TYPE_CHECKING:
        from . import kernel, native
    else:
        from guest import kernel, native

    try:
        if kernel.MACHINE not in kernel.MACHINES:
            raise native.Impossible(f"a machine of type {kernel.MACHINE}")
        native.main(told["settings"])
    except native.Impossible as error:
        answer = {"impossible": str(error)}
    except Exception as error:
        answer = {"broken": f"{type(error).__name__}: {error}"}
    else:
        return
    data = json.dumps(answer).encode("ascii")
    os.write(1, b"E" + len(data).to_bytes(4, "big") + data)
    sys.exit(1)


_main()
