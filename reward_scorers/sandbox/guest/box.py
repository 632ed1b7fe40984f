"""One program: a process that isolates itself, forks the program and judges it.

It is forked by the warm parent, in namespaces of its own where there are any, and is process 1
there: when it ends, the kernel ends whatever the program has left. It isolates itself and forks the
process that will run the program, which reads it; only then are tests read, so that the program
inherits no memory that has seen one. The report goes to a pipe which the program does not hold.
"""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import resource
import signal
import time
from _socket import socketpair  # not socket, whose imports every program would carry
from typing import TYPE_CHECKING, Any, NoReturn

from . import checks, examiner, kernel, program, script, seccomp, values, wire

if TYPE_CHECKING:
    import types
    from collections.abc import Mapping, Sequence

SCRATCH = "/tmp"
READY = b"R"
_BEGUN = b"S"
_GO = b"G"
_MOMENT_S = 0.2  # for a program that has hung up to end by itself, so that its signal is known
_LONGEST_DETAIL = 300
_OUTPUTS = 4  # how many times the limit of one output all of them may have together
_BUDGET = "together they are more than it may write"


class Box:
    """The process that runs one program.

    Args:
        limits: as in `reward_scorers.sandbox.limits.Limits`.
        namespaces: whether this process stands in namespaces of its own.
        ruleset: of Landlock, a descriptor; None where there is none.
        scratch: the folder that the program may write to.
        report: descriptor that the report is written to.
        filter_: the seccomp filter, made once.
    """

    def __init__(
        self,
        limits: Mapping[str, Any],
        *,
        namespaces: bool,
        ruleset: int | None,
        scratch: str,
        report: int,
        filter_: bytes,
    ) -> None:
        self.limits, self.namespaces, self.ruleset = limits, namespaces, ruleset
        self.scratch, self.report = scratch, report
        self.filter = filter_

    def run(self, kind: str, sizes: Sequence[int]) -> None:
        """Read a job of two parts from standard input, do it, and write the report.

        Args:
            kind: "script" or "module".
            sizes: how many bytes the parts have: what the program may know, and what not.
        """
        self._isolate()
        if kind == "module":
            self._module(sizes)
            return
        job = marshal.loads(wire.read_exactly(0, sizes[0]))
        _hang_up()
        wire.write_all(self.report, READY)
        self._scripts(job)

    # -- isolation

    def _isolate(self) -> None:
        """Make this process, and those that it forks, unable to reach anything else."""
        os.umask(0o077)
        if self.namespaces:
            options = f"size={self.limits['files_bytes']},nr_inodes={self.limits['files']},mode=700"
            flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
            kernel.mount("tmpfs", self.scratch, "tmpfs", flags, options)
        else:  # its name is not the one that everybody knows
            os.environ.update({"HOME": self.scratch, "TMPDIR": self.scratch})
        os.chdir(self.scratch)
        kernel.drop_capabilities()
        kernel.no_new_privileges()
        if self.ruleset is not None:
            kernel.restrict_paths(self.ruleset)
        kernel.filter_calls(self.filter)

    def _become_program(self, stdin: int, stdout: int, stderr: int, channel: int) -> None:
        """In the process that will run the program: keep nothing but streams, the channel as 3."""
        os.setsid()
        for descriptor, place in ((stdin, 0), (stdout, 1), (stderr, 2), (channel, 3)):
            os.dup2(descriptor, place)
        os.closerange(4, 1 << 16)
        self._limit()
        if not self.namespaces:
            kernel.die_with_parent()
            kernel.filter_calls(seccomp.program_filter(os.getpid()))
        os.write(3, _BEGUN)  # what fails until here is no fault of the program

    def _limit(self) -> None:
        limits = self.limits
        seconds = int(limits["time_s"]) + 2
        for what, most in (
            (resource.RLIMIT_AS, limits["memory_bytes"]),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_FSIZE, limits["files_bytes"]),
            (resource.RLIMIT_NOFILE, limits["open_files"]),
            (resource.RLIMIT_NPROC, limits["processes"]),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_MEMLOCK, 0),
        ):
            _, hard = resource.getrlimit(what)
            least = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (least, least))

    # -- a program that reads and writes

    def _scripts(self, job: Mapping[str, Any]) -> None:
        results: list[dict[str, Any]] = []
        cpu, left = 0.0, _OUTPUTS * self.limits["output_bytes"]
        chosen = self._choose(job["sources"])
        end = time.monotonic() + self.limits["total_s"]
        for text in job["inputs"]:
            started = time.monotonic()
            if started >= end or left <= 0:
                results.append(_not_run(started >= end))
                continue
            deadline = min(end, started + self.limits["time_s"])
            limit = min(left, self.limits["output_bytes"])
            found = self._script(job["sources"][chosen], text, limit, deadline)
            self._sweep()
            cpu += found.usage.ru_utime + found.usage.ru_stime
            ending, detail = _judged(found.ending, found.status, found.stderr)
            kept = b"" if ending == "output_limit" else found.stdout
            left -= len(kept)
            results.append(
                {
                    "ending": ending,
                    "detail": _clean(detail),
                    "stdout": kept,
                    "wall_s": time.monotonic() - started,
                    "peak_bytes": found.usage.ru_maxrss * 1024,
                }
            )
        worst = next((r for r in results if r["ending"] != "passed"), results[0])
        told = {"ending": worst["ending"], "detail": worst["detail"], "cpu_s": cpu}
        self.say(told | {"candidate": chosen}, results)

    def _choose(self, sources: Sequence[str]) -> int:
        if len(sources) == 1:
            return 0
        process = os.fork()  # a text that brings the compiler down shall not bring this down
        if process == 0:
            place = 0
            try:
                self._limit()
                place = program.choose(sources)
            finally:
                os._exit(place)
        _, status = os.waitpid(process, 0)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0

    def _script(self, source: str, text: bytes, limit: int, deadline: float) -> script.End:
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        ours_err, theirs_err = os.pipe()
        begun, begins = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                self._become_program(theirs_in, theirs_out, theirs_err, begins)
                os.close(3)
                program.run_script(source)
            finally:
                os._exit(program.RAISED)
        for descriptor in (theirs_in, theirs_out, theirs_err, begins):
            os.close(descriptor)
        _expect_begun(begun)
        os.close(begun)
        run = script.Run(
            process, ours_in, ours_out, ours_err, text=text, limit=limit, deadline=deadline
        )
        return run.wait()

    # -- a program of which functions are called

    def _module(self, sizes: Sequence[int]) -> None:
        ours, theirs = socketpair()
        process = os.fork()
        if process == 0:
            try:
                self._be_module(theirs.fileno(), sizes[0])
            finally:
                os._exit(program.RAISED)
        theirs.close()
        channel = ours.detach()
        _expect_begun(channel)
        tests = marshal.loads(wire.read_exactly(0, sizes[1]))
        _hang_up()
        wire.write_all(self.report, READY)
        self._limit_memory()
        tally = checks.Tally()
        try:
            trusted = checks.trusted_names(tests["prefix"], tests["helpers"])
        except Exception as error:
            told: dict[str, Any] = {
                "detail": f"their prefix or helpers: {program.described(error)}"
            }
            self.say(told | {"ending": "infra_error", "tests_broken": True}, [])
            return
        deadline = time.monotonic() + min(self.limits["time_s"], self.limits["total_s"])
        line = wire.Line(channel, deadline, self.limits["output_bytes"])
        told, results = _examined(examiner.Examiner(line, trusted), tests, trusted, tally)
        os.close(channel)
        by_itself = False
        if told["ending"] == "gone":
            by_itself = script.give_a_moment(process, _MOMENT_S)
        else:
            os.kill(process, signal.SIGKILL)
        _, status, usage = os.wait4(process, 0)
        self._sweep()
        if told["ending"] == "gone":
            ending, detail = _judged("ended", status, b"") if by_itself else ("failed", "")
            told["ending"] = "failed" if ending == "passed" else ending
            told["detail"] = detail or "the program ended before the tests did"
        told |= {"passed": tally.passed, "total": tally.total()}
        told |= {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024}
        self.say(told, [{"value": result} for result in results])

    def _be_module(self, channel: int, size: int) -> None:
        """In the process that will run the program: read it, say so, and run it when told to."""
        job = marshal.loads(wire.read_exactly(0, size))
        nothing = os.open("/dev/null", os.O_RDWR)
        self._become_program(nothing, nothing, nothing, channel)
        if os.read(3, 1) == _GO:
            sources = job["sources"]
            chosen = program.choose(sources) if len(sources) > 1 else 0
            os.write(3, bytes([chosen]))
            program.serve(sources[chosen], job["prefix"], wire.Line(3, None, 1 << 30))

    def _limit_memory(self) -> None:
        # Test code is trusted not to attack, and what it is sent may be large all the same.
        most = self.limits["memory_bytes"]
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))

    def _sweep(self) -> None:
        """Kill whatever the program has started and left."""
        if not self.namespaces:
            return  # it could start nothing
        try:
            os.kill(-1, signal.SIGKILL)
            while True:
                os.waitpid(-1, 0)
        except (ProcessLookupError, ChildProcessError):
            pass

    def say(self, told: dict[str, Any], results: Sequence[dict[str, Any]]) -> None:
        """Write the report: a line of JSON, with the lengths of the bytes that follow it."""
        blobs = []
        for result in results:
            for name in ("stdout", "value"):
                if name in result:
                    blobs.append(result[name])
                    result[name] = len(result[name])
        told |= {"results": results, "detail": _clean(told["detail"])}
        head = json.dumps(told).encode("ascii")
        wire.write_all(self.report, len(head).to_bytes(4, "big") + head)
        for blob in blobs:
            wire.write_all(self.report, blob)


