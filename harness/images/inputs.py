"""What decides the content of an image, as one hash."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING, Final

from harness.images.recipes import chain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.images.recipes import Recipe

_PROJECT: Final = ("harness", "reward_scorers")  # packages that are copied into images
_LEFT_OUT: Final = frozenset({"__pycache__", "_packaged"})
# The number stands for what this package itself puts into images: labels, the bill of materials,
# what mmdebstrap is told. Whoever changes any of it counts it up, or the same inputs give other
# images.
_FORMAT: Final = b"rl-scaling-harness image inputs 3\n"


def inputs_of(root: Path, name: str, docker: Path | None = None) -> str:
    """SHA-256 over all that an image is made of, that of the image below it included.

    Args:
        root: a checkout, or the folder that the packages are installed in.
        name: of the image.
        docker: the folder docker/, if it is not in `root`.

    Raises:
        OSError: a file of it is missing.
        SuiteError: no image has this name.
    """
    digest = hashlib.sha256(_FORMAT)
    for recipe in chain(name):
        for path in files_of(root, recipe):
            place = docker.parent if docker is not None and path.startswith("docker/") else root
            with open(f"{place}/{path}", "rb") as file:  # noqa: PTH123 - hundreds of them, at each start
                content = hashlib.sha256(file.read()).hexdigest()
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


def _sources(root: Path, inside: str) -> Iterator[str]:
    # os.scandir knows a file's kind without asking the disk again, as pathlib does for each: cells
    # that start wait for this.
    for entry in sorted(os.scandir(root / inside), key=lambda entry: entry.name):
        path = f"{inside}/{entry.name}"
        if entry.name in _LEFT_OUT or entry.name.startswith(".") or entry.name.endswith("~"):
            continue  # what editors and people put beside the code
        if entry.is_dir():
            yield from _sources(root, path)
        elif entry.is_file():
            yield path


def last_commit(root: Path, name: str) -> tuple[str, int] | None:
    """The commit that touched an image's files last, and its time in seconds since 1970.

    None without git, or where no commit has them.
    """
    words = _git(root, "log", "-1", "--format=%H %ct", "--", *_paths(name)).split()
    return (words[0], int(words[1])) if len(words) == 2 else None


def uncommitted(root: Path, name: str) -> list[str]:
    """The files of an image that no commit has as they are; empty without git, too."""
    told = _git(root, "status", "--porcelain", "--no-renames", "-z", "--", *_paths(name))
    return [line[3:] for line in told.split("\0") if line]


def changed_since(root: Path, name: str, commit: str) -> list[str]:
    """The files of an image that differ from a commit's; empty where git does not have it."""
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", commit, "--", *_paths(name))
    return sorted({*filter(None, changed.split("\0")), *uncommitted(root, name)})


def _paths(name: str) -> list[str]:
    """What git is asked about: the files of an image and of those below it."""
    recipes = chain(name)
    paths = [path for recipe in recipes for path in own_files(recipe)]
    return [*paths, *(_PROJECT if any(recipe.has_project for recipe in recipes) else ())]


def _git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where it is missing, fails, or has no such checkout."""
    command = ["git", "-C", str(root), *arguments]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return told.stdout if told.returncode == 0 else ""
