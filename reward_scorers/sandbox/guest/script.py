"""Running a program on inputs: what it writes is read with a limit, and its end is waited for."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from resource import struct_rusage

_PIECE = 1 << 16
_LOOK_S = 0.005  # how often an end is looked for where nothing tells of it


class End(NamedTuple):
    """How a process ended: "ended", or why it was killed; what it wrote; as os.wait4 has it."""

    ending: str
    stdout: bytes
    stderr: bytes
    status: int
    usage: struct_rusage


class Run:
    """A process on one input.

    Args:
        process: its number.
        stdin, stdout, stderr: our ends of its streams.
        text: what it reads.
        limit: how many bytes it may write, to both streams together.
        deadline: in seconds of the monotonic clock.
    """

    def __init__(
        self,
        process: int,
        stdin: int,
        stdout: int,
        stderr: int,
        *,
        text: bytes,
        limit: int,
        deadline: float,
    ) -> None:
        self._process, self._limit, self._deadline = process, limit, deadline
        self._stdin, self._left = stdin, memoryview(text)
        self._streams = {stdout: bytearray(), stderr: bytearray()}
        self._out, self._err = stdout, stderr
        self._poll = select.poll()
        for stream in (stdin, stdout, stderr):
            os.set_blocking(stream, False)
        self._poll.register(stdout, select.POLLIN)
        self._poll.register(stderr, select.POLLIN)
        self._open = {stdin, stdout, stderr}
        self._end = end_of(process)
        if self._end is not None:
            self._poll.register(self._end, select.POLLIN)
            self._open.add(self._end)
        if text:
            self._poll.register(stdin, select.POLLOUT)
        else:
            self._shut(stdin)

    def wait(self) -> End:
        """Wait for the end, or make one."""
        ending = self._exchange()
        if ending != "ended":
            os.kill(self._process, signal.SIGKILL)
        _, status, usage = os.wait4(self._process, 0)
        if ending == "ended":  # what it wrote last; others may hold the stream open
            for stream in (self._out, self._err):
                while stream in self._open and self._read(stream):
                    pass
                if self._written() > self._limit:
                    ending = "output_limit"
        for descriptor in list(self._open):
            self._shut(descriptor)
        stdout, stderr = (bytes(self._streams[stream]) for stream in (self._out, self._err))
        return End(ending, stdout, stderr, status, usage)

    def _exchange(self) -> str:
        while True:
            seconds = self._deadline - time.monotonic()
            if seconds <= 0:
                return "timeout"
            if self._end is None:
                seconds = min(seconds, _LOOK_S)
                if has_ended(self._process):
                    return "ended"
            for descriptor, _ in self._poll.poll(seconds * 1000):
                if descriptor == self._end:
                    return "ended"
                if descriptor == self._stdin:
                    self._write()
                else:
                    self._read(descriptor)
                    if self._written() > self._limit:
                        return "output_limit"

    def _write(self) -> None:
        try:
            self._left = self._left[os.write(self._stdin, self._left[:_PIECE]) :]
        except BlockingIOError:
            return
        except OSError:  # it has closed its input
            self._left = self._left[:0]
        if not self._left:
            self._shut(self._stdin)

    def _read(self, stream: int) -> bool:
        """Whether there was something, and may be more that is wanted."""
        try:
            piece = os.read(stream, _PIECE)
        except BlockingIOError:
            return False
        self._streams[stream] += piece
        if not piece:
            self._shut(stream)
        return bool(piece) and self._written() <= self._limit

    def _written(self) -> int:
        return sum(map(len, self._streams.values()))

    def _shut(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            try:
                self._poll.unregister(descriptor)
            except KeyError:
                pass
            os.close(descriptor)


def end_of(process: int) -> int | None:
    """A descriptor that can be read when a process has ended, None where there is no such thing."""
    try:
        return os.pidfd_open(process)
    except OSError:  # an old gVisor
        return None


def has_ended(process: int) -> bool:
    """Whether a process has ended that is not waited for yet."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def give_a_moment(process: int, seconds: float) -> bool:
    """Wait for the end of a process a little, then kill it; whether it ended by itself."""
    patience = time.monotonic() + seconds
    while not (ended := has_ended(process)) and time.monotonic() < patience:
        time.sleep(_LOOK_S)
    os.kill(process, signal.SIGKILL)
    return ended
