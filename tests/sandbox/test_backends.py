"""What every backend of a sandbox promises, on all backends that this machine has."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from reward_scorers.sandbox import (
    Call,
    Calls,
    Ending,
    Inputs,
    Limits,
    Outcome,
    Sandbox,
    SandboxUnavailable,
    job,
)
from reward_scorers.sandbox.backends.backend import backends
from reward_scorers.sandbox.backends.profile import profile
from reward_scorers.sandbox.guest.numbers import NUMBERS
from tests.sandbox import leftovers
from tests.sandbox.image import image

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")

NAMES: Final = ("native", "bubblewrap", "docker", "podman", "gvisor")
CONTAINERS: Final = ("docker", "podman")
ROOT: Final = Path(__file__).parents[2]
SMALL: Final = Limits(time_s=1, total_s=5, memory_bytes=256 << 20)
NOBODY: Final = 54_321


def sandbox_of(name: str, **options: Any) -> Sandbox:
    """A sandbox of a backend, with one worker; a skipped test where it cannot be had."""
    if missing := backends()[name].missing():
        pytest.skip(missing)
    chosen = image(name) if name in CONTAINERS else ""
    own: dict[str, Any] = {"packages": (), "limits": SMALL, "image": chosen}
    return Sandbox(1, backend=name, **(own | options))


@pytest.fixture(scope="module", params=NAMES)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with sandbox_of(request.param) as made:
        try:
            made.isolation()
        except SandboxUnavailable as error:
            pytest.skip(str(error))
        yield made


def printed(outcome: Outcome) -> str:
    assert outcome.ending == Ending.PASSED, outcome
    return outcome.inputs[0].stdout.decode()


def script(sandbox: Sandbox, text: str, stdin: str = "") -> Outcome:
    return sandbox.run(text, Inputs([stdin]))


# -- programs


def test_isolation_says_what_confines(sandbox: Sandbox) -> None:
    means = sandbox.isolation().split("+")
    assert means[-1] == "seccomp"
    assert ("native" if means[0] in ("cgroup", "namespaces", "landlock") else means[0]) in NAMES
    assert {"namespaces", "landlock", "gvisor"} & set(means)
    assert script(sandbox, "").isolation == sandbox.isolation()


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("print(input())", Ending.PASSED),
        ("raise ValueError('no')", Ending.FAILED),
        ("raise SystemExit(3)", Ending.FAILED),
        ("while True: pass", Ending.TIMEOUT),
        ("import time; time.sleep(60)", Ending.TIMEOUT),
        ("x = bytearray(1 << 30)", Ending.MEMORY),
        ("while True: print('a' * 9999)", Ending.OUTPUT_LIMIT),
        ("import os; os.abort()", Ending.CRASHED),
        ("import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)", Ending.VIOLATION),
        ("import ctypes; ctypes.CDLL(None).unshare(0x10000000)", Ending.VIOLATION),
    ],
)
def test_endings(sandbox: Sandbox, text: str, ending: Ending) -> None:
    limits = Limits(time_s=1, memory_bytes=256 << 20, output_bytes=1 << 20)
    assert sandbox.run(text, Inputs(["a"]), limits).ending == ending


def test_memory_of_processes_together(sandbox: Sandbox) -> None:
    means = set(sandbox.isolation().split("+"))
    if "namespaces" not in means or not means & {"cgroup", *CONTAINERS}:
        pytest.skip("no processes, or no control group")
    text = (
        "import os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0:\n"
        "        held = b'a' * (128 << 20)\n"
        "        time.sleep(.5)\n"
        "        os._exit(0)\n"
        "if any([os.wait()[1] for _ in range(8)]): raise SystemExit(1)"
    )
    limits = Limits(time_s=30, memory_bytes=256 << 20)
    assert sandbox.run(text, Inputs([""]), limits).ending == Ending.MEMORY
    assert sandbox.died == 0


def test_functions_are_called_and_tested(sandbox: Sandbox) -> None:
    program = "def double(x):\n    return 2 * x"
    calls = Calls("double", [Call([2], expected=4), Call([3], expected=7)])
    outcome = sandbox.run(program, calls)
    assert (outcome.ending, outcome.passed, outcome.total) == (Ending.FAILED, 1, 2)
    assert sandbox.run(program, job.Tests("assert double(5) == 10")).ending == Ending.PASSED


def test_no_network(sandbox: Sandbox) -> None:
    text = "import socket; socket.create_connection(('127.0.0.1', int(input())), timeout=.5)"
    with socket_listening() as port:
        assert script(sandbox, text, str(port)).ending == Ending.FAILED


def socket_listening() -> Any:
    import contextlib
    import socket

    @contextlib.contextmanager
    def listening() -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield server.getsockname()[1]

    return listening()


def test_nothing_of_the_host_can_be_read(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("told")
    tmp_path.chmod(0o755)
    paths = ["/etc/passwd", "/etc/hostname", __file__, secret, "/proc/1/environ", "/proc/self/maps"]
    text = (
        "for path in input().split():\n    try: print(open(path).read())\n    except OSError: pass"
    )
    assert printed(script(sandbox, text, " ".join(map(str, paths)))) == ""


def test_nothing_of_the_environment_is_told(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_TEST_SECRET", "told")
    with sandbox_of(sandbox._backend) as fresh:
        text = (
            "import os; print([name for name in os.environ if 'SECRET' in name], len(os.environ))"
        )
        assert printed(script(fresh, text)) == "[] 7\n"


def test_no_state_between_programs(sandbox: Sandbox) -> None:
    leave = (
        "import builtins, os, sys, threading\n"
        "builtins.left = sys.modules['left'] = 1\n"
        "for folder in '.', '/tmp', '/dev/shm', '/var/tmp', '/dev/mqueue', os.environ['TMPDIR']:\n"
        "    try:\n"
        "        os.mkdir(folder + '/left'); os.mkdir(folder + '/left/deep')\n"
        "        open(folder + '/left/deep/file', 'w').write('1')\n"
        "        os.chmod(folder + '/left', 0)\n"
        "        os.chmod(folder, 0)\n"
        "    except OSError: pass\n"
        "def stay():\n"
        "    while True: pass\n"
        "try:\n"
        "    if os.fork() == 0:\n"
        "        os.setsid(); stay()\n"
        "except OSError: pass\n"
        "threading.Thread(target=stay, daemon=True).start()\n"
    )
    look = (
        "import builtins, os, sys\n"
        "print(hasattr(builtins, 'left'), 'left' in sys.modules, os.listdir('.'))\n"
        "for folder in '/tmp', '/dev/shm', '/var/tmp', '/dev/mqueue', os.environ['TMPDIR']:\n"
        "    if os.path.lexists(folder + '/left'): print('found in', folder)\n"
    )
    for _ in range(2):
        assert script(sandbox, leave).ending == Ending.PASSED
        assert printed(script(sandbox, look)) == "False False []\n"


def test_a_program_reaches_no_other_process(sandbox: Sandbox) -> None:
    text = (
        "import os, signal\n"
        "for pid in 1, os.getppid(), -1, *range(2, 400):\n"
        "    if pid != os.getpid():\n"
        "        try: os.kill(pid, signal.SIGKILL)\n"
        "        except OSError: pass\n"
        "print('here')"
    )
    died = sandbox.died
    assert printed(script(sandbox, text)) == "here\n"
    assert printed(script(sandbox, "print(1)")) == "1\n"
    assert sandbox.died == died


# -- the outside


def test_a_killed_sandbox_is_replaced_and_counted(sandbox: Sandbox) -> None:
    with sandbox_of(sandbox._backend) as fresh:
        fresh.isolation()
        (pid,) = fresh.pids()
        idle = len(leftovers.descendants(pid))

        def kill() -> None:
            if sandbox._backend in CONTAINERS:  # where processes have another parent
                time.sleep(0.7)
            else:
                leftovers.soon(lambda: len(leftovers.descendants(pid)) > idle + 1)
            time.sleep(0.3)
            os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        limits = replace(fresh.limits, time_s=30, total_s=30)
        outcome = fresh.run("import time; time.sleep(3); print(1)", Inputs([""]), limits)
        killer.join()
        assert printed(outcome) == "1\n"
        assert (outcome.retries, fresh.died) == (1, 1)


def test_nothing_is_left_behind(sandbox: Sandbox) -> None:
    name = sandbox._backend
    before, groups = leftovers.containers(name, os.getpid()), leftovers.groups(os.getpid())
    with sandbox_of(name) as fresh:
        fresh.isolation()
        assert name not in CONTAINERS or leftovers.containers(name, os.getpid()) != before
        pids = leftovers.descendants(fresh.pids()[0])
        limits = replace(fresh.limits, time_s=60, total_s=60)
        running = fresh.submit("import time; time.sleep(60)", Inputs([""]), limits)
        if name in CONTAINERS:  # where processes have another parent
            time.sleep(0.5)
        else:
            assert leftovers.soon(lambda: len(leftovers.descendants(fresh.pids()[0])) > len(pids))
        assert not running.done()
        pids |= leftovers.descendants(fresh.pids()[0])
    assert leftovers.soon(lambda: not leftovers.living(pids))
    assert leftovers.soon(lambda: leftovers.containers(name, os.getpid()) == before)
    assert leftovers.soon(lambda: leftovers.groups(os.getpid()) == groups)


SERVICE: Final = """
import os, sys, threading, time
from reward_scorers.sandbox import Inputs, Limits, Sandbox
sandbox = Sandbox(1, backend=sys.argv[1], image=sys.argv[2], packages=())
sandbox.isolation()
sandbox.submit("while True: pass", Inputs([""]), Limits(time_s=120, total_s=120))
time.sleep(.3)
print("runs", flush=True)
time.sleep(120)
"""


def test_nothing_outlives_a_killed_service(sandbox: Sandbox) -> None:
    name = sandbox._backend
    chosen = image(name) if name in CONTAINERS else ""
    command = [sys.executable, "-c", SERVICE, name, chosen]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "runs\n"
        pids = leftovers.descendants(service.pid)
        assert len(pids) > 1
        service.kill()
    assert leftovers.soon(lambda: not leftovers.living(pids))
    assert leftovers.soon(lambda: not leftovers.containers(name, service.pid))
    with sandbox_of(name) as fresh:  # what the kernel does not end is swept by the next sandbox
        fresh.isolation()
    assert not leftovers.folders(service.pid)


# -- degrees: machines that forbid things

LOOK: Final = [
    "print(1)",
    "import os\ntry: print(os.fork() > 0)\nexcept OSError as error: print(error.errno)",
    "import os\ntry: os.kill(os.getppid(), 9)\nexcept OSError as error: print(error.errno)",
    "open('left', 'w').write('1'); print(open('left').read())",
    "import os; print(os.listdir('.'), os.path.exists('left'))",
    "try: open('/tmp/left', 'w')\nexcept OSError as error: print(error.errno)",
    "try: print(open('/etc/passwd').read())\nexcept OSError as error: print(error.errno)",
]


def degree(
    denied: dict[str, int], backend: str = "native", *, user: int | None = None
) -> dict[str, Any]:
    """What a sandbox says in a process in which calls are denied: name -> error number."""
    machine = Path("/usr/bin/python3")
    if os.geteuid() == 0 and not machine.exists():
        pytest.skip("root's Python may be one that no other user can read, and there is no other")
    python = str(machine) if os.geteuid() == 0 else sys.executable
    asked = json.dumps({"backend": backend, "denied": denied, "programs": LOOK})
    ran = subprocess.run(
        [python, "-B", "-m", "tests.sandbox.degrees", asked],
        capture_output=True,
        text=True,
        cwd=ROOT,
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("denied", [{"unshare": 1}, {"mount": 13}, {"unshare": 1, "clone3": 38}])
def test_without_namespaces_landlock_confines(denied: dict[str, int]) -> None:
    found = degree(denied)
    if "Landlock" in found.get("unavailable", ""):
        pytest.skip(found["unavailable"])
    assert found["isolation"].removeprefix("cgroup+") == "landlock+seccomp"
    said = [text.strip() for _, text in found["found"]]
    # Files, the fourth, cannot be written where no file system of a size holds them.
    assert said == ["1", "1", "1", "", "[] False", "13", "13"]
    assert found["died"] == 0


def test_without_landlock_namespaces_confine() -> None:
    found = degree({"landlock_create_ruleset": 38})
    assert found["isolation"].removeprefix("cgroup+") == "namespaces+seccomp"
    said = [text.strip().partition("\n")[0] for _, text in found["found"]]
    assert said == ["1", "True", "", "1", "[] False", "", "2"]


def test_without_both_nothing_is_run() -> None:
    found = degree({"unshare": 1, "landlock_create_ruleset": 38}, "auto")
    for hint in ("programs cannot be confined", "max_user_namespaces", "Linux 5.13", "bubblewrap"):
        assert hint in found["unavailable"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("backend", ["native", "bubblewrap"])
def test_any_user_will_do(backend: str) -> None:
    if missing := backends()[backend].missing():
        pytest.skip(missing)
    found = degree({}, backend, user=NOBODY)
    assert "namespaces+" in found.get("isolation", found)
    assert [ending for ending, _ in found["found"]].count("passed") >= 5


# -- what cannot be had


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("tag", ["python:3.11", "python", "", "deadbeef", "sha256:1234"])
def test_an_image_that_can_move_is_refused(name: str, tag: str) -> None:
    with (
        sandbox_of(name, image=tag) as refused,
        pytest.raises(SandboxUnavailable, match=f"{name} image inspect --format"),
    ):
        refused.isolation()


@pytest.mark.parametrize("name", CONTAINERS)
def test_an_image_that_is_not_here_is_named(name: str) -> None:
    wanted = f"python@sha256:{'0' * 64}"
    with (
        sandbox_of(name, image=wanted) as refused,
        pytest.raises(SandboxUnavailable, match=f"type {name} pull {wanted}"),
    ):
        refused.isolation()


@pytest.mark.parametrize(
    ("name", "install"),
    [
        ("bubblewrap", "install bubblewrap"),
        ("docker", "install docker.io"),
        ("podman", "install podman"),
        ("gvisor", "install runsc"),
    ],
)
def test_what_is_missing_is_named(
    name: str, install: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Sandbox(1, backend=name) as refused, pytest.raises(SandboxUnavailable, match=install):
        refused.isolation()


@pytest.fixture
def broken_bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bwrap"
    file.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a namespace' >&2; exit 1\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.usefixtures("broken_bwrap")
def test_a_bubblewrap_that_cannot_work_says_why() -> None:
    with (
        Sandbox(1, backend="bubblewrap") as refused,
        pytest.raises(SandboxUnavailable, match="No permissions to create a namespace"),
    ):
        refused.isolation()


@pytest.mark.usefixtures("broken_bwrap")
def test_auto_goes_on_to_native() -> None:
    with Sandbox(1, packages=()) as found:
        assert "bubblewrap" not in found.isolation()


def test_other_systems_need_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with Sandbox(1) as refused, pytest.raises(SandboxUnavailable, match="install Docker or Podman"):
        refused.isolation()


def test_the_profile_knows_every_call_once() -> None:
    named = [name for rule in profile()["syscalls"] for name in rule["names"]]
    assert sorted(named) == sorted(NUMBERS)
    (allowed,) = (rule["names"] for rule in profile()["syscalls"] if "ALLOW" in rule["action"])
    assert not {"bpf", "io_uring_setup", "keyctl", "ptrace", "setns", "socket"} & set(allowed)
