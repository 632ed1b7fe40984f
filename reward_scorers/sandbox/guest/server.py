"""The warm parent: it forks a process per program, and passes that process's report on.

It never holds what a program, a test or a report says, for the next program inherits its memory:
the forked process reads its job from standard input itself, and reports are spliced from pipe to
pipe inside the kernel. Only sizes and limits are read here.

Requests: a length of 4 bytes, JSON with "kind", "limits" and "sizes", then the job's two parts.
Replies: frames of a kind (D: a piece of the report; E: its end, in JSON) and a length of 4 bytes.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import select
import signal
import sys
import termios
import time
from typing import TYPE_CHECKING, Any, NoReturn

from . import box, kernel, program, seccomp, wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PIECE = 1 << 16
_ROOM = 4  # how many times the size of programs' folders a file system may have that holds them
_GRACE_S = 0.4  # how long behind its limits a judging process may go on before it is killed

# Modules that programs import most, so that a fork has them already.
WARM = [
    "abc",
    "bisect",
    "collections",
    "copy",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "re",
    "string",
    "typing",
    "collections.abc",
]

_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

# The network is the sandbox's, which is empty, and no program can make a socket: one of its own for
# each would take as long again as all others together.
NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
)


class Server:
    """Forks a process per job until standard input is closed.

    Args:
        settings: "namespaces", "landlock": whether programs get them; "readable": what they may
            read; "writable": the folder that holds theirs; "oom": descriptor of the file that
            counts what was killed for want of memory, or None.
        proc: descriptor of a folder /proc in which processes have their numbers.
    """

    def __init__(self, settings: Mapping[str, Any], proc: int) -> None:
        self._settings, self._proc = settings, proc
        self._user = os.geteuid(), os.getegid()
        self._filter = seccomp.program_filter(final=settings["namespaces"])
        self._ruleset = self._landlock(settings["writable"]) if settings["namespaces"] else None
        if not settings["namespaces"]:
            kernel.adopt_orphans()

    def serve(self) -> None:
        """Answer requests to the end."""
        degree = {name: self._settings[name] for name in ("namespaces", "landlock")}
        self._say(b"E", {"ready": degree, "python": sys.version.split()[0]})
        while True:
            try:
                length = int.from_bytes(wire.read_exactly(0, 4), "big")
                request = json.loads(wire.read_exactly(0, length))
            except wire.Gone:
                return
            self._do(request["kind"], request["limits"], request["sizes"])

    def _landlock(self, folder: str) -> int | None:
        """The ruleset by which programs may write to a folder, None without Landlock.

        In namespaces there is one for all programs, for the folder that holds theirs: Landlock does
        not look at a folder that something is mounted on, but at those above it.
        """
        if not self._settings["landlock"]:
            return None
        devices = [path for path in _DEVICES if os.path.exists(path)]
        readable, writable = (
            [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in paths]
            for paths in ([*self._settings["readable"], folder], [*self._held(folder), *devices])
        )
        try:
            return kernel.paths_ruleset(readable, writable)
        finally:
            for descriptor in (*readable, *writable):
                os.close(descriptor)

    def _held(self, folder: str) -> list[str]:
        """The folder, if a file system of its own, of a size, holds what is written to it."""
        held = os.statvfs(folder)
        most = _ROOM * self._settings["files_bytes"]
        small = held.f_blocks * held.f_frsize <= most
        return [folder] if self._settings["namespaces"] or small else []

    def _do(self, kind: str, limits: Mapping[str, Any], sizes: Sequence[int]) -> None:
        ours, theirs = os.pipe()
        scratch, ruleset = box.SCRATCH, self._ruleset
        if not self._settings["namespaces"]:
            scratch = new_folder()
            ruleset = self._landlock(scratch)
        process = self._fork(kind, limits, sizes, theirs, ours, scratch, ruleset)
        os.close(theirs)
        try:
            killed = self._relay(process, ours, kind, limits)
        finally:
            os.close(ours)
        _, status, usage = os.wait4(process, 0)
        if scratch != box.SCRATCH:
            self._tidy(scratch, ruleset)
        cpu = usage.ru_utime + usage.ru_stime
        told = {"killed": killed, "status": status, "cpu_s": cpu}
        self._say(b"E", told | {"oom_kills": _oom_kills(self._settings["oom"])})

    def _tidy(self, scratch: str, ruleset: int | None) -> None:
        """Leave nothing of a program that had no namespaces."""
        try:
            while True:  # its process is killed if the one that judged it was
                os.waitpid(-1, 0)
        except ChildProcessError:
            pass
        if ruleset is None:  # it could write beside its folder
            empty_folder(box.SCRATCH)
            return
        os.close(ruleset)
        empty_folder(scratch)
        os.rmdir(scratch)

    def _fork(
        self,
        kind: str,
        limits: Mapping[str, Any],
        sizes: Sequence[int],
        report: int,
        other: int,
        scratch: str,
        ruleset: int | None,
    ) -> int:
        settings = self._settings
        apart = settings["namespaces"]
        process = kernel.clone_process(NAMESPACES) if apart else os.fork()
        if not process:
            try:
                os.close(other)
                gc.disable()
                _offer_to_oom_killer(self._proc)
                if apart:
                    map_user(self._proc, self._user)
                else:
                    kernel.die_with_parent()
            except BaseException:
                os._exit(2)
            box.main(
                box.Box(
                    limits,
                    namespaces=apart,
                    ruleset=ruleset,
                    scratch=scratch,
                    report=report,
                    filter_=self._filter,
                ),
                kind,
                sizes,
            )
        return process

    def _relay(self, process: int, report: int, kind: str, limits: Mapping[str, Any]) -> bool:
        """Pass the report on; whether its process had to be killed."""
        try:
            ready = os.read(report, 1)
            if ready != box.READY:
                self._broken(report, ready)
            seconds = limits["total_s"] if kind == "script" else limits["time_s"]
            deadline = time.monotonic() + min(seconds, limits["total_s"]) + _GRACE_S
            while self._wait(report, process, deadline):
                if not self._pass_on(report):
                    return False
            os.kill(process, signal.SIGKILL)
            while self._pass_on(report):
                pass
            return True
        except BaseException:
            os.kill(process, signal.SIGKILL)
            raise

    def _wait(self, report: int, process: int, deadline: float) -> bool:
        """Wait for more of the report; False when it is too late."""
        poll = select.poll()
        poll.register(report, select.POLLIN)
        poll.register(0, 0)
        seconds = deadline - time.monotonic()
        events = dict(poll.poll(max(0, seconds) * 1000)) if seconds > 0 else {}
        if 0 in events:  # whoever asked is gone
            os.kill(process, signal.SIGKILL)
            os._exit(0)
        return report in events

    def _pass_on(self, report: int) -> bool:
        """Pass one piece on without looking at it; False at the end."""
        poll = select.poll()
        poll.register(report, select.POLLIN)
        poll.poll()
        count = _waiting_bytes(report)
        if not count:
            return False
        wire.write_all(1, b"D" + count.to_bytes(4, "big"))
        while count:
            count -= os.splice(report, 1, count)
        return True

    def _broken(self, report: int, told: bytes) -> NoReturn:
        # The job was not read to its end: what follows on standard input is in no known place. This
        # process may look at the report, since it ends here.
        while piece := os.read(report, _PIECE):
            told += piece
        words = told.decode("ascii", "replace") or "it ended at its start"
        self._say(b"E", {"broken": f"a judging process could not begin: {words}"})
        os._exit(3)

    def _say(self, kind: bytes, told: Mapping[str, Any]) -> None:
        data = json.dumps(told).encode("ascii")
        wire.write_all(1, kind + len(data).to_bytes(4, "big") + data)


def _oom_kills(descriptor: int | None) -> int:
    if descriptor is None:
        return 0
    lines = os.pread(descriptor, _PIECE, 0).decode("ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _waiting_bytes(descriptor: int) -> int:
    count = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    return int.from_bytes(count, sys.byteorder)


def _offer_to_oom_killer(proc: int) -> None:
    """Let the kernel end this process, and not the warm parent, where memory runs out."""
    try:
        file = os.open("self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
    except OSError:  # a /proc that may not be written, as in a container
        return
    try:
        os.write(file, b"1000")
    finally:
        os.close(file)


def map_user(proc: int, outer: tuple[int, int], inner: tuple[int, int] = (1000, 1000)) -> None:
    """In a new user namespace: be somebody there.

    Args:
        proc: descriptor of a folder /proc.
        outer: our user and group outside.
        inner: user and group inside.
    """
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inner[0]} {outer[0]} 1"),
        ("gid_map", f"{inner[1]} {outer[1]} 1"),
    ):
        file = os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            os.write(file, text.encode("ascii"))
        finally:
            os.close(file)


def new_folder() -> str:
    """A folder for one program, where it cannot have a file system of its own."""
    import tempfile

    return tempfile.mkdtemp(dir=box.SCRATCH)


def empty_folder(path: str) -> None:
    """Remove what a program has left in a folder, however deep and whatever its permissions."""
    count = 0
    if path != box.SCRATCH:
        os.chmod(path, 0o700)
    while entries := list(os.scandir(path)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            for inner in os.scandir(entry.path):
                if inner.is_dir(follow_symlinks=False):  # moved up, so that no path grows long
                    os.chmod(inner.path, 0o700)
                    while os.path.lexists(f"{path}/{count}"):
                        count += 1
                    os.rename(inner.path, f"{path}/{count}")
                else:
                    os.unlink(inner.path)
            os.rmdir(entry.path)


def can_nest(proc: int) -> bool:
    """Whether this process may fork into namespaces of their own and mount there."""
    outer = os.geteuid(), os.getegid()
    try:
        process = kernel.clone_process(NAMESPACES)
    except OSError:
        return False
    if process == 0:
        try:
            map_user(proc, outer)
            kernel.mount("tmpfs", box.SCRATCH, "tmpfs")
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(process, 0)[1] == 0


def warm(modules: Iterable[str]) -> None:
    """Import what programs will want, and tidy the memory that they inherit."""
    for name in (*WARM, *modules):
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    program.open_streams()
    program.add_site_builtins()
    # A signal that has a handler reaches process 1 of a namespace, which judges.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.collect()
    gc.freeze()
