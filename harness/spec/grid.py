"""Cells: the points of a suite's grid, each with its resolved document and its identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the grid, resolved.

    Attributes:
        id: 64 hexadecimal digits, SHA-256 of the canonical JSON of `document`.
        values: axis name -> value.
        document: all that can move the cell's numbers; what the cell reads as `spec.json`.
    """

    id: str
    values: Mapping[str, object]
    document: Mapping[str, object]
