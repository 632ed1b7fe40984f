"""One program: a process that isolates itself, forks the program and judges it.

It is forked by the warm parent, in namespaces of its own where there are any, and is process 1
there: when it ends, the kernel ends whatever the program has left. It isolates itself and forks the
process that will run the program, which reads it; only then are tests read, so that the program
inherits no memory that has seen one. The report goes to a pipe which the program does not hold.
"""

import importlib.util
import json
import marshal
import os
import resource
import signal
import sys
import time
from _socket import socketpair  # not socket, whose imports every program would carry

from . import checks, examiner, kernel, program, script, seccomp, wire

SCRATCH = "/tmp"
READY = b"R"


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

    def __init__(self, limits, *, namespaces, ruleset, scratch, report, filter_):
        self.limits, self.namespaces, self.ruleset = limits, namespaces, ruleset
        self.scratch, self.report = scratch, report
        self.filter = filter_

    def run(self, kind, sizes):
        """Read a job of two parts from standard input, do it, and write the report.

        Args:
            kind: "script" or "module".
            sizes: how many bytes the parts have: what the program may know, and what not.
        """
        self.isolate()
        if kind == "module":
            self._module(sizes)
            return
        job = marshal.loads(wire.read_exactly(0, sizes[0]))
        wire.write_all(self.report, READY)
        self._scripts(job)

    # -- isolation

    def isolate(self):
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

    def _become_program(self, stdin, stdout, stderr, channel=None):
        """In the process that will run the program: keep nothing but its streams."""
        os.setsid()
        for descriptor, place in ((stdin, 0), (stdout, 1), (stderr, 2)):
            os.dup2(descriptor, place)
        if channel is not None and channel != 3:
            os.dup2(channel, 3)
        os.closerange(3 if channel is None else 4, 1 << 16)
        self._limit()
        if not self.namespaces:
            kernel.die_with_parent()
            kernel.filter_calls(seccomp.program_filter(os.getpid()))

    def _limit(self):
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
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (most, most))

    # -- a program that reads and writes

    def _scripts(self, job):
        results, cpu = [], 0.0
        chosen = self._choose(job["sources"])
        end = time.monotonic() + self.limits["total_s"]
        for text in job["inputs"]:
            started = time.monotonic()
            if started >= end:
                results.append({"ending": "timeout", "detail": "no time was left", "stdout": b""})
                continue
            deadline = min(end, started + self.limits["time_s"])
            run = self._start_script(job["sources"][chosen], text, deadline)
            ending, stdout, stderr, status, usage = run.wait()
            self._sweep()
            cpu += usage.ru_utime + usage.ru_stime
            results.append(
                {
                    **_judged(ending, status, stderr),
                    "stdout": stdout if ending != "output_limit" else b"",
                    "wall_s": time.monotonic() - started,
                    "peak_bytes": usage.ru_maxrss * 1024,
                }
            )
        worst = next((r for r in results if r["ending"] != "passed"), results[0])
        self._say(
            {
                "ending": worst["ending"],
                "detail": worst["detail"],
                "cpu_s": cpu,
                "candidate": chosen,
            },
            results,
        )

    def _choose(self, sources):
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

    def _start_script(self, source, text, deadline):
        ours_in, ours_out, ours_err, process = None, None, None, None
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        ours_err, theirs_err = os.pipe()
        started, starts = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                self._become_program(theirs_in, theirs_out, theirs_err, starts)
                os.write(3, b"S")
                os.close(3)
                program.run_script(source)
            finally:
                os._exit(program.RAISED)
        for descriptor in (theirs_in, theirs_out, theirs_err, starts):
            os.close(descriptor)
        if os.read(started, 1) != b"S":
            raise RuntimeError("the process of the program could not begin")
        os.close(started)
        limit = self.limits["output_bytes"]
        return script.Run(process, ours_in, ours_out, ours_err, text, limit, deadline)

    # -- a program of which functions are called

    def _module(self, sizes):
        ours, theirs = socketpair()
        process = os.fork()
        if process == 0:
            try:
                self._be_program(theirs.fileno(), sizes[0])
            finally:
                os._exit(program.RAISED)
        theirs.close()
        self._candidate = ord(os.read(ours.fileno(), 1))
        tests = marshal.loads(wire.read_exactly(0, sizes[1]))
        wire.write_all(self.report, READY)
        self._limit_examiner()
        tally = checks.Tally()
        try:
            trusted = checks.trusted_names(tests["prefix"], tests["helpers"])
        except Exception as error:
            self._report_module("broken", f"their prefix or helpers: {error}", tally, [], None)
            return
        deadline = time.monotonic() + min(self.limits["time_s"], self.limits["total_s"])
        line = wire.Line(ours.fileno(), deadline, self.limits["output_bytes"])
        asked = examiner.Examiner(line, trusted)
        os.write(ours.fileno(), b"G")
        ending, detail, results = self._examine(asked, tests, trusted, tally)
        usage = self._end_module(process, ours, gone=ending == "gone")
        if ending == "gone":
            found = _judged("ended", usage[1], b"")
            ending = "failed" if found["ending"] == "passed" else found["ending"]
            detail = found["detail"] or "the program ended before the tests did"
        self._report_module(ending, detail, tally, results, usage[2])

    def _be_program(self, channel, size):
        """In the process that will run the program: read it, say so, and run it when told to."""
        job = marshal.loads(wire.read_exactly(0, size))
        chosen = program.choose(job["sources"]) if len(job["sources"]) > 1 else 0
        nothing = os.open("/dev/null", os.O_RDWR)
        self._become_program(nothing, nothing, nothing, channel)
        os.write(3, bytes([chosen]))  # what fails until here is no fault of the program
        if os.read(3, 1) == b"G":
            program.serve(job["sources"][chosen], job["prefix"], wire.Line(3, None, 1 << 30))

    def _examine(self, asked, tests, trusted, tally):
        try:
            asked.start()
            if tests["kind"] == "calls":
                results = checks.run_calls(asked, tests["entry"], tests["calls"], tally)
                raws = [examiner.values.dumps(asked.write(found)) for found in results]
                return _ending(tally), tally.detail, raws
            if tests["kind"] == "pytest":
                checks.run_pytest(asked, tests["code"], trusted, tally)
            else:
                checks.run_code(asked, _code_of(tests), trusted, tally, tests["names"])
        except examiner.Over as over:
            tally.wrong(over.detail)
            return over.ending, over.detail, []
        except checks.MissingModuleError as error:
            return "broken", f"they need the module {error}, which is not in the sandbox", []
        except SyntaxError as error:
            return "broken", f"no Python: {error}", []
        return _ending(tally), tally.detail, []

    def _end_module(self, process, ours, *, gone):
        ours.close()
        if not gone:
            os.kill(process, signal.SIGKILL)
        _, status, usage = os.wait4(process, 0)
        self._sweep()
        return None, status, usage

    def _report_module(self, ending, detail, tally, results, usage):
        told = {"ending": ending, "detail": detail, "passed": tally.passed, "total": tally.total()}
        told["candidate"] = self._candidate
        if ending == "broken":  # whatever the program
            told |= {"ending": "infra_error", "tests_broken": True}
        if usage is not None:
            told["cpu_s"] = usage.ru_utime + usage.ru_stime
            told["peak_bytes"] = usage.ru_maxrss * 1024
        self._say(told, [{"value": raw} for raw in results])

    def _limit_examiner(self):
        # Test code is trusted not to attack, and what it is sent may be large all the same.
        most = self.limits["memory_bytes"]
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))

    def _sweep(self):
        """Kill whatever the program has started and left."""
        if not self.namespaces:
            return  # it could start nothing
        try:
            os.kill(-1, signal.SIGKILL)
            while True:
                os.waitpid(-1, 0)
        except (ProcessLookupError, ChildProcessError):
            pass

    def _say(self, told, results):
        """The report: a line of JSON, with the lengths of the bytes that follow it."""
        blobs = []
        for result in results:
            for name in ("stdout", "value"):
                if name in result:
                    blobs.append(result[name])
                    result[name] = len(result[name])
        told["results"] = results
        head = json.dumps(told).encode("ascii")
        wire.write_all(self.report, len(head).to_bytes(4, "big") + head + b"".join(blobs))


