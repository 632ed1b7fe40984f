"""What a run has to do: the cells of a tier that the store does not have."""

from __future__ import annotations

from array import array
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.spec.grid import Cell, Grid
    from harness.spec.suite import Budget

_ID_BYTES = 32


@dataclass(frozen=True)
class Plan:
    """The cells that a run has to do. Holds 40 bytes for each of them, and makes them when asked.

    Attributes:
        total: cells selected.
        finished: how many of them the store has.
        budget: what the tier may cost.
    """

    total: int
    finished: int
    budget: Budget
    _grid: Grid
    _ordinals: array[int]
    _ids: bytes

    @property
    def todo(self) -> int:
        """How many cells are to be run."""
        return len(self._ordinals)

    def ids(self) -> Iterator[str]:
        """The ids of the cells to run, in the grid's order."""
        for start in range(0, len(self._ids), _ID_BYTES):
            yield self._ids[start : start + _ID_BYTES].hex()

    def cells(self) -> Collection[Cell]:
        """The cells to run, in the grid's order; each is made when it is come to."""
        return _PlannedCells(self)

    @property
    def cost_s(self) -> float | None:
        """Seconds that the cells to run are expected to take one after the other.

        None where the suite's budget does not say what one cell takes.
        """
        return None if self.budget.cell_s is None else self.todo * self.budget.cell_s

    @property
    def over_budget(self) -> bool:
        """Whether the expected cost is known and exceeds the budget's `wall_s`."""
        limit, cost = self.budget.wall_s, self.cost_s
        return limit is not None and cost is not None and cost > limit


@dataclass(frozen=True)
class _PlannedCells(Collection["Cell"]):
    _plan: Plan

    def __len__(self) -> int:
        return self._plan.todo

    def __iter__(self) -> Iterator[Cell]:
        plan = self._plan
        for ordinal, identity in zip(plan._ordinals, plan.ids(), strict=True):
            yield plan._grid.cell(ordinal, identity)

    def __contains__(self, cell: object) -> bool:
        return any(cell == planned for planned in self)


def make_plan(grid: Grid, finished: Collection[str], *, where: str | None = None) -> Plan:
    """Compare the cells of a tier, or those that an expression selects, with the finished ones.

    Args:
        grid: the tier's cells.
        finished: ids that the store has; a set.
        where: expression over axis values.

    Raises:
        SuiteError: an empty grid or selection, a reference that finds nothing.
    """
    ordinals, ids = array("q"), bytearray()
    total = 0
    for ordinal, identity in grid.ids(where):
        total += 1
        if identity not in finished:
            ordinals.append(ordinal)
            ids += bytes.fromhex(identity)
    return Plan(
        total=total,
        finished=total - len(ordinals),
        budget=grid.budget,
        _grid=grid,
        _ordinals=ordinals,
        _ids=bytes(ids),
    )
