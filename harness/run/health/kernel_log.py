"""Xid errors: what the NVIDIA driver writes to the kernel's log when a GPU fails.

NVML tells them only to a process that waits for them as they happen. The kernel's log keeps them,
and /dev/kmsg gives each with a number of its own, where this user may read it.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python, GPU has fallen off the bus."
_XID: Final = re.compile(
    r"NVRM: Xid \((?:PCI:)?(?P<bus>[0-9a-fA-F:.]+)\): (?P<code>\d+)(?:, )?(?P<text>.*)"
)
_MOST_KEPT: Final = 32
_MOST_BYTES: Final = 8192  # the kernel gives one record a read, and none is longer


@dataclass(frozen=True, slots=True)
class Xid:
    """One error of a GPU.

    Attributes:
        sequence: number of its line in the kernel's log, which grows until the next boot.
        bus: of the GPU, as `normal_bus` writes it.
        code: what kind; NVIDIA's catalogue of Xid errors says what each means.
        text: the rest of the line.
    """

    sequence: int
    bus: str
    code: int
    text: str


def normal_bus(name: str) -> str:
    """A PCI address as domain:bus:device in lower case, without leading zeros of the domain.

    The driver writes `0000:3b:00` and NVML `00000000:3B:00.0` for the same GPU.
    """
    parts = name.lower().partition(".")[0].split(":")
    domain = parts[0].lstrip("0") if len(parts) == 3 else ""
    return ":".join([domain or "0", *parts[-2:]])


class KernelLog:
    """Reads what the kernel has written since this was opened, or all that it keeps.

    May be used from any thread.
    """

    def __init__(self, path: Path, *, from_start: bool = False) -> None:
        self._lock = threading.Lock()
        self._found: deque[Xid] = deque(maxlen=_MOST_KEPT)
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._file, 0, os.SEEK_SET if from_start else os.SEEK_END)
        except OSError:
            self._file = -1

    def xids(self) -> tuple[Xid, ...] | None:
        """The last errors since this was opened; None if the log cannot be read."""
        if self._file < 0:
            return None
        with self._lock:
            while (line := self._next()) is not None:
                if (xid := parse(line)) is not None:
                    self._found.append(xid)
            return tuple(self._found)

    def _next(self) -> bytes | None:
        while True:
            try:
                return os.read(self._file, _MOST_BYTES) or None
            except BrokenPipeError:
                continue  # lines were overwritten before they were read; the next ones are there
            except OSError:
                return None


def parse(record: bytes) -> Xid | None:
    """A record of /dev/kmsg, `priority,sequence,microseconds,flags;text`, if it tells an Xid."""
    head, _, text = record.decode(errors="replace").partition(";")
    found = _XID.search(text)
    fields = head.split(",")
    if found is None or len(fields) < 2 or not fields[1].isdecimal():
        return None
    return Xid(
        int(fields[1]),
        normal_bus(found["bus"]),
        int(found["code"]),
        found["text"].splitlines()[0] if found["text"] else "",
    )
