"""One worker process, as the process sees it that started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.deadline import Deadline
from reward_scorers.errors import WorkerError
from reward_scorers.workers.channel import Channel, Closed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START_S: Final = 60.0  # for Python to start and to import the target
_LOOK_S: Final = 0.5  # how often a silent worker is looked after
# How long a worker may say that it waits for a worker of its own, which has its own limit.
_PATIENCE_S: Final = START_S + 10

_ROOT: Final = str(Path(__file__).resolve().parents[2])
# The worker sees the modules that its parent sees, also where the parent was told by sys.path only
# and not by the environment. PYTHONPATH would not do: it goes before the standard library.
_BOOT: Final = (
    "import json, sys; told = json.loads(sys.argv[1]); sys.path[:] = told.pop('path');"
    "from reward_scorers.workers.process import serve; serve(**told)"
)
# Order of sets, and of what is made of them, is the same in every worker. Libraries of numerics
# reserve memory for each of their threads, which the limit of memory would count.
_SETTINGS: Final = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Worker:
    """One worker process, and the channel to it; `on_silence` is called while an answer lasts."""

    def __init__(self, target: str, memory_bytes: int, on_silence: Callable[[], None]) -> None:
        self.target = target
        self._on_silence = on_silence
        self.ready = False
        self.answered = 0
        try:
            self.channel, theirs = Channel.pair()
            with theirs:
                told = {
                    "path": [*(str(Path(entry).absolute()) for entry in sys.path), _ROOT],
                    "target": target,
                    "descriptor": theirs.fileno(),
                    "parent": os.getpid(),
                    "memory_bytes": memory_bytes,
                }
                self.process = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, json.dumps(told)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=os.environ | _SETTINGS,
                    pass_fds=[theirs.fileno()],
                )
        except OSError as error:
            raise WorkerError(f"cannot start a worker for {target}: {error}") from error

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until Python has started and the target is imported; WorkerError if they are not."""
        if self.ready:
            return
        try:
            hello = self._receive(Deadline.after(seconds))
        except TimeoutError:
            raise WorkerError(f"no worker for {self.target} within {seconds:g} s") from None
        except Closed:
            code = self.process.wait()
            raise WorkerError(f"a worker for {self.target} ended at its start: {code}") from None
        if "error" in hello:
            raise WorkerError(f"a worker cannot load {self.target}:\n{hello['error']}")
        self.ready = True

    def replies(self, frames: Sequence[bytes], seconds: float) -> Iterator[dict[str, Any]]:
        """The replies to frames in their order, each within `seconds` of the one before."""
        self.channel.post(b"".join(frames))
        for _ in frames:
            reply = self._reply(seconds)
            self.answered += 1
            yield reply

    def _reply(self, seconds: float) -> dict[str, Any]:
        deadline = Deadline.after(seconds)
        left = seconds
        while True:
            message: dict[str, Any] = self._receive(deadline)
            if "waiting" not in message:
                return message
            if message["waiting"] == "begins":
                left = deadline.remaining()
                deadline = Deadline.after(_PATIENCE_S)
            else:
                deadline = Deadline.after(max(left, _LOOK_S))

    def _receive(self, deadline: Deadline) -> Any:
        while (message := self.channel.next_message()) is None:
            if not (remaining := deadline.remaining()):
                raise TimeoutError(f"no answer of {self.target} in time")
            moved = self.channel.move(min(remaining, _LOOK_S))
            if not moved:
                if not self.lives():  # a process forked at a bad moment may hold its end open
                    raise Closed
                if self.ready:
                    self._on_silence()
        return message

    def lives(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End the process at once, and leave no zombie."""
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)

    def dismiss(self) -> None:
        """End the process, which is idle, and by it the workers that it may have."""
        self.channel.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1)
        self.kill()

    def forget(self) -> None:
        """Leave the process to the parent of this one, which was forked from it."""
        self.channel.close()
        self.process.returncode = 0  # no child of this process: nothing to wait for