def _code_of(tests):
    """The test code: compiled already, if that was done by this version of Python."""
    compiled = tests["compiled"]
    if compiled is not None and compiled[0] == importlib.util.MAGIC_NUMBER:
        return marshal.loads(compiled[1]), compiled[2]
    return tests["code"]


def _ending(tally):
    return "failed" if tally.failed or tally.passed < tally.expected else "passed"


def _judged(ending, status, stderr):
    """What a program's end means."""
    if ending == "timeout":
        return {"ending": "timeout", "detail": "out of time"}
    if ending == "output_limit":
        return {"ending": "output_limit", "detail": "it wrote more than it may"}
    if os.WIFSIGNALED(status):
        return _killed(os.WTERMSIG(status))
    code = os.WEXITSTATUS(status)
    said = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    if code == program.ENDED:
        return {"ending": "passed", "detail": ""}
    if code == program.OUT_OF_MEMORY:
        return {"ending": "memory", "detail": "MemoryError"}
    if code == program.RAISED:
        return {"ending": "failed", "detail": said or "it raised an exception"}
    return {"ending": "failed", "detail": said or "it ended with an error code"}


def _killed(number):
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number == signal.SIGSYS:
        return {"ending": "violation", "detail": "a system call that no program needs"}
    if number == signal.SIGXCPU:
        return {"ending": "timeout", "detail": "out of CPU time"}
    return {"ending": "crashed", "detail": f"killed by {name}"}


def main(box, kind, sizes):
    """What the process that judges does, to its end."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        box.run(kind, sizes)
        code = 0
    except BaseException as error:
        code = 1
        try:
            box._say({"ending": "infra_error", "detail": program.described(error), "box": True}, [])
        except OSError:
            pass
    finally:
        sys.stderr.flush()
        os._exit(code)
