"""The sandbox as its users meet it: endings, limits, queues, deaths and forks."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reward_scorers.sandbox import (
    Call,
    Calls,
    Ending,
    Inputs,
    Limits,
    Sandbox,
    SandboxUnavailable,
    Tests,
)
from tests.sandbox import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

ADD = "def add(a, b):\n    return a + b\n"
TESTS = Tests("assert add(1, 2) == 3\nassert add(2, 2) == 4\n")
SHORT = Limits(time_s=1.0, total_s=2.0, memory_bytes=256 << 20, output_bytes=1 << 20)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(1, limits=SHORT) as made:
        yield made


def ends(*pids: int) -> bool:
    """Whether processes end, which the kernel may take a moment for."""
    return leftovers.soon(lambda: not leftovers.living(set(pids)))


ENDINGS = [
    ("a right function", ADD, TESTS, Ending.PASSED, ""),
    ("a wrong function", "def add(a, b): return 3", TESTS, Ending.FAILED, "line 2 of the tests"),
    ("no such function", "x = 1", TESTS, Ending.FAILED, "add"),
    ("a syntax error", "def add(a b)", TESTS, Ending.FAILED, "SyntaxError"),
    ("an exception", "def add(a, b): return c", TESTS, Ending.FAILED, "NameError"),
    ("an endless loop", "def add(a, b):\n    while True: pass", TESTS, Ending.TIMEOUT, "time"),
    ("an endless loop at the top", "while True: pass", TESTS, Ending.TIMEOUT, "time"),
    ("a long sleep", "import time\ntime.sleep(100)", Inputs([""]), Ending.TIMEOUT, "time"),
    ("much memory", "def add(a, b): return bytearray(1 << 30)", TESTS, Ending.FAILED, "Memory"),
    ("much memory at the top", "x = bytearray(1 << 30)", TESTS, Ending.MEMORY, "Memory"),
    ("much memory in a script", "x = bytearray(1 << 30)", Inputs([""]), Ending.MEMORY, "Memory"),
    ("much output", "while True: print('x' * 999)", Inputs([""]), Ending.OUTPUT_LIMIT, "more"),
    ("a large value", "def add(a, b): return 'x' * (2 << 20)", TESTS, Ending.OUTPUT_LIMIT, "large"),
    ("a crash", "import ctypes\nctypes.string_at(1)", Inputs([""]), Ending.CRASHED, "SIGSEGV"),
    (
        "a crash in a call",
        "def add(*a):\n import ctypes\n ctypes.string_at(1)",
        TESTS,
        Ending.CRASHED,
        "SEGV",
    ),
    ("it ends itself", "def add(*a):\n import os\n os._exit(0)", TESTS, Ending.FAILED, "ended"),
    (
        "an attack",
        "import ctypes\nctypes.CDLL(None).ptrace(0, 0, 0, 0)",
        Inputs([""]),
        Ending.VIOLATION,
        "system call",
    ),
    ("an error code", "import sys\nsys.exit(3)", Inputs([""]), Ending.FAILED, "error code"),
    ("exit without error", "import sys\nsys.exit()", Inputs([""]), Ending.PASSED, ""),
]


@pytest.mark.parametrize(
    ("program", "job", "ending", "detail"), [e[1:] for e in ENDINGS], ids=[e[0] for e in ENDINGS]
)
def test_endings(box: Sandbox, program: str, job: Any, ending: Ending, detail: str) -> None:
    found = box.run(program, job)
    assert found.ending == ending, found
    assert detail in found.detail
    assert found.retries == 0


def test_the_next_program_is_none_the_wiser(box: Sandbox) -> None:
    assert box.run(ADD, TESTS).ending == Ending.PASSED


def test_assertions_are_counted_also_behind_one_that_fails(box: Sandbox) -> None:
    tests = "def check(f):\n    for i in range(4):\n        assert f(i, 0) == i\n\ncheck(add)"
    found = box.run("def add(a, b): return min(a, 1)", Tests(tests))
    assert (found.passed, found.total, found.fraction) == (2, 4, 0.5)


def test_inputs_have_results_of_their_own(box: Sandbox) -> None:
    found = box.run("print(10 // int(input()))", Inputs(["5", "0", "2"]))
    assert [result.ending for result in found.inputs] == ["passed", "failed", "passed"]
    assert [result.stdout for result in found.inputs] == [b"2\n", b"", b"5\n"]
    assert found.ending == Ending.FAILED
    assert "ZeroDivisionError" in found.detail


def test_inputs_that_no_time_is_left_for_are_told(box: Sandbox) -> None:
    limits = replace(SHORT, time_s=0.3, total_s=0.5)
    found = box.run("while True: pass", Inputs(["", "", "", ""]), limits)
    assert [result.ending for result in found.inputs] == [Ending.TIMEOUT] * 4
    assert found.inputs[-1].detail == "no time was left"


def test_an_input_longer_than_a_pipe_is_read_and_need_not_be(box: Sandbox) -> None:
    text = "x" * 3_000_000
    found = box.run("import sys\nprint(len(sys.stdin.read()))", Inputs([text]))
    assert found.inputs[0].stdout == b"3000000\n"
    assert box.run("print(1)", Inputs([text])).ending == Ending.PASSED


def test_calls_return_values(box: Sandbox) -> None:
    calls = [Call([1, 2]), Call(["a", "b"]), Call([1, "b"]), Call([(1,), (2.5,)])]
    found = box.run(ADD, Calls("add", calls))
    assert found.values == (3, "ab", None, (1, 2.5))
    assert (found.passed, found.total) == (3, 4)


def test_calls_are_compared_with_exact_types(box: Sandbox) -> None:
    source = """
