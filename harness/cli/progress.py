"""What a run shows while it works: a live display in a terminal, a few plain lines elsewhere.

`Board` knows what is running, how far it is and how long the rest may take; it prints nothing.
Cells tell of themselves through files (harness.run.watch), which are read when something is to be
shown: a run of many short cells pays nothing for it.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from harness.run.attempts import EventKind
from harness.run.record import labels_of
from harness.run.watch import Whereabouts, where_it_is

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console, RenderableType

    from harness.run.scheduler import Event
    from harness.spec.grid import Cell

PLAIN_S = 30.0  # between two plain lines about what is running
_WORTH_A_LINE_S = 5.0  # a cell that took longer has a plain line, also if it told nothing
_MOST_IN_LINE = 4  # running cells in a plain line
_REFRESHES = 4  # a second
_BAR = 24
_WIDE = 110  # columns of a screen that has room for the bars of cells
_ENDS = (EventKind.FINISHED, EventKind.RETRIED, EventKind.FAILED)
_SHOWN_AS = {"pass_at_1": "pass@1"}


def label(cell: Cell) -> str:
    """The values of a cell's axes in few letters; a number has its axis's name."""
    return " ".join(
        value if isinstance(value, str) else f"{axis}={value}"
        for axis, value in labels_of(cell.values).items()
    )


def duration(seconds: float | None) -> str:
    """Minutes and seconds, with hours where there are any; a hyphen for None."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass
class RunningCell:
    """A cell that is being worked on, as it was last looked at.

    `first_step` and `first_at` are where and when it was first seen: a resumed cell does not begin
    at step 0, and what it does before its first step says nothing of the speed of steps.
    """

    name: str
    out: Path
    started: float
    place: Whereabouts | None = None
    first_step: int = 0
    first_at: float = 0.0
    looked: float = 0.0

    def look(self, now: float) -> None:
        """Read how far it is."""
        place = where_it_is(self.out)
        if place is None:
            return
        if self.place is None:
            self.first_step, self.first_at = place.step, now
        self.place, self.looked = place, now

    def left(self) -> float | None:
        """Seconds that its steps will take at the speed so far, None while that is unknown."""
        if self.place is None or self.place.total is None:
            return None
        steps = self.place.step - self.first_step
        if steps < 1:
            return None
        pace = (self.looked - self.first_at) / steps
        return max(0, self.place.total - self.place.step) * pace


