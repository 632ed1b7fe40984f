"""Which files of the installed packages a program may import."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def package_paths(names: Iterable[str]) -> dict[str, str]:
    """Name -> path of the folders and files of distributions and of what they need.

    A distribution that is not installed is left out: a program that imports it fails there as it
    would here.
    """
    found: dict[str, str] = {}
    wanted, seen = list(names), set()
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            one = distribution(name)
        except PackageNotFoundError:
            continue
        found |= _entries(one)
        wanted += _needed(one)
    return dict(sorted(found.items()))


def _entries(one: Distribution) -> dict[str, str]:
    found = {}
    for file in one.files or ():
        top = file.parts[0]
        path = Path(str(one.locate_file(top))).resolve()
        if top in ("..", "__pycache__") or top.endswith((".pth", ".dist-info")):
            continue
        if path.exists():
            found[top] = str(path)
    return found


def _needed(one: Distribution) -> list[str]:
    # Optional requirements name their extra; those for other systems or Pythons are not installed.
    needed = [text for text in one.requires or () if "extra ==" not in text]
    return [match[0] for text in needed if (match := _NAME.match(text))]