def _hang_up() -> None:
    """Let go of the warm parent's streams: tests print, and the service listens to them."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _expect_begun(channel: int) -> None:
    if os.read(channel, 1) != _BEGUN:
        raise RuntimeError("the process of the program could not begin")


def _not_run(late: bool) -> dict[str, Any]:  # noqa: FBT001 - which of two
    ending, detail = ("timeout", "no time was left") if late else ("output_limit", _BUDGET)
    return {"ending": ending, "detail": detail, "stdout": b""}


def _examined(
    asked: examiner.Examiner,
    tests: Mapping[str, Any],
    trusted: Mapping[str, Any],
    tally: checks.Tally,
) -> tuple[dict[str, Any], list[bytes]]:
    """What is reported of tests, and the results of calls."""
    told: dict[str, Any] = {}
    try:
        told["candidate"] = asked.begin(_GO)
        results = _tested(asked, tests, trusted, tally)
    except examiner.Over as over:
        tally.wrong(over.detail)
        return told | {"ending": over.ending, "detail": over.detail}, []
    except (checks.BrokenTestsError, SyntaxError) as error:
        words = f"no Python: {error}" if isinstance(error, SyntaxError) else str(error)
        return told | {"ending": "infra_error", "detail": words, "tests_broken": True}, []
    except MemoryError:
        tally.wrong("more values than fit into memory")
        return told | {"ending": "output_limit", "detail": tally.detail}, []
    except Exception as error:  # which nothing but an odd program brings about
        tally.wrong(f"the tests could not go on: {type(error).__name__}")
        return told | {"ending": "failed", "detail": tally.detail}, []
    # In code fewer may have run than its text shows: in branches, in helpers that nobody calls.
    whole = tests["kind"] == "script" or tally.passed >= tally.expected
    passed = whole and not tally.failed
    return told | {"ending": "passed" if passed else "failed", "detail": tally.detail}, results


def _tested(
    asked: examiner.Examiner,
    tests: Mapping[str, Any],
    trusted: Mapping[str, Any],
    tally: checks.Tally,
) -> list[bytes]:
    asked.start()
    if tests["kind"] == "pytest":
        checks.run_pytest(asked, tests["code"], trusted, tally)
    elif tests["kind"] == "script":
        checks.run_code(asked, _code_of(tests), trusted, tally, tests["names"])
    else:
        calls = tests["calls"]
        if isinstance(calls, bytes):
            calls = values.Reader().read(values.loads(calls))
        results = checks.run_calls(asked, tests["entry"], calls, tally)
        return _texts(results, _OUTPUTS * asked.limit)
    return []


def _texts(results: Sequence[Any], most: int) -> list[bytes]:
    texts = []
    for found in results:
        texts.append(values.dumps(_Results().write(found)))
        most -= len(texts[-1])
        if most < 0:
            raise MemoryError
    return texts


class _Results(values.Writer):
    """Writes what calls returned, for who asked: an object of another type is None."""

    def write_other(self, value: Any) -> Any:
        """Numbers of NumPy as Python has them."""
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            return self.write(value.tolist())
        return None


def _code_of(tests: Mapping[str, Any]) -> str | tuple[types.CodeType, int]:
    """The test code: compiled already, if that was done by this version of Python."""
    compiled = tests["compiled"]
    if compiled is not None and compiled[0] == importlib.util.MAGIC_NUMBER:
        return marshal.loads(compiled[1]), compiled[2]
    code: str = tests["code"]
    return code


def _judged(ending: str, status: int, stderr: bytes) -> tuple[str, str]:
    """What a program's end means, and why."""
    if ending == "timeout":
        return "timeout", "out of time"
    if ending == "output_limit":
        return "output_limit", "it wrote more than it may"
    if os.WIFSIGNALED(status):
        return _killed(os.WTERMSIG(status))
    code = os.WEXITSTATUS(status)
    said = stderr[-2_000:].decode("utf-8", "replace").strip().rpartition("\n")[2]
    if code == program.ENDED:
        return "passed", ""
    if code == program.OUT_OF_MEMORY:
        return "memory", "MemoryError"
    if code == program.RAISED:
        return "failed", said or "it raised an exception"
    return "failed", said or "it ended with an error code"


def _killed(number: int) -> tuple[str, str]:
    if number == signal.SIGSYS:
        return "violation", "a system call that no program needs"
    if number == signal.SIGXCPU:
        return "timeout", "out of CPU time"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return "crashed", f"killed by {name}"


def _clean(detail: str) -> str:
    """A line that can be printed: of bounded length, without control characters."""
    return "".join(
        letter if letter.isprintable() else " " for letter in detail[:_LONGEST_DETAIL]
    ).strip()


def main(box: Box, kind: str, sizes: Sequence[int]) -> NoReturn:
    """What the process that judges does, to its end."""
    code = 1
    try:
        box.run(kind, sizes)
        code = 0
    except BaseException as error:  # told by the report, which is another one then
        try:
            box.say({"ending": "infra_error", "detail": program.described(error)}, [])
        except OSError:
            pass
    finally:
        os._exit(code)
