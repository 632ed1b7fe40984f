"""The time that one answer may take, from reading its text to the last step of its scorer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

DEFAULT_S: Final = 2.0


@dataclass(slots=True)
class Deadline:
    """A point in time, in seconds of the monotonic clock.

    Steps whose work is linear in the text do not look at it. A step that can take longer runs in a
    worker process, which is killed when nothing remains: no signal and no thread is needed in the
    process that scores, so it may be a daemon, a Ray worker or any thread of either.
    """

    end: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now.

        Raises:
            ValueError: `seconds` is not positive.
        """
        if not seconds > 0:
            raise ValueError(f"a deadline must be positive, found {seconds} s")
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.end - time.monotonic())

    def extend(self, seconds: float) -> None:
        """Put the end off, by the time that went into waiting for a worker and not into the answer.

        Without this, a verdict would depend on how many threads ask at the same time.
        """
        self.end += seconds
