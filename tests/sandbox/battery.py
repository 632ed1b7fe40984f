"""Hostile programs and how they are run: each is a file below `hostile`; its head tells what it is.

Lines of comment at a program's head, of which the first is its purpose:

    job: `tests`, `pytest`, `calls`, `values` (calls whose results are not compared) or `script`.
    ending: all endings that are right. `passed` is one only where something else is checked: what a
        script prints, or that nothing breaks.
    stdout: what a script must print, to the letter. Without it, it may print what it likes, but no
        secret.
    test: a line of test code, in place of `TESTS`.
    expected: what calls should return, in place of the secret.
    limits: of `Limits`, as name=value.
    inputs, calls: how many, 1 and 2 if not said.
    twice: the program is run once before, and must find nothing of that.
    packages: `none` for a sandbox without packages.
    needs: a package without which the program is not run.

A program that does what it attempts comes out as passed: tests expect a secret (`@MARKER@`) that it
can only have read where it must not, and scripts print what they have found.

It needs the standard library only, so that the battery can be run as any user by any Python:

    python -m tests.sandbox.battery
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import stat
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reward_scorers.sandbox import Call, Calls, Ending, Inputs, Job, Limits, Outcome, Sandbox, Tests
from reward_scorers.sandbox.backends.native import FIRST_USER

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).parent / "hostile"
SUFFIX: Final = ".py.txt"  # so that no tool takes them for code
SECRET_VARIABLE: Final = "SANDBOX_TEST_SECRET"

TESTS: Final = ['wanted = "@MARKER@"', "assert f(1) == wanted", "assert f(2) == wanted"]
PYTEST: Final = ["def test_one():", '    assert f(1) == "@MARKER@"']


@dataclass(frozen=True)
class Program:
    """A hostile program and what its head says."""

    name: str
    text: str
    head: dict[str, str]
    tests: list[str]

    @property
    def endings(self) -> set[Ending]:
        return {Ending(word) for word in self.head["ending"].split()}

    @property
    def limits(self) -> Limits:
        told = dict(pair.split("=") for pair in self.head.get("limits", "").split())
        numbers = {name: float(v) if name.endswith("_s") else int(v) for name, v in told.items()}
        return Limits(**({"time_s": 3.0, "total_s": 10.0} | numbers))  # type: ignore[arg-type]


def names() -> list[str]:
    """All hostile programs, as GROUP/NAME."""
    found = sorted(FOLDER.glob(f"*/*{SUFFIX}"))
    return [f"{path.parent.name}/{path.name.removesuffix(SUFFIX)}" for path in found]


def load(name: str) -> Program:
    """Read a program and its head."""
    text = (FOLDER / f"{name}{SUFFIX}").read_text(encoding="utf-8")
    head, tests = {}, []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        found = re.fullmatch(r"# ([a-z]+): (.*)", line)
        if found and found[1] == "test":
            tests.append(found[2])
        elif found:
            head[found[1]] = found[2]
    return Program(name, text, head, tests)


@dataclass
class Host:
    """What stands on the host for programs to reach for, and must not be touched."""

    folder: Path
    secret: str = field(default_factory=lambda: f"secret-{secrets.token_hex(16)}")
    contacts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outside = self.folder / "outside"
        self.outside.mkdir()
        self.outside.chmod(0o777)
        self.file = self.outside / "secret"
        self.file.write_text(self.secret)
        self.file.chmod(0o666)
        self.abstract = f"rl-sandbox-test-{secrets.token_hex(8)}"
        self.before = self._state()
        self._listen()

    def _listen(self) -> None:
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        self.sockets = self.folder / "sockets"
        self.sockets.mkdir()
        stream, datagram = self._unix(str(self.sockets / "s"), str(self.sockets / "d"))
        hidden, hidden_datagram = self._unix(f"\0{self.abstract}", f"\0{self.abstract}")
        for path in self.sockets.iterdir():
            path.chmod(0o777)
        for server in (stream, hidden):
            server.listen()
        self._servers = [tcp, udp, stream, datagram, hidden, hidden_datagram]
        for server in self._servers:
            threading.Thread(target=self._serve, args=(server,), daemon=True).start()

    @staticmethod
    def _unix(*addresses: str) -> tuple[socket.socket, socket.socket]:
        kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
        made = tuple(socket.socket(socket.AF_UNIX, kind) for kind in kinds)
        for one, address in zip(made, addresses, strict=True):
            one.bind(address)
        return made[0], made[1]

    def _serve(self, server: socket.socket) -> None:
        while True:
            try:
                if server.type == socket.SOCK_DGRAM:
                    server.recv(100)
                else:
                    server.accept()[0].close()
            except OSError:
                return
            self.contacts.append(f"{server.family!r} {server.type!r}")

    def _state(self) -> list[tuple[str, int, int, float, bytes]]:
        found = []
        for path in sorted([self.outside, *self.outside.rglob("*")]):
            told = path.stat()
            content = b"" if stat.S_ISDIR(told.st_mode) else path.read_bytes()
            found.append((str(path), told.st_mode, told.st_uid, told.st_mtime, content))
        return found

    def effects(self) -> list[str]:
        """What has been done to the host since this was asked last."""
        found = [f"a connection to {kind}" for kind in self.contacts]
        self.contacts.clear()
        now = self._state()
        if now != self.before:
            found.append("files outside were changed")
            self.before = now
        return found

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.close()

    def fill(self, text: str, marker: str) -> str:
        """Put what a program may know of the host into its text."""
        for name, value in (
            ("SECRET_FILE", self.file),
            ("OUTSIDE", self.outside),
            ("PORT", self.port),
            ("SOCKET", self.sockets / "s"),
            ("DATAGRAM", self.sockets / "d"),
            ("ABSTRACT", self.abstract),
            ("PID", os.getpid()),
            ("MARKER", marker),
        ):
            text = text.replace(f"@{name}@", str(value))
        return text


@contextmanager
def host() -> Iterator[Host]:
    """A host with a secret file, a secret variable, and servers."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        made = Host(Path(folder))
        os.environ[SECRET_VARIABLE] = made.secret
        try:
            yield made
        finally:
            del os.environ[SECRET_VARIABLE]
            made.close()


