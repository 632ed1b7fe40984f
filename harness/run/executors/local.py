"""Executor `local`: a few threads of this process, each waiting for one cell at a time."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from types import FrameType

Item = TypeVar("Item")
Result = TypeVar("Result")


class StopRequest(Exception):  # noqa: N818 - not an error: the user asked
    """SIGINT or SIGTERM arrived; what is running has been stopped."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)


@dataclass(frozen=True, slots=True)
class _Crash:
    error: BaseException


class _Done:
    """A worker has no more to do."""


class LocalExecutor:
    """Works on items in `workers` threads."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"{workers} workers")
        self.workers = workers

    def run(
        self,
        items: Iterable[Item],
        work: Callable[[Item], Iterable[Result]],
        stop: Callable[[], None],
    ) -> Generator[Result, None, None]:
        """Yield what `work(item)` yields, for every item, in the order in which it comes.

        Args:
            work: called in the threads. Its first exception stops all and is raised here.
            stop: makes every call of `work` return soon; called when anything goes wrong, when
                the caller closes this generator early, and on SIGINT and SIGTERM.

        Raises:
            StopRequest: on SIGINT or SIGTERM, after all threads have ended and all that came of
                their work has been yielded.
        """
        results: SimpleQueue[Result | _Crash | StopRequest | _Done] = SimpleQueue()
        source = _SharedIterator(items)
        threads = [
            threading.Thread(target=_work, args=(source, work, results), name=f"worker-{number}")
            for number in range(self.workers)
        ]
        with _signals_to(results.put):
            for thread in threads:
                thread.start()
            is_complete = False
            request = None
            try:
                alive = len(threads)
                while alive:
                    message = results.get()
                    if isinstance(message, _Done):
                        alive -= 1
                    elif isinstance(message, _Crash):
                        raise message.error
                    elif isinstance(message, StopRequest):
                        request = message
                        source.close()
                        stop()
                    else:
                        yield message
                is_complete = True
            finally:
                if not is_complete:
                    source.close()
                    stop()
                for thread in threads:
                    thread.join()
        if request is not None:
            raise request


class _SharedIterator(Generic[Item]):
    """An iterator that several threads may ask for the next item."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()
        self._is_closed = False

    def close(self) -> None:
        self._is_closed = True

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._lock:
                if self._is_closed:
                    return
                try:
                    item = next(self._items)
                except StopIteration:
                    return
            yield item


def _work(
    source: _SharedIterator[Item],
    work: Callable[[Item], Iterable[Result]],
    results: SimpleQueue[Result | _Crash | StopRequest | _Done],
) -> None:
    try:
        for item in source:
            for result in work(item):
                results.put(result)
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        results.put(_Crash(error))
    finally:
        results.put(_Done())


@contextmanager
def _signals_to(put: Callable[[StopRequest], None]) -> Iterator[None]:
    """For the block, send SIGINT and SIGTERM to the queue; the second one acts as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, _frame: FrameType | None) -> None:
        restore()
        put(StopRequest(number))

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
