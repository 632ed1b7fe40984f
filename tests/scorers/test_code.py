"""Programs: real solutions pass their tests, others do not, and the rules between them hold."""

from __future__ import annotations

import gzip
import json
import os
import signal
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_scorers import GroundTruthError, WorkerError, batch, compute_score, score_batch
from reward_scorers.code.compare import same_output
from reward_scorers.code.extract import MAX_CANDIDATES, programs
from reward_scorers.code.shared import use_sandbox
from reward_scorers.code.truth import task_of
from reward_scorers.sandbox import Sandbox
from tests.scorers.patience import no_endless_work

DATA = Path(__file__).parents[3] / "shared" / "data"


def lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        pytest.skip(f"the rows are not at {path}")
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def fenced(program: str) -> str:
    return f"```python\n{program}\n```"


def scored(rows: list[dict[str, Any]]) -> list[Any]:
    return score_batch(rows, workers=2)


def human_eval() -> list[dict[str, Any]]:
    return lines(DATA / "humaneval" / "HumanEval.jsonl.gz")


def test_solutions_of_humaneval_pass_and_those_of_other_problems_do_not() -> None:
    problems = human_eval()
    rows = []
    for before, problem in pairwise([problems[-1], *problems]):
        truth = {key: problem[key] for key in ("prompt", "entry_point", "test")}
        own = problem["prompt"] + problem["canonical_solution"]
        other = before["prompt"] + before["canonical_solution"]
        rows += [
            {"data_source": "openai_humaneval", "solution_str": text, "ground_truth": truth}
            for text in (fenced(own), problem["canonical_solution"], fenced(other), "")
        ]
    found = [result["acc"] for result in scored(rows)]
    assert found == [True, True, False, False] * 164


def test_rows_of_the_guru_data() -> None:
    """Of each, the solution is that of the problem of HumanEval with the same prompt."""
    parquet = pytest.importorskip("pyarrow.parquet")
    path = DATA / "guru_online_eval" / "codegen__humaneval_164.parquet"
    if not path.is_file():
        pytest.skip(f"the rows are not at {path}")
    by_tests = {problem["test"].strip(): problem for problem in human_eval()}
    rows = []
    for row in parquet.read_table(path).to_pylist():
        tests = json.loads(row["reward_model"]["ground_truth"])["functional"]
        problem = by_tests[tests.rpartition("check(")[0].strip()]
        solution = fenced(problem["prompt"] + problem["canonical_solution"])
        rows.append({**row, "solution_str": solution})
    assert len(rows) == 164
    assert all(result["acc"] for result in scored(rows))


def test_all_solutions_of_mbpp_pass() -> None:
    keys = ("test_list", "test_setup_code", "challenge_test_list")
    rows = [
        {
            "data_source": "mbpp",
            "solution_str": fenced(row["code"]),
            "ground_truth": {key: row[key] for key in keys},
        }
        for row in lines(DATA / "mbpp" / "mbpp.jsonl")
    ]
    assert len(rows) == 974
    wrong = [row["reason"] for row in scored(rows) if not row["acc"]]
    assert not wrong


def test_inputs_of_cruxeval_as_its_authors_have_scored_them() -> None:
    folder = DATA / "cruxeval"
    problems = {row["id"]: row for row in lines(folder / "cruxeval.jsonl")}
    texts = json.loads((folder / "codellama7b_input_generations.json").read_text("utf-8"))
    labels = json.loads((folder / "codellama7b_input_scored.json").read_text("utf-8"))
    rows, wanted = [], []
    for name, problem in problems.items():
        for place in (0, 5, 9):  # of ten samples, most of which are alike
            rows.append(
                {
                    "data_source": "simulation__cruxeval-i",
                    "solution_str": texts[name][place],
                    "ground_truth": {"functional": problem["code"]},
                    "extra_info": {"reference": problem["output"]},
                }
            )
            wanted.append(labels["raw_scored_generations"][name][place])
    assert len(rows) == 2_400
    found = [result["acc"] for result in scored(rows)]
    wrong = [
        (row["solution_str"], want)
        for row, want, have in zip(rows, wanted, found, strict=True)
        if want != have
    ]
    # Upstream takes functions for arguments, of which any output can be had.
    assert [text for text, _ in wrong] == ["f([6, 4, 2, 8, 15], lambda x: x.reverse())"] * 2


