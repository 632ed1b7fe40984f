"""What decides the content of an image, as one hash."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING, Final

from harness.images.recipes import chain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.images.recipes import Recipe

_PROJECT: Final = ("harness", "reward_scorers")  # packages that are copied into images
_LEFT_OUT: Final = frozenset({"__pycache__", "_packaged"})
_FORMAT: Final = b"rl-scaling-harness image inputs 1\n"


def inputs_of(root: Path, name: str) -> str:
    """SHA-256 over all that an image is made of, that of the image below it included.

    Raises:
        OSError: a file of it is missing.
        SuiteError: no image has this name.
    """
    digest = hashlib.sha256(_FORMAT)
    for recipe in chain(name):
        for path in files_of(root, recipe):
            content = hashlib.sha256((root / path).read_bytes()).hexdigest()
            digest.update(f"{recipe.name} {content} {path}\n".encode())
    return digest.hexdigest()


def files_of(root: Path, recipe: Recipe) -> list[str]:
    """The files, relative to the checkout, that a recipe adds to the image below it; sorted."""
    return sorted([*own_files(recipe), *(sources(root) if recipe.has_project else [])])


def own_files(recipe: Recipe) -> list[str]:
    """The files below docker/ that a recipe is made of, relative to the checkout."""
    names = [recipe.dockerfile, recipe.requirements, *recipe.more]
    return [f"docker/{recipe.folder}/{name}" for name in names if name]


def sources(root: Path) -> list[str]:
    """The files of the project that go into images."""
    return [path for package in _PROJECT for path in _sources(root, package)]


def _sources(root: Path, package: str) -> Iterator[str]:
    for path in sorted((root / package).rglob("*")):
        inside = path.relative_to(root)
        if not _LEFT_OUT.intersection(inside.parts) and path.is_file():
            yield inside.as_posix()


def last_commit(root: Path, name: str) -> tuple[str, int] | None:
    """The commit that touched an image's files last, and its time in seconds since 1970.

    None without git, or where no commit has them.
    """
    paths = [path for recipe in chain(name) for path in own_files(recipe)]
    if any(recipe.has_project for recipe in chain(name)):
        paths += _PROJECT
    command = ["git", "-C", str(root), "log", "-1", "--format=%H %ct", "--", *paths]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    words = told.stdout.split()
    return (words[0], int(words[1])) if told.returncode == 0 and len(words) == 2 else None