def job_of(program: Program, host: Host, marker: str) -> Job:
    """What is done with a program."""
    kind, count = program.head["job"], int(program.head.get("calls", 2))
    if kind == "script":
        return Inputs(["an input\n"] * int(program.head.get("inputs", 1)))
    if kind == "values":
        return Calls("f", [Call([n + 1]) for n in range(count)])
    if kind == "calls":
        told = program.head.get("expected")
        expected: Any = marker if told is None else float(told)
        return Calls("f", [Call([n + 1], expected=expected) for n in range(count)])
    lines = program.tests or (PYTEST if kind == "pytest" else TESTS)
    code = host.fill("\n".join(lines), marker)
    return Tests(code, by="pytest" if kind == "pytest" else "script")


def attack(sandbox: Sandbox, host: Host, name: str) -> list[str]:
    """Run a program, between two honest ones; everything that is wrong with what came of it."""
    program = load(name)
    marker = f"MARKER-{secrets.token_hex(32)}"
    wrong = honest(sandbox, marker)
    before = processes(sandbox)
    text = program.text
    if program.head.get("twice"):
        sandbox.run(host.fill(text, ""), job_of(program, host, marker), program.limits)
    # Of what is expected, a program is told nothing.
    outcome = sandbox.run(host.fill(text, ""), job_of(program, host, marker), program.limits)
    wrong += _judge(program, host, marker, outcome)
    left = processes(sandbox)
    wrong += [f"left behind: {left[pid]}" for pid in left.keys() - before.keys()]
    wrong += host.effects()
    wrong += [f"written on the host: {path}" for path in strays()]
    return wrong + honest(sandbox, secrets.token_hex(8))


