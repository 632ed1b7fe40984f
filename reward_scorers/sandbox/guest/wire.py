"""Bytes over pipes and sockets, with a length, a limit and a deadline."""

from __future__ import annotations

import os
import select
import time


class Gone(Exception):  # noqa: N818 - an event, like the two below
    """The other side has closed."""


class TooMuch(Exception):  # noqa: N818
    """The other side sends more than it may."""


class Late(Exception):  # noqa: N818
    """The other side does not answer in time."""


def read_exactly(descriptor: int, count: int) -> bytes:
    """Read `count` bytes, however long it takes.

    Raises:
        Gone: the other side closes before.
    """
    pieces = []
    while count:
        piece = os.read(descriptor, min(count, 1 << 20))
        if not piece:
            raise Gone
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, however long it takes."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


class Line:
    """One side of a stream, which waits no longer than until a deadline.

    Args:
        descriptor: a socket's or a pipe's.
        deadline: in seconds of the monotonic clock; None waits for ever.
        limit: how many bytes one message may have.
    """

    def __init__(self, descriptor: int, deadline: float | None, limit: int) -> None:
        self.descriptor, self.deadline, self.limit = descriptor, deadline, limit
        os.set_blocking(descriptor, False)
        self._poll = select.poll()
        self._received = bytearray()

    def send(self, data: bytes) -> None:
        """Send everything.

        Raises:
            Gone, Late
        """
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self.descriptor, left) :]
            except BlockingIOError:
                self._wait(select.POLLOUT)
            except OSError as error:
                raise Gone from error

    def receive(self, count: int) -> bytes:
        """Read `count` bytes.

        Raises:
            Gone, Late, TooMuch
        """
        if count > self.limit:
            raise TooMuch
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Late  # also where there is something to read: else a flood had no end
        while len(self._received) < count:
            try:
                piece = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                self._wait(select.POLLIN)
                continue
            except OSError as error:
                raise Gone from error
            if not piece:
                raise Gone
            self._received += piece
        found = bytes(self._received[:count])
        del self._received[:count]
        return found

    def _wait(self, event: int) -> None:
        self._poll.register(self.descriptor, event)
        if self.deadline is None:
            self._poll.poll()
            return
        seconds = self.deadline - time.monotonic()
        if seconds <= 0 or not self._poll.poll(seconds * 1000):
            raise Late
