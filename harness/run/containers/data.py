"""Data sets as a container can be given them: without links that lead out, readable for a cell."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from harness.run.disk import walk, writing

if TYPE_CHECKING:
    from pathlib import Path


_OPEN: Final = 0o755


def mountable(source: Path, copy: Path) -> Path:
    """What to mount for a file or folder: what it leads to, or a stand-in at `copy`.

    A stand-in is needed for a folder with links to files, since only the folder is mounted, and for
    what nobody but root may read where this is root, since the cell is somebody else then. It is
    made of hard links where the disk allows, which take no time and no room.

    Raises:
        InfrastructureError: the disk refuses.
    """
    source = source.resolve()
    with writing(copy):
        if source.is_file():
            if _is_for_all(source):
                return source
            copy.parent.mkdir(parents=True, exist_ok=True)
            _put(source, copy)
        elif all(_is_plain(entry) for entry in walk(source)) and _is_open(source):
            return source
        else:
            _mirror(source, copy)
    return copy


def _mirror(source: Path, copy: Path) -> None:
    copy.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        target = copy / path.relative_to(source)
        if path.is_dir() and not path.is_symlink():
            target.mkdir(exist_ok=True)
        elif path.is_file():  # also at the end of a link; one that leads nowhere is no file
            _put(path.resolve(), target)
    for entry in walk(copy):
        if entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, _OPEN)  # noqa: PTH101 - an entry, no path
    copy.chmod(_OPEN)


def _put(source: Path, target: Path) -> None:
    if _is_for_all(source):
        try:
            target.hardlink_to(source)
        except OSError:  # another disk, or one that knows no such links
            pass
        else:
            return
    shutil.copyfile(source, target)
    target.chmod(0o644)


def _is_plain(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink():
        return False
    wanted = 0o005 if entry.is_dir() else 0o004
    return os.geteuid() != 0 or entry.stat().st_mode & wanted == wanted


def _is_for_all(path: Path) -> bool:
    return os.geteuid() != 0 or path.stat().st_mode & 0o004 != 0


def _is_open(folder: Path) -> bool:
    return os.geteuid() != 0 or folder.stat().st_mode & 0o005 == 0o005
