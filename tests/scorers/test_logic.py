"""Scorers of puzzles: properties of any text, and the data they are made for.

Single texts and their scores are cases, in the *.cases.json beside the scorers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_scorers import scorer
from reward_scorers.registry import Context
from reward_scorers.values import python_literal, read
from tests.scorers.patience import no_endless_work

DATA = Path(__file__).parents[3] / "shared" / "data"
NAMES = ["arc", "zebra", "ordering", "graph"]
POLICIES = ["", "reasoning360/"]
TABLE = {"header": ["Position", "Food"], "rows": [["1", "mango"], ["2", "onion"]]}
TRUTHS = {"arc": [[1, 2], [3, 4]], "zebra": TABLE, "ordering": ["goose", "duck"], "graph": "aceidk"}


def test_they_are_imported_late_and_without_numpy():
    modules = [
        f"reward_scorers.{part}.{name}" for part in ("logic", "reasoning360") for name in NAMES
    ]
    code = f"import sys, {', '.join(modules)}; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- any text ---------------------------------------------------------------------------------

TAGS = [
    "<answer>",
    "</answer>",
    "</think>",
    "\\boxed{",
    "```",
    "The answer is ",
    "->",
    "|",
    "|---|",
]
MARKS = ["{", "}", "[", "]", "[[", "]]", ",", "'", '"', ":", "-", "(", ")", "\n", "\r", " ", "\\d"]
WORDS = ['"header"', '"rows"', "1", "7", "goose", "aceidk", "9" * 5000, "1e999"]
ODD = ["\0", "\ud800", "\u0130"]
PIECES = st.sampled_from([*TAGS, *MARKS, *WORDS, *ODD])
TEXTS = st.one_of(
    st.text(),
    st.text(st.characters(exclude_categories=())),  # lone surrogates, too
    st.lists(PIECES, max_size=30).map("".join),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda part: st.lists(part) | st.dictionaries(st.sampled_from(["header", "rows"]), part),
    ).map(lambda value: f"<answer>{value!r}</answer>"),
)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", NAMES)
@given(text=TEXTS)
def test_no_text_is_too_odd(policy, name, text):
    found = scorer(policy + name).score(text, TRUTHS[name], Context())
    assert 0 <= found["score"] <= 1
    assert found["acc"] == (found["score"] == 1)
    assert found["pred"] is None or len(found["pred"]) <= 200
    assert 0 <= found.get("fraction", 0) <= 1
    again = scorer(policy + name).score(text, TRUTHS[name], Context())
    assert again == found


@pytest.mark.parametrize("name", ["arc", "zebra", "ordering"])
@given(text=TEXTS)
def test_the_partial_score_is_the_fraction_and_one_only_if_all_is_right(name, text):
    exact = scorer(name).score(text, TRUTHS[name], Context())
    partial = scorer(name).score(text, TRUTHS[name], Context(partial=True))
    assert partial["score"] == exact["fraction"] == partial["fraction"]
    assert partial["acc"] is exact["acc"] is (exact["fraction"] == 1)


def asked(name: str, truth: object) -> str:
    """The answer in the form that the prompts of the Guru data ask for."""
    if name == "graph":
        return f"<answer> {truth} </answer>"
    return f"<answer> {json.dumps(truth) if name == 'zebra' else truth} </answer>"


@pytest.mark.parametrize("name", NAMES)
@given(before=st.text(st.characters(exclude_categories=())), after=st.text("ab \n."))
def test_what_stands_around_the_answer_does_not_count(name, before, after):
    text = f"{before}</think>{before}".replace("</answer>", "") + asked(name, TRUTHS[name]) + after
    if "<|" not in text and "</s>" not in text:
        assert scorer(name).score(text, TRUTHS[name])["score"] == 1


GRIDS = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 9), min_size=width, max_size=width), min_size=1)
)


@given(one=GRIDS, other=GRIDS)
def test_a_grid_is_right_if_and_only_if_it_is_the_reference(one, other):
    score = scorer("arc").score
    assert score(json.dumps(one, indent=1), one)["fraction"] == 1
    assert score(json.dumps(one), np.array(one))["acc"]
    assert score(str(one), other)["acc"] == (one == other)
    assert score(str(one), other)["fraction"] == score(str(other), one)["fraction"]
    assert score(f"<answer>{one} {other}</answer>", [one, other])["acc"]


@given(st.permutations([0, 1, 2]), st.permutations([0, 1, 2, 3]))
def test_a_table_may_stand_in_any_order_of_rows_and_columns(columns, rows):
    header = ["Position", "Food", "Job"]
    body = [["1", "mango", "a"], ["2", "onion", "b"], ["3", "fig", "c"], ["4", "kiwi", "d"]]
    other = {
        "header": [header[column] for column in columns],
        "rows": [[body[row][column] for column in columns] for row in rows],
    }
    truth = {"header": header, "rows": body}
    assert scorer("zebra").score(asked("zebra", other), truth)["score"] == 1
    if rows != [0, 1, 2, 3]:
        shuffled = {
            "header": header,
            "rows": [[str(n + 1), *body[row][1:]] for n, row in enumerate(rows)],
        }
        found = scorer("zebra").score(asked("zebra", shuffled), truth)
        kept = sum(n == row for n, row in enumerate(rows))
        assert (found["score"], found["fraction"]) == (0, kept / 4)


# --- texts that take long ---------------------------------------------------------------------

BAIT = ["[", "[[1],", "[[1,2],[3,4]],", "[ " + " " * 50, "{", "}", "<answer>", "</answer>", "\\d"]
BAIT += ["\\boxed{", "|-", "|a|b|\n|--|--|\n", "```\n", '```\n{"header"', "{'header': [", "-", " ,"]
BAIT += [
    ",,",
    "[,",
    "' ",
    "the answer is ",
    "1. and ",
    "\n",
    "9",
    "\0",
    "1+",
    "->",
    "['a',",
    "['1']\n",
]
BAIT += ['{"header":["Position"],"rows":[]}', "</think>"]


@pytest.mark.parametrize("name", [policy + name for name in NAMES for policy in POLICIES])
def test_the_time_grows_with_the_text_and_no_faster(name):
    truth = TRUTHS[name.rpartition("/")[2]]
    for piece in BAIT:
        for start, end in (("", ""), ("<answer>", "</answer>")):
            text = start + piece * (400_000 // len(piece)) + end
            with no_endless_work():
                scorer(name).score(text, truth, Context())


# --- values -----------------------------------------------------------------------------------

LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part) | st.tuples(part, part),
)


@given(LITERALS)
def test_a_literal_is_read_as_what_it_spells(value):
    assert python_literal(repr(value)) == value


def test_unknown_escapes_are_read_as_python_reads_them(recwarn):
    assert python_literal(r"'\d \\d \' \x41 \\\q'") == "\\d \\d ' A \\\\q"
    assert not recwarn.list


@pytest.mark.parametrize(
    "text",
    ["[" * 50_000, "-" * 99_000, "1+" * 40_000 + "1", "9" * 5000, "\0", "[" * 200_000, "f()"],
)
def test_what_is_no_value_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"longer than|no Python literal|malformed"):
        read(text)


def test_nothing_is_executed(tmp_path):
    mark = tmp_path / "mark"
    code = f"(__import__('pathlib').Path({str(mark)!r}).touch(), ['goose', 'duck',])[1]"
    for policy in POLICIES:
        scorer(f"{policy}ordering").score(f"<answer>{code}</answer>", TRUTHS["ordering"])
    assert not mark.exists()
    # The reference executes this and finds the list right.
    computed = "<answer>list(('goose', 'duck'))</answer>"
    assert scorer("reasoning360/ordering").score(computed, TRUTHS["ordering"])["score"] == 0


# --- the data ---------------------------------------------------------------------------------


def stored(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the data are not at {path}")
    return path


def generated(file: str, column: str) -> list:
    rows = json.loads(stored(f"guru_format_logic/{file}").read_text(encoding="utf-8"))
    return [row[column] for row in rows]


def zebra_of_guru() -> list:
    table = pd.read_parquet(stored("guru_online_eval/logic__zebra_puzzle_dataset_200.parquet"))
    return [model["ground_truth"] for model in table["reward_model"]]


def plain(truth):
    return json.loads(json.dumps(truth, default=lambda array: array.tolist()))


def arc_tests() -> list:
    files = sorted(stored("arc_agi_1").glob("*/*.json"))
    tasks = [json.loads(path.read_text(encoding="utf-8"))["test"] for path in files]
    assert len(tasks) == 800
    return [[test["output"] for test in task] for task in tasks]


SOURCES = {
    "zebra, generated": ("zebra", lambda: generated("zebra_puzzles.json", "ground_truth"), 120),
    "zebra, Guru": ("zebra", zebra_of_guru, 200),
    "ordering": ("ordering", lambda: generated("puzzles_dataset.json", "ground_truth"), 1000),
    "graph": ("graph", lambda: generated("graph_search.json", "correct_response"), 364),
    "arc, first tests": ("arc", lambda: [outputs[0] for outputs in arc_tests()], 800),
    "arc, all tests": ("arc", arc_tests, 800),
}


@pytest.mark.parametrize("source", SOURCES)
def test_gold_is_right_and_nothing_else_is(source):
    name, load, count = SOURCES[source]
    truths = load()
    assert len(truths) == count
    score = scorer(name).score
    golds = [plain(truth) for truth in truths]
    for place, truth in enumerate(truths):
        assert score(asked(name, golds[place]), truth)["score"] == 1
        assert score("<think>So it is.</think>", truth)["score"] == 0
        for step in (1, 7):
            other = golds[place - step]
            right = float(other == golds[place])
            assert score(asked(name, other), truth)["score"] == right


def test_as_parquet_holds_them():
    outputs = [[np.array(row) for row in task[0]] for task in arc_tests()[:50]]
    for rows in outputs:
        truth = np.empty(len(rows), dtype=object)
        truth[:] = rows
        for policy in POLICIES:
            gold = [row.tolist() for row in rows]
            assert scorer(f"{policy}arc").score(asked("arc", gold), truth)["score"] == 1
    for names in generated("puzzles_dataset.json", "ground_truth")[:50]:
        assert scorer("ordering").score(asked("ordering", names), np.array(names, dtype=object))[
            "acc"
        ]


def test_one_wrong_cell_is_wrong():
    for outputs in arc_tests():
        grids = plain(outputs)
        grids[-1][0][0] = (grids[-1][0][0] + 1) % 10
        found = scorer("arc").score(asked("arc", grids), outputs)
        cells = sum(len(row) for grid in grids for row in grid)
        assert found["score"] == 0
        assert found["fraction"] == pytest.approx(1 - 1 / cells)
    for truth in zebra_of_guru():
        table = plain(truth)
        rows = table["rows"]
        rows[0][1], rows[1][1] = rows[1][1], rows[0][1]
        found = scorer("zebra").score(asked("zebra", table), truth)
        assert found["score"] == 0
        assert found["fraction"] == pytest.approx(1 - 2 / (len(rows) * (len(rows[0]) - 1)))
    for names in generated("puzzles_dataset.json", "ground_truth"):
        swapped = [names[1], names[0], *names[2:]]
        found = scorer("ordering").score(asked("ordering", swapped), names)
        assert found["score"] == 0
        assert found["fraction"] == pytest.approx(1 - 2 / len(names))


def test_the_reference_cannot_score_people():
    names = generated("puzzles_dataset.json", "ground_truth")
    score = scorer("reasoning360/ordering").score
    wrong = [truth for truth in names if score(asked("ordering", truth), truth)["score"] == 0]
    assert len(wrong) == 153
    assert all(name != name.lower() for truth in wrong for name in truth)


def test_the_words_of_the_graph_stand_in_their_prompts():
    """A gold is a word of its prompt, so that a scorer that looks for it anywhere were no use."""
    prompts = generated("graph_search.json", "prompt")
    words = generated("graph_search.json", "correct_response")
    for prompt, word in zip(prompts, words, strict=True):
        assert scorer("graph").score(word, word)["score"] == 1
        assert scorer("graph").score(prompt, word)["score"] == 0
