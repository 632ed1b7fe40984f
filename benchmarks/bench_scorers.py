"""The scorer of mathematics against labels that no grader made, its speed and its worst cases.

Pairs: about 4,000 answers to MATH-500, right or wrong by construction (tests/scorers/math_pairs.py
says how). gsm8k: 5,276 solutions of four models with their authors' labels. Labelled cases: 531
pairs out of the tests of other graders, a third of them prose; some contradict each other.
CPU seconds are those of the process and of its workers, which have started before; every grader
gets the same texts in one process, math-verify a sample, each text once. A reference comes about
eight times, as in training. Of a wild input, the wall time counts, with
the default deadline of 2 s, one after the other; the next answer must be scored. Peers get a few of
them in a process that is killed after 20 s.
The peer math-verify is called as its README says (`verify(parse(gold), parse(text))`). The peer
naive_dapo is that of a checkout of github.com/LLM360/Reasoning360, which the environment variable
REASONING360 names. Data are read from ../shared/data.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import os
import random
import re
import resource
import sys
import time
import types
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import Row
from reward_scorers import compute_score
from reward_scorers.errors import UnsupportedSourceError
from reward_scorers.registry import Context, scorer
from tests.scorers.math_pairs import build
from tests.scorers.math_pathological import INPUTS
from tests.scorers.processes import cpu_seconds_of_all, descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Grader = Callable[[str, str], bool]  # the text and the reference: whether it is right
    Labelled = tuple[str, str, bool]

DATA = Path(__file__).parents[2] / "shared" / "data"
SAMPLE = 1_000
LIMIT_S = 2.5
PEER_S = 20
VERDICTS = 2_720  # per CPU second, the bar
FOR_PEERS = (
    "a tower of powers",
    "10000000!",
    "a huge exponent",
    "a set of 3,000 elements",
    "a matrix of 60 by 60",
    "1 MB of digits",
    "3,000 nested fractions",
    "1 MB of brackets",
    "bait for patterns",
)


def ours(text: str, gold: str) -> bool:
    """This project's verdict."""
    return bool(scorer("math").score(text, gold, Context())["acc"])


def math_verify(text: str, gold: str) -> bool:
    """The verdict of math-verify; its README wants a reference to be marked as mathematics."""
    from math_verify import parse, verify

    marked = gold if re.search(r"\$|\\boxed|\\\(|\\\[", gold) else f"${gold}$"
    return bool(verify(parse(marked), parse(text)))


def naive_dapo() -> Grader | None:
    """The reference implementation of the Guru figures, if there is a checkout of it."""
    root = os.environ.get("REASONING360")
    if not root or importlib.util.find_spec("pylatexenc") is None:
        return None
    folder = Path(root)
    for name in ("verl", "verl.utils", "verl.utils.reward_score"):
        # Packages without their __init__, which import the whole trainer.
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = package
    module = importlib.import_module("verl.utils.reward_score.naive_dapo")

    def grade(text: str, gold: str) -> bool:
        with contextlib.redirect_stdout(io.StringIO()):
            return bool(module.compute_score(text, gold, {})["acc"])

    return grade


def measure() -> Iterator[Row]:
    """Verdicts, speed, worst cases, and the interface on real rows."""
    peers: dict[str, Grader] = {f"math-verify {version('math-verify')}": math_verify}
    if reference := naive_dapo():
        peers["naive_dapo"] = reference
    pairs = [(p.text, p.gold, p.right) for p in build(DATA / "math_eval_sets" / "math500.jsonl")]
    speed = list(_speed(pairs, peers))  # first: what a grader remembers of the pairs is no speed
    yield from _verdicts("pairs", pairs, peers, (0, 2))
    yield from _verdicts("gsm8k", _gsm8k(), peers, (0, 0))
    labelled = DATA / "math_labelled" / "cases_531.json"
    cases = json.loads(labelled.read_text(encoding="utf-8"))
    triples = [(case["pred"], case["gold"], bool(case["label"])) for case in cases]
    yield from _shares("labelled cases", triples, peers)
    yield from speed
    yield from _worst(peers)
    yield from _interface()


def _gsm8k() -> list[Labelled]:
    found = []
    text = (DATA / "gsm8k" / "example_model_solutions.jsonl").read_text(encoding="utf-8")
    for row in map(json.loads, text.splitlines()):
        gold = row["ground_truth"].rpartition("A: ")[2].strip()
        found += [
            (said["solution"], gold, said["is_correct"])
            for said in row.values()
            if isinstance(said, dict)
        ]
    return found


def _mistakes(grade: Grader, cases: Iterable[Labelled]) -> tuple[int, int]:
    """How many wrong answers pass, and how many right ones do not."""
    false_positives = false_negatives = 0
    for text, gold, right in cases:
        said = _said(grade, text, gold)
        false_positives += said and not right
        false_negatives += right and not said
    return false_positives, false_negatives


def _said(grade: Grader, text: str, gold: str) -> bool:
    try:
        return grade(text, gold)
    except Exception:  # noqa: BLE001 - a peer that raises has not called the answer right
        return False