def _judge(program: Program, host: Host, marker: str, outcome: Outcome) -> list[str]:
    wrong = []
    if outcome.ending not in program.endings:
        wrong.append(f"it ended as {outcome.ending}: {outcome.detail[:300]!r}")
    if outcome.ending == Ending.INFRA_ERROR or outcome.retries:
        wrong.append(f"it broke the sandbox, {outcome.retries} times: {outcome.detail[:300]!r}")
    if program.head["job"] not in ("values", "script") and outcome.passed:
        wrong.append(f"{outcome.passed} of {outcome.total} passed")
    if len(outcome.detail) > 10_000:
        wrong.append(f"a detail of {len(outcome.detail)} characters")
    printed = [result.stdout for result in outcome.inputs]
    if host.secret in repr((outcome.detail, printed)) or marker in repr(printed):
        wrong.append("it told a secret")
    if "stdout" in program.head and "passed" in program.head["ending"].split():
        told = host.fill(program.head["stdout"], marker)
        same = [text.decode(errors="replace").strip() == told for text in printed]
        if ("MARKER" in program.head["stdout"]) == any(same):
            wrong.append(f"it printed {printed!r:.500}")
    return wrong


def honest(sandbox: Sandbox, marker: str) -> list[str]:
    """Run an honest program whose tests hold a secret; what is wrong with its score."""
    code = f"wanted = {marker!r}\nassert f(wanted[:9]) == wanted[:9] * 2\nassert f([]) == []"
    outcome = sandbox.run("def f(x):\n    return x + x\n", Tests(code), Limits(time_s=10))
    if (outcome.ending, outcome.passed, outcome.retries) != (Ending.PASSED, 2, 0):
        return [f"an honest program beside it: {outcome}"]
    return []


def strays() -> list[str]:
    """What lies where everybody may write and belongs to a sandbox's user, that of root's ones.

    Without namespaces a program has a folder there, while it runs, which tempfile has named.
    """
    found = []
    for folder in {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"}:
        for entry in os.scandir(folder):
            try:
                owner = entry.stat(follow_symlinks=False).st_uid
            except OSError:
                continue
            if owner >= FIRST_USER and not re.fullmatch(r"tmp\w{8}", entry.name):
                found.append(entry.path)
    return found


def processes(sandbox: Sandbox) -> dict[int, str]:
    """The processes of a sandbox, as seen from outside."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command, _, rest = (folder / "stat").read_text().rpartition(")")
            except OSError:
                continue
            parents[int(folder.name)] = int(rest.split()[1])
            commands[int(folder.name)] = command
    below = set(sandbox.pids())
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return {pid: commands.get(pid, "") for pid in below}


def missing(program: Program) -> str:
    """The package that a program needs and that is not here."""
    needed = program.head.get("needs", "pytest" if program.head["job"] == "pytest" else "")
    if needed:
        try:
            __import__(needed)
        except ImportError:
            return needed
    return ""


def sandbox_for(program: Program | None = None) -> Sandbox:
    """The sandbox that the battery is run in."""
    packages = () if program and program.head.get("packages") == "none" else ("numpy", "pytest")
    return Sandbox(1, packages=packages)


def main(patterns: list[str]) -> int:
    """Run the battery, print what is wrong, and give the number of programs that broke out."""
    failed = 0
    with host() as here, sandbox_for() as shared:
        print(f"{shared.isolation()} as user {os.geteuid()}, Python {sys.version.split()[0]}")
        for name in names():
            program = load(name)
            if patterns and not any(re.search(pattern, name) for pattern in patterns):
                continue
            if missing(program):
                continue
            if "packages" in program.head:
                with sandbox_for(program) as own:
                    wrong = attack(own, here, name)
            else:
                wrong = attack(shared, here, name)
            failed += bool(wrong)
            for what in wrong:
                print(f"{name}: {what}", flush=True)
        for _ in range(100):
            if wrong := honest(shared, secrets.token_hex(8)):
                failed += 1
                print(f"behind all: {wrong[0]}")
                break
    print(f"{failed} programs are not held")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