class Board:
    """The state of a run for display; used by the run's thread and by one that shows it."""

    def __init__(
        self, total: int, workers: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total, self.done, self.failed = total, 0, 0
        self._workers = max(1, min(workers, total))
        self._clock = clock
        self.started = clock()
        self._running: dict[str, RunningCell] = {}
        self._walls, self._seconds = 0, 0.0
        self._lock = threading.Lock()

    def add(self, event: Event) -> None:
        """Take in what happened."""
        with self._lock:
            self.done = event.done
            if event.kind is EventKind.STARTED and event.out is not None:
                cell = RunningCell(label(event.cell), event.out, self._clock())
                self._running[event.cell.id] = cell
                return
            self._running.pop(event.cell.id, None)
            self.failed += event.kind is EventKind.FAILED
            if event.kind is EventKind.FINISHED and event.record is not None:
                self._walls += 1
                self._seconds += event.record.timing.wall_s

    def look(self) -> list[RunningCell]:
        """The running cells, each looked at just now, the oldest first."""
        now = self._clock()
        with self._lock:
            cells = list(self._running.values())
            for cell in cells:
                cell.look(now)
        return cells

    def elapsed(self, cell: RunningCell | None = None) -> float:
        """Seconds since the cell, or the run, began."""
        return self._clock() - (self.started if cell is None else cell.started)

    def left(self, cells: list[RunningCell]) -> float | None:
        """About how many seconds the rest will take; None while nothing tells.

        Cells to come are taken to be like those that have finished, and those that run.
        """
        lefts = [cell.left() for cell in cells]
        known = [
            self.elapsed(cell) + left
            for cell, left in zip(cells, lefts, strict=True)
            if left is not None
        ]
        count = self._walls + len(known)
        if not count:
            return None
        typical = (self._seconds + sum(known)) / count
        rest = [
            max(0.0, typical - self.elapsed(cell)) if left is None else left
            for cell, left in zip(cells, lefts, strict=True)
        ]
        to_come = max(0, self.total - self.done - len(cells))
        together = (sum(rest) + to_come * typical) / self._workers
        return max([together, *rest])


@contextmanager
def shown(total: int, workers: int, *, quiet: bool = False) -> Iterator[Callable[[Event], None]]:
    """Show a run on standard error for the length of the block; the callable takes its events.

    Args:
        total: cells to be worked on.
        workers: cells at a time.
        quiet: no display, only lines about cells that take long or fail.
    """
    board = Board(total, workers)
    if quiet or not sys.stderr.isatty():
        with _plain(board, sys.stderr) as add:
            yield add
        if not quiet:
            sys.stderr.write(f"{board.done:,} of {board.total:,} cells{_in_time(board)}\n")
        return
    from rich.live import Live

    from harness.cli.show import console

    screen = console(stderr=True)
    with Live(
        console=screen,
        get_renderable=lambda: picture(board, screen),
        refresh_per_second=_REFRESHES,
        redirect_stdout=False,
    ):
        yield board.add


def picture(board: Board, screen: Console) -> RenderableType:
    """The live display: one line of the whole run, then one for each running cell."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    cells = board.look()
    head = Table.grid(padding=(0, 1))
    failed = f", {board.failed} failed" if board.failed else ""
    left = board.left(cells) if board.done < board.total else None
    head.add_row(
        "cells",
        ProgressBar(max(1, board.total), board.done, width=40),
        f"{board.done:,}/{board.total:,}{failed}",
        duration(board.elapsed()) + (f", about {duration(left)} left" if left is not None else ""),
    )
    room = max(1, screen.height - 3)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for _ in range(4):
        table.add_column(no_wrap=True)
    has_bars = screen.width >= _WIDE  # else they would take the place of numbers
    for cell in cells[:room]:
        place = cell.place or Whereabouts(0)
        table.add_row(
            Text(f"  {cell.name}"),
            ProgressBar(place.total, place.step, width=_BAR) if has_bars and place.total else "",
            _steps(cell.place),
            Text(_numbers(cell.place), style="cyan"),
            Text(duration(board.elapsed(cell)), style="dim"),
        )
    hidden = len(cells) - room
    return Group(head, table, *([Text(f"  and {hidden} more", style="dim")] if hidden > 0 else []))


def _in_time(board: Board) -> str:
    failed = f", {board.failed} failed" if board.failed else ""
    return f" in {duration(board.elapsed())}{failed}"


@contextmanager
def _plain(board: Board, stream: TextIO) -> Iterator[Callable[[Event], None]]:
    """A line for each cell that is worth one, and one now and then about those that run."""
    end = threading.Event()
    writing = threading.Lock()

    def say(line: str) -> None:
        with writing:
            stream.write(line + "\n")
            stream.flush()

    def tell_now_and_then() -> None:
        while not end.wait(PLAIN_S):
            say(running_line(board))

    def add(event: Event) -> None:
        board.add(event)
        if line := event_line(event):
            say(line)

    thread = threading.Thread(target=tell_now_and_then, name="progress", daemon=True)
    thread.start()
    try:
        yield add
    finally:
        end.set()
        thread.join()


def event_line(event: Event) -> str | None:
    """What a log says of one event; None for all but the ends of cells worth a line."""
    record = event.record
    if record is None or event.kind not in _ENDS:
        return None
    head = f"[{event.done:,}/{event.total:,}] {label(event.cell)}:"
    wall = f"{record.timing.wall_s:.0f} s"
    if event.kind is not EventKind.FINISHED:
        why = str((record.error or {}).get("message", "it failed")).partition("\n")[0]
        again = ", tried again" if event.kind is EventKind.RETRIED else ""
        return f"{head} {record.status} after {wall}{again}: {why}"
    if event.place is None and record.timing.wall_s < _WORTH_A_LINE_S:
        return None
    return ", ".join(filter(None, [f"{head} finished in {wall}", _told(event.place)]))


def running_line(board: Board) -> str:
    """What a log says now and then: the whole run, and where the first few running cells are."""
    cells = board.look()
    left = board.left(cells)
    about = f", about {duration(left)} left" if left is not None else ""
    parts = [f"{board.done:,} of {board.total:,} cells, {len(cells)} running{about}"]
    parts += [
        " ".join(filter(None, [cell.name, _told(cell.place)])) for cell in cells[:_MOST_IN_LINE]
    ]
    return "; ".join(parts)


def _told(place: Whereabouts | None) -> str:
    if place is None:
        return ""
    return ", ".join(filter(None, [f"step {_steps(place)}", _numbers(place)]))


def _steps(place: Whereabouts | None) -> str:
    if place is None:
        return ""
    return str(place.step) if place.total is None else f"{place.step}/{place.total}"


def _numbers(place: Whereabouts | None) -> str:
    numbers = {} if place is None else place.numbers
    return " ".join(f"{_SHOWN_AS.get(name, name)} {value:.3g}" for name, value in numbers.items())
