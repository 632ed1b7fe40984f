"""Worker processes: real ones, killed, starved, forked and asked from many threads."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_scorers import WorkerCrashed, WorkerError
from reward_scorers.deadline import Deadline
from reward_scorers.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
TARGETS = "tests.scorers.worker_targets"
of_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def pool(function: str = "behave", size: int = 1, **options: object) -> WorkerPool:
    return WorkerPool(f"{TARGETS}:{function}", size, **options)


def soon(seconds: float = 5) -> Deadline:
    return Deadline.after(seconds)


def gone(pid: int, within: float = 10) -> bool:
    """Whether a process has ended, or is about to be buried by a parent that is not ours."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            state = of_process(pid)[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def of_process(pid: int) -> list[str]:
    """What /proc tells of a process, from its state on: state, parent and more."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent_of(pid: int) -> int:
    return int(of_process(pid)[1])


def children(pid: int) -> list[int]:
    """The processes whose parent a process is, zombies too."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if parent_of(int(path.name)) == pid:
                found.append(int(path.name))
    return sorted(found)


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def eventually(condition: Callable[[], bool], within: float = 10) -> bool:
    end = time.monotonic() + within
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def run(program: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **{"cwd": ROOT} | options
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_what_goes_in_comes_out() -> None:
    with pool("echo") as workers:

        @settings(deadline=None)
        @given(VALUES)
        def check(value: object) -> None:
            assert workers.call(value, soon()) == value

        check()
        odd = "\ud800\0\U0001f600\r\n"
        assert workers.call(odd, soon()) == odd


def test_a_megabyte_each_way_many_times() -> None:
    with pool("echo") as workers:
        texts = [f"{number}" * 1_000_000 for number in range(10)]
        assert workers.call_each(texts, 10) == texts


def test_one_worker_answers_call_after_call() -> None:
    with pool("pid") as workers:
        assert len({workers.call(None, soon()) for _ in range(20)}) == 1


def test_a_worker_that_is_too_slow_is_killed_and_the_next_call_answered() -> None:
    with pool() as workers:
        workers.call({}, soon())
        [slow] = workers.pids()
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match=f"{TARGETS}:behave"):
            workers.call({"sleep": 60}, soon(0.3))
        assert time.monotonic() - begun < 2
        assert gone(slow)
        assert workers.call({"value": "next"}, soon()) == "next"


