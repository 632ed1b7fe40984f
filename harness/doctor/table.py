"""The findings for a person: a table by topic, then the lines to type, then one line in sum."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rich import box
from rich.table import Table
from rich.text import Text

from harness.doctor.finding import State, exit_code
from harness.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.doctor.finding import Finding
    from harness.doctor.setting import Needs

_STYLES: Final = {
    State.OK: "green",
    State.NOTE: "cyan",
    State.MISS: "bold red",
    State.FAIL: "bold magenta",
}
_BAD: Final = (State.MISS, State.FAIL)
_ENDS: Final = {
    ExitCode.OK: "all that is needed is here",
    ExitCode.LOCK_DRIFT: "all that is needed is here, but a lock does not fit",
    ExitCode.INFRASTRUCTURE: "something that is needed is missing",
}


def numbered(findings: Sequence[Finding]) -> dict[str, int]:
    """The lines to type, each once, with its number: those that are needed first."""
    bad = [one.fix for one in findings if one.fix and one.state in _BAD]
    others = [one.fix for one in findings if one.fix and one.state not in _BAD]
    return {fix: number for number, fix in enumerate(dict.fromkeys([*bad, *others]), 1)}


def table(findings: Sequence[Finding]) -> Table:
    """Narrow enough for 80 columns: only what was found may take several lines."""
    numbers = numbered(findings)
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("what", max_width=26, overflow="fold")
    made.add_column("state", no_wrap=True)
    made.add_column("found", overflow="fold")
    topic = ""
    for one in findings:
        if one.topic != topic:
            if topic:
                made.add_section()
            topic = one.topic
            made.add_row(Text(topic, style="bold"))
        made.add_row(Text(f"  {one.what}"), _state(one, numbers), _found(one))
    return made


def _state(one: Finding, numbers: Mapping[str, int]) -> Text:
    text = Text(one.state.value, style=_STYLES[one.state])
    return text.append(f" [{numbers[one.fix]}]", style="dim") if one.fix else text


def _found(one: Finding) -> Text:
    text = Text(one.found)
    if one.expected and one.state is not State.OK:
        text.append(f"\nexpected: {one.expected}", style="dim")
    return text


def fixes(findings: Sequence[Finding]) -> Iterator[Text]:
    """The lines to type, under a heading each for what is needed and what is not."""
    needed = {one.fix for one in findings if one.state in _BAD}
    heading = None
    for fix, number in numbered(findings).items():
        is_needed = fix in needed
        if is_needed is not heading:
            heading = is_needed
            told = "What is missing, type:" if is_needed else "If you want what is not needed:"
            yield Text(told, style="bold" if is_needed else "")
        yield Text(f" [{number}] {fix}", style="" if is_needed else "dim")


def closing_line(needs: Needs, findings: Sequence[Finding]) -> Text:
    """What it comes to, and for what."""
    code = exit_code(findings)
    counts = Counter(one.state for one in findings)
    told = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
    style = "bold green" if code is ExitCode.OK else "bold red"
    what = (
        f"{needs.suite}, tier {needs.tier}" if needs.suite else "cells of tiers that ask for no GPU"
    )
    text = Text("\ndoctor: ").append(_ENDS[code], style=style)
    return text.append(f" to run {what} in container {needs.container} ({told})")
