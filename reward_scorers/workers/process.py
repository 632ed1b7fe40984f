"""What runs inside a process that answers: one answer after the other, within limits."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.workers.channel import Closed, Served, frame
from reward_scorers.workers.pool import close_all, on_waiting

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

_LOOK_S: Final = 0.5  # how often a process looks whether its parent lives
_TRACE: Final = 4_000  # characters of a traceback that are told, its end


def serve(answer: Callable[[Any], object], end: socket.socket, parent: int) -> None:
    """Answer the calls that come over a socket until its other side closes; then exit."""
    channel = Served(end)
    # A fork of this process, made by the target, shall not keep the caller waiting for its end.
    os.register_at_fork(after_in_child=channel.close)
    on_waiting(lambda what, s: channel.send(frame({"waiting": what, "seconds": s})))
    with ending_with(parent):
        try:
            while True:
                seconds, payload = channel.receive()
                _limit_cpu(seconds)
                channel.send(_reply(answer, payload))
        except (Closed, OSError):
            close_all()
            os._exit(0)  # at once, whatever threads the target has left


def _reply(answer: Callable[[Any], object], payload: object) -> bytes:
    try:
        return frame({"result": answer(payload)})
    except (MemoryError, RecursionError) as error:
        return frame({"error": f"{type(error).__name__}: {error}", "limit": True})
    except Exception:  # noqa: BLE001 - whatever it is, the parent raises it
        return frame({"error": trace(), "limit": False})


def trace() -> str:
    """The traceback of the error that is handled, its end."""
    return traceback.format_exc()[-_TRACE:]


@contextmanager
def ending_with(parent: int) -> Iterator[None]:
    """Have a thread end this process when its parent has ended, which it may do without a word."""
    # Not prctl(PR_SET_PDEATHSIG): that kills already when the thread ends that started the
    # process. Nor the closed socket alone: nobody reads it during a long answer, and a fork of the
    # parent may hold it open.
    over = threading.Event()

    def look() -> None:
        while os.getppid() == parent:
            if over.wait(_LOOK_S):
                return
        os._exit(1)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def limit_memory(size: int) -> None:
    """Limit this process and, each by itself, those that it forks."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        _set_soft(resource.RLIMIT_AS, size)


def lift_limit_of_cpu() -> None:
    """Undo what a caller that itself is a worker passes on, for a process that lives for long."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def _limit_cpu(seconds: float) -> None:
    # The parent's clock ends an answer first. Without a parent, a computation inside one long
    # step, which lets no thread look, ends by this.
    _set_soft(resource.RLIMIT_CPU, int(time.process_time() + seconds) + 2)


def _set_soft(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
