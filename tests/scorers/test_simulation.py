"""codeio and cruxeval: what holds for every text and value, and the labelled data."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_scorers import Context, GroundTruthError, compute_score
from reward_scorers.reasoning360 import codeio as reference_codeio
from reward_scorers.simulation import codeio, cruxeval
from tests.scorers.patience import no_endless_work

DATA = Path(__file__).parents[3] / "shared" / "data" / "cruxeval"

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
HASHABLE = st.recursive(
    SCALARS.filter(lambda value: value not in (float("inf"), float("-inf")))
    | st.binary(max_size=6),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)
PYTHON = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.sets(HASHABLE, max_size=4)
        | st.dictionaries(HASHABLE, inner, max_size=4)
    ),
    max_leaves=12,
)
PIECES = st.sampled_from(
    [
        '"output": ',
        '{"output": ',
        '"input":',
        "```json\n",
        "```\n",
        "\n",
        "\\boxed{",
        "[ANSWER]",
        "[/ANSWER]",
        "<answer>",
        "</think>",
        "assert f(1) == ",
        "[1, ",
        "{",
        "}",
        "]",
        '"',
        "\\",
        "'",
        "1",
        "true",
        "\ud800",
        "\x00",
        " ",
    ]
)
ANY_TEXT = st.text() | st.lists(PIECES, max_size=30).map("".join)


def codeio_accepts(text: str, truth: Any) -> bool:
    return codeio.score(text, truth)["acc"]


def cruxeval_accepts(text: str, truth: str) -> bool:
    return cruxeval.score(text, truth)["acc"]


@given(ANY_TEXT)
def test_no_text_raises(text: str) -> None:
    for found in (
        codeio.score(text, '"output": [1]'),
        cruxeval.score(text, "[1]"),
        reference_codeio.score(text, '"output": [1]'),
    ):
        assert found["score"] in (0, 1)
        assert len(found["pred"] or "") <= 200


@given(JSON, st.sampled_from(["output", "input"]))
def test_a_json_value_is_right_in_every_form(value: Any, key: str) -> None:
    plain, wrapped = json.dumps(value), json.dumps({key: value}, indent=2)
    truth = f'"{key}": {plain}'
    assert codeio_accepts(f"```json\n{wrapped}\n```", truth)
    assert codeio_accepts(f"```json\n{plain}\n```", truth)
    assert codeio_accepts(f"So it is\n{wrapped}\nas I said.", truth)
    assert codeio_accepts(f"So it is {truth}", truth)
    assert codeio_accepts(f"```json\n{wrapped}\n```", {key: value})


@given(JSON, JSON)
def test_equality_of_json_is_symmetric(one: Any, other: Any) -> None:
    texts = [json.dumps({"output": value}) for value in (one, other)]
    blocks = [f"```json\n{text}\n```" for text in texts]
    assert codeio_accepts(blocks[0], texts[1]) == codeio_accepts(blocks[1], texts[0])


@given(JSON)
def test_a_json_value_in_a_list_is_another_one(value: Any) -> None:
    assert not codeio_accepts(json.dumps({"output": [value]}), {"output": value})


@given(PYTHON)
def test_a_python_value_is_right_in_every_form(value: Any) -> None:
    literal = repr(value)
    for text in (
        literal,
        f"[ANSWER]{literal}[/ANSWER]",
        f"I see.\n```python\nassert f(1) == {literal}\n```",
        f"<answer>{literal}</answer>",
    ):
        assert cruxeval_accepts(text, literal), text


@given(PYTHON)
def test_another_type_is_another_value(value: Any) -> None:
    literal = repr(value)
    assert not cruxeval_accepts(f"[{literal}]", f"({literal},)")
    assert not cruxeval_accepts(literal, f"[{literal}]")
    assert not cruxeval_accepts(repr(literal), literal)


@given(PYTHON, PYTHON)
def test_equal_values_are_equal_in_python(one: Any, other: Any) -> None:
    accepted = cruxeval_accepts(repr(one), repr(other))
    assert accepted == cruxeval_accepts(repr(other), repr(one))
    if accepted:
        assert one == other


@pytest.mark.parametrize(
    "text",
    [
        "{" * 100_000,
        "[" * 100_000,
        '"' * 100_000,
        '\\"' * 50_000,
        "\\boxed{" * 15_000,
        "```json\n" * 12_000,
        '"output": {' * 10_000,
        "[1] " * 25_000,
        "[ANSWER]" * 12_000,
        "assert f(1) == " * 7_000,
        "-" * 19_000,
        "f(" * 9_000,
        "[-1, " * 3_000,
    ],
    ids=lambda text: text[:12],
)
def test_time_stays_small(text: str) -> None:
    with no_endless_work():
        codeio.score(text, '"output": 1')
        cruxeval.score(text, "1")
        reference_codeio.score(text, '"output": 1')


@pytest.mark.parametrize(
    "bait",
    [
        "[]",
        "{}",
        "[",
        "\\boxed{}",
        "```json\n",
        '"output": ',
        '"output": [',
        "```json\n{\n```\n",
    ],
)
def test_a_megabyte_of_bait_takes_a_short_time(bait: str) -> None:
    text = bait * (10**6 // len(bait))
    with no_endless_work():
        assert not codeio_accepts(text, '"output": 5')


def test_a_long_text_that_is_json_is_read_as_a_whole() -> None:
    value = list(range(100_000))
    assert codeio_accepts(json.dumps(value), {"output": value})
    assert codeio_accepts("so " * 100_000 + '{"output": 5}', '"output": 5')


@pytest.mark.parametrize(
    "truth",
    [{1, 2}, {"a": {1}}, b"1", [b"1"], float("nan"), None, {1: 2}, complex(1)],
    ids=repr,
)
def test_a_truth_that_is_no_json_is_an_error(truth: Any) -> None:
    with pytest.raises(GroundTruthError, match="expected JSON"):
        codeio.score("[1, 2]", truth)


def test_a_warning_as_an_error_changes_no_score(recwarn: pytest.WarningsRecorder) -> None:
    assert cruxeval_accepts(r"'\d\''", r"'\\d\''")
    assert not recwarn.list


@cache
def cruxeval_rows() -> list[dict[str, str]]:
    file = DATA / "cruxeval.jsonl"
    if not file.is_file():
        pytest.skip(f"CRUXEval is not there: {file}")
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_all_800_outputs_of_cruxeval_are_right_and_another_row_is_not() -> None:
    rows = cruxeval_rows()
    assert len(rows) == 800
    for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
        assert cruxeval_accepts(row["output"], row["output"])
        assert not cruxeval_accepts("", row["output"])
        if row["output"] != other["output"]:
            assert not cruxeval_accepts(other["output"], row["output"])


def test_the_guru_form_of_cruxeval_scores_as_its_output_does() -> None:
    for row in cruxeval_rows()[:100]:
        scored = compute_score(
            "simulation__cruxeval-o",
            f"```python\nassert f({row['input']}) == {row['output']}\n```",
            json.dumps({"functional": row["code"]}),
            {"reference": row["output"]},
        )
        assert scored["score"] == 1, row


def test_8000_generations_score_as_upstream_scored_them_by_execution() -> None:
    """CodeLlama-7B's answers; upstream ran `assert {generation} == f(input)` for each."""
    file = DATA / "codellama7b_output_scored.json"
    if not file.is_file():
        pytest.skip(f"scored generations are not there: {file}")
    scored = json.loads(file.read_text("utf-8"))
    outputs = {row["id"]: row["output"] for row in cruxeval_rows()}
    pairs = [
        (cruxeval.score(text, outputs[name], Context())["acc"], executed)
        for name, texts in scored["raw_generations"].items()
        for text, executed in zip(texts, scored["raw_scored_generations"][name], strict=True)
    ]
    assert len(pairs) == 8000
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
