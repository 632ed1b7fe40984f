"""What a run tells, and how a cell can fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.errors import InfrastructureError
from harness.run.containers import Ending, Limits
from harness.run.executors import LocalExecutor
from harness.run.record import Status
from harness.run.scheduler import Event, EventKind, run_cells
from tests.run.support import FilesBackend, events, scripted_cell, scripted_cells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.spec.grid import Cell
    from tests.run.conftest import Bench


@pytest.mark.parametrize(
    ("settings", "status", "message"),
    [
        ({"crash": True}, Status.ERROR, "exit status 1: RuntimeError: the engine lost its way"),
        ({"exit": 0}, Status.ERROR, "exit status 0 without a whole result.json"),
        ({"exit": 7}, Status.ERROR, "exit status 7: nothing was printed"),
        ({"exit": 5}, Status.INVALID, "exit status 5"),
        ({"write": "record.json"}, Status.ERROR, "may not write a file named record.json"),
        ({"link": "/etc/passwd"}, Status.ERROR, "regular files and folders only"),
        ({"spoil": '{"step": 21, "ev'}, Status.ERROR, "its line 21 is not a JSON object"),
        ({"spoil": "[21]\n"}, Status.ERROR, "its line 21 is not a JSON object"),
        ({"spoil": '{"step": 21}\n'}, Status.ERROR, "differ in the number of steps"),
        ({"sleep_s": 60}, Status.ERROR, "ran past its limit of 2 s"),
    ],
)
def test_failure_is_told_and_kept(
    bench: Bench, settings: dict[str, object], status: Status, message: str
) -> None:
    cell = scripted_cell(0, **settings)
    outcome = bench.run([cell, scripted_cell(1)], limits=Limits(wall_s=2))
    (failure,) = outcome.failures
    assert failure.status is status
    assert message in failure.message
    assert failure.command.startswith(f"harness run toy --tier micro --cell {cell.id[:12]}")
    assert outcome.counts == {
        Status.OK: 1,
        Status.ERROR: status is Status.ERROR,
        Status.INVALID: status is Status.INVALID,
        Status.MISSING: 0,
    }
    record = bench.store.last_failure(cell.id)
    assert record is not None
    assert record.status is status
    assert message in str((record.error or {})["message"])
    assert not bench.store.has(cell.id)


@pytest.mark.parametrize("ending", [Ending.WALL_LIMIT, Ending.STOPPED])
def test_whole_result_counts_whoever_ended_the_cell(bench: Bench, ending: Ending) -> None:
    cells, limits = scripted_cells(1), Limits(wall_s=0.5)
    for result, finished in (('{"status": "o', 0), ('{"status": "ok"}', 1)):
        backend = FilesBackend(result, ending)
        outcome = run_cells(cells, bench.store, backend, bench.root, limits=limits)
        assert (outcome.computed, len(bench.store.finished())) == (finished, finished)
    assert bench.store.has(cells[0].id)


def test_wrong_engine_version_is_told_with_what_was_expected(bench: Bench) -> None:
    cell = scripted_cell(0)
    document = {**cell.document, "engine_version": 2}
    outcome = bench.run([type(cell)(cell.id, cell.values, document)])
    (failure,) = outcome.failures
    assert "expected: version 2" in failure.message
    assert "found:    version 3" in failure.message


def test_events_tell_progress(bench: Bench) -> None:
    seen: list[Event] = []
    cells = [*scripted_cells(2), scripted_cell(2, crash=True)]
    bench.run(cells[:1])
    bench.run(cells, on_event=seen.append)
    kinds = [(event.kind, event.done, event.total) for event in seen]
    assert kinds == [
        (EventKind.STARTED, 1, 3),
        (EventKind.FINISHED, 2, 3),
        (EventKind.STARTED, 2, 3),
        (EventKind.FAILED, 3, 3),
    ]
    assert [event.cell for event in seen] == [cells[1], cells[1], cells[2], cells[2]]


def test_cells_are_made_when_they_are_come_to(bench: Bench) -> None:
    store = bench.store
    ahead: list[int] = []

    class Cells(list[int]):
        def __iter__(self) -> Iterator[Cell]:  # type: ignore[override]
            for index in range(len(self)):
                ahead.append(index - len(store.finished()))
                yield scripted_cell(self[index])

    cells = Cells([*range(20), *range(20)])
    outcome = run_cells(cells, store, FilesBackend(), bench.root)  # type: ignore[arg-type]
    assert (outcome.total, outcome.computed) == (20, 20)
    first_walk, second_walk = ahead[:40], ahead[40:]
    assert first_walk == list(range(40))
    assert second_walk[:20] == [0] * 20


def test_record_says_what_ran(bench: Bench) -> None:
    (cell,) = scripted_cells(1)
    bench.run([cell], provenance={"python": "CPython"})
    stored = bench.store.load(cell.id)
    record = stored.record
    assert (record.suite, record.tier, record.labels) == ("toy", "micro", {"index": 0})
    assert record.provenance["python"] == "CPython"
    assert record.provenance["container"] == {"backend": "process", "digest": None}
    assert record.timing.cpu_s > 0
    assert record.timing.wall_s > 0
    assert record.timing.started < record.timing.finished
    assert set(record.files) == {
        "checkpoints/last/weights.bin",
        "log.txt",
        "metrics.jsonl",
        "result.json",
        "spec.json",
    }
    assert stored.spec == json.loads(json.dumps(cell.document))
    assert stored.result["steps"] == len(stored.metrics) == 20


def test_callback_that_fails_stops_the_run(bench: Bench) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("no progress bar")

    with pytest.raises(RuntimeError, match="no progress bar"):
        bench.run(scripted_cells(6, sleep_s=60), workers=2, on_event=fail)
    assert len(events(bench.trace, "start")) <= 2
    assert list((bench.store.root / "tmp").iterdir()) == []


def test_store_that_is_a_file(bench: Bench) -> None:
    bench.store.root.write_text("not a folder")
    with pytest.raises(InfrastructureError, match="cannot be written"):
        bench.run(scripted_cells(1))


def test_executor_raises_the_first_error_and_stops_the_rest() -> None:
    stopped: list[bool] = []
    taken: list[int] = []

    def work(item: int) -> Iterator[int]:
        taken.append(item)
        if item == 2:
            raise ValueError("two")
        yield item

    with pytest.raises(ValueError, match="two"):
        list(LocalExecutor(1).run(range(10), work, lambda: stopped.append(True)))
    assert stopped == [True]
    assert taken == [0, 1, 2]


def test_executor_takes_items_as_it_needs_them() -> None:
    """An item is taken only by a thread that is free: never more of them than are finished + 3."""
    ahead: list[int] = []
    finished: list[int] = []

    def items() -> Iterator[int]:
        for number in range(200):
            ahead.append(number + 1 - len(finished))
            yield number

    def work(item: int) -> Iterator[int]:
        yield item
        finished.append(item)

    assert sorted(LocalExecutor(3).run(items(), work, lambda: None)) == list(range(200))
    assert max(ahead) <= 3
