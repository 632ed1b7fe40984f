"""One worker, as the process sees it that started it."""

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
from reward_scorers.workers.channel import Channel, Closed, Control

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START_S: Final = 60.0  # for Python to start and to import the target
_LOOK_S: Final = 0.5  # how often a silent worker is looked after
_END_S: Final = 2.0  # for a server to end; it gives 0.5 s to the process that answers
_NEXT: Final = b"n"

_ROOT: Final = str(Path(__file__).resolve().parents[2])
# The worker sees the modules that its parent sees, also where the parent was told by sys.path only
# and not by the environment. PYTHONPATH would not do: it goes before the standard library.
_BOOT: Final = (
    "import json, sys; told = json.loads(sys.argv[1]); sys.path[:] = told.pop('path');"
    "from reward_scorers.workers.server import run; run(**told)"
)
# Order of sets, and of what is made of them, is the same in every worker. Libraries of numerics
# reserve memory for each of their threads, which the limit of memory would count.
_SETTINGS: Final = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class ServerGone(Exception):  # noqa: N818 - the input of the call is not at fault
    """The server ended before it could fork the process that was to answer."""


class Worker:
    """A server, which has imported the target, and the process it forked, which answers."""

    def __init__(self, target: str, memory_bytes: int) -> None:
        self.target = target
        self.ready = False
        self.answered = 0
        self.pid: int | None = None
        self._channel: Channel | None = None
        self._forks = False
        try:
            self._control, theirs = Control.pair()
            with theirs:
                told = {
                    "path": [*(str(Path(entry).absolute()) for entry in sys.path), _ROOT],
                    "target": target,
                    "descriptor": theirs.fileno(),
                    "parent": os.getpid(),
                    "memory_bytes": memory_bytes,
                }
                self._server = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, json.dumps(told)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=os.environ | _SETTINGS,
                    pass_fds=[theirs.fileno()],
                )
        except OSError as error:
            raise WorkerError(f"cannot start a worker for {target}: {error}") from error
        self._control.post(_NEXT)

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the process that answers is there.

        Raises:
            WorkerError: Python does not start, or the target cannot be imported, or not in time.
            ServerGone: the server, which has served before, was killed; a new one will do.
        """
        if self.ready:
            return
        try:
            told = self._receive(self._control, Deadline.after(seconds))
        except TimeoutError:
            raise WorkerError(f"no worker for {self.target} within {seconds:g} s") from None
        except Closed:
            if self._forks:
                raise ServerGone from None
            code = self._server.wait()
            raise WorkerError(f"a worker for {self.target} ended at its start: {code}") from None
        if "error" in told:
            raise WorkerError(f"a worker cannot load {self.target}:\n{told['error']}")
        self._channel = Channel(self._control.next_socket())
        self.pid, self._forks = told["pid"], told["forks"]
        self.answered = 0
        self.ready = True

    def replies(self, frames: Sequence[bytes], seconds: float) -> Iterator[dict[str, Any]]:
        """The replies to frames in their order, each within `seconds` of the one before."""
        assert self._channel is not None
        self._channel.post(b"".join(frames))
        for _ in frames:
            reply = self._reply(self._channel, seconds)
            self.answered += 1
            yield reply

    def _reply(self, channel: Channel, seconds: float) -> dict[str, Any]:
        deadline = Deadline.after(seconds)
        left = seconds
        while True:
            message: dict[str, Any] = self._receive(channel, deadline)
            if "waiting" not in message:
                return message
            if message["waiting"] == "begins":
                left = deadline.remaining()
                deadline = Deadline.after(message["seconds"])
            else:
                deadline = Deadline.after(max(left, _LOOK_S))

    def _receive(self, channel: Channel, deadline: Deadline) -> Any:
        while (message := channel.next_message()) is None:
            if not (remaining := deadline.remaining()):
                raise TimeoutError(f"no answer of {self.target} in time")
            # Without its server, the process that answers ends as soon as it can look.
            if not channel.move(min(remaining, _LOOK_S)) and not self._server_lives():
                raise Closed
        return message

    def _server_lives(self) -> bool:
        return self._server.poll() is None

    def lives(self) -> bool:
        """Whether the worker, which is idle, can be asked once it is ready."""
        return self._server_lives() and (self._channel is None or self._channel.still())

    def renew(self) -> bool:
        """Have the process that answers killed and the next one forked; whether that is to come.

        It takes milliseconds, for which nobody waits here but the next call.
        """
        if not (self.ready and self._forks and self._server_lives()):
            return False
        self._part()
        self._control.post(_NEXT)
        with suppress(Closed):
            return self._control.move(0)
        return False

    def _part(self) -> None:
        self.ready, self.pid = False, None
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def kill(self) -> None:
        """End the server at once, and leave no zombie; the process that answers ends with it."""
        self._server.kill()
        with suppress(subprocess.TimeoutExpired):
            self._server.wait(timeout=5)
        self._control.close()
        self._part()

    def hang_up(self) -> None:
        """Tell the worker to end, and by it the workers that it may have; see `wait_for_end`."""
        channel = self._channel  # which the thread that it answers may just be closing
        if channel is not None:
            channel.hang_up()
        self._control.hang_up()

    def wait_for_end(self) -> None:
        """Wait until the server has ended, or kill it where it does not."""
        with suppress(subprocess.TimeoutExpired):
            self._server.wait(timeout=_END_S if self.ready else 0)
        self._server.kill()
        with suppress(subprocess.TimeoutExpired):
            self._server.wait(timeout=5)

    def forget(self) -> None:
        """Leave the worker to the parent of this process, which was forked from it."""
        self._control.close()
        self._part()
        self._server.returncode = 0  # no child of this process: nothing to wait for
