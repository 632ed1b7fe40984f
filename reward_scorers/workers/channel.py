"""Messages between a process and its workers: JSON values, each behind its length, on a socket."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from contextlib import suppress
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
                piece = self._read()
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

    def _read(self) -> bytes:
        return self._socket.recv(_PIECE)

    def still(self) -> bool:
        """Whether nothing has come that is unread, not even the end of the other side."""
        self._poll.register(self._socket, select.POLLIN)
        return not self._poll.poll(0)

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

    def hang_up(self) -> None:
        """Tell the other side, and any thread that listens on this one, that it is over.

        Unlike `close`, this is heard also where a fork of this process holds the socket open.
        """
        with suppress(OSError):  # it is over already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this side; to the other, it is over if no fork of this process holds it open."""
        self._socket.close()


class Control(Channel):
    """The parent's side of a channel by which sockets come as well."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__(end)
        self._sockets: list[socket.socket] = []

    def _read(self) -> bytes:
        piece, descriptors, _, _ = socket.recv_fds(self._socket, _PIECE, 1)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - not for programs we start
            self._sockets.append(socket.socket(fileno=descriptor))
        return piece

    def next_socket(self) -> socket.socket:
        """The socket that came with the last message."""
        return self._sockets.pop()

    def close(self) -> None:
        """Close this side, and what came unasked."""
        super().close()
        for one in self._sockets:
            one.close()


class Served:
    """The worker's side, which waits as long as it takes."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(None)  # also where the parent's sockets have a time limit by default
        self._stream = end.makefile("rwb")
        end.close()  # the stream has it now

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

    def close(self) -> None:
        """Close this side, of which nothing is unsent."""
        self._stream.close()