def _verdicts(
    of: str, cases: Sequence[Labelled], peers: dict[str, Grader], bars: tuple[int, int]
) -> Iterator[Row]:
    right = sum(right for _, _, right in cases)
    of_wrong, of_right = f"of {len(cases) - right:,} wrong ones", f"of {right:,} right ones"
    for name, grade in {"ours": ours, **peers}.items():
        limits = bars if name == "ours" else (None, None)
        who = of if name == "ours" else f"{of}, peer {name}"
        passing, failing = _mistakes(grade, cases)
        yield Row(
            f"{who}: wrong answers that pass",
            passing,
            "answers",
            limits[0],
            f"{passing:,} {of_wrong}",
        )
        yield Row(
            f"{who}: right answers that fail",
            failing,
            "answers",
            limits[1],
            f"{failing:,} {of_right}",
        )


def _shares(of: str, cases: Sequence[Labelled], peers: dict[str, Grader]) -> Iterator[Row]:
    for name, grade in {"ours": ours, **peers}.items():
        passing, failing = _mistakes(grade, cases)
        share = 100 * (passing + failing) / len(cases)
        who = of if name == "ours" else f"{of}, peer {name}"
        note = f"{100 - share:.1f} % agree; {passing} pass wrongly, {failing} fail wrongly"
        yield Row(f"{who}: verdicts against the label", share, "%", _bar(name, 8.0), note)


def _bar(name: str, limit: float) -> float | None:
    return limit if name == "ours" else None


def _speed(pairs: Sequence[Labelled], peers: dict[str, Grader]) -> Iterator[Row]:
    mixed = random.Random(0).sample(list(pairs), len(pairs))
    for name, grade in {"ours": ours, **peers}.items():
        cases = mixed if name != next(iter(peers)) else mixed[:SAMPLE]
        _said(grade, "\\boxed{\\int_0^1 x dx}", "\\int_0^2 x dx")  # imports, workers that start
        start = cpu_seconds_of_all()
        _mistakes(grade, cases)
        seconds = cpu_seconds_of_all() - start
        who = "a verdict" if name == "ours" else f"a verdict, peer {name}"
        note = f"{len(cases) / seconds:,.0f} verdicts per CPU second on {len(cases):,} mixed pairs"
        yield Row(who, 1e3 * seconds / len(cases), "ms CPU", _bar(name, 1e3 / VERDICTS), note)


def _worst(peers: dict[str, Grader]) -> Iterator[Row]:
    ours("\\boxed{\\int_0^1 x dx}", "\\int_0^2 x dx")  # the workers have started
    rows = list(_wild())  # in the first round, what stays is loaded
    memory, processes = _peak_mib(), len(descendants())
    rows = [max(both, key=lambda row: row.value) for both in zip(rows, _wild(), strict=True)]
    slowest = max(rows, key=lambda row: row.value)
    yield Row(f"slowest of {len(rows)} wild inputs", slowest.value, "s", LIMIT_S, slowest.what)
    yield Row("memory that a second round of them adds", _peak_mib() - memory, "MiB", 64)
    left = len(descendants()) - processes
    yield Row("processes that a second round of them leaves", left, "processes", 1)
    yield from rows
    for name, grade in peers.items():
        for wild in FOR_PEERS:
            seconds, ending = _in_a_process(grade, wild)
            yield Row(f"{wild}, peer {name}", seconds, "s", note=ending)


def _wild() -> Iterator[Row]:
    for name, make in INPUTS.items():
        text, gold = make()
        start = time.perf_counter()
        passed = ours(text, gold)
        seconds = time.perf_counter() - start
        works = ours("So \\boxed{\\frac{1}{2}}.", "0.5") and not ours("\\boxed{3}", "5")
        note = ", ".join(
            ["passes"] * passed + ["the next answer is scored" if works else "**dead after it**"]
        )
        yield Row(name, seconds, "s", LIMIT_S, note)


def _in_a_process(grade: Grader, wild: str) -> tuple[float, str]:
    text, gold = INPUTS[wild]()
    process = get_context("fork").Process(target=_said_aloud, args=(grade, text, gold))
    start = time.perf_counter()
    process.start()
    process.join(PEER_S)
    seconds = time.perf_counter() - start
    if process.is_alive():
        process.kill()
        process.join()
        return seconds, "killed"
    endings = {0: "wrong, as it is", 1: "called right", 2: "raises"}
    return seconds, endings.get(process.exitcode or 0, f"died ({process.exitcode})")


def _said_aloud(grade: Grader, text: str, gold: str) -> None:
    try:
        os._exit(int(grade(text, gold)))
    except BaseException:  # noqa: BLE001 - the ending is what is measured
        os._exit(2)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _interface() -> Iterator[Row]:
    import pyarrow.parquet as pq

    rows = [
        row
        for path in sorted((DATA / "guru_online_eval").glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    missed = passed = unsupported = 0
    for row in rows:
        source, truth = row["data_source"], row["reward_model"]["ground_truth"]
        try:
            missed += not compute_score(source, _answer(truth), truth, row["extra_info"])["acc"]
        except UnsupportedSourceError:
            unsupported += 1
            continue
        passed += compute_score(source, "", truth, row["extra_info"])["score"] != 0
    note = f"of {len(rows):,} rows; {unsupported} are programs, which are not scored"
    yield Row("guru_online_eval: references that fail as answers", missed, "rows", 0, note)
    yield Row("guru_online_eval: empty answers that pass", passed, "rows", 0)


def _answer(truth: object) -> str:
    if isinstance(truth, str):
        return f"The answer is \\boxed{{{truth}}}."
    return f"<answer>{json.dumps(truth)}</answer>"


if __name__ == "__main__":
    from benchmarks.__main__ import main

    sys.exit(main(["scorers"]))