class I(int):
    def __eq__(self, other):
        return True
def f(kind):
    return {'n': 1, 'i': I(1), 't': (1, 2), 'f': 1.0000001}[kind]
"""

    def ending(call: Call) -> Ending:
        return box.run(source, Calls("f", [call])).ending

    assert ending(Call(["i"], expected=1)) == Ending.FAILED
    assert ending(Call(["t"], expected=[1, 2])) == Ending.FAILED
    assert ending(Call(["t"], expected=[1, 2], types="loose")) == Ending.PASSED
    assert ending(Call(["f"], expected=1.0)) == Ending.FAILED
    assert ending(Call(["n"], expected=1)) == Ending.PASSED
    for other in (1.0, True):
        assert ending(Call(["n"], expected=other)) == Ending.FAILED
        assert ending(Call(["n"], expected=other, types="equal")) == Ending.PASSED
    assert ending(Call(["f"], expected=1.0, tolerance=1e-6)) == Ending.PASSED


def test_only_builtin_values_can_be_sent(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="only builtin values"):
        box.run(ADD, Calls("add", [Call([object(), 1])]))


def test_the_first_text_that_compiles_is_the_program(box: Sandbox) -> None:
    found = box.run(["def add(a b)", ADD, "def add(a, b): return 0"], TESTS)
    assert (found.ending, found.candidate) == (Ending.PASSED, 1)
    script = box.run(["print(", "print(1)"], Inputs(["", ""]))
    assert (script.ending, script.candidate) == (Ending.PASSED, 1)


@pytest.mark.parametrize("job", [TESTS, Inputs(["1"]), Calls("add", [Call([1, 2])])])
def test_a_lone_surrogate_is_a_program_that_fails(box: Sandbox, job: Any) -> None:
    assert box.run("x = '\ud800'\nprint(x)", job).ending in (Ending.FAILED, Ending.PASSED)


LEAVES = """
import os, sys
def add(a, b):
    return a + b
open('left', 'w').write('secret')
open('/tmp/left', 'w').write('secret')
os.environ['LEFT'] = 'secret'
sys.modules['left'] = sys
import math
math.left = 'secret'
open('/dev/shm/left', 'w').write('secret')
if os.fork() == 0:
    os.setsid()
    import time
    while True:
        time.sleep(.01)
        open('/tmp/late', 'w').write('secret')
"""
FINDS = """
import math, os, sys
found = []
for path in ('left', '/tmp/left', '/tmp/late', '/dev/shm/left'):
    found += [path] * os.path.exists(path)
found += ['environment'] * ('LEFT' in os.environ) + ['module'] * ('left' in sys.modules)
found += ['attribute'] * hasattr(math, 'left') + os.listdir('.') + os.listdir('/tmp')
print(found, os.getpid())
"""


@pytest.mark.parametrize("fresh", [False, True])
def test_nothing_passes_from_one_program_to_the_next(fresh: bool) -> None:
    with Sandbox(1, fresh=fresh, limits=SHORT) as made:
        before = made.run(FINDS, Inputs([""])).inputs[0].stdout
        assert before.startswith(b"[] ")
        assert made.run(LEAVES, TESTS).ending == Ending.PASSED
        assert made.run(FINDS, Inputs([""])).inputs[0].stdout == before


def test_a_thousand_submissions_at_once_queue_without_loss() -> None:
    with Sandbox(2, limits=SHORT) as made:
        futures = [
            made.submit(ADD, Tests(f"assert add({i}, 1) == {i + 1 + i % 2}")) for i in range(1_000)
        ]
        found = [future.result().ending for future in futures]
    assert found == [Ending.FAILED if i % 2 else Ending.PASSED for i in range(1_000)]


def warm_parent(pid: int) -> int:
    """The last in the chain of processes that start each other, of an idle sandbox."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return warm_parent(int(children[0])) if children else pid


