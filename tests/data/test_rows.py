"""Rows of the Guru schema: what is read from a good line, and what is said of a bad one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.rows import Row, load_rows
from harness.errors import DataError

GOOD = {
    "data_source": "math__micro",
    "prompt": [{"role": "user", "content": "1+1="}],
    "ability": "math",
    "reward_model": {"style": "rule", "ground_truth": "2"},
    "extra_info": {"split": "train", "index": 0, "difficulty": 1, "solution": "\\boxed{2}"},
}


def lines(*rows: object) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def changed(**changes: object) -> dict[str, object]:
    return {**GOOD, **changes}


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in GOOD.items() if name != key}


def test_a_good_line() -> None:
    assert load_rows(lines(GOOD), "a.jsonl") == [
        Row(
            data_source="math__micro",
            ability="math",
            messages=({"role": "user", "content": "1+1="},),
            ground_truth="2",
            extra_info=GOOD["extra_info"],
            split="train",
            difficulty=1,
            solution="\\boxed{2}",
            where="a.jsonl:1",
        )
    ]


@pytest.mark.parametrize("extra", [None, {}, {"index": 3}])
def test_what_a_data_set_does_not_tell_is_none(extra) -> None:
    for row in (changed(extra_info=extra), without("extra_info")):
        (read,) = load_rows(lines(row), "a")
        assert (read.split, read.difficulty, read.solution) == (None, None, None)


@pytest.mark.parametrize("truth", ["2", ["1", "2"], {"functional": "assert 1"}, 4, None])
def test_a_ground_truth_is_anything(truth) -> None:
    row = changed(reward_model={"ground_truth": truth})
    assert load_rows(lines(row), "a")[0].ground_truth == truth


def test_a_difficulty_may_be_written_as_a_float() -> None:
    (row,) = load_rows(with_extra(difficulty=3.0), "a")
    assert (row.difficulty, type(row.difficulty)) == (3, int)


def test_both_halves_of_a_character_are_one() -> None:
    """JSON writes what lies beyond 16 bits as a pair."""
    (row,) = load_rows(lines(changed(prompt=[{"role": "user", "content": "\U0001f600"}])), "a")
    assert row.messages[0]["content"] == "\U0001f600"


def test_empty_lines_count_and_are_passed_over() -> None:
    read = load_rows(b"\n" + lines(GOOD) + b"  \r\n" + lines(GOOD).rstrip(), "a")
    assert [row.where for row in read] == ["a:2", "a:4"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_of_a_prompt_stays_one_line(text) -> None:
    """Line ends that only Unicode knows do not split a line of JSON."""
    row = changed(prompt=[{"role": "user", "content": text}])
    (read,) = load_rows(json.dumps(row, ensure_ascii=False).encode(), "a")
    assert read.messages[0]["content"] == text


def with_extra(**changes: object) -> bytes:
    return lines(changed(extra_info={**GOOD["extra_info"], **changes}))


HALF = "half of a surrogate pair"
WRONG_GRADE = "extra_info.difficulty is wrong"
SCHEMA = "not a row of the Guru schema"
BAD = {
    "not JSON": (b"{'a': 1}", "not JSON", "column 2"),
    "cut off": (lines(GOOD)[:-9], "not JSON"),
    "not UTF-8": (b'{"a": "\xff"}', "not JSON"),
    "a list": (b"[1, 2]", "a row is not an object", "[1, 2]"),
    "a number": (b"7", "a row is not an object", "7"),
    "null": (b"null", "a row is not an object"),
    "no data source": (lines(without("data_source")), SCHEMA, "'data_source'"),
    "no prompt": (lines(without("prompt")), SCHEMA, "'prompt'"),
    "no ability": (lines(without("ability")), SCHEMA, "'ability'"),
    "no reward model": (lines(without("reward_model")), SCHEMA, "'reward_model'"),
    "no ground truth": (lines(changed(reward_model={})), SCHEMA, "'ground_truth'"),
    "reward model of text": (lines(changed(reward_model="rule")), SCHEMA, "TypeError"),
    "prompt of text": (lines(changed(prompt="1+1=")), SCHEMA, "TypeError"),
    "prompt without a list": (lines(changed(prompt=3)), SCHEMA, "TypeError"),
    "message without role": (lines(changed(prompt=[{"content": "1"}])), SCHEMA, "'role'"),
    "message without content": (lines(changed(prompt=[{"role": "user"}])), SCHEMA, "'content'"),
    "empty prompt": (lines(changed(prompt=[])), "a row without a prompt"),
    "message of a number": (
        lines(changed(prompt=[{"role": "user", "content": 3}])),
        "prompt: content is wrong",
        "text",
    ),
    "message of null": (
        lines(changed(prompt=[{"role": None, "content": "1"}])),
        "prompt: role is wrong",
        "None",
    ),
    "split of a list": (with_extra(split=["train"]), "extra_info.split is wrong", "['train']"),
    "split of a number": (with_extra(split=3), "extra_info.split is wrong", "text, or none"),
    "solution of a number": (with_extra(solution=3), "extra_info.solution is wrong", "3"),
    "difficulty of text": (with_extra(difficulty="hard"), WRONG_GRADE, "'hard'"),
    "difficulty of a half": (with_extra(difficulty=0.5), WRONG_GRADE, "0.5"),
    "difficulty of yes": (with_extra(difficulty=True), WRONG_GRADE, "True"),
    "difficulty of NaN": (with_extra(difficulty=float("nan")), WRONG_GRADE, "nan"),
    "difficulty of infinity": (with_extra(difficulty=float("inf")), WRONG_GRADE, "inf"),
    "difficulty of 20 digits": (with_extra(difficulty=10**19), WRONG_GRADE, "whole number"),
    "difficulty of 400 digits": (with_extra(difficulty=10**400), WRONG_GRADE, "whole number"),
    "half a character in the prompt": (
        lines(changed(prompt=[{"role": "user", "content": "1\ud8001+1="}])),
        HALF,
        r"'\ud800'",
    ),
    "half a character in bytes": (lines(GOOD)[:-2] + b', "x": "\xed\xa0\x80"}', HALF),
    "half a character in a key": (with_extra(**{"\udc80": 1}), HALF, r"'\udc80'"),
    "too deep": (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
    "extra_info of text": (lines(changed(extra_info="train")), SCHEMA, "AttributeError"),
}


@pytest.mark.parametrize(
    ("content", "message", "parts"),
    [(content, message, parts) for content, message, *parts in BAD.values()],
    ids=BAD,
)
def test_a_bad_line_is_told_with_its_number(content, message, parts) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_rows(lines(GOOD, GOOD) + content, "data/a.jsonl")
    assert caught.value.where == "data/a.jsonl:3"
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_no_rows(content) -> None:
    with pytest.raises(DataError, match="no rows") as caught:
        load_rows(content, "a.jsonl")
    assert caught.value.where == "a.jsonl"
