"""What a sandbox could leave on a machine: processes, containers, control groups, folders."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def descendants(pid: int) -> set[int]:
    """All processes below a process, and itself."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, wanted = set(), [pid]
    while wanted:
        one = wanted.pop()
        found.add(one)
        wanted += children.get(one, [])
    return found


def living(pids: set[int]) -> set[int]:
    """Those processes that are there and no zombies."""
    found = set()
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if text.rpartition(")")[2].split()[0] not in "ZX":
            found.add(pid)
    return found


def containers(engine: str, pid: int) -> list[str]:
    """Containers of a process, also those that have ended."""
    if engine not in ("docker", "podman") or shutil.which(engine) is None:
        return []
    listed = [engine, "ps", "--all", "--quiet", "--filter", f"label=rl-sandbox={pid}"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def groups(pid: int) -> list[Path]:
    """Control groups of a process."""
    return list(Path("/sys/fs/cgroup").glob(f"**/rl-sandbox-{pid}-*"))


def folders(pid: int) -> list[Path]:
    """Folders of a process."""
    return list(Path(tempfile.gettempdir()).glob(f"rl-sandbox-*{pid}-*"))


def soon(holds: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether something holds before long."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
