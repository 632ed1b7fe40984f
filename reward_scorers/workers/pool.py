"""Worker processes that can be killed, for steps that may take for ever or eat all memory.

A worker is a server, which starts once and imports the target, and a process that it forks, which
answers call after call. One that is too slow, dies or has answered often is killed, and the server
forks the next within milliseconds. No signal handler, no thread and no multiprocessing is needed in
the process that calls, so it may be any thread, a daemon or a Ray worker. POSIX only.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from reward_scorers.errors import WorkerCrashed, WorkerError
from reward_scorers.workers.channel import Closed, frame
from reward_scorers.workers.worker import START_S, ServerGone, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reward_scorers.deadline import Deadline

MEMORY_BYTES: Final = 2 << 30
MAX_CALLS: Final = 2_000  # then a worker is replaced, which bounds what caches (sympy's) may hold


class WorkerPool:
    """Workers that answer calls of one function of JSON values.

    Safe to share between threads. After a fork, the child has a pool without workers and starts its
    own. Workers end with the process that started them, also where that is killed.
    What a call changes in the memory of its worker is seen by later calls, until that is replaced.

    Args:
        target: "module:function"; the function takes the payload and gives the result. It prints
            to nowhere. What it raises is a `WorkerError` here, except for want of memory or stack.
            A function `warm` of the module, if there is one, is called at the start: it may import
            what the module, to be light for others, imports late. If either leaves a thread
            running, its process cannot be forked, and each replacement imports the target anew.
        size: how many calls are answered at the same time; others wait.
        memory_bytes: how much address space a process may take (Linux).
        max_calls: after how many calls the process that answers is replaced.
        start_s: seconds that a worker may take to start.
    """

    def __init__(
        self,
        target: str,
        size: int = 1,
        *,
        memory_bytes: int = MEMORY_BYTES,
        max_calls: int = MAX_CALLS,
        start_s: float = START_S,
    ) -> None:
        if target.count(":") != 1 or size < 1 or max_calls < 1:
            raise ValueError(
                'a pool needs a target "module:function", and a size and calls of 1 or more;'
                f" found {target!r}, {size} and {max_calls}"
            )
        self.target = target
        self.size = size
        self._memory_bytes = memory_bytes
        self._max_calls = max_calls
        self._start_s = start_s
        self._closed = False
        self._all: set[Worker] = set()
        self._idle: list[Worker] = []
        self._begin()
        _POOLS.add(self)

    def call(self, payload: object, deadline: Deadline) -> Any:
        """The target's result for a payload; both are JSON values.

        The time until a worker is free and started is not the payload's: the deadline is extended
        by it. An input on which a process dies is given to a fresh one, once.

        Raises:
            TimeoutError: no answer by the deadline; the process that did not answer is killed.
            WorkerCrashed: two processes died on the payload, or it wants more than their memory.
            WorkerError: a worker cannot start, or the target raises.
        """
        seconds = deadline.remaining()
        if not seconds:
            raise TimeoutError("no time is left to ask a worker")
        [answer], waited = self._answers([payload], seconds)
        deadline.extend(waited)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call_each(self, payloads: Sequence[object], seconds: float) -> list[Any]:
        """The results of many payloads, by one worker, `seconds` for each.

        In place of a result stands the TimeoutError or WorkerCrashed that its `call` raises.

        Raises:
            WorkerError: a worker cannot start, or the target raises.
        """
        return self._answers(payloads, seconds)[0]

    def prepare(self) -> None:
        """Start a worker if none is idle, and do not wait for it: some call will want it."""
        with self._lock, suppress(WorkerError):  # should it not start, the next call tells
            if not self._idle:
                self._idle.append(self._start())

    def close(self) -> None:
        """End the workers; a later call is an error. At the exit of the process, it is done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            workers = list(self._all)
            self._all.clear()
        for worker in workers:
            worker.hang_up()
        for worker in workers:
            worker.wait_for_end()
        for worker in idle:  # on the channels of others, a thread may be listening, which closes
            worker.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def pids(self) -> list[int]:
        """The process ids of the processes that answer; their parents are their servers."""
        with self._lock:
            return sorted(worker.pid for worker in self._all if worker.pid is not None)

    def _answers(self, payloads: Sequence[object], seconds: float) -> tuple[list[Any], float]:
        frames = [frame([seconds, payload]) for payload in payloads]
        answers: list[Any] = []
        waited = 0.0
        deaths = 0
        while len(answers) < len(frames):
            asked = time.monotonic()
            try:
                with self._worker() as worker:
                    waited += time.monotonic() - asked
                    for reply in worker.replies(frames[len(answers) :], seconds):
                        answers.append(self._read(reply))
                        deaths = 0
            except TimeoutError as error:
                answers.append(error)
                deaths = 0
            except ServerGone:
                continue  # no process has seen the input
            except Closed:
                deaths += 1
                if deaths == 2:  # the first may have been killed by others, for example for memory
                    answers.append(WorkerCrashed(f"{self.target} died twice on the same input"))
                    deaths = 0
        return answers, waited

    def _read(self, reply: dict[str, Any]) -> Any:
        if "result" in reply:
            return reply["result"]
        if reply["limit"]:
            return WorkerCrashed(f"{self.target}: {reply['error']}")
        raise WorkerError(f"{self.target} raised, which is an error in it:\n{reply['error']}")

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        """A worker that is ready; whatever interrupts its answer, its process is replaced."""
        if not self._slots.acquire(blocking=False):
            with told_waiting():
                self._slots.acquire()
        try:
            worker = self._take()
            try:
                if not worker.ready:
                    with told_waiting():
                        worker.wait_until_ready(self._start_s)
                yield worker
            except BaseException:  # also an interrupt: the answer would go to the next question
                self._drop(worker)
                raise
            self._give_back(worker)
        finally:
            self._slots.release()

    def _take(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.lives() or worker.renew():
                    return worker
                self._all.discard(worker)
                worker.kill()
            return self._start()

    def _give_back(self, worker: Worker) -> None:
        if worker.answered >= self._max_calls:
            self._drop(worker)
        else:
            self._keep(worker)

    def _drop(self, worker: Worker) -> None:
        had_started = worker.ready
        if worker.renew() and self._keep(worker):
            return
        worker.kill()
        with self._lock:
            self._all.discard(worker)
        if had_started:
            self.prepare()

    def _keep(self, worker: Worker) -> bool:
        with self._lock:
            if self._closed:
                return False
            self._idle.append(worker)
            return True

    def _start(self) -> Worker:
        if self._closed:
            raise WorkerError(f"the workers of {self.target} are closed")
        worker = Worker(self.target, self._memory_bytes)
        self._all.add(worker)
        return worker

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(self.size)

    def forget(self) -> None:
        """Begin anew in a process just forked: the workers are its parent's, and so are locks."""
        for worker in self._all:
            worker.forget()
        self._all.clear()
        self._idle.clear()
        self._begin()


_waiting_listeners: list[Callable[[str, float], None]] = []


def on_waiting(listener: Callable[[str, float], None]) -> None:
    """Have a function called with "begins" and "ends" where a call waits for a worker.

    The number is for how many seconds at most.

    A worker that has workers of its own tells its parent by this, whose clock then stands still.
    """
    _waiting_listeners.append(listener)


@contextmanager
def told_waiting(seconds: float = START_S + 10) -> Iterator[None]:
    """Stop the clock of the parent, if this is a worker's process, while the block waits.

    Args:
        seconds: when the parent shall give up all the same.
    """
    for listener in _waiting_listeners:
        listener("begins", seconds)
    try:
        yield
    finally:
        for listener in _waiting_listeners:
            listener("ends", 0.0)


_POOLS: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _forget_all() -> None:
    _waiting_listeners.clear()  # they tell the parent of the process that was forked
    for pool in list(_POOLS):
        pool.forget()


@atexit.register
def close_all() -> None:
    """End the workers of all pools; done at the exit of a process."""
    for pool in list(_POOLS):
        pool.close()


os.register_at_fork(after_in_child=_forget_all)
