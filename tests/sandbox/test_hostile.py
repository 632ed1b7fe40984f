"""Hostile programs (files below `hostile`, told of in `battery`) do no harm and never pass."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reward_scorers.sandbox import SandboxUnavailable
from tests.sandbox import battery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reward_scorers.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"  # which others may run, unlike one in the home of root


@pytest.fixture(scope="module")
def host() -> Iterator[battery.Host]:
    with battery.host() as made:
        yield made


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for all hostile programs; behind them, it scores honest ones as ever."""
    with battery.sandbox_for() as made:
        try:
            made.isolation()
        except SandboxUnavailable as error:
            pytest.skip(str(error))
        before = len(battery.processes(made))
        yield made
        wrong = [w for _ in range(100) for w in battery.honest(made, secrets.token_hex(8))]
        assert not wrong
        assert len(battery.processes(made)) == before


@pytest.mark.parametrize("name", battery.names())
def test_a_hostile_program_is_held(name: str, host: battery.Host, sandbox: Sandbox) -> None:
    program = battery.load(name)
    if needed := battery.missing(program):
        pytest.skip(f"it needs {needed}")
    if "packages" in program.head:
        with battery.sandbox_for(program) as own:
            wrong = battery.attack(own, host, name)
    else:
        wrong = battery.attack(sandbox, host, name)
    assert not wrong


def test_there_are_many_hostile_programs() -> None:
    groups = [name.partition("/")[0] for name in battery.names()]
    assert len(groups) >= 90
    assert min(groups.count(group) for group in groups) >= 3


def test_every_head_is_understood() -> None:
    known = {"job", "ending", "stdout", "expected", "limits", "inputs", "calls", "twice"}
    known |= {"packages", "needs"}
    for name in battery.names():
        program = battery.load(name)
        assert program.head.keys() <= known, name
        assert program.head["job"] in ("tests", "pytest", "calls", "values", "script"), name
        assert program.endings
        assert program.limits
        if "passed" in program.head["ending"].split():
            assert "stdout" in program.head or program.head["job"] == "values", name


def test_the_battery_tells_when_a_program_breaks_out(host: battery.Host, sandbox: Sandbox) -> None:
    """The checks themselves: an honest program that knows the answer is no hostile one."""
    program = battery.load("leaving/atexit")
    marker = "MARKER-" + "0" * 64
    outcome = sandbox.run(f"def f(x): return {marker!r}", battery.job_of(program, host, marker))
    assert battery._judge(program, host, marker, outcome)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv") or not Path(SYSTEM_PYTHON).exists(),
    reason="only root can become somebody else",
)
def test_the_battery_holds_for_an_unprivileged_user() -> None:
    """All groups but for those that take long, by the system's Python."""
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    command = [SYSTEM_PYTHON, "-P", "-m", "tests.sandbox.battery"]
    groups = ["host/", "outside/", "network/", "parent/", "kernel/", "reading/", "leftovers/"]
    done = subprocess.run(
        [*become, "env", "-i", f"PYTHONPATH={ROOT}", *command, *groups],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    if "SandboxUnavailable" in done.stderr or "PermissionError" in done.stderr:
        pytest.skip(done.stderr[-300:])
    assert done.returncode == 0, done.stdout + done.stderr
