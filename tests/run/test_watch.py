"""Where a cell is, read while it writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.run.scheduler import Event, EventKind
from harness.run.watch import Whereabouts, how_far, told_of_itself, where_it_is
from tests.run.support import scripted_cell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.run.conftest import Bench


@pytest.mark.parametrize(
    ("told", "metrics", "place", "end"),
    [
        (None, None, None, None),
        (None, "", None, None),
        (None, '{"step": 1', None, None),
        (None, '{"step": 1}\n', Whereabouts(1), Whereabouts(1)),
        (None, '{"step": 1}\n{"step": 2', Whereabouts(1), Whereabouts(1)),
        (None, "no JSON\n", None, None),
        ('{"step": 3, "tot', None, None, None),
        ("[]", None, None, None),
        ('{"step": "3", "total": 9, "numbers": {}}', None, None, None),
        (
            '{"step": 3, "total": 9, "numbers": {"reward": 0.5}}',
            '{"step": 3}\n{"step": 4}\n',
            Whereabouts(3, 9, {"reward": 0.5}),
            Whereabouts(4, 9, {"reward": 0.5}),
        ),
    ],
)
def test_where_a_cell_is(
    tmp_path: Path,
    told: str | None,
    metrics: str | None,
    place: Whereabouts | None,
    end: Whereabouts | None,
) -> None:
    for name, text in (("progress.json", told), ("metrics.jsonl", metrics)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert where_it_is(tmp_path) == place
    assert how_far(tmp_path) == end


def test_long_metrics_are_read_at_their_end(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"step": step, "x": "y" * 500}) + "\n" for step in range(1000))
    (tmp_path / "metrics.jsonl").write_text(lines)
    assert where_it_is(tmp_path) == Whereabouts(999)


@given(content=st.binary(max_size=200))
def test_nothing_that_a_cell_writes_stops_its_run(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("out")
    for name in ("progress.json", "metrics.jsonl"):
        (folder / name).write_bytes(content)
    where_it_is(folder)
    how_far(folder)


def test_events_lead_to_the_progress_of_a_cell(bench: Bench) -> None:
    seen: list[Event] = []
    cells = [scripted_cell(0, engine="trained", steps=10), scripted_cell(1)]
    bench.run(cells, on_event=seen.append)
    assert all(event.out is not None for event in seen if event.kind is EventKind.STARTED)
    ends = {e.cell.values["index"]: e.place for e in seen if e.kind is EventKind.FINISHED}
    assert str(ends[0]) == "step 10 of 10"
    assert set(ends[0].numbers) == {"reward", "pass_at_1"}  # type: ignore[union-attr]
    assert ends[1] is None, "this engine tells nothing"
    for cell in cells:
        assert "progress.json" not in bench.store.record(cell.id).files
        assert told_of_itself(bench.store.folder(cell.id)) is None
