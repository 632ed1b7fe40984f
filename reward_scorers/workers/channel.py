"""Messages between a process and its workers: JSON values, each behind its length, on a socket."""

from __future__ import annotations

import json
import select
import socket
import struct
from typing import Any, Final, Self

_LENGTH: Final = struct.Struct(">Q")
_PIECE: Final = 1 << 18
# Where a worker is dead, an error and no SIGPIPE, whatever the process made of that signal.
_NO_SIGNAL: Final = getattr(socket, "MSG_NOSIGNAL", 0)


class Closed(Exception):  # noqa: N818 - not an error in itself
    """The other side has closed, which a worker does by dying."""


def frame(message: object) -> bytes:
    """A message as it is sent.

    Raises:
        TypeError, ValueError: it is no JSON value.
    """
    body = json.dumps(message).encode("ascii")
    return _LENGTH.pack(len(body)) + body


class Channel:
    """The parent's side, which never blocks for longer than it is told.

    It sends and receives at the same time: a worker that answers a first question is heard while
    the last one is still being sent, so that neither waits for the other.
    """

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(0)
        self._socket = end
        self._poll = select.poll()  # select.select fails where a process has 1,024 files open
        self._unsent = memoryview(b"")
        self._received = bytearray()

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """A channel and the socket of its other side."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def post(self, data: bytes) -> None:
        """Leave frames to be sent by `move`; those before must be sent."""
        self._unsent = memoryview(data)

    def move(self, seconds: float) -> bool:
        """Send and receive what can be; whether anything could, within the time.

        Raises:
            Closed: the other side is gone.
        """
        wanted = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        self._poll.register(self._socket, wanted)
        events = self._poll.poll(seconds * 1_000)
        if not events:
            return False
        try:
            if events[0][1] & ~select.POLLOUT:
                piece = self._socket.recv(_PIECE)
                if not piece:
                    raise Closed
                self._received += piece
            elif self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent, _NO_SIGNAL) :]
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            raise Closed from error
        return True

    def next_message(self) -> Any:
        """The next message that has come as a whole, else None."""
        if len(self._received) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        message = json.loads(self._received[_LENGTH.size : end])
        del self._received[:end]
        return message

    def close(self) -> None:
        """Close this side; the worker, if it waits, ends."""
        self._socket.close()


class Served:
    """The worker's side, which waits as long as it takes."""

    def __init__(self, descriptor: int) -> None:
        end = socket.socket(fileno=descriptor)
        end.settimeout(None)  # also where the parent's sockets have a time limit by default
        self._stream = end.makefile("rwb")

    def receive(self) -> Any:
        """The next message.

        Raises:
            Closed: the other side is gone.
        """
        head = self._stream.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise Closed
        (length,) = _LENGTH.unpack(head)
        body = self._stream.read(length)
        if len(body) < length:
            raise Closed
        return json.loads(body)

    def send(self, message: bytes) -> None:
        """Send a frame."""
        self._stream.write(message)
        self._stream.flush()
