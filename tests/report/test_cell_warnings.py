"""What cells had to say of themselves stands in the report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from harness.reporting import cell_warnings


def collected(*cells: tuple[str, Any]) -> Any:
    results = [SimpleNamespace(cell=SimpleNamespace(id=name), result=told) for name, told in cells]
    return SimpleNamespace(results=results)


def test_each_cell_is_named_once() -> None:
    silent = {"warnings": ["every reward was 0 in 40 of 50 steps", "and so on"]}
    # A record of several curves is several results of one cell.
    told = cell_warnings(collected(("a" * 64, silent), ("a" * 64, silent), ("b" * 64, {})))
    assert told == [f"Cell {'a' * 12}: every reward was 0 in 40 of 50 steps; and so on."]


def test_many_are_counted() -> None:
    told = cell_warnings(collected(*((f"{n:064}", {"warnings": ["w"]}) for n in range(13))))
    assert len(told) == 11
    assert told[-1] == "3 more cells have warnings, in their result.json."


def test_no_warnings_are_no_notes() -> None:
    assert cell_warnings(collected(("a", {"warnings": []}), ("b", {"warnings": None}))) == []
