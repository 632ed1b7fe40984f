from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from harness.errors import DataError, ExitCode, LockDriftError, SuiteError
from harness.spec.grid import Grid, expand
from harness.spec.lock import (
    DataPin,
    build_lock,
    check_lock,
    load_lock,
    pin_file,
    refuse_drift,
    write_lock,
)
from tests.spec.support import ENGINES, LAWS, make_suite

REGISTRIES = (LAWS, ENGINES, {})


@pytest.fixture
def suite(tmp_path):
    return make_suite(tmp_path)


def drift_of(suite, lock, registries=REGISTRIES, **kwargs):
    return [str(drift) for drift in check_lock(suite, lock, *registries, **kwargs)]


def test_a_lock_pins_what_the_suite_uses(suite):
    lock = build_lock(suite, *REGISTRIES)
    content = (suite.root / "curves.csv").read_bytes()
    assert lock.data["curves"].sha256 == hashlib.sha256(content).hexdigest()
    assert (lock.data["curves"].rows, lock.data["curves"].bytes) == (2, len(content))
    assert lock.laws == {"loglinear_kn": 2}
    assert lock.engines == ENGINES
    assert lock.packages.keys() == {"numpy"}
    ids = sorted(cell.id for cell in expand(suite, "first", lock))
    lines = "".join(f"{identity}\n" for identity in ids)
    assert lock.cells["first"].count == 8
    assert lock.cells["first"].sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_a_lock_is_written_and_read_back(suite):
    lock = build_lock(suite, *REGISTRIES)
    path = write_lock(suite, lock)
    text = path.read_text(encoding="utf-8")
    assert path.name == "suite.lock"
    assert text.endswith("}\n")
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert load_lock(suite) == lock
    assert drift_of(suite, load_lock(suite)) == []
    assert [entry.name for entry in suite.root.iterdir() if "lock" in entry.name] == ["suite.lock"]


def test_a_changed_byte_is_one_difference(suite):
    lock = build_lock(suite, *REGISTRIES)
    data = suite.root / "curves.csv"
    data.write_text(data.read_text().replace("0.8", "0.9"))
    (drift,) = drift_of(suite, lock)
    assert drift.startswith("data/curves/sha256: locked ")


def test_added_rows_are_told_as_rows_and_bytes(suite):
    lock = build_lock(suite, *REGISTRIES)
    with (suite.root / "curves.csv").open("a") as stream:
        stream.write("7e9,2,0.7\n")
    found = drift_of(suite, lock)
    assert "data/curves/rows: locked 2, found 3" in found
    assert len(found) == 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"laws": {"loglinear_kn": 1}}, ["laws/loglinear_kn: locked 1, found 2"]),
        ({"laws": {}}, ["laws/loglinear_kn: locked nothing, found 2"]),
        ({"suite_version": 0}, ["suite_version: locked 0, found 1"]),
        ({"scorers": {"math": 3}}, ["scorers/math: locked 3, found nothing"]),
        ({"engines": {"replay": 1}}, ["engines/torch_rl: locked nothing, found 4"]),
    ],
)
def test_versions(suite, change, expected):
    lock = replace(build_lock(suite, *REGISTRIES), **change)
    found = [line for line in drift_of(suite, lock) if not line.startswith("cells/second")]
    assert found == expected


def test_a_package_of_another_version(suite):
    lock = build_lock(suite, *REGISTRIES)
    old = replace(lock, packages={**lock.packages, "numpy": "1.0"})
    assert drift_of(suite, old) == [f"packages/numpy: locked 1.0, found {lock.packages['numpy']}"]


def test_changed_settings_are_a_difference_of_the_tiers_that_they_move(tmp_path):
    lock = build_lock(make_suite(tmp_path), *REGISTRIES)
    changed = make_suite(tmp_path, ("settings: {lr: 2e-6}", "settings: {lr: 3e-6}"))
    (drift,) = drift_of(changed, lock)
    assert drift.startswith("cells/second/sha256: locked ")
    assert drift_of(changed, lock, grid=Grid(changed, "first", lock)) == []


def test_another_number_of_cells(tmp_path):
    lock = build_lock(make_suite(tmp_path), *REGISTRIES)
    fewer = make_suite(tmp_path, ("exclude: []", "exclude: [{model: tiny}]"))
    assert "cells/first/count: locked 8, found 4" in drift_of(fewer, lock)