@pytest.fixture
def imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often workers have imported the targets."""
    path = tmp_path / "imports"
    path.touch()
    monkeypatch.setenv("TARGETS_IMPORTS", str(path))
    return lambda: path.read_text().count("imported")


def test_ten_slow_inputs_in_a_row_import_nothing_anew(imports: Callable[[], int]) -> None:
    with pool("pids_when_asked") as workers:
        _, server = workers.call({}, soon())
        for _ in range(10):
            with pytest.raises(TimeoutError):
                workers.call({"sleep": 60}, soon(0.2))
        last, its_server = workers.call({}, soon())
        assert its_server == server
        assert imports() == 1
    assert gone(last)
    assert gone(server)


@of_linux
def test_replacements_have_the_same_server_and_nothing_of_each_other() -> None:
    with pool("remember") as workers:
        servers, answering = set(), set()
        for number in range(5):
            assert workers.call({"value": number}, soon()) == [{"value": number}]
            assert len(workers.call({}, soon())) == 2
            [one] = workers.pids()
            servers.add(parent_of(one))
            answering.add(one)
            with pytest.raises((TimeoutError, WorkerCrashed)):
                workers.call({"abort": True} if number % 2 else {"sleep": 60}, soon(0.2))
        assert len(servers) == 1
        assert len(answering) == 5
        assert all(gone(one) for one in answering)


@of_linux
def test_after_200_kills_no_zombie_and_no_descriptor_is_left(imports: Callable[[], int]) -> None:
    with pool() as workers:
        workers.call({}, soon())
        server = parent_of(workers.pids()[0])
        before = [descriptors(process) for process in (os.getpid(), server)]
        for _ in range(200):
            with pytest.raises(TimeoutError):
                workers.call({"sleep": 60}, soon(0.01))
        workers.call({}, soon())
        assert parent_of(workers.pids()[0]) == server
        assert [descriptors(process) for process in (os.getpid(), server)] == before
        assert eventually(lambda: children(server) == workers.pids())
        assert children(os.getpid()).count(server) == 1
        assert imports() == 1
    assert server not in children(os.getpid())


@of_linux
def test_a_server_killed_during_a_call_loses_no_verdict(imports: Callable[[], int]) -> None:
    with pool() as workers, ThreadPoolExecutor(1) as threads:
        workers.call({}, soon())
        [old] = workers.pids()
        answer = threads.submit(workers.call, {"sleep": 1.5, "value": 1}, soon())
        time.sleep(0.3)
        os.kill(parent_of(old), signal.SIGKILL)
        assert answer.result() == 1
        assert gone(old)
        assert imports() == 2


@of_linux
def test_a_server_killed_while_a_call_is_too_slow_is_replaced() -> None:
    with pool() as workers, ThreadPoolExecutor(1) as threads:
        workers.call({}, soon())
        [old] = workers.pids()
        server = parent_of(old)
        answer = threads.submit(workers.call, {"power": True}, soon(1))
        time.sleep(0.3)
        os.kill(server, signal.SIGKILL)
        assert isinstance(answer.exception(), TimeoutError)
        assert workers.call({"value": 1}, soon()) == 1
        assert parent_of(workers.pids()[0]) != server
        assert gone(old)


@of_linux
@pytest.mark.parametrize("when", ["idle", "replacing"])
def test_a_server_killed_between_calls_is_replaced(when: str) -> None:
    with pool() as workers:
        workers.call({}, soon())
        server = parent_of(workers.pids()[0])
        if when == "replacing":
            os.kill(server, signal.SIGSTOP)  # it is asked for the next process and forks none
            with pytest.raises(TimeoutError):
                workers.call({"sleep": 60}, soon(0.2))
            killing = threading.Timer(0.3, os.kill, (server, signal.SIGKILL))
            killing.start()
        else:
            os.kill(server, signal.SIGKILL)
            assert gone(server)
        assert workers.call({"value": 1}, soon()) == 1
        assert parent_of(workers.pids()[0]) != server


@of_linux
def test_a_target_with_threads_is_not_forked(
    imports: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGETS_THREAD", "1")
    with pool() as workers:
        for number in (1, 2, 3):
            assert workers.call({"value": number}, soon()) == number
            [one] = workers.pids()
            assert parent_of(one) == os.getpid()
            with pytest.raises(TimeoutError):
                workers.call({"power": True}, soon(0.3))
            assert gone(one)
        assert workers.call({"value": 4}, soon()) == 4
        assert imports() == 4
        [last] = workers.pids()
    assert gone(last)


def test_a_process_that_the_target_leaves_behind_hides_no_death() -> None:
    with pool("forking") as workers, pytest.raises(WorkerCrashed, match="died twice"):
        workers.call(10, soon())


@of_linux
def test_limits_hold_for_each_process_and_not_for_the_server() -> None:
    found = run(
        f"""
        import resource
        from reward_scorers.workers import WorkerPool
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (7, hard))  # as in a worker that starts workers
        with WorkerPool("{TARGETS}:limits", memory_bytes=1 << 30) as workers:
            [found] = workers.call_each([None], 20)
            print(found["cpu"][0], found["cpu"][1] == hard, *found["memory"])
        """
    )
    assert found.stdout.split() == ["22", "True", *[str(1 << 30)] * 2], found.stderr


def test_a_step_in_c_that_lets_no_thread_run_is_killed() -> None:
    with pool() as workers, pytest.raises(TimeoutError):
        workers.call({"power": True}, soon(0.5))


def test_a_deadline_that_has_passed_asks_nobody() -> None:
    with pool() as workers:
        with pytest.raises(TimeoutError):
            workers.call({}, Deadline(time.monotonic() - 1))
        assert workers.pids() == []


def test_the_start_of_a_worker_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGETS_LOAD_S", "1.5")
    with pool() as workers:
        deadline = soon(0.5)
        assert workers.call({"value": 1}, deadline) == 1
        assert deadline.remaining() > 0.2


def test_the_wait_for_a_free_worker_does_not_count() -> None:
    with pool() as workers, ThreadPoolExecutor(4) as threads:
        slow = [{"sleep": 0.4, "value": number} for number in range(4)]
        answers = threads.map(lambda payload: workers.call(payload, soon(1)), slow)
        assert list(answers) == [0, 1, 2, 3]


def test_what_is_printed_goes_nowhere() -> None:
    found = run(
        f"""
        from reward_scorers.deadline import Deadline
        from reward_scorers.workers import WorkerPool
        with WorkerPool("{TARGETS}:behave") as workers:
            payload = {{"print": "\\x00\\x00garbage" * 1000, "value": 1}}
            print(workers.call(payload, Deadline.after(5)))
        """
    )
    assert (found.stdout, found.returncode) == ("1\n", 0), found.stderr


@pytest.mark.parametrize("payload", [{"eat": 3 << 30}, {"nest": True}, {"abort": True}])
def test_an_input_that_no_worker_survives(payload: dict) -> None:
    with pool() as workers:
        with pytest.raises(WorkerCrashed):
            workers.call(payload, soon())
        assert workers.call({"value": "still here"}, soon()) == "still here"


@pytest.mark.parametrize("payload", [{"raise": "an error of the target"}, {"not json": True}])
def test_an_error_of_the_target_is_no_answer(payload: dict) -> None:
    with pool() as workers, pytest.raises(WorkerError, match=r"Traceback[\s\S]*Error"):
        workers.call(payload, soon())


def test_many_answers_of_which_some_fail() -> None:
    payloads = [{"value": 1}, {"sleep": 60}, {"value": 3}, {"abort": True}, {"value": 5}]
    with pool() as workers:
        found = workers.call_each(payloads, 0.5)
    assert found[::2] == [1, 3, 5]
    assert isinstance(found[1], TimeoutError)
    assert isinstance(found[3], WorkerCrashed)


def test_a_worker_that_dies_once_loses_no_answer(tmp_path: Path) -> None:
    with pool("die_once") as workers:
        assert workers.call(str(tmp_path / "mark"), soon()) == "answered"


def test_a_worker_killed_during_a_call_loses_no_answer() -> None:
    with pool() as workers, ThreadPoolExecutor(1) as threads:
        workers.call({}, soon())
        answer = threads.submit(workers.call, {"sleep": 0.5, "value": 1}, soon())
        time.sleep(0.2)
        os.kill(workers.pids()[0], signal.SIGKILL)
        assert answer.result() == 1


def test_workers_killed_while_idle_are_replaced() -> None:
    with pool("pid", 3) as workers, ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: workers.call(None, soon()), range(50)))
        before = workers.pids()
        for one in before:
            os.kill(one, signal.SIGKILL)
        assert all(gone(one) for one in before)
        assert workers.call(None, soon()) not in before


def test_an_interrupt_gives_the_answer_to_nobody_else() -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError("as trainers do, with a timer of their own")

    with pool() as workers:
        workers.call({}, soon())
        before = signal.signal(signal.SIGUSR1, interrupt)
        try:
            timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            with pytest.raises(InterruptedError):
                workers.call({"sleep": 0.6, "value": "old"}, soon())
            timer.join()
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert workers.call({"value": "new"}, soon()) == "new"


def test_from_many_threads_at_once() -> None:
    with pool("echo", 2) as workers, ThreadPoolExecutor(8) as threads:
        numbers = list(range(400))
        assert list(threads.map(lambda one: workers.call(one, soon()), numbers)) == numbers
        assert len(workers.pids()) <= 2


def test_a_worker_is_replaced_after_its_calls() -> None:
    with pool("pid", max_calls=5) as workers:
        seen = [workers.call(None, soon()) for _ in range(12)]
    assert [len(set(seen[start : start + 5])) for start in (0, 5)] == [1, 1]
    assert len(set(seen)) == 3
    assert all(gone(one) for one in seen)


def test_a_worker_with_a_worker_of_its_own_stops_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TARGETS_LOAD_S", "1.5")
    with pool("nested") as workers:
        [inner] = workers.call_each([None], 1)
        assert isinstance(inner, int)
    assert gone(inner)


@pytest.mark.parametrize(
    ("target", "fail"), [("no.module:x", ""), (f"{TARGETS}:nix", ""), (f"{TARGETS}:echo", "told")]
)
def test_a_target_that_cannot_be_loaded(
    target: str, fail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGETS_FAIL", fail)
    with WorkerPool(target) as workers, pytest.raises(WorkerError, match=target.split(":")[0]):
        workers.call(None, soon())


def test_a_start_that_takes_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGETS_LOAD_S", "60")
    with pool(start_s=0.3) as workers, pytest.raises(WorkerError, match=r"within 0\.3 s"):
        workers.call(None, soon())


@pytest.mark.parametrize("arguments", [("no colon", 1), ("a:b", 0)])
def test_a_pool_that_cannot_be(arguments: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match="a pool needs"):
        WorkerPool(*arguments)


def test_a_closed_pool_is_an_error_and_has_no_workers() -> None:
    workers = pool("pid")
    one = workers.call(None, soon())
    workers.close()
    assert gone(one)
    with pytest.raises(WorkerError, match="closed"):
        workers.call(None, soon())


def test_after_a_fork_parent_and_child_have_workers_of_their_own() -> None:
    with pool("pid") as workers:
        mine = workers.call(None, soon())
        receiving, sending = os.pipe()
        child = os.fork()
        if not child:
            os.write(sending, json.dumps(workers.call(None, soon())).encode())
            os._exit(0)
        os.close(sending)
        with os.fdopen(receiving) as answer:
            theirs = json.loads(answer.read())
        assert os.waitpid(child, 0)[1] == 0
        assert theirs != mine
        assert gone(theirs)
        assert workers.call(None, soon()) == mine


def in_daemon(results: multiprocessing.Queue) -> None:
    assert multiprocessing.current_process().daemon
    with pool("pid") as workers:
        results.put(workers.call(None, soon(20)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_in_a_daemonic_process(method: str) -> None:
    context = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=in_daemon, args=(results,), daemon=True)
    process.start()
    assert gone(results.get(timeout=60))
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("payload", ["{}", "{'sleep': 60}", "{'power': True}"])
def test_a_killed_parent_leaves_no_worker_behind(payload: str) -> None:
    program = f"""
    import threading, time
    from reward_scorers.deadline import Deadline
    from reward_scorers.workers import WorkerPool
    workers = WorkerPool("{TARGETS}:behave")
    workers.call({{}}, Deadline.after(5))
    threading.Thread(target=workers.call, args=({payload}, Deadline.after(3)), daemon=True).start()
    time.sleep(0.3)
    print(workers.pids()[0], flush=True)
    time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        server = parent_of(worker)
        assert not gone(worker, within=0.1)
        parent.kill()
    assert gone(worker)
    assert gone(server)


