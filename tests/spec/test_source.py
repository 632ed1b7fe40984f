from __future__ import annotations

import pytest

from harness.errors import SuiteError
from harness.spec.source import key_text, read_yaml

TEXT = """\
a: 1
b:
  - x: 7e9
    y: [1_000, 0x10, 0o17, 017, -3]
  - {z: yes, date: 2024-01-01, on: True, none: ~, clock: 1:20}
long: >
  one
  two
shared: &s {deep: 1}
again: *s
"""


def source_of(tmp_path, text=TEXT):
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


def test_values_are_those_of_yaml_1_2(tmp_path):
    assert source_of(tmp_path).value == {
        "a": 1,
        "b": [
            {"x": 7e9, "y": [1000, 16, 15, 17, -3]},
            {"z": "yes", "date": "2024-01-01", "on": True, "none": None, "clock": "1:20"},
        ],
        "long": "one two\n",
        "shared": {"deep": 1},
        "again": {"deep": 1},
    }


def test_every_key_has_its_line_and_column(tmp_path):
    source = source_of(tmp_path)
    assert source.position(("a",)) == (1, 1)
    assert source.position(("b", 0, "y")) == (4, 5)
    assert source.position(("b", 0, "y", 1)) == (4, 16)
    assert source.position(("b", 1, "on")) == (5, 32)
    assert source.position(("long",)) == (6, 1)
    assert source.where(("again", "deep")).endswith("file.yaml:9")


def test_a_path_that_is_not_in_the_file_has_the_line_of_what_is_nearest(tmp_path):
    source = source_of(tmp_path)
    assert source.position(("b", 0, "nothing", "further")) == source.position(("b", 0))
    assert source.position(("b", 9)) == source.position(("b",))
    assert not source.holds(("b", 9))
    assert source.holds(("b", 1, "z"))


def test_aliases_are_followed_as_far_as_a_suite_can_use_them(tmp_path):
    value = source_of(tmp_path, "a: &a [x, y]\nb: [*a, *a]\n").value
    assert value["b"] == [["x", "y"], ["x", "y"]]


def test_aliases_do_not_blow_up(tmp_path):
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 30))
    with pytest.raises(SuiteError, match=r"file.yaml:7: .*more than 1,000,000 values"):
        source_of(tmp_path, "l0: &l0 [x]\n" + levels)


def test_key_paths_read_as_people_write_them():
    assert key_text(("tiers", "x", "axes", "model", 3, "id")) == "tiers.x.axes.model[3].id"
