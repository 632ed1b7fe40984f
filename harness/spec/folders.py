"""Data sets that are folders, such as a model's checkpoint: one hash over all of their files."""

from __future__ import annotations

from hashlib import file_digest, sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def folder_sha256(folder: Path) -> tuple[str, int]:
    """SHA-256 over a folder's files, and how many bytes they hold together.

    Hashed is a line for each file, in the order of their paths: the file's own SHA-256, two spaces,
    its path with slashes. Links count as what they point to, and empty folders do not count.

    Raises:
        OSError: a file cannot be read.
    """
    digest, size = sha256(), 0
    files = {one.relative_to(folder).as_posix(): one for one in folder.rglob("*") if one.is_file()}
    for path, file in sorted(files.items()):
        with file.open("rb") as stream:
            digest.update(f"{file_digest(stream, 'sha256').hexdigest()}  {path}\n".encode())
        size += file.stat().st_size
    return digest.hexdigest(), size
