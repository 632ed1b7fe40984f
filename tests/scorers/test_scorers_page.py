"""docs/scorers.md: its tables of examples are true, and its routes are those of the router."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reward_scorers import UnsupportedSourceError, compute_score, find_route

PAGE = (Path(__file__).parents[2] / "docs" / "scorers.md").read_text("utf-8")


def tables(*heads: str) -> list[list[str]]:
    """The rows of all tables whose header begins with these words, without back ticks."""
    rows: list[list[str]] = []
    inside = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif tuple(cells[: len(heads)]) == heads:
            inside = True
        elif inside and not set(cells[0]) <= set("-"):
            rows.append([cell.strip("`") if "`, `" not in cell else cell for cell in cells])
    return rows


def value(cell: str) -> Any:
    return json.loads(cell) if cell.startswith(("{", '["', "[[")) else cell


DIFFERENCES = tables("data source", "reference", "answer")
CHOICES = tables("reference", "answer", "strict")


def test_the_page_has_examples() -> None:
    assert len(DIFFERENCES) > 10
    assert len(CHOICES) > 15


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: f"{row[0]}: {row[2]}")
def test_policies_differ_as_the_page_says(row: list[str]) -> None:
    source, reference, answer, strict, reference_score, _ = row
    for policy, score in (("strict", strict), ("reasoning360", reference_score)):
        found = compute_score(source, answer, value(reference), compat=policy)
        assert found["score"] == float(score), found


@pytest.mark.parametrize("row", CHOICES, ids=lambda row: f"{row[0]}: {row[1]}")
def test_choices_are_as_the_page_says(row: list[str]) -> None:
    found = compute_score("math__dapo", row[1], row[0])
    assert found["score"] == float(row[2]), found


@pytest.mark.parametrize("row", tables("data source", "scorer"), ids=lambda row: row[0])
def test_sources_are_scored_as_the_page_says(row: list[str]) -> None:
    for source in re.findall(r"[\w/-]+(?=\*?`)", row[0]) or [row[0].rstrip("*")]:
        if "unsupported" in row[1]:
            with pytest.raises(UnsupportedSourceError):
                find_route(source)
        else:
            assert find_route(source).scorer == row[1], source
