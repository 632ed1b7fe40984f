"""What runs inside a worker's server: it imports the target once and forks the one who answers.

A fork takes milliseconds where an import takes seconds, shares the memory of what is imported, and
starts from what the import left: nothing that an answer changes is seen by the next process. Only
a process of one thread can be forked safely, for the locks that other threads hold stay locked in
the fork. So the server has no thread, and where the target starts some at its import, the server
forks nobody and answers itself. On Linux, threads of libraries count too; elsewhere, only Python's.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.workers.channel import frame
from reward_scorers.workers.pool import close_all
from reward_scorers.workers.process import (
    ending_with,
    lift_limit_of_cpu,
    limit_memory,
    serve,
    trace,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_S: Final = 0.5  # how often it looks whether its parent lives, and buries
_GRACE_S: Final = 0.5  # at the end, for the one who answers to end workers of its own
_STEP_S: Final = 0.01


def run(*, target: str, descriptor: int, parent: int, memory_bytes: int) -> None:
    """Fork a process that answers at each byte that comes over a socket, until it closes.

    The process forked before is killed. The reply holds the pid of the next and the caller's end of
    a new socket to it, so that nothing of an old conversation is ever read in the next one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who then kills
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if ignored, pids were freed before we know
    control = socket.socket(fileno=descriptor)
    control.settimeout(None)
    control.set_inheritable(False)  # else a grandchild would keep the parent waiting
    lift_limit_of_cpu()
    limit_memory(memory_bytes)
    with ending_with(parent):
        try:
            answer = _load(target)
        except Exception:  # noqa: BLE001 - whatever it is, the parent raises it
            control.sendall(frame({"error": trace()}))
            return
    gc.collect()
    gc.freeze()  # else the first collection of each fork would copy all memory, to mark it
    server = _Server(answer, control)
    with suppress(OSError):  # the parent went while it was told
        server.run(parent)
    server.end()
    close_all()  # those of the target, if its import started some
    os._exit(0)


def _load(target: str) -> Callable[[Any], object]:
    path, _, name = target.partition(":")
    module = import_module(path)
    if hasattr(module, "warm"):
        module.warm()
    function: Callable[[Any], object] = getattr(module, name)
    return function


class _Server:
    """The one who answers, and those killed before that are not buried yet.

    Only the server kills and buries, so that a pid is never one that the system has given away.
    """

    def __init__(self, answer: Callable[[Any], object], control: socket.socket) -> None:
        self._answer = answer
        self._control = control
        self._children: set[int] = set()
        self._forks = _has_one_thread()

    def run(self, parent: int) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while os.getppid() == parent:
            if poll.poll(_LOOK_S * 1_000):
                if not self._control.recv(1):
                    return
                self._kill()
                self._next(parent)
            self._bury()

    def end(self) -> None:
        """Give the one who answers a moment to end by itself, then kill."""
        end = time.monotonic() + _GRACE_S
        while self._children and time.monotonic() < end:
            time.sleep(_STEP_S)
            self._bury()
        self._kill()

    def _next(self, parent: int) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            if not self._forks:
                self._tell(ours, os.getpid(), forks=False)
                ours.close()
                serve(self._answer, theirs, parent)
            server = os.getpid()
            try:
                pid = os.fork()
            except OSError as error:
                self._control.sendall(frame({"error": f"cannot fork: {error}"}))
                return
            if not pid:
                try:
                    ours.close()
                    self._control.close()
                    serve(self._answer, theirs, server)
                finally:
                    os._exit(1)
            self._children.add(pid)
            self._tell(ours, pid, forks=True)

    def _tell(self, ours: socket.socket, pid: int, *, forks: bool) -> None:
        told = frame({"pid": pid, "forks": forks})
        socket.send_fds(self._control, [told], [ours.fileno()])

    def _kill(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _bury(self) -> None:
        for pid in list(self._children):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._children.discard(pid)


def _has_one_thread() -> bool:
    end = time.monotonic() + _GRACE_S  # a thread that has been joined is listed a little longer
    while _threads() > 1 and time.monotonic() < end:
        time.sleep(_STEP_S)
    return _threads() == 1


def _threads() -> int:
    tasks = Path("/proc/self/task").iterdir() if sys.platform == "linux" else ()
    return max(threading.active_count(), len(list(tasks)))
