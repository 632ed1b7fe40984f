"""All checks at once: what one that fails or hangs does to the others, and the exit code."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from harness.doctor import Finding, Setting, State, check, examine, exit_code
from harness.doctor.registry import checks, together
from harness.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def finding(topic: str = "machine", state: State = State.OK) -> Finding:
    return Finding(topic, "what", state, "found")


def test_a_check_that_crashes_is_a_finding_of_its_own(setting: Callable[..., Setting]) -> None:
    def crashes(_setting: Setting) -> Iterable[Finding]:
        yield finding()
        raise RuntimeError("the kernel looked back")

    told = examine(setting(), {"broken": crashes, "fine": lambda _: [finding("fine")]})
    assert [one.topic for one in told] == ["broken", "fine"]
    assert told[0].state is State.FAIL
    assert "RuntimeError: the kernel looked back (test_registry.py:" in told[0].found
    assert told[0].fix
    assert told[1].state is State.OK
    assert exit_code(told) is ExitCode.INFRASTRUCTURE


def test_a_check_that_hangs_is_left_behind(setting: Callable[..., Setting]) -> None:
    end = threading.Event()

    def hangs(_setting: Setting) -> Iterable[Finding]:
        end.wait()
        return []

    told = examine(setting(), {"slow": hangs, "fine": lambda _: [finding("fine")]}, patience_s=0.05)
    end.set()
    assert [(one.topic, one.state) for one in told] == [("slow", State.FAIL), ("fine", State.OK)]
    assert "has not answered within 0.05 s" in told[0].found


def test_a_check_that_hangs_does_not_keep_the_process() -> None:
    code = (
        "import time; from harness.doctor.registry import together;"
        "print(together({'slow': lambda: time.sleep(600)}, 0.01))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "TimeoutError" in done.stdout


def test_checks_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    jobs = {name: lambda: both.wait() >= 0 for name in ("a", "b")}
    assert together(jobs, 30) == {"a": True, "b": True}


def test_the_topics_come_in_the_order_of_the_table() -> None:
    assert list(checks()) == [
        *("machine", "namespaces", "sandbox", "engines", "gpu", "hubs", "lock", "suite")
    ]


def test_a_topic_has_one_check() -> None:
    checks()
    with pytest.raises(ValueError, match="'gpu' has two checks"):
        check("gpu")(lambda _: [])


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([("gpu", "ok"), ("gpu", "note")], 0),
        ([("lock", "miss"), ("gpu", "note")], 4),
        ([("lock", "miss"), ("gpu", "miss")], 5),
        ([("gpu", "miss")], 5),
        ([("lock", "fail")], 5),  # nothing is known of the lock
        ([("hubs", "fail"), ("lock", "miss")], 5),
    ],
)
def test_exit_codes(found: list[tuple[str, str]], code: int) -> None:
    assert exit_code([finding(topic, State(state)) for topic, state in found]) == code
