"""The state of a run that a later attempt can go on from: one file, whole or not there."""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.cell.contract import host_failure, sync_folders, write_whole
from harness.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

STATE_FILE = "state.pt"
_SEAL = b"\nsha256 "  # and 64 digits, after what torch wrote, which its reader does not look at
_SEAL_LENGTH = len(_SEAL) + 64
_BLOCK = 1 << 20


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Put `state` in the place of the last one, once it is on the disk.

    Raises:
        OSError: the disk refuses; the last state is still there.
    """
    content = {**state, "computed_by": computed_by()}
    write_whole(folder / STATE_FILE, lambda file: _write_sealed(file, content))
    sync_folders(folder)


def load_state(folder: Path) -> dict[str, Any] | None:
    """The last whole state, or None if there is none that can be gone on from.

    A damaged one is told and passed over. On other software or another kind of processor it would
    not give the numbers of an uninterrupted run, so that the cell starts again too.

    Raises:
        InfrastructureError: the host cannot read it now; it may be whole, and another attempt shall
            find it.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            _check_seal(file)
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        written_by = state.pop("computed_by")
    except Exception as error:
        if (failure := host_failure(error)) is not None:
            raise failure from error
        if isinstance(error, OSError):
            raise InfrastructureError(
                f"the state of an earlier attempt cannot be read: {error.strerror}",
                where=str(path),
                hint="make the file readable, or delete it: the cell then starts again",
            ) from error
        sys.stderr.write(f"{path} cannot be read ({error!r:.120}); the cell starts again\n")
        return None
    if written_by != computed_by():
        sys.stderr.write(
            f"{path} was written on another machine or by another torch; the cell starts again\n"
        )
        return None
    return state


class _Hashed:
    """A file to write to that remembers the SHA-256 of what went through."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


def _write_sealed(file: BinaryIO, content: Mapping[str, Any]) -> None:
    """torch's own format checks nothing when it is read: one flipped bit is another weight."""
    hashed: Any = _Hashed(file)
    torch.save(content, hashed)
    file.write(_SEAL + hashed.digest.hexdigest().encode())


def _check_seal(file: BinaryIO) -> None:
    """Raise ValueError unless the bytes are those that were written; go back to their start."""
    left = file.seek(0, 2) - _SEAL_LENGTH
    if left < 0:
        raise ValueError("too short")
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(min(_BLOCK, left)):
        digest.update(block)
        left -= len(block)
    if file.read() != _SEAL + digest.hexdigest().encode():
        raise ValueError("not the bytes that were written, by their SHA-256")
    file.seek(0)


def computed_by() -> dict[str, str | int]:
    """What the last digits of a computation depend on, besides what is computed."""
    return {
        "torch": str(torch.__version__),  # a class of its own, which `weights_only` refuses
        "cpu": _processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu",
    }


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