def test_workers_that_are_killed_lose_no_verdict() -> None:
    """The processes of a batch are what is between the caller and the sandboxes."""
    slow = "import time\ntime.sleep(.1)\ndef f():\n    return {}"
    rows = [
        {"data_source": "mbpp", "solution_str": fenced(slow.format(i)), "ground_truth": truth}
        for i in range(40)
        for truth in [{"test_list": [f"assert f() == {i}"]}]
    ]
    score_batch(rows[:2], workers=2)  # they have started
    done = threading.Event()
    killed = []

    def kill() -> None:
        while not done.wait(0.3) and len(killed) < 4:
            for worker in list(batch._pools[2]._all):
                if worker.pid is not None and worker.pid not in killed:
                    os.kill(worker.pid, signal.SIGKILL)
                    killed.append(worker.pid)
                    break

    thread = threading.Thread(target=kill)
    thread.start()
    found = score_batch(rows, workers=2)
    done.set()
    thread.join()
    assert killed
    assert all(result["acc"] for result in found)


def test_a_sandbox_that_cannot_be_had_is_no_score() -> None:
    with Sandbox(1, start_s=0.000_001) as broken:
        use_sandbox(broken)
        try:
            with pytest.raises(WorkerError):
                compute_score("mbpp", fenced("def f(): pass"), "assert f() is None")
        finally:
            use_sandbox(None)


@pytest.mark.parametrize(
    ("truth", "extra", "message"),
    [
        ("{", {}, "no Python"),
        ({"inputs": "1", "outputs": "2", "fn_name": ""}, {}, "expected"),
        ({"inputs": [1], "outputs": ["1"]}, {}, "expected a text"),
        ([{"input": "1"}], {}, "expected"),
        ([], {}, "expected"),
        ([{"input": "1", "output": "1", "testtype": "functional"}], {}, "function_name"),
        ({"functional": ["assert f()"]}, {}, "test code"),
        ({"functional": "assert f()"}, {"prefix": "import nobody_has_this"}, "prefix"),
        (None, {}, "found None"),
    ],
)
def test_broken_tests_are_told(truth: Any, extra: dict[str, Any], message: str) -> None:
    with pytest.raises(GroundTruthError, match=message):
        compute_score("codegen__x", fenced("def f(): pass"), truth, extra)


TEXTS = st.lists(
    st.sampled_from(
        ["```", "```python", "```py\r", "~~~", "def f(x):", "    return 1", "print(1)", "", "text"]
    )
    | st.text(max_size=20),
    max_size=12,
).map("\n".join)


@given(TEXTS, st.sampled_from([(), ("f",)]))
def test_whatever_is_written_a_few_programs_are_found(text: str, names: tuple[str, ...]) -> None:
    found = programs(text, names)
    assert len(found) <= MAX_CANDIDATES
    assert len(set(found)) == len(found)
    assert all(program.strip() for program in found)


@given(TEXTS)
def test_a_final_block_counts_whatever_stands_before_it(before: str) -> None:
    program = "def unlike_others():\n    return 2"
    text = f"{before}\n</think>\n```python\n{program}\n```\n"
    assert programs(text, ["unlike_others"])[0] == program


@pytest.mark.parametrize("piece", ["```\n", "```python\n", "def f():\n", "a = 1\n", "~~~`\n", " "])
def test_long_texts_are_read_in_linear_time(piece: str) -> None:
    with no_endless_work():
        programs(piece * 200_000, ["f"])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(0, 3))
def test_an_output_is_itself_also_with_white_space_at_the_ends(text: str, more: int) -> None:
    assert same_output(text, text)
    assert same_output("\n".join(f"{line}  " for line in text.split("\n")) + "\n" * more, text)


@given(st.integers(-(10**20), 10**20), st.integers(-(10**20), 10**20))
def test_integers_are_compared_exactly(one: int, other: int) -> None:
    assert same_output(f"{one}\n", str(other)) == (one == other)


@given(st.floats(-1e9, 1e9), st.floats(-1e-7, 1e-7))
def test_decimals_are_compared_with_a_tolerance(value: float, off: float) -> None:
    assert same_output(repr(value + off), f"{value:.12e}")


@pytest.mark.parametrize(
    ("found", "expected"),
    [("1 2", "1\n2"), ("1", "1 1"), ("", "0"), ("nan", "1.0"), ("inf", "1e400"), ("0x1", "1.0")],
)
def test_other_outputs_are_other_outputs(found: str, expected: str) -> None:
    assert not same_output(found, expected)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("assert f(1) == 2", "f"),
        ("assert set(f(1)) == {2}", "f"),
        ("assert chain([Pair(1, 2)], 1) == 2", "chain"),
        ("import math\nassert math.isclose(f(1), 2)", "f"),
        ("assert sum(1, 2) == 3", "sum"),
        ("def same(a, b):\n    return a == b\nassert same(f(1), 2)", "f"),
        ("def check(candidate):\n    assert candidate(1)\n\ncheck(f)", "f"),
        ("def check(candidate):\n    assert candidate(1)\n\ncheck(Solution().f)", "Solution"),
    ],
)
def test_the_function_that_tests_are_about(code: str, name: str) -> None:
    assert task_of({"functional": code}, {}).names == (name,)
