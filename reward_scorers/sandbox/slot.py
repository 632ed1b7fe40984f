"""One sandbox with its warm parent: it is started, asked and killed."""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from reward_scorers.sandbox.errors import SandboxUnavailable

if TYPE_CHECKING:
    from reward_scorers.sandbox.backends.backend import Started
    from reward_scorers.sandbox.limits import Limits

# Python without site packages of users, the current folder or the module site. Isolated (-I) it
# would not look at PYTHONHASHSEED, and sets had another order in each sandbox.
FLAGS: Final = ("-s", "-P", "-S")

_PIECE: Final = 1 << 16
_GRACE_S: Final = 5.0  # how long behind all limits a sandbox is waited for
_LONGEST_TOLD: Final = 1 << 20
_HEAD: Final = 5  # a kind and a length


class SlotDied(Exception):  # noqa: N818 - an event, and nobody's error
    """The sandbox ended, or does not answer; it says nothing about the program."""


class Report(NamedTuple):
    """What a sandbox says of a program."""

    data: bytes  # of the judging process, cut short where that was killed
    end: dict[str, Any]  # of the warm parent


class Slot:
    """A sandbox that runs one program at a time.

    Args:
        started: how to start it.
        start_s: seconds that it may take to start.

    Raises:
        SandboxUnavailable: it cannot be started; the message says why.
    """

    def __init__(self, started: Started, *, start_s: float) -> None:
        self._started = started
        self._oom_kills = 0  # as a sandbox says that sees its own control group
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the slot
            self._process = self._popen()
            self._deadline = time.monotonic() + start_s
            self._write(bundle(started.settings))
            told = self._end_frame()
            if "ready" not in told:
                raise SlotDied(told.get("impossible") or "no reason told")
        except (OSError, SlotDied) as error:
            self.kill()
            raise SandboxUnavailable(f"{started.name} did not start: {error}") from None
        except BaseException:
            self.kill()
            raise
        finally:
            started.close_descriptors()
        self.degree: dict[str, Any] = told["ready"]
        self.pid = self._process.pid

    def _popen(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._started.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=self._started.environment,
            pass_fds=self._started.descriptors,
            bufsize=0,
            start_new_session=True,  # a Ctrl-C in a terminal is for the service to decide on
            cwd=tempfile.gettempdir(),  # where engines leave what they must
        )

    @property
    def isolation(self) -> str:
        """How programs are confined here."""
        means = ["namespaces"] if self.degree["namespaces"] else []
        means += ["landlock"] if self.degree["landlock"] else []
        return "+".join([*self._started.around, *means, "seccomp"])

    def run(self, kind: str, parts: tuple[bytes, bytes], limits: Limits) -> Report:
        """Have a program run and judged.

        Raises:
            SlotDied: the sandbox ended, or does not answer.
        """
        request = json.dumps(
            {"kind": kind, "limits": limits.told(), "sizes": [len(part) for part in parts]}
        )
        head = request.encode("ascii")
        self._deadline = time.monotonic() + limits.total_s + _GRACE_S
        self._write(len(head).to_bytes(4, "big") + head + parts[0] + parts[1])
        most = 4 * limits.output_bytes + _LONGEST_TOLD
        pieces: list[bytes] = []
        while True:
            frame, length = self._frame_head()
            if frame == b"E":
                told = self._told(length)
                self._oom_kills = told["oom_kills"]
                return Report(b"".join(pieces), told)
            pieces.append(self._read(length))
            most -= length
            if most < 0:
                raise SlotDied("it says more than it may")

    def oom_kills(self) -> int:
        """How many processes a limit of all memory has killed, 0 where there is none."""
        return self._started.group.oom_kills() if self._started.group else self._oom_kills

    def lives(self) -> bool:
        """Whether it can be asked."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End the sandbox and all in it, and leave no zombie."""
        if self._process is not None:
            self._process.kill()
            if self._started.stop:
                with suppress(OSError, subprocess.SubprocessError):
                    subprocess.run(self._started.stop, capture_output=True, timeout=20, check=False)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)
        self._close()
        if self._started.group:
            self._started.group.remove()

    def forget(self) -> None:
        """Leave the sandbox to the process that this one was forked from."""
        if self._process is not None:
            self._process.returncode = 0
        self._close()

    def _close(self) -> None:
        process = self._process
        streams = [process.stdin, process.stdout] if process is not None else []
        for stream in (*streams, getattr(self, "_errors", None)):
            if stream is not None:
                stream.close()

    # -- messages

    def _end_frame(self) -> dict[str, Any]:
        kind, length = self._frame_head()
        if kind != b"E":
            raise SlotDied("an unexpected message")
        return self._told(length)

    def _told(self, length: int) -> dict[str, Any]:
        if length > _LONGEST_TOLD:
            raise SlotDied("it says more than it may")
        told: dict[str, Any] = json.loads(self._read(length))
        if "broken" in told and "ready" not in told:
            raise SlotDied(told["broken"])
        return told

    def _frame_head(self) -> tuple[bytes, int]:
        head = self._read(_HEAD)
        return head[:1], int.from_bytes(head[1:], "big")

    def _read(self, count: int) -> bytes:
        stream = self._process.stdout if self._process is not None else None
        assert stream is not None
        pieces = []
        while count:
            try:
                self._wait(stream, select.POLLIN)
                piece = stream.read(min(count, _PIECE))
            except ValueError:  # closed by another thread
                piece = b""
            if not piece:
                raise SlotDied(self._last_words())
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _write(self, data: bytes) -> None:
        stream = self._process.stdin if self._process is not None else None
        assert stream is not None
        left = memoryview(data)
        try:
            while left:
                self._wait(stream, select.POLLOUT)
                left = left[stream.write(left[:_PIECE]) or 0 :]
        except (OSError, ValueError):
            raise SlotDied(self._last_words()) from None

    def _wait(self, stream: IO[bytes], event: int) -> None:
        poll = select.poll()
        poll.register(stream, event)
        seconds = self._deadline - time.monotonic()
        if seconds <= 0 or not poll.poll(seconds * 1000):
            raise SlotDied("it does not answer")

    def _last_words(self) -> str:
        assert self._process is not None
        try:
            self._process.wait(timeout=5)
            self._errors.seek(0)
            said = self._errors.read()[-2000:].decode("utf-8", "replace").strip()
        except (subprocess.TimeoutExpired, ValueError):  # it was closed by another thread
            said = ""
        return said or f"it ended with {self._process.returncode}"


def bundle(settings: dict[str, Any]) -> bytes:
    """What a sandbox is sent first: the modules of `guest`, and its settings."""
    body = json.dumps({"sources": sources(), "settings": settings}).encode("ascii")
    return len(body).to_bytes(4, "big") + body


@cache
def sources() -> dict[str, str]:
    """The modules that run inside the sandbox: name -> text."""
    found = {}
    for file in files("reward_scorers.sandbox.guest").iterdir():
        name, _, ending = file.name.partition(".")
        if ending == "py" and name != "boot":
            full = "guest" if name == "__init__" else f"guest.{name}"
            found[full] = file.read_text(encoding="utf-8")
    return found


@cache
def boot() -> str:
    """The program that takes what `bundle` makes."""
    return (files("reward_scorers.sandbox.guest") / "boot.py").read_text(encoding="utf-8")
