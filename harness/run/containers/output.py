"""What a cell prints, kept in a file of limited size."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO


class CappedLog:
    """A log file of limited size: the first half, and the last half once the cell has ended."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._half = limit // 2
        self._room = self._half
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0

    @property
    def path(self) -> str:
        """Where it is."""
        return self._file.name

    def write(self, chunk: bytes) -> None:
        """Add what was printed."""
        head, rest = chunk[: self._room], chunk[self._room :]
        if head:
            self._file.write(head)
            self._room -= len(head)
        if rest:
            self._tail.append(rest)
            self._tail_bytes += len(rest)
            while self._tail_bytes - len(self._tail[0]) >= self._half:
                oldest = self._tail.popleft()
                self._tail_bytes -= len(oldest)
                self._dropped += len(oldest)

    def close(self) -> None:
        """Write the end, and say how much was left out before it."""
        tail = b"".join(self._tail)
        excess = max(0, len(tail) - self._half)
        if self._dropped + excess:
            self._file.write(b"\n[%d bytes left out]\n" % (self._dropped + excess))
        if tail:
            self._file.write(tail[excess:])
        self._file.close()

    def abandon(self) -> None:
        """Close the file, whatever is still unwritten."""
        self._file.close()
