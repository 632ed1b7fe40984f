"""Records, claims, and what the store keeps."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfrastructureError
from harness.run.claims import try_claim
from harness.run.index import rebuild_index
from harness.run.record import Record, RecordError, Status, Timing, labels_of
from harness.run.store import Store
from tests.run.support import index_rows, scripted_cell, scripted_cells, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.conftest import Bench

RECORD = Record(
    cell_id="0" * 64,
    status=Status.OK,
    suite="exp1",
    tier="published",
    labels={"model": "Qwen2.5-7B", "seed": 0},
    timing=Timing("2026-01-01T00:00:00.000+00:00", "2026-01-01T00:00:01.000+00:00", 1.0, 0.5),
    attempt=1,
    files={"result.json": {"sha256": "ab", "bytes": 2}},
    provenance={"python": "CPython 3.11.7"},
)


def test_record_format_never_changes() -> None:
    """Records lie in stores for years: never change this text, add a schema version."""
    assert RECORD.to_json().decode() == GOLDEN_RECORD
    assert Record.from_json(GOLDEN_RECORD.encode()) == RECORD


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_changed_bit_of_a_record_goes_unseen(position: int, bit: int) -> None:
    content = bytearray(RECORD.to_json())
    content[position % len(content)] ^= 1 << bit
    with contextlib.suppress(RecordError):
        assert Record.from_json(bytes(content)) == RECORD


def test_labels_are_short() -> None:
    values = {"model": {"id": "7B", "N": 7e9}, "seed": 3, "odd": {"N": 1}}
    assert labels_of(values) == {"model": "7B", "seed": 3, "odd": {"N": 1}}


def test_reading_an_absent_store_makes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.finished() == set()
    assert list(store.verify()) == []
    assert store.last_failure("0" * 64) is None
    with pytest.raises(InfrastructureError, match="not in the store"):
        store.load("0" * 64)
    assert not store.root.exists()


def test_what_is_no_cell_is_not_counted(bench: Bench) -> None:
    cells = scripted_cells(1)
    bench.run(cells)
    (bench.store.root / "cells" / ".DS_Store").write_text("")
    (bench.store.folder(cells[0].id).parent / ".hidden").mkdir()
    assert bench.store.finished() == {cells[0].id}


def test_cell_in_the_folder_of_another(bench: Bench) -> None:
    cells = scripted_cells(1)
    bench.run(cells)
    other = bench.store.folder("f" * 64)
    other.parent.mkdir(parents=True, exist_ok=True)
    bench.store.folder(cells[0].id).rename(other)
    with pytest.raises(InfrastructureError, match="record of cell"):
        bench.store.load("f" * 64)
    assert [damage.cell_id for damage in bench.store.verify()] == ["f" * 64]


def test_claim_excludes_threads_and_is_gone_after_release(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    claim = try_claim(path)
    assert claim is not None
    assert try_claim(path) is None
    claim.release()
    assert not path.exists()
    again = try_claim(path)
    assert again is not None
    again.release()


def test_claim_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys, time, pathlib; from harness.run.claims import try_claim;"
        "claim = try_claim(pathlib.Path(sys.argv[1])); print(claim is not None, flush=True);"
        "time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert try_claim(path) is None
        holder.kill()
    claim = try_claim(path)
    assert claim is not None
    claim.release()


def test_one_of_many_threads_gets_a_claim(tmp_path: Path) -> None:
    """With release in between: no two ever hold it at once."""
    holders: list[int] = []
    most: list[int] = []

    def contend() -> None:
        for _ in range(200):
            if (claim := try_claim(tmp_path / "lock")) is not None:
                holders.append(1)
                most.append(len(holders))
                holders.pop()
                claim.release()

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_living_run_keeps_its_folder(bench: Bench) -> None:
    with bench.store.workspace() as first:
        stage = first.stage(scripted_cell(0))
        with bench.store.workspace() as second:
            assert stage.spec.exists()
            assert second.folder != first.folder
    wait_until(lambda: not list((bench.store.root / "tmp").iterdir()))


def test_index_is_made_again_from_the_records(bench: Bench) -> None:
    bench.run([*scripted_cells(2), scripted_cell(7, crash=True)])
    before = index_rows(bench.store)
    assert [row["status"] for row in before.values()].count("error") == 1
    assert {(row["suite"], row["tier"]) for row in before.values()} == {("toy", "micro")}
    assert rebuild_index(bench.store) == 3
    assert index_rows(bench.store) == before


def test_locked_index_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run(scripted_cells(1))
    monkeypatch.setattr("harness.run.index._PATIENCE_S", 0.01)
    with contextlib.closing(sqlite3.connect(bench.store.index_path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(InfrastructureError, match="cannot be written: database is locked"):
            rebuild_index(bench.store)
    assert rebuild_index(bench.store) == 1


def test_a_failure_leaves_the_index_once_the_cell_is_finished(bench: Bench) -> None:
    cell = scripted_cell(0)
    broken = type(cell)(cell.id, cell.values, {**cell.document, "engine_version": 2})
    bench.run([broken])
    assert [row["status"] for row in index_rows(bench.store).values()] == ["error"]
    bench.run([cell])
    (row,) = index_rows(bench.store).values()
    assert (row["status"], row["attempt"]) == ("ok", 2)


GOLDEN_RECORD = (
    '{"attempt":1,"cell_id":"0000000000000000000000000000000000000000000000000000000000000000'
    '","error":null,"files":{"result.json":{"bytes":2,"sha256":"ab"}},"labels":{"model":"Qwen'
    '2.5-7B","seed":0},"provenance":{"python":"CPython 3.11.7"},"schema":1,"status":"ok","sui'
    'te":"exp1","tier":"published","timing":{"cpu_s":0.5,"finished":"2026-01-01T00:00:01.000+'
    '00:00","started":"2026-01-01T00:00:00.000+00:00","wall_s":1.0},"seal":"3a4db224ac4a319f1'
    '9b93f77dac017886a145a1a69d1aea200519d2c3501db85"}\n'
)