@pytest.mark.parametrize("which", [0, 1], ids=["the starting process", "the warm parent"])
def test_killed_in_the_middle_it_is_retried_and_counted(which: int) -> None:
    """The first of the processes of a sandbox starts it, the second is the warm parent."""
    slow = "import time\ntime.sleep(2)\n" + ADD
    with Sandbox(1, limits=Limits(time_s=20)) as made, ThreadPoolExecutor(1) as threads:
        made.isolation()
        (pid,) = made.pids()
        idle = leftovers.descendants(pid)
        victim = [pid, warm_parent(pid)][which]
        future = threads.submit(made.run, slow, TESTS)
        assert leftovers.soon(lambda: len(leftovers.descendants(pid)) >= len(idle) + 2)
        os.kill(victim, signal.SIGKILL)
        found = future.result()
        assert (found.ending, found.retries, made.died) == (Ending.PASSED, 1, 1)
        assert made.run(ADD, TESTS).retries == 0
        assert ends(pid)


def test_a_sandbox_that_always_dies_is_an_error_of_its_own_and_no_failure() -> None:
    with Sandbox(1, limits=Limits(time_s=60)) as made, ThreadPoolExecutor(1) as threads:
        future = threads.submit(made.run, "import time\ntime.sleep(60)\n" + ADD, TESTS)
        while not future.done():
            for pid in made.pids():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        error = future.exception()
        if error is None:
            assert future.result().ending == Ending.INFRA_ERROR
            assert "3 sandboxes died" in future.result().detail
        else:  # it was killed while it started
            assert isinstance(error, SandboxUnavailable)


def test_killed_while_idle_nobody_notices() -> None:
    with Sandbox(1, limits=SHORT) as made:
        made.isolation()
        for pid in made.pids():
            os.kill(pid, signal.SIGKILL)
            assert ends(pid)
        assert made.run(ADD, TESTS).ending == Ending.PASSED


KILLED = """
import os, sys, time
from reward_scorers.sandbox import Sandbox, Inputs, Limits
made = Sandbox(1, backend="native", limits=Limits(time_s=100, total_s=100))
made.isolation()
print(*made.pids(), flush=True)
made.run("import os, time\\nif os.fork() == 0: os.setsid()\\ntime.sleep(100)", Inputs([""]))
"""


def test_everything_ends_with_the_process_that_made_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert leftovers.soon(lambda: len(leftovers.descendants(pid)) >= 5)
    everything = leftovers.descendants(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    assert ends(*everything)


def in_a_fork(made: Sandbox, answers: Any) -> None:
    answers.put(str(made.run(ADD, TESTS).ending))
    made.close()


def test_after_a_fork_parent_and_child_have_workers_of_their_own() -> None:
    with Sandbox(1, limits=SHORT) as made:
        assert made.run(ADD, TESTS).ending == Ending.PASSED
        (pid,) = made.pids()
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        child = context.Process(target=in_a_fork, args=(made, answers))
        child.start()
        assert answers.get(timeout=60) == "passed"
        child.join()
        assert leftovers.living({pid})
        assert made.run(ADD, TESTS).ending == Ending.PASSED
        assert made.pids() == [pid]


def test_closed_it_leaves_nothing_and_runs_nothing() -> None:
    made = Sandbox(2, limits=SHORT)
    made.run(ADD, TESTS)
    everything = {one for pid in made.pids() for one in leftovers.descendants(pid)}
    made.close()
    assert ends(*everything)
    with pytest.raises(ValueError, match="closed"):
        made.run(ADD, TESTS)


def test_threads_that_start_it_may_end() -> None:
    with Sandbox(1, limits=SHORT) as made:
        thread = threading.Thread(target=made.isolation)
        thread.start()
        thread.join()
        gc.collect()
        assert made.run(ADD, TESTS).ending == Ending.PASSED
        assert made.died == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": -1}, "workers must be 1 or more"),
        ({"backend": "no"}, "no sandbox backend 'no'; known: auto"),
    ],
)
def test_bad_arguments_are_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sandbox(**arguments)


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="limit time_s must be positive, found 0"):
        Limits(time_s=0)