def test_drift_is_refused_with_one_line_each_and_the_next_command(suite):
    lock = build_lock(suite, {"loglinear_kn": 9}, ENGINES, {})
    refuse_drift(suite, [])
    with pytest.raises(LockDriftError) as caught:
        refuse_drift(suite, check_lock(suite, lock, *REGISTRIES))
    assert str(caught.value).split("\n") == [
        f"{suite.root / 'suite.lock'}: one difference to the lock; nothing was run",
        "  laws/loglinear_kn: locked 9, found 2",
        f'  next:     harness lock {suite.root}   (or run with --accept-drift --reason "...")',
    ]
    assert caught.value.exit_code == ExitCode.LOCK_DRIFT


def test_a_missing_lock_says_what_to_type(suite):
    with pytest.raises(LockDriftError, match="harness lock "):
        load_lock(suite)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": 99}', '{"schema": 1}', '{"schema": 1, "data": 3}', "\xff"],
)
def test_a_damaged_lock_says_what_to_type(suite, text):
    (suite.root / "suite.lock").write_text(text, encoding="latin-1")
    with pytest.raises(LockDriftError) as caught:
        load_lock(suite)
    assert f"harness lock {suite.root}" in str(caught.value)
    assert "suite.lock: " in str(caught.value)


def test_a_missing_data_file_is_named_with_the_line_that_declares_it(suite):
    (suite.root / "curves.csv").unlink()
    with pytest.raises(DataError, match=r"suite\.yaml:6: no such data file: .*curves\.csv"):
        build_lock(suite, *REGISTRIES)


@pytest.mark.parametrize("registries", [({}, ENGINES, {}), (LAWS, {"replay": 1}, {})])
def test_what_is_not_registered_cannot_be_locked(suite, registries):
    with pytest.raises(SuiteError, match="is not registered"):
        build_lock(suite, *registries)


def test_rows_are_counted_as_a_reader_of_the_format_would(tmp_path):
    (tmp_path / "a.csv").write_text('x,y\n1,"two\nlines"\n3,4', encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n', encoding="utf-8")
    (tmp_path / "c.bin").write_bytes(b"\xff\n")
    rows = [pin_file(tmp_path, name).rows for name in ("a.csv", "b.jsonl", "c.bin")]
    assert rows == [2, 2, None]


def test_a_folder_is_pinned_by_all_of_its_files(tmp_path):
    model = tmp_path / "model"
    (model / "empty").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "sub").mkdir()
    (model / "sub/weights").write_bytes(b"12")
    pin = pin_file(tmp_path, "model")
    assert (pin.bytes, pin.rows) == (4, None)
    listed = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {path}\n"
        for path, content in (("config.json", b"{}"), ("sub/weights", b"12"))
    )
    assert pin.sha256 == hashlib.sha256(listed.encode()).hexdigest()
    for change in (
        lambda: (model / "sub/weights").write_bytes(b"21"),
        lambda: (model / "sub/weights").replace(model / "weights"),
        lambda: (model / "more").touch(),
    ):
        before = pin_file(tmp_path, "model").sha256
        change()
        assert pin_file(tmp_path, "model").sha256 != before


FETCHED = (
    "data:\n",
    'data:\n  big: {path: far/big.csv, url: "https://example.org/0123abc/big.csv"}\n',
)
PIN = DataPin(path="far/big.csv", sha256="cd" * 32, bytes=9, rows=1)


def test_data_with_an_address_need_not_be_here(tmp_path):
    suite = make_suite(tmp_path, FETCHED)
    lock = build_lock(suite, *REGISTRIES, fetched={"big": PIN})
    assert lock.data["big"] == PIN
    assert drift_of(suite, lock) == []
    other = replace(PIN, sha256="ef" * 32)
    assert drift_of(suite, lock, fetched={"big": other}) == [
        f"data/big/sha256: locked {'cd' * 32}, found {'ef' * 32}"
    ]


def test_data_with_an_address_is_pinned_all_the_same(tmp_path, suite):
    before = build_lock(suite, *REGISTRIES)
    suite = make_suite(tmp_path, FETCHED)
    for attempt in (lambda: build_lock(suite, *REGISTRIES), lambda: drift_of(suite, before)):
        with pytest.raises(LockDriftError, match=r"`big` is not in suite\.lock") as caught:
            attempt()
        assert caught.value.where == f"{suite.path}:6"
        assert caught.value.hint.startswith("harness lock ")


def test_another_path_of_fetched_data_is_a_difference(tmp_path):
    suite = make_suite(tmp_path, FETCHED)
    lock = build_lock(suite, *REGISTRIES, fetched={"big": replace(PIN, path="near/big.csv")})
    assert drift_of(suite, lock) == ["data/big/path: locked near/big.csv, found far/big.csv"]
