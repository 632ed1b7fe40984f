"""Files that survive a crash, and disk failures told as a person needs them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO


_MOST_BYTES = 16 << 20  # of a file in which a cell tells something


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn every OSError of the block into an InfrastructureError about the store at `path`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> InfrastructureError:
    """What to tell of a failed write below `path`: the file, the free bytes, the next step."""
    try:
        free = shutil.disk_usage(_existing(path)).free
    except OSError:
        space = "free space unknown"
    else:
        space = f"{free:,} bytes free"
    return InfrastructureError(
        f"the store cannot be written: {error.strerror or error}",
        where=str(error.filename or path),
        expected="a folder that can be written, with space left",
        found=f"{space} on the disk of {path}",
        hint="free space, or name another folder with --workspace; then give the same command "
        "again: what has finished is kept",
    )


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def open_regular(path: Path) -> BinaryIO:
    """Open a file that a cell left for reading; a pipe in its place is not waited for.

    Raises:
        OSError: there is none, or it is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """The content of a small file that a cell left; see `open_regular`.

    Raises:
        OSError: there is none, it is no regular file, or it is large.
    """
    with open_regular(path) as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise OSError(errno.EFBIG, "it is too large", str(path))
    return content


def walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All that is below a folder, however deep, while somebody may write there."""
    folders = [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:  # removed or renamed since, or its path is longer than paths may be
            continue


def remove_tree(folder: Path) -> None:
    """Remove a folder and all in it, as far as that is possible, however deep it goes."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # by Python's own means before 3.13
        subprocess.run(["rm", "-rf", "--", str(folder)], check=False, capture_output=True)


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and wait until it is on the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def check_writable(folder: Path) -> None:
    """Write and remove a file of 1 MiB.

    Raises:
        InfrastructureError: the disk refuses.
    """
    probe = folder / "probe"
    with writing(folder):
        write_durably(probe, bytes(1 << 20))
        probe.unlink()


def digest(path: Path, *, durably: bool = False) -> dict[str, object]:
    """`sha256` and `bytes` of a file; with `durably`, wait until it is on the disk."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        if durably:
            os.fsync(file.fileno())
    return {"sha256": sha256, "bytes": size}


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and its parents; the new names are on the disk when it returns."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)