def test_limits_beyond_those_of_the_sandbox_are_told(box: Sandbox) -> None:
    with pytest.raises(ValueError, match=r"make it with limits=Limits\(memory_bytes="):
        box.run(ADD, TESTS, Limits(memory_bytes=1 << 40))


def test_values_that_were_returned_can_be_expected(box: Sandbox) -> None:
    source = "from collections import Counter\ndef f():\n    return [Counter('aab'), 10**5_000]"
    (value,) = box.run(source, Calls("f", [Call([])])).values
    assert box.run(source, Calls("f", [Call([], expected=value)])).ending == Ending.PASSED


def test_who_comes_first_is_served_first() -> None:
    with Sandbox(1, limits=SHORT) as made, ThreadPoolExecutor(8) as threads:
        made.isolation()
        order: list[int] = []

        def one(number: int) -> None:
            for _ in range(4):
                made.run(ADD, TESTS)
                order.append(number)

        for future in [threads.submit(one, number) for number in range(8)]:
            future.result()
    # In each round all have their turn, up to those that were on their way when it began.
    late = [abs(place // 8 - order[:place].count(number)) for place, number in enumerate(order)]
    assert max(late) <= 1


FLOOD = """
import os, resource, sys
from reward_scorers.sandbox import Inputs, Sandbox
with Sandbox(1) as made:
    made.isolation()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = made.run("import os\\nfor _ in range(200): os.write(1, b'x' * (1 << 20))", Inputs([""]))
    print(found.ending, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_the_parent_keeps_little_of_a_flood() -> None:
    """200 MB are written; how much this process has grown at most is told in kilobytes."""
    done = subprocess.run([sys.executable, "-c", FLOOD], capture_output=True, text=True, check=True)
    ending, grown = done.stdout.split()
    assert ending == "output_limit"
    assert int(grown) < 100_000


def test_a_thousand_threads_wait_in_a_queue() -> None:
    with Sandbox(2, limits=SHORT) as made:
        found: list[Ending] = []
        threads = [
            threading.Thread(target=lambda: found.append(made.run(ADD, TESTS).ending))
            for _ in range(1_000)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [Ending.PASSED] * 1_000


FORKED = """
import os, time
from reward_scorers.sandbox import Sandbox
made = Sandbox(1)
made.isolation()
child = os.fork()
if child == 0:
    time.sleep(100)
print(*made.pids(), child, flush=True)
time.sleep(100)
"""


def test_a_fork_that_sleeps_keeps_nothing_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", FORKED], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid, child = map(int, process.stdout.readline().split())
    everything = leftovers.descendants(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    try:
        assert ends(*everything)
        assert leftovers.living({child})
    finally:
        os.kill(child, signal.SIGKILL)


def test_sets_have_one_order_in_all_sandboxes() -> None:
    found = set()
    for _ in range(3):
        with Sandbox(1, limits=SHORT) as made:
            found.add(made.run("print({'a', 'b', 'c', 'd'})", Inputs([""])).inputs[0].stdout)
    assert len(found) == 1


PREFIX = """
class Node:
    def __init__(self, value, next=None):
        self.value, self.next = value, next
"""


def test_objects_of_the_prefix_travel_by_value_also_long_chains_and_circles(box: Sandbox) -> None:
    source = """
def reverse(node):
    before = None
    while node is not None:
        node.next, before, node = before, node, node.next
    return before
def ring(value):
    node = Node(value)
    node.next = node
    return node
"""
    tests = """
head = None
for i in range(5000):
    head = Node(i, head)
node, count = reverse(head), 0
while node is not None:
    assert node.value == count
    node, count = node.next, count + 1
assert count == 5000
one = ring(7)
assert one.next is one and one.value == 7
"""
    assert box.run(source, Tests(tests, prefix=PREFIX)).ending == Ending.PASSED


def test_a_prefix_class_that_the_program_defines_anew_is_still_the_prefix_s(box: Sandbox) -> None:
    source = """
class Node:
    def __init__(self, value, next=None):
        self.value, self.next = value, next
    def __eq__(self, other):
        return True
def make():
    return Node(1)
"""
    tests = Tests("assert make() == Node(2)", prefix=PREFIX)
    assert box.run(source, tests).ending == Ending.FAILED
    assert box.run(source, Tests("assert make().value == 1", prefix=PREFIX)).ending == Ending.PASSED
