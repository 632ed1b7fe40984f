"""What is shown of a run: lines of a log, and the picture in a terminal."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from harness.cli import progress
from harness.cli.progress import Board, duration, event_line, label, picture, running_line
from harness.run.record import Record, Status, Timing
from harness.run.scheduler import Event, EventKind
from harness.run.watch import Whereabouts
from harness.spec.grid import Cell

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cell(number: int) -> Cell:
    values = {"model": {"id": "0.4M", "N": 4e5}, "seed": number, "algorithm": "grpo"}
    return Cell(f"{number:064}", values, {})


def event(
    kind: EventKind,
    number: int,
    done: int,
    out: Path | None = None,
    wall_s: float = 10.0,
    place: Whereabouts | None = None,
) -> Event:
    record = None
    if kind in (EventKind.FINISHED, EventKind.FAILED):
        ok = kind is EventKind.FINISHED
        record = Record(
            cell_id=cell(number).id,
            status=Status.OK if ok else Status.INVALID,
            suite="exp1",
            tier="micro",
            labels={},
            timing=Timing("", "", wall_s, wall_s),
            attempt=1,
            error=None if ok else {"message": "killed by SIGKILL\nmore"},
        )
    return Event(kind, cell(number), done, 6, record, out, place)


def tell(out: Path, step: int, **numbers: float) -> None:
    out.mkdir(exist_ok=True)
    document = {"step": step, "total": 20, "numbers": numbers}
    (out / "progress.json").write_text(json.dumps(document))


def test_label_and_duration_are_short() -> None:
    assert label(cell(3)) == "0.4M seed=3 grpo"
    assert [duration(s) for s in (None, 0.4, 61, 3725)] == ["-", "0:00", "1:01", "1:02:05"]


def test_time_left_of_cells_that_tell_their_steps(tmp_path: Path, clock: Clock) -> None:
    """Two workers and six cells; a step takes 1 s, and what comes before the first 5 s."""
    board = Board(6, 2, clock)
    for number in (0, 1):
        board.add(event(EventKind.STARTED, number, 0, tmp_path / str(number)))
    assert board.left(board.look()) is None, "nothing tells yet"
    clock.now += 5
    for number in (0, 1):
        tell(tmp_path / str(number), 0)
    assert board.left(board.look()) is None, "no step yet"
    clock.now += 4
    for number in (0, 1):
        tell(tmp_path / str(number), 4)
    # 16 s for each of the two, then four cells of 25 s on two workers.
    assert board.left(board.look()) == pytest.approx(16 + 2 * 25)


def test_resumed_cell_is_measured_by_its_own_steps(tmp_path: Path, clock: Clock) -> None:
    board = Board(1, 1, clock)
    board.add(event(EventKind.STARTED, 0, 0, tmp_path / "0"))
    clock.now += 5
    tell(tmp_path / "0", 15)
    board.look()
    clock.now += 2
    tell(tmp_path / "0", 16)
    assert board.left(board.look()) == pytest.approx(4 * 2)


def test_time_left_of_cells_that_tell_nothing(tmp_path: Path, clock: Clock) -> None:
    board = Board(6, 2, clock)
    board.add(event(EventKind.STARTED, 0, 0, tmp_path / "0"))
    board.add(event(EventKind.FINISHED, 0, 1, wall_s=10))
    board.add(event(EventKind.STARTED, 1, 1, tmp_path / "1"))
    clock.now += 4
    assert board.left(board.look()) == pytest.approx((6 + 4 * 10) / 2)
    board.add(event(EventKind.FINISHED, 1, 6))
    assert board.left(board.look()) == 0


def test_lines_of_a_log() -> None:
    place = Whereabouts(20, 20, {"reward": 0.512345, "pass_at_1": 0.25})
    told = event_line(event(EventKind.FINISHED, 3, 2, place=place))
    assert told == (
        "[2/6] 0.4M seed=3 grpo: finished in 10 s, step 20/20, reward 0.512 pass@1 0.25"
    )
    failed = event_line(event(EventKind.FAILED, 3, 2))
    assert failed == "[2/6] 0.4M seed=3 grpo: invalid after 10 s: killed by SIGKILL"
    assert event_line(event(EventKind.FINISHED, 3, 2, wall_s=0.2)) is None, "too short for a line"
    assert event_line(event(EventKind.FINISHED, 3, 2, wall_s=20)) is not None
    assert event_line(event(EventKind.WAITING, 3, 2)) is None


def test_running_line_and_picture(tmp_path: Path, clock: Clock) -> None:
    board = Board(6, 2, clock)
    for number in (0, 1):
        board.add(event(EventKind.STARTED, number, 0, tmp_path / str(number)))
    tell(tmp_path / "0", 0)
    board.look()
    clock.now += 10
    tell(tmp_path / "0", 10, reward=0.5, pass_at_1=0.25)
    line = running_line(board)
    assert line.startswith("0 of 6 cells, 2 running, about 0:50 left; 0.4M seed=0 grpo step 10/20")
    assert line.endswith("reward 0.5 pass@1 0.25; 0.4M seed=1 grpo")

    for width, height in ((120, 30), (80, 30), (40, 4)):
        screen = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
        with screen.capture() as capture:
            screen.print(picture(board, screen))
        drawn = capture.get()
        assert "0/6" in drawn
        assert ("\N{BOX DRAWINGS HEAVY HORIZONTAL}" in drawn.split("\n")[1]) == (width == 120)
        if width >= 80:
            assert "about 0:50 left" in drawn
            for text in ("0.4M seed=0 grpo", "10/20", "reward 0.5 pass@1 0.25", "seed=1"):
                assert text in drawn
        else:
            assert "and 1 more" in drawn


def test_log_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_S", 0.01)
    with progress.shown(6, 2) as add:
        add(event(EventKind.STARTED, 0, 0, tmp_path / "0"))
        while "running" not in (said := capsys.readouterr().err):
            pass
        add(event(EventKind.FINISHED, 0, 1))
    assert said.splitlines()[0] == "0 of 6 cells, 1 running; 0.4M seed=0 grpo"
    last = capsys.readouterr().err.splitlines()
    assert "[1/6] 0.4M seed=0 grpo: finished in 10 s" in last
    assert last[-1].startswith("1 of 6 cells in ")


def test_quiet_run_of_short_cells_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown(6, 2, quiet=True) as add:
        for number in range(6):
            add(event(EventKind.STARTED, number, number))
            add(event(EventKind.FINISHED, number, number + 1, wall_s=0.1))
    assert capsys.readouterr().err == ""
