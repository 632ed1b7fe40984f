"""The first process of a container: it starts the cell as its child and stays behind.

The kernel gives the first process duties and rights that a cell must not have: signals without a
handler do not reach it, orphans become its children, and all others end with it. And a thread of a
busy cell may notice late that its run is gone, this process at once. It also outlives a cell that
the kernel kills, and can tell why.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.cell.lease import LEASE_LOST, LEASE_VARIABLE
from harness.cell.usage import USAGE_FILE, write_usage

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType


_SIGNALS = 128  # what a shell adds to the number of the signal that ended a program


def leave_first_process(out: Path) -> None:
    """Where this is a container's first process, go on in a child; returns in the child only.

    Args:
        out: where to tell what a cell used that was killed before it told.
    """
    if os.getpid() != 1:
        return
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        return
    with suppress(OSError):  # the child does the same: whoever comes first
        os.setpgid(child, child)
    _pass_on_signals(child)
    if os.environ.get(LEASE_VARIABLE) == "stdin":
        threading.Thread(target=_end_with_lease, daemon=True).start()
    status = _status_of(child)
    if status and not (out / USAGE_FILE).exists():
        with suppress(OSError):
            write_usage(out)
    os._exit(status)


def _pass_on_signals(child: int) -> None:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.killpg(child, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)


def _end_with_lease() -> None:
    """When the run is gone, so is this process, and with it all of the container."""
    while os.read(0, 1):
        pass
    os._exit(LEASE_LOST)


def _status_of(child: int) -> int:
    """Wait for the child's end, and for all orphans before it; its status as a shell gives it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            sys.stdout.flush()
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else _SIGNALS - code
