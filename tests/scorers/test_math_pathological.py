"""Answers that make graders hang or crash: scored as wrong, in time, and nothing is left behind."""

from __future__ import annotations

import gc
import resource
import threading
import time
from multiprocessing import get_context

import pytest

from reward_scorers.deadline import Deadline
from reward_scorers.registry import Context, scorer
from tests.scorers.math_pathological import INPUTS
from tests.scorers.patience import ENDLESS_S
from tests.scorers.processes import descendants

LIMIT_S = 1.0


def score(text: str, gold: str) -> bool:
    context = Context(deadline=Deadline.after(LIMIT_S))
    return bool(scorer("math").score(text, gold, context)["acc"])


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    score("\\boxed{\\int_0^1 x dx}", "\\int_0^2 x dx")


@pytest.mark.parametrize("name", INPUTS)
def test_it_is_wrong_in_time_and_the_next_answer_is_scored(name: str) -> None:
    text, gold = INPUTS[name]()
    # How long a verdict takes, benchmarks/bench_scorers.py measures; here it only has to end.
    start = time.monotonic()
    assert not score(text, gold)
    assert time.monotonic() - start < ENDLESS_S
    assert score("So \\boxed{\\frac{1}{2}}.", "0.5")
    assert not score("So \\boxed{\\frac{1}{3}}.", "0.5")


def test_its_own_reference_does_not_break_the_scorer() -> None:
    for build in INPUTS.values():
        text, gold = build()
        if len(text) < 10_000 and text.startswith("\\boxed{") and text.endswith("}"):
            score(f"\\boxed{{{gold}}}", text[len("\\boxed{") : -1])


def test_neither_memory_nor_processes_grow() -> None:
    names = [name for name in INPUTS if "1 MB" not in name]
    for name in names:
        score(*INPUTS[name]())
    gc.collect()
    memory, processes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, descendants()
    for name in names:
        score(*INPUTS[name]())
    gc.collect()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert grown < 64 * 1024, f"{grown} KiB"
    assert len(descendants()) <= len(processes) + 2  # a worker, and the one that stands by


def test_threads_get_the_verdicts_that_the_main_thread_gets() -> None:
    found: list[bool] = []

    def work() -> None:
        found.append(score("\\boxed{2x+1}", "1+2x"))
        found.append(score("\\boxed{9^9^9^9}", "3"))
        found.append(score("\\boxed{\\int_0^1 2x dx}", "\\int_0^1 2 x dx"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(True) == 8
    assert found.count(False) == 4


def _in_a_daemon(queue: object) -> None:
    answers = [
        score("\\boxed{2x+1}", "1+2x"),
        score("\\boxed{\\int_0^1 2x dx}", "\\int_0^1 2 x dx"),
        score("\\boxed{10000000!}", "1"),
    ]
    queue.put(answers)  # type: ignore[attr-defined]


def test_a_daemonic_process_scores() -> None:
    context = get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_in_a_daemon, args=(queue,), daemon=True)
    process.start()
    assert queue.get(timeout=60) == [True, True, False]
    process.join(timeout=60)
