"""Engine replay: what the file says is what the metrics say, or an error that names the line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cell.train.replay import replay
from harness.errors import DataError
from tests.cell.support import BEST, CURVE, TABLE, Suite, write_suite


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return write_suite(tmp_path)


def metrics(suite: Suite) -> list[dict[str, object]]:
    return [json.loads(line) for line in (suite.out / "metrics.jsonl").read_text().splitlines()]


def test_rows_become_metrics(suite: Suite) -> None:
    result = replay(suite.context(curve=CURVE, best=BEST))
    assert result == {
        "steps": 3,
        "evals": {"holdout.ErrRate": 0.7},
        "best": {"holdout.ErrRate": 0.6},
    }
    assert metrics(suite) == [
        {"step": 1, "samples": 512, "flops": 1.5e15, "evals": {"holdout.ErrRate": 0.9}},
        {"step": 2, "samples": 1024, "flops": 3e15, "evals": {"holdout.ErrRate": 0.8}},
        {"step": 5, "samples": 2560, "flops": 7.5e15, "evals": {"holdout.ErrRate": 0.7}},
    ]


def test_single_points_alone(suite: Suite) -> None:
    told = replay(suite.context(best=BEST, before=BEST))
    assert told["steps"] == 0
    assert told["before"] == told["best"] == {"holdout.ErrRate": 0.6}
    assert metrics(suite) == []


def also(**evals: str) -> dict[str, object]:
    """A further file for the same steps; here the instruct row, which is of step 1 only."""
    columns = {"step": "step"}
    return {"data": "curve", "select": BEST["select"], "columns": columns, "evals": evals}


def test_further_files_are_joined_by_step(suite: Suite) -> None:
    replay(suite.context(curve=CURVE, also=[also(**{"gsm8k.ErrRate": "ErrRate"})]))
    first, *others = [line["evals"] for line in metrics(suite)]
    assert first == {"holdout.ErrRate": 0.9, "gsm8k.ErrRate": 0.6}
    # What was not measured at a step is not in its line.
    assert others == [{"holdout.ErrRate": 0.8}, {"holdout.ErrRate": 0.7}]


def test_a_further_file_may_have_steps_of_its_own(tmp_path: Path) -> None:
    table = TABLE.replace("instruct,1.4e+10,1,", "instruct,1.4e+10,0,")
    suite = write_suite(tmp_path, table)
    replay(suite.context(curve=CURVE, also=[also(**{"holdout.ErrRate": "ErrRate"})]))
    assert metrics(suite)[:2] == [
        {"step": 0, "evals": {"holdout.ErrRate": 0.6}},
        {"step": 1, "samples": 512, "flops": 1.5e15, "evals": {"holdout.ErrRate": 0.9}},
    ]


@pytest.mark.parametrize(
    ("table", "section", "message"),
    [
        (TABLE, also(**{"holdout.ErrRate": "ErrRate"}), "gives holdout.ErrRate of step 1 again"),
        (TABLE, {**also(), "columns": {}}, "which column is `step`"),
        (TABLE, {"data": "curve"}, r"settings.also\[0\] lacks columns, select"),
    ],
)
def test_a_further_file_that_does_not_fit_is_refused(tmp_path, table, section, message) -> None:
    with pytest.raises(DataError, match=message):
        replay(write_suite(tmp_path, table).context(curve=CURVE, also=[section]))


@given(
    flops=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5),
    samples=st.integers(0, 10**30),
)
def test_numbers_survive_to_the_last_bit(flops: list[float], samples: int) -> None:
    rows = [f"base,14e9,{step},{samples},{x!r},{x!r}" for step, x in enumerate(flops)]
    with tempfile.TemporaryDirectory() as folder:
        suite = write_suite(Path(folder), "\n".join([TABLE.splitlines()[0], *rows]))
        replay(suite.context(curve=CURVE))
        lines = metrics(suite)
    assert [line["flops"] for line in lines] == flops
    assert [line["evals"] for line in lines] == [{"holdout.ErrRate": x} for x in flops]
    assert {line["samples"] for line in lines} == {samples}


ROW = "base,1.4e+10,2,1024,3e15,0.8"


@pytest.mark.parametrize(
    ("row", "message", "line"),
    [
        ("base,1.4e+10,2,1024,3e15,nan", "ErrRate holds no finite number", 3),
        ("base,1.4e+10,2,1024,inf,0.8", "C_raw holds no finite number", 3),
        ("base,1.4e+10,2,1024,1e999,0.8", "C_raw holds no finite number", 3),
        ("base,1.4e+10,2,1_024,3e15,0.8", "E holds no finite number", 3),
        ("base,1.4e+10,2,1024,3e15,", "ErrRate holds no finite number", 3),
        ("base,1.4e+1O,2,1024,3e15,0.8", "N holds no finite number", 3),
        ("base,1.4e+10,1,1024,3e15,0.8", "step 1 occurs twice", 3),
        ("base,1.4e+10,6,1024,3e15,0.8", "the steps go back", 4),
        ("base,1.4e+10,1.5,1024,3e15,0.8", "not a whole number", 3),
        ("base,1.4e+10,-2,1024,3e15,0.8", "not a whole number", 3),
        ("base,1.4e+10,2,1024,3e15", "another length than the header", 3),
        ("base,1.4e+10,2,1024,3e15,0.8,9", "another length than the header", 3),
        ('base,1.4e+10,2,"1024,3e15,0.8', "not CSV", 6),
    ],
)
def test_bad_row_is_named(tmp_path: Path, row: str, message: str, line: int) -> None:
    suite = write_suite(tmp_path, TABLE.replace(ROW, row))
    with pytest.raises(DataError, match=message) as caught:
        replay(suite.context(curve=CURVE))
    assert caught.value.where == f"curve.csv:{line}"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "an empty file"),
        (TABLE.replace("ErrRate", "Error"), "missing column ErrRate"),
        (TABLE.replace("C_raw", "C_raw,C_raw"), "a column stands twice"),
    ],
)
def test_bad_header_is_named(tmp_path: Path, table: str, message: str) -> None:
    suite = write_suite(tmp_path, table)
    with pytest.raises(DataError, match=message) as caught:
        replay(suite.context(curve=CURVE))
    assert caught.value.where == "curve.csv:1"


def test_line_numbers_count_line_breaks_in_quotes(tmp_path: Path) -> None:
    table = TABLE.replace("base,1.4e+10,1", '"base\nline",1,1').replace("0.8", "x")
    with pytest.raises(DataError) as caught:
        replay(write_suite(tmp_path, table).context(curve=CURVE))
    assert caught.value.where == "curve.csv:4"


def test_not_utf8(tmp_path: Path) -> None:
    suite = write_suite(tmp_path)
    suite.table.write_bytes(TABLE.encode() + b"caf\xe9,1,1,1,1,1\n")
    with pytest.raises(DataError, match="not UTF-8") as caught:
        replay(suite.context(curve=CURVE))
    assert caught.value.where == "curve.csv:7"


def test_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, "\ufeff" + TABLE)
    assert replay(suite.context(curve=CURVE))["steps"] == 3


def test_one_changed_byte_is_refused(suite: Suite) -> None:
    context = suite.context(curve=CURVE)
    suite.table.write_text(TABLE.replace("0.8", "0.9"))
    with pytest.raises(DataError, match="not the one that the lock pins") as caught:
        replay(context)
    assert caught.value.where == "curve.csv"
    assert metrics(suite) == []


def test_missing_file(suite: Suite) -> None:
    context = suite.context(curve=CURVE)
    suite.table.unlink()
    with pytest.raises(DataError, match="is missing"):
        replay(context)


def test_a_file_that_could_not_be_had_says_why(suite: Suite) -> None:
    context = suite.context(curve=CURVE)
    suite.table.unlink()
    suite.table.with_name("curve.csv.absent").write_text("https://example.org/x did not answer")
    with pytest.raises(DataError, match=r"'curve' is missing: https://example\.org/x did not"):
        replay(context)


@pytest.mark.parametrize("path", ["../curve.csv", "/etc/passwd", "a/../../curve.csv"])
def test_pin_may_not_leave_the_suite(suite: Suite, path: str) -> None:
    with pytest.raises(DataError, match="leaves the suite's folder"):
        replay(suite.context(path=path, curve=CURVE))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nothing to replay"),
        ({"curve": 3}, "`curve` is not a mapping"),
        ({"curve": {**CURVE, "data": "curves"}}, "'curves' is not pinned"),
        ({"curve": {**CURVE, "select": {"source": "nobody"}}}, "no row is selected"),
        ({"curve": {**CURVE, "select": {"source": True}}}, "neither text nor a number"),
        ({"curve": {**CURVE, "select": {"sauce": "base"}}}, "missing column sauce"),
        ({"curve": {**CURVE, "columns": {"samples": "E"}}}, "which column is `step`"),
        ({"curve": {"data": "curve"}}, "lacks columns, select"),
        ({"curve": {**CURVE, "colums": {}}}, "unknown keys: colums"),
        ({"best": {**BEST, "select": {"N": 14e9}}}, "more than one row"),
        ({"best": {**BEST, "columns": {}}}, "unknown keys: columns"),
    ],
)
def test_bad_settings_are_told(suite: Suite, settings: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replay(suite.context(**settings))


def test_text_is_compared_as_text(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, TABLE.replace("instruct", "1e1"))
    with pytest.raises(DataError, match="no row is selected"):
        replay(suite.context(best={**BEST, "select": {"source": "10"}}))
