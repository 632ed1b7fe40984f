"""Places of workers, handed out in the order in which they are asked for."""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Places(Generic[T]):
    """A few places that many threads want, each for a while.

    Who comes first is served first. A semaphore would let a thread that has just given its place
    back take it again before those that wait: a second of waiting for some, where others wait for
    nothing.
    """

    def __init__(self, places: list[T]) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._waiting: deque[SimpleQueue[T]] = deque()

    def take(self) -> T:
        """A place; waits for one. The place given back last comes first, for it is warm."""
        with self._lock:
            if self._free:
                return self._free.pop()
            own: SimpleQueue[T] = SimpleQueue()
            self._waiting.append(own)
        try:
            return own.get()
        except BaseException:  # an interrupt: whoever is next shall have what may have come
            with self._lock:
                if own in self._waiting:
                    self._waiting.remove(own)
                    raise
            self.give(own.get())
            raise

    def give(self, place: T) -> None:
        """Give a place back."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(place)
            else:
                self._free.append(place)
