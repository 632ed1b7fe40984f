"""The lease: a cell lives no longer than the run that started it.

The run keeps the writing end of a pipe open and never writes. However the run ends, kill -9
included, the kernel closes that end, and the cell reads the end of the file.
"""

from __future__ import annotations

import os
import signal
import threading

LEASE_VARIABLE = "HARNESS_LEASE"
LEASE_LOST = 75  # the exit status of a cell whose run is gone


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
