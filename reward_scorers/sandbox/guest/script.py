"""Running a program on inputs: what it writes is read with a limit, and its end is waited for."""

import os
import select
import signal
import time

_PIECE = 1 << 16


class Run:
    """A process on one input.

    Args:
        process: its number.
        stdin, stdout, stderr: our ends of its streams.
        text: what it reads.
        limit: how many bytes it may write, to both streams together.
        deadline: in seconds of the monotonic clock.
    """

    def __init__(self, process, stdin, stdout, stderr, text, limit, deadline):
        self.process, self._limit, self._deadline = process, limit, deadline
        self._stdin, self._left = stdin, memoryview(text)
        self._streams = {stdout: bytearray(), stderr: bytearray()}
        self._out, self._err = stdout, stderr
        self._poll = select.poll()
        for stream in (stdin, stdout, stderr):
            os.set_blocking(stream, False)
        self._poll.register(stdout, select.POLLIN)
        self._poll.register(stderr, select.POLLIN)
        self._end = os.pidfd_open(process)
        self._poll.register(self._end, select.POLLIN)
        self._open = {stdin, stdout, stderr, self._end}
        if text:
            self._poll.register(stdin, select.POLLOUT)
        else:
            self._shut(stdin)

    def wait(self):
        """Wait for the end: ("ended" | "timeout" | "output_limit", stdout, stderr, status, usage)."""
        ending = self._exchange()
        if ending != "ended":
            os.kill(self.process, signal.SIGKILL)
        _, status, usage = os.wait4(self.process, 0)
        if ending == "ended":  # what it wrote last; others may hold the stream open
            for stream in (self._out, self._err):
                while stream in self._open and self._read(stream):
                    pass
                if self._written() > self._limit:
                    ending = "output_limit"
        for descriptor in list(self._open):
            self._shut(descriptor)
        return (
            ending,
            bytes(self._streams[self._out]),
            bytes(self._streams[self._err]),
            status,
            usage,
        )

    def _exchange(self):
        while True:
            seconds = self._deadline - time.monotonic()
            if seconds <= 0:
                return "timeout"
            for descriptor, _ in self._poll.poll(seconds * 1000):
                if descriptor == self._end:
                    return "ended"
                if descriptor == self._stdin:
                    self._write()
                else:
                    self._read(descriptor)
                    if self._written() > self._limit:
                        return "output_limit"

    def _write(self):
        try:
            self._left = self._left[os.write(self._stdin, self._left[:_PIECE]) :]
        except BlockingIOError:
            return
        except OSError:  # it has closed its input
            self._left = self._left[:0]
        if not self._left:
            self._shut(self._stdin)

    def _read(self, stream):
        try:
            piece = os.read(stream, _PIECE)
        except BlockingIOError:
            return False
        self._streams[stream] += piece
        if not piece:
            self._shut(stream)
        return bool(piece) and self._written() <= self._limit

    def _written(self):
        return sum(map(len, self._streams.values()))

    def _shut(self, descriptor):
        if descriptor in self._open:
            self._open.remove(descriptor)
            try:
                self._poll.unregister(descriptor)
            except KeyError:
                pass
            os.close(descriptor)
