from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cell.evaluate.generations import count_right, read_generations, write_generations
from harness.cell.evaluate.sample import Answers
from harness.errors import DataError
from tests.evaluate.support import answers, as_rows, row

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [row("math", index=7), row("logic", index=8)]
TEXTS = [r"\boxed{4}", "no idea", r"\boxed{1,3}", r"\boxed{3,1}"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "generations.parquet"
    write_generations(path, [("heldout", answers(ROWS, TEXTS))], 20, compat="strict")
    return path


def test_all_that_scoring_again_needs_comes_back(file: Path) -> None:
    stored = read_generations(file)
    assert stored.compat == "strict"
    assert [one.response for one in stored.generations] == TEXTS
    assert [(one.question, one.sample) for one in stored.generations] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    first, last = stored.generations[0], stored.generations[3]
    assert first.prompt == ROWS[0]["prompt"]
    assert last.ground_truth == ["1", "3"]
    assert last.extra_info == ROWS[1]["extra_info"]
    assert (first.score, first.acc, first.pred) == (1.0, True, "4")
    assert (last.score, last.acc) == (0.0, False)
    assert first.scorer.startswith("math/")
    assert (first.split, first.index, first.difficulty, first.step) == ("heldout", "7", 1, 20)
    assert first.finished
    assert first.tokens == len(TEXTS[0]) + 1


def test_any_parquet_reader_can_read_it(file: Path) -> None:
    table = pq.read_table(file)
    assert table.column("response").to_pylist() == TEXTS
    assert json.loads(table.column("ground_truth")[2].as_py()) == ["1", "3"]


def test_counts_say_how_many_of_n_are_right(file: Path) -> None:
    counts = count_right(read_generations(file).generations)
    assert [(one.index, one.ability, one.n, one.c) for one in counts] == [
        ("7", "math", 2, 1),
        ("8", "logic", 2, 1),
    ]


def test_equal_indices_of_two_splits_are_two_questions(tmp_path: Path) -> None:
    part = answers([row("math")], ["4", r"\boxed{5}"])
    path = tmp_path / "g.parquet"
    write_generations(path, [("heldout", part), ("ood", part)], 0)
    counts = count_right(read_generations(path).generations)
    assert [(one.split, one.n) for one in counts] == [("heldout", 2), ("ood", 2)]


def test_equal_answers_give_equal_bytes(file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.parquet"
    write_generations(again, [("heldout", answers(ROWS, TEXTS))], 20)
    assert again.read_bytes() == file.read_bytes()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(truth=json_values, response=st.text(), extra=st.dictionaries(st.text(), json_values))
def test_any_row_and_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, truth: Any, response: str, extra: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    made = row("math", truth=truth)
    made["extra_info"] = {**extra, "split": "heldout", "index": 1, "difficulty": None}
    scored = answers([row("math")], [""]).scored
    part = Answers(as_rows([made]), 1, [response], [1], [False], scored)
    write_generations(path, [("heldout", part)], 0)
    (one,) = read_generations(path).generations
    assert one.ground_truth == truth
    assert one.extra_info == made["extra_info"]
    assert one.response == response
    assert one.difficulty is None


def test_a_lone_surrogate_cannot_spoil_the_file(tmp_path: Path) -> None:
    path = tmp_path / "g.parquet"
    write_generations(path, [("heldout", answers([row("math")], ["\ud800 4"]))], 0)
    assert read_generations(path).generations[0].response == "? 4"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no generations stand there"):
        read_generations(tmp_path / "nothing.parquet")


@given(share=st.floats(0, 0.999))
def test_a_truncated_file_is_told_wherever_it_ends(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.parquet"
    if not whole.exists():
        write_generations(whole, [("heldout", answers(ROWS, TEXTS))], 20)
    content = whole.read_bytes()
    cut = folder / "cut.parquet"
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="truncated"):
        read_generations(cut)


def test_a_flipped_bit_of_the_data_is_told(file: Path) -> None:
    content = bytearray(file.read_bytes())
    meta = pq.read_metadata(file).row_group(0)
    column = next(c for c in map(meta.column, range(19)) if c.path_in_schema == "response")
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError):
        read_generations(file)


@pytest.mark.parametrize("change", ["other table", "other format", "column lost", "other type"])
def test_another_schema_is_told(file: Path, change: str) -> None:
    table = pq.read_table(file)
    meta = table.schema.metadata
    if change == "other table":
        table = pa.table({"response": ["4"]})
    elif change == "other format":
        key = next(key for key in meta if key.endswith(b"generations"))
        table = table.replace_schema_metadata({**meta, key: b"99"})
    elif change == "column lost":
        table = table.drop_columns(["pred"])
    else:
        place = table.schema.get_field_index("score")
        table = table.set_column(place, "score", table.column("score").cast("string"))
    pq.write_table(table, file)
    with pytest.raises(DataError, match=r"format|columns") as caught:
        read_generations(file)
    assert str(file) in str(caught.value)


def test_json_that_is_none_is_told_with_its_row(file: Path) -> None:
    table = pq.read_table(file)
    place = table.schema.get_field_index("ground_truth")
    field = table.schema.field(place)
    texts = table.column(place).to_pylist()
    texts[2] = "{"
    pq.write_table(table.set_column(place, field, pa.array(texts, pa.string())), file)
    with pytest.raises(DataError, match="row 2"):
        read_generations(file)


def test_a_failed_write_leaves_what_was_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def fail(table: pa.Table, out: Any, **_: Any) -> None:
        out.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.cell.evaluate.generations.pq.write_table", fail)
    with pytest.raises(OSError, match="No space"):
        write_generations(file, [("heldout", answers(ROWS, TEXTS))], 21)
    assert file.read_bytes() == before
    assert [one.name for one in file.parent.iterdir()] == [file.name]
