"""The lease: a cell lives no longer than the run that started it, and has its folder to itself.

The run keeps the writing end of a pipe open and never writes. However the run ends, kill -9
included, the kernel closes that end, and the cell reads the end of the file.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError

if TYPE_CHECKING:
    from pathlib import Path

LEASE_VARIABLE = "HARNESS_LEASE"
LEASE_LOST = 75  # the exit status of a cell whose run is gone
_PATIENCE_S = 30.0  # with a cell whose run is dead and which has not noticed yet
_held: dict[Path, int] = {}  # folder -> the descriptor whose lock keeps it


def hold_lease() -> None:
    """End this process, and the process group that it leads, when the pipe on stdin closes.

    Does nothing unless HARNESS_LEASE=stdin: a cell started by hand may have any stdin.
    """
    if os.environ.get(LEASE_VARIABLE) != "stdin":
        return
    # Programs that the engine starts must not read the pipe, nor find stdin closed.
    pipe = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    threading.Thread(target=_end_with, args=(pipe,), name="lease", daemon=True).start()


def _end_with(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(LEASE_LOST)  # the first process of a container survives the kill above


def hold_folder(folder: Path) -> None:
    """Make a folder, and keep other attempts at this cell out of it until this process ends.

    The run's claim on the cell does so as long as the run lives. A cell survives its run by a
    moment, and must not write beside the next one.

    Raises:
        InfrastructureError: the other attempt does not end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if folder in _held:
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(descriptor)
                raise InfrastructureError(
                    "an earlier attempt at this cell is still alive",
                    where=str(folder),
                    hint="end its process `python -m harness.cell`, then give the command again",
                ) from None
            time.sleep(0.05)
        else:
            _held[folder] = descriptor
            return
