"""What a cell used of its machine, told by the cell itself.

Its runner cannot tell: on Linux a process's `ru_maxrss` begins with the peak of the process that
started it, and what /proc says of a process is gone once it has ended.
"""

from __future__ import annotations

import json
import resource
import sys
from contextlib import suppress
from pathlib import Path

USAGE_FILE = "usage.json"


def write_usage(out: Path) -> None:
    """Write usage.json. It is for the runner, which takes it away: not durable, not a result."""
    (out / USAGE_FILE).write_text(json.dumps({"peak_bytes": peak_bytes()}), encoding="utf-8")


def peak_bytes() -> int:
    """The largest resident set so far, of this process or of one that it has waited for."""
    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                own = int(line.split()[1]) * 1024
    return max(own, children)
