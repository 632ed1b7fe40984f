"""`Sandbox`: programs run, called and tested where they can do no harm; see the package's page."""

from __future__ import annotations

import atexit
import json
import os
import signal
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from reward_scorers.sandbox.backends.backend import Options, backends
from reward_scorers.sandbox.errors import SandboxUnavailable
from reward_scorers.sandbox.guest_values import read_value
from reward_scorers.sandbox.limits import Limits
from reward_scorers.sandbox.outcome import Ending, InputResult, Outcome
from reward_scorers.sandbox.places import Places
from reward_scorers.sandbox.slot import Report, Slot, SlotDied

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reward_scorers.sandbox.backends.backend import Backend
    from reward_scorers.sandbox.job import Job

AUTO: Final = "auto"
START_S: Final = 60.0
TRIES: Final = 3  # sandboxes that may die under one program, before that is an infra_error
_EMBEDDED: Final = ("bubblewrap", "native")  # what "auto" chooses from
_SPARE_BYTES: Final = 128 << 20  # of the process that judges, in the group of both
_SPARE_PROCESSES: Final = 4
_ADVICE: Final = (
    ". Allow unprivileged user namespaces, install bubblewrap, or choose a backend of docker,"
    " podman and gvisor (docs/sandbox.md)"
)


class Sandbox:
    """Runs untrusted Python programs, `workers` at a time; further callers wait in a queue.

    Safe to share between threads. After a fork, the child has a sandbox without workers and starts
    its own. Everything ends with the process that made it, also where that is killed.

    What it protects: files, environment, processes, network and memory of the machine, other
    programs, the tests and what they expect. What it does not: the kernel itself from its own bugs
    (use backend "gvisor", or a virtual machine), the machine's time (a program may use one core to
    its limit), and channels by timing and caches. Where control groups cannot be made, memory is
    limited per process only, so that `processes` times `memory_bytes` may be touched.

    Args:
        workers: sandboxes; the number of cores if None.
        backend: "auto", or the name of one of `backends()`.
        fresh: whether each program gets a sandbox of its own, started for it, instead of a fork of
            a warm parent in namespaces of its own. Forty times slower.
        limits: of every program that is not given others; others may not have more memory, files or
            processes.
        packages: distributions that programs may import, if they are installed here.
        warm: modules that are imported once, for all programs.
        image: of a container.
        start_s: seconds that a sandbox may take to start.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        backend: str = AUTO,
        fresh: bool = False,
        limits: Limits | None = None,
        packages: Sequence[str] = ("numpy", "pytest"),
        warm: Sequence[str] = (),
        image: str = "",
        start_s: float = START_S,
    ) -> None:
        self.workers = workers or _cores()
        if self.workers < 1:
            raise ValueError(f"workers must be 1 or more, found {workers}")
        if backend != AUTO and backend not in backends():
            raise ValueError(
                f"no sandbox backend {backend!r}; known: {AUTO}, {', '.join(backends())}"
            )
        self.limits = limits or Limits()
        self._backend, self._fresh, self._start_s = backend, fresh, start_s
        self._options = Options(
            packages=tuple(packages),
            warm=tuple(warm),
            image=image,
            memory_bytes=self.limits.memory_bytes + self.limits.files_bytes + _SPARE_BYTES,
            processes=self.limits.processes + _SPARE_PROCESSES,
            files_bytes=self.limits.files_bytes,
        )
        self.died = 0  # sandboxes that died under a program
        self._reset()
        _sandboxes.add(self)

    def _reset(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        idle: list[Slot | None] = [None] * self.workers
        self._places = Places(idle)
        self._all: set[Slot] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._chosen: Backend | None = None
        self._closed = False

    # -- use

    def run(self, program: str | Sequence[str], job: Job, limits: Limits | None = None) -> Outcome:
        """Do a job with a program, once a worker is free.

        Args:
            program: its text; of several, the first that Python can compile.
            job: what is done with it.
            limits: None for those of the sandbox.

        Raises:
            SandboxUnavailable: nothing here can confine a program; nothing was run.
            ValueError: the job holds something that cannot be sent, the limits are beyond those of
                the sandbox, or it is closed.
        """
        parts = job.parts([program] if isinstance(program, str) else program)
        limits = self._allowed(limits)
        detail = ""
        with self._worker() as worker:
            for attempt in range(TRIES):
                slot = worker.slot()
                kills = slot.oom_kills()
                try:
                    report = slot.run(job.kind, parts, limits)
                except SlotDied as error:
                    detail = str(error)
                    worker.replace()
                    if self._closed:
                        raise ValueError("the sandbox was closed") from None
                    self._count_death()
                    continue
                oom = slot.oom_kills() > kills
                if _judge_died(report) and not oom:
                    detail = "the judging process was killed"
                    self._count_death()
                    continue
                outcome = _outcome(report, oom=oom, retries=attempt, isolation=slot.isolation)
                if self._fresh:
                    worker.replace()
                return outcome
        return Outcome(
            Ending.INFRA_ERROR,
            f"{TRIES} sandboxes died, one after the other: {detail}",
            retries=TRIES - 1,
        )

    def _count_death(self) -> None:
        with self._lock:
            self.died += 1

    def _allowed(self, limits: Limits | None) -> Limits:
        if limits is None:
            return self.limits
        for name in ("memory_bytes", "processes", "files_bytes"):  # its control group's
            wanted, most = getattr(limits, name), getattr(self.limits, name)
            if wanted > most:
                raise ValueError(
                    f"limit {name} of a program is {wanted}, and that of the sandbox {most}: make"
                    f" it with limits=Limits({name}={wanted})"
                )
        return limits

    def submit(
        self, program: str | Sequence[str], job: Job, limits: Limits | None = None
    ) -> Future[Outcome]:
        """Queue a program; the future has its outcome."""
        self._own()
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.workers, "sandbox")
            return self._threads.submit(self.run, program, job, limits)

    def isolation(self) -> str:
        """How programs are confined; starts a worker if there is none.

        Raises:
            SandboxUnavailable: nothing here can confine a program.
        """
        with self._worker() as worker:
            return worker.slot().isolation

    def close(self) -> None:
        """End all workers; programs that run are lost."""
        self._own()
        with self._lock:
            self._closed = True
            slots, threads = list(self._all), self._threads
        for slot in slots:
            slot.kill()
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pids(self) -> list[int]:
        """The processes by which the workers were started, for tests and operators."""
        with self._lock:
            return [slot.pid for slot in self._all]

    # -- workers

    def _own(self) -> None:
        if self._owner != os.getpid():
            for slot in self._all:
                slot.forget()
            self._reset()

    @contextmanager
    def _worker(self) -> Iterator[_Worker]:
        self._own()
        places = self._places
        worker = _Worker(self, places.take())
        try:
            if self._closed:
                raise ValueError("the sandbox is closed")
            yield worker
        except BaseException:  # an interrupt in the middle of a program
            worker.replace()
            raise
        finally:
            places.give(worker.held)

    def _start(self) -> Slot:
        if self._chosen is not None:
            slot = Slot(self._chosen.start(self._options), start_s=self._start_s)
        else:
            slot = self._start_first()
        with self._lock:
            self._all.add(slot)
            closed = self._closed
        if closed:
            slot.kill()
            raise ValueError("the sandbox is closed")
        return slot

    def _start_first(self) -> Slot:
        names = _EMBEDDED if self._backend == AUTO else (self._backend,)
        reasons = []
        for name in names:
            backend = backends()[name]
            missing = backend.missing()
            if not missing:
                try:
                    options = self._options
                    slot = Slot(backend.start(options), start_s=self._start_s)
                except SandboxUnavailable as error:
                    missing = str(error)
                else:
                    self._chosen = backend
                    return slot
            reasons.append(f"{name}: {missing}")
        raise SandboxUnavailable(
            "programs cannot be confined here, so none is run. "
            + "; ".join(reasons)
            + (_ADVICE if self._backend == AUTO else "")
        )

    def _drop(self, slot: Slot) -> None:
        slot.kill()
        with self._lock:
            self._all.discard(slot)


class _Worker:
    """A place for a sandbox, which is started when it is wanted."""

    def __init__(self, sandbox: Sandbox, slot: Slot | None) -> None:
        self._sandbox, self.held = sandbox, slot

    def slot(self) -> Slot:
        """The sandbox of this place."""
        if self.held is not None and not self.held.lives():
            self.replace()
        if self.held is None:
            self.held = self._sandbox._start()
        return self.held

    def replace(self) -> None:
        """End the sandbox; the next one starts when it is wanted."""
        slot, self.held = self.held, None
        if slot is not None:
            self._sandbox._drop(slot)


_sandboxes: weakref.WeakSet[Sandbox] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for sandbox in list(_sandboxes):
        with suppress(Exception):
            sandbox.close()


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget_all() -> None:
    # What a fork holds open would keep the sandboxes of its parent alive.
    for sandbox in list(_sandboxes):
        sandbox._own()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _judge_died(report: Report) -> bool:
    """Whether the judging process was ended by somebody else, without a report."""
    end = report.end
    killed = os.WIFSIGNALED(end["status"]) and os.WTERMSIG(end["status"]) == signal.SIGKILL
    return _told(report.data)[0] is None and killed and not end["killed"]


def _outcome(report: Report, *, oom: bool, retries: int, isolation: str) -> Outcome:
    found: dict[str, Any] = {"retries": retries, "isolation": isolation}
    told, blobs = _told(report.data)
    if told is None:
        return _killed(report.end, found, oom=oom)
    ending = Ending(told["ending"])
    if oom and ending in (Ending.CRASHED, Ending.FAILED):
        ending, told["detail"] = Ending.MEMORY, "the limit of all its memory"
    return Outcome(
        ending,
        told["detail"],
        passed=told.get("passed", 0),
        total=told.get("total", 0),
        inputs=tuple(_input(result, blobs) for result in told["results"] if "stdout" in result),
        values=tuple(
            read_value(blobs.take(result["value"]))
            for result in told["results"]
            if "value" in result
        ),
        cpu_s=told.get("cpu_s", 0.0),
        peak_bytes=told.get("peak_bytes", 0),
        candidate=told.get("candidate", 0),
        tests_broken=told.get("tests_broken", False),
        **found,
    )


def _killed(end: dict[str, Any], found: dict[str, Any], *, oom: bool) -> Outcome:
    """The process that judges was killed before it could report."""
    cpu = float(end.get("cpu_s", 0.0))
    if oom:
        return Outcome(Ending.MEMORY, "the limit of all its memory", cpu_s=cpu, **found)
    if end.get("killed"):
        return Outcome(Ending.TIMEOUT, "out of time", cpu_s=cpu, **found)
    status = int(end.get("status", 0))
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    name = signal.Signals(number).name if number else f"status {status}"
    return Outcome(Ending.INFRA_ERROR, f"the judging process ended by {name}", cpu_s=cpu, **found)


class _Blobs:
    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        self._place += count
        return self._data[self._place - count : self._place]


def _told(data: bytes) -> tuple[dict[str, Any] | None, _Blobs]:
    """The judging process's report, None if it is not whole."""
    if len(data) < 4:
        return None, _Blobs(b"")
    size = 4 + int.from_bytes(data[:4], "big")
    if len(data) < size:
        return None, _Blobs(b"")
    told: dict[str, Any] = json.loads(data[4:size])
    blobs = _Blobs(data[size:])
    expected = sum(
        result[name] for result in told["results"] for name in ("stdout", "value") if name in result
    )
    return (told, blobs) if len(data) == size + expected else (None, blobs)


def _input(result: dict[str, Any], blobs: _Blobs) -> InputResult:
    return InputResult(
        Ending(result["ending"]),
        result["detail"],
        blobs.take(result["stdout"]),
        wall_s=result.get("wall_s", 0.0),
        peak_bytes=result.get("peak_bytes", 0),
    )
