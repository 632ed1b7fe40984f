from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.data.pinned import check_table
from harness.errors import DataError
from harness.spec.discovery import list_suites
from harness.spec.load import load_suite
from harness.spec.lock import load_lock

CASES = json.loads(Path(__file__).with_name("bad_tables.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Declaration:
    path: str = "table.csv"
    columns: tuple[str, ...] = ("source", "N", "step", "L")
    unique: tuple[str, ...] = ("source", "N", "step")
    numeric: tuple[str, ...] = ("N", "step", "L")


def table(folder, text):
    path = folder / "table.csv"
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return path


GOOD = "source,N,step,L\nbase,7e9,1,0.9\nbase,7e9,2,8.5e-1\ninstruct,7e9,1,.9\n"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_bad_table_is_refused_with_its_line(tmp_path, case):
    path = table(tmp_path, "\n".join(case["lines"]) + "\n")
    with pytest.raises(DataError) as caught:
        check_table(tmp_path, Declaration())
    message = str(caught.value)
    assert message.startswith(f"{path}:{case['line']}: "), message
    for part in case["says"]:
        assert part in message


def test_a_good_table_has_its_rows_counted(tmp_path):
    table(tmp_path, GOOD)
    assert check_table(tmp_path, Declaration()) == 3


def test_windows_lines_and_a_byte_order_mark_are_fine(tmp_path):
    table(tmp_path, "\ufeff" + GOOD.replace("\n", "\r\n"))
    assert check_table(tmp_path, Declaration()) == 3


def test_a_table_may_have_more_columns_than_are_declared(tmp_path):
    table(tmp_path, "L,note\n0.5,anything\n")
    assert check_table(tmp_path, Declaration(columns=("L",), unique=(), numeric=("L",))) == 1


def test_a_table_that_is_not_utf8(tmp_path):
    path = table(tmp_path, GOOD.encode() + b"gr\xfcn,7e9,1,0.9\n")
    with pytest.raises(DataError) as caught:
        check_table(tmp_path, Declaration())
    assert str(caught.value).startswith(f"{path}:5: not UTF-8")


def test_a_table_that_is_missing_or_a_folder(tmp_path):
    with pytest.raises(DataError, match="no such data file"):
        check_table(tmp_path, Declaration())
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(DataError, match="not a file"):
        check_table(tmp_path, Declaration())


def test_other_files_are_not_looked_into(tmp_path):
    assert check_table(tmp_path, Declaration(path="model.bin")) == 0


@pytest.mark.parametrize("name", list_suites())
def test_the_data_of_every_suite_keep_their_declaration(name):
    suite = load_suite(list_suites()[name])
    here = {key: one for key, one in suite.data.items() if one.in_suite}
    rows = {key: check_table(suite.root, declared) for key, declared in here.items()}
    assert rows == {key: load_lock(suite).data[key].rows for key in here}
    assert all(rows.values())
