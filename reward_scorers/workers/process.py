"""What runs inside a worker process: limits, the target, and one answer after the other."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.workers.channel import Closed, Served, frame
from reward_scorers.workers.pool import close_all, on_waiting

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_S: Final = 0.5  # how often a worker looks whether its parent lives
_TRACE: Final = 4_000  # characters of a traceback that are told, its end


def serve(*, target: str, descriptor: int, parent: int, memory_bytes: int) -> None:
    """Answer the calls that come over a socket, until its other side closes."""
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - else a grandchild would keep the parent waiting
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who then kills
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _limit_memory(memory_bytes)
    channel = Served(descriptor)
    on_waiting(lambda what: channel.send(frame({"waiting": what})))
    try:
        answer = _load(target)
    except Exception:  # noqa: BLE001 - whatever it is, the parent raises it
        channel.send(frame({"error": _trace()}))
        return
    channel.send(frame({"ready": True}))
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
        return frame({"error": _trace(), "limit": False})


def _load(target: str) -> Callable[[Any], object]:
    path, _, name = target.partition(":")
    module = import_module(path)
    if hasattr(module, "warm"):
        module.warm()
    function: Callable[[Any], object] = getattr(module, name)
    return function


def _trace() -> str:
    return traceback.format_exc()[-_TRACE:]


def _end_with(parent: int) -> None:
    # Not prctl(PR_SET_PDEATHSIG): that kills the worker already when the thread ends that started
    # it. Nor the closed socket alone: nobody reads it during a long answer, and a fork of the
    # parent may hold it open.
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


def _limit_memory(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        _set_soft(resource.RLIMIT_AS, size)


def _limit_cpu(seconds: float) -> None:
    # The parent's clock ends an answer first. Without a parent, a computation inside one long
    # step, which lets no thread look, ends by this.
    _set_soft(resource.RLIMIT_CPU, int(time.process_time() + seconds) + 2)


def _set_soft(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
