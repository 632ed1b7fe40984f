"""Engine `probing`: what a cell finds where it runs, and what it is kept from.

It does, one after the other, what `settings.do` says, and puts what came of it into result.json:
the answer, or the name of the exception. It is copied into the image of these tests.
"""

import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from harness.cell.train import engine

_kept = []


def look():
    return {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "environment": dict(os.environ),
        "data": sorted(
            str(path.relative_to("/data"))
            for path in pathlib.Path("/data").rglob("*")
            if path.is_file()
        ),
        "top": sorted(path.name for path in pathlib.Path("/").iterdir()),
        "mounts": [line.split()[1] for line in read("/proc/self/mounts").splitlines()],
        "options": {
            line.split()[1]: line.split()[3].split(",")
            for line in read("/proc/self/mounts").splitlines()
        },
        "status": pathlib.Path("/proc/self/status").read_text(),
        "threads": threading.active_count(),
        "gpus": sorted(str(path) for path in pathlib.Path("/dev").glob("nvidia[0-9]*")),
        "fsize": resource.getrlimit(resource.RLIMIT_FSIZE)[0],
    }


def allocate(mib, at_once=16):
    _kept.extend(bytearray(b"x" * (at_once << 20)) for _ in range(0, mib, at_once))
    return len(_kept)


def fork(count):
    made = []
    try:
        for _ in range(count):
            sleep = "import time; time.sleep(30)"
            made.append(subprocess.Popen([sys.executable, "-S", "-c", sleep]))
    finally:
        for child in made:
            child.kill()
            child.wait()
    return len(made)


def burn(seconds):
    """CPU seconds that two busy processes get in so many seconds."""
    code = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
    busy = [subprocess.Popen([sys.executable, "-S", "-c", code]) for _ in range(2)]
    for one in busy:
        one.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write(path, mib=1, files=1, tidy=False):
    for number in range(files):
        file = pathlib.Path(path.format(number))
        try:
            with file.open("wb") as open_file:
                for _ in range(mib):
                    open_file.write(bytes(1 << 20))
        except OSError:
            if tidy:
                file.unlink()
            raise
    return True


def connect(host, port):
    with socket.create_connection((host, port), timeout=3):
        return True


def interfaces():
    return sorted(line.split(":")[0].strip() for line in read("/proc/net/dev").splitlines()[2:])


def raw_call(number, *arguments):
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.syscall(number, *arguments)
    return [answer, ctypes.get_errno()]


def become(uid):
    os.setuid(uid)
    return os.getuid()


def hang(seconds, deaf=False, orphan=False, frozen=False):
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if orphan:
        code = "import os, time\nif os.fork() == 0:\n os.setsid(); time.sleep(600)"
        subprocess.run([sys.executable, "-S", "-c", code])
    if frozen:
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(seconds)
    return True


def leave(status):
    os._exit(status)


def die(number):
    os.kill(os.getpid(), number)


def odd_files(*kinds):  # noqa: C901 - a list of them
    """What no cell would leave that means well."""
    out = pathlib.Path("/cell/out")
    for kind in kinds:
        if kind == "pipes":
            for name in ("usage.json", "progress.json", "error.json", "result.json"):
                (out / name).unlink(missing_ok=True)
                os.mkfifo(out / name)
        elif kind == "folders":
            for name in ("usage.json", "progress.json", "metrics.jsonl"):
                (out / name).unlink(missing_ok=True)
                (out / name).mkdir()
        elif kind == "deep":
            os.chdir(out)
            for _ in range(1500):
                os.mkdir("d")  # noqa: PTH102 - a path so long is none
                os.chdir("d")
        elif kind == "deep checkpoints":
            os.chdir("/cell/resume")
            for _ in range(1500):
                os.mkdir("d")  # noqa: PTH102 - a path so long is none
                os.chdir("d")
        elif kind == "large":
            with (out / "error.json").open("wb") as file:
                file.truncate(2 << 30)
            (out / "usage.json").write_text('{"peak_bytes": NaN, "cpu_s": "much"}')
        elif kind == "nested":
            (out / "error.json").write_text("[" * 200_000)
            (out / "progress.json").write_text("[" * 200_000)
        elif kind == "links":
            (out / "passwords").symlink_to("/etc/passwd")
            (out / "result.json").symlink_to("/etc/passwd")


def run_code(code):
    return subprocess.run([sys.executable, "-c", code]).returncode


def say(text):
    print(text, flush=True)


def score(*programs):
    """The scores of programs by the code scorer, in a sandbox inside this container."""
    import json

    from reward_scorers import compute_score
    from reward_scorers.sandbox import Sandbox

    tests = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(5) == 25\n"
    reference = json.dumps({"functional": tests + "\ncheck(square)"})
    scores = [
        compute_score("codegen__humaneval", f"```python\n{program}\n```", reference)["score"]
        for program in programs
    ]
    with Sandbox(1) as sandbox:
        return [scores, sandbox.isolation()]


def read(path):
    return pathlib.Path(path).read_text()


DOINGS = {
    each.__name__: each
    for each in (
        look,
        allocate,
        fork,
        burn,
        write,
        connect,
        interfaces,
        raw_call,
        become,
        hang,
        leave,
        die,
        read,
        run_code,
        odd_files,
        say,
        score,
    )
}


@engine("probing", version=1)
def probing(cell):
    found = []
    cell.progress(0, len(cell.settings["do"]))
    for step, (name, *arguments) in enumerate(cell.settings["do"], 1):
        keywords = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        try:
            found.append(DOINGS[name](*arguments, **keywords))
        except Exception as error:
            if cell.settings.get("raises"):
                raise
            found.append(type(error).__name__)
        cell.progress(step, len(cell.settings["do"]))
    if cell.settings.get("checkpoint"):
        (cell.resume / "weights").write_text("x")
    with cell.metrics() as metrics:
        metrics.write(1, evals={})
    return {"steps": metrics.steps, "evals": metrics.evals, "found": found}
