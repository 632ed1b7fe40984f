"""`python -m harness.run.containers.reaper ENGINE LEASE`: wait for the run's end, then clean up.

The run keeps the other end of standard input open, and writes a line when it has cleaned up
itself. However else it ends, the kernel closes that end, and what is left is removed here.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from typing import Final

from harness.errors import HarnessError
from harness.run.containers.leases import remove_all
from harness.run.containers.registry import open_keeper

_WATCH_S: Final = 20.0  # a container that was just being made may come to light late
_LOOK_S: Final = 0.5


def main(engine: str, lease: str) -> int:
    """Remove all containers of a lease once its run is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.readline():
        return 0
    end = time.monotonic() + _WATCH_S
    while time.monotonic() < end:
        with suppress(HarnessError):  # the engine is away: it may come back
            remove_all(open_keeper(engine), lease)
        time.sleep(_LOOK_S)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
