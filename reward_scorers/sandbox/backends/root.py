"""What a root must show so that Python starts and runs there, for backends that do not make it."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reward_scorers.sandbox.backends.native import python

if TYPE_CHECKING:
    from collections.abc import Iterable

_LINKS: Final = ("/bin", "/lib", "/lib64")
_LOADERS: Final = ("/lib64/ld-linux-*.so.*", "/lib/ld-linux-*.so.*", "/lib/ld-musl-*.so.*")


def shown(packages: Iterable[str]) -> dict[str, str]:
    """Path in the root -> path here, of folders and files that can be read there."""
    found = {path: path for path in (*_readable_paths(), *packages)}
    needed = {python(): python()}
    for pattern in _LOADERS:
        for loader in Path("/").glob(pattern[1:]):
            needed[str(loader.parent.resolve() / loader.name)] = str(loader.resolve())
    for place, source in needed.items():
        if not any(place.startswith(f"{folder}/") for folder in found):
            found[place] = source
    return dict(sorted(found.items()))


def links() -> dict[str, str]:
    """Links such as /lib -> usr/lib, which the linker and Python's own paths go through."""
    return {name: str(Path(name).readlink()) for name in _LINKS if Path(name).is_symlink()}


@cache
def _readable_paths() -> list[str]:
    """As a bare Python says: this process has loaded more, and who knows where that lies."""
    ask = (
        "import sys; sys.path.append(sys.argv[1]); from guest import native, server;"
        " server.warm([]); print(*native.readable_paths(), sep=chr(10))"
    )
    folder = Path(__file__).resolve().parents[1]
    command = [python(), "-I", "-S", "-B", "-c", ask, str(folder)]
    said = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PATH": os.defpath}
    )
    return said.stdout.splitlines()