def test_a_program_that_ends_kills_its_workers_and_does_not_wait_for_them() -> None:
    begun = time.monotonic()
    found = run(
        f"""
        import threading
        from reward_scorers.deadline import Deadline
        from reward_scorers.workers import WorkerPool
        workers = WorkerPool("{TARGETS}:behave")
        workers.call({{}}, Deadline.after(5))
        print(workers.pids()[0])
        call = lambda: workers.call({{"sleep": 60}}, Deadline.after(60))
        threading.Thread(target=call, daemon=True).start()
        """
    )
    assert found.returncode == 0
    assert time.monotonic() - begun < 20
    assert gone(int(found.stdout))


def test_a_package_that_only_sys_path_knows_from_another_folder(tmp_path: Path) -> None:
    (tmp_path / "of_mine.py").write_text("def double(number): return 2 * number\n")
    (tmp_path / "elsewhere").mkdir()
    found = run(
        f"""
        import os, sys
        sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]
        from reward_scorers.deadline import Deadline
        from reward_scorers.workers import WorkerPool
        os.chdir("elsewhere")
        with WorkerPool("of_mine:double") as workers:
            print(workers.call(21, Deadline.after(5)))
        """,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert found.stdout == "42\n", found.stderr


def test_in_a_ray_worker() -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=1, include_dashboard=False)

    @ray.remote
    def remote() -> object:
        with WorkerPool(f"{TARGETS}:echo") as workers:
            return workers.call("from Ray", Deadline.after(5))

    try:
        assert ray.get(remote.remote()) == "from Ray"
    finally:
        ray.shutdown()
