"""What a cell used of its machine, told by the cell itself.

Its runner cannot tell: on Linux a process's `ru_maxrss` begins with the peak of the process that
started it, and what /proc says of a process is gone once it has ended.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

USAGE_FILE = "usage.json"
# Of the group that a container finds at the top: version 2, version 1.
_MEMORY_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def write_usage(out: Path) -> None:
    """Write usage.json. It is for the runner, which takes it away: not durable, not a result."""
    used = {"peak_bytes": peak_bytes(), "cpu_s": cpu_s(), "oom_kills": oom_kills()}
    (out / USAGE_FILE).write_text(json.dumps(used), encoding="utf-8")


def cpu_s() -> float:
    """User plus system seconds so far, of this process and of those that it has waited for."""
    times = os.times()
    return round(times.user + times.system + times.children_user + times.children_system, 6)


def oom_kills() -> int:
    """How many processes the kernel has killed in this control group for want of memory."""
    for path in _MEMORY_EVENTS:
        with suppress(OSError):
            for line in Path(path).read_text(encoding="utf-8").splitlines():
                key, _, count = line.partition(" ")
                if key == "oom_kill":
                    return int(count)
    return 0


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
