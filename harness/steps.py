"""The values that pass from one step of the pipeline to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.analysis import Curves
    from harness.collect import CellResult
    from harness.fitting import Analysed
    from harness.spec.grid import Cell, Grid
    from harness.spec.lock import Drift
    from harness.spec.suite import Suite, Tier
    from harness.verdict.expectation import Expected
    from harness.verdict.golden import Golden
    from harness.verdict.model import Comparison, Quantity, Verdict


@dataclass(frozen=True)
class Request:
    """What the user asked for. Nothing in it can move a number except the choice of cells.

    Attributes:
        suite: name or folder.
        where: expression over axis values, or None for all cells of the tier.
        workspace: holds store/ and reports/.
        workers: cells at a time.
        accepted_drift: the reason to go on although the lock differs; None refuses.
        container: what cells run in, in place of what the tier says.
        image: the image of it, in the same way.
        gpus: indices or UUIDs of the GPUs that this run may use; None: all.
    """

    suite: str
    tier: str
    where: str | None
    workspace: Path
    workers: int
    accepted_drift: str | None = None
    container: str | None = None
    image: str | None = None
    gpus: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Loaded:
    """A suite that has been read and checked, and the tier that was asked for."""

    request: Request
    suite: Suite
    tier: Tier


@dataclass(frozen=True)
class Locked:
    """A suite whose lock has been held against the world; `drift` was accepted if not empty."""

    loaded: Loaded
    grid: Grid
    drift: Sequence[Drift]


@dataclass(frozen=True)
class Absent:
    """A cell of the tier without numbers in this run, by the labels of each of its curves."""

    cell: Cell
    labels: Sequence[Mapping[str, object]]
    status: str
    message: str


@dataclass(frozen=True)
class Collected:
    """Finished cells as one table, and the cells of the tier that are not in it."""

    locked: Locked
    results: Sequence[CellResult]
    curves: Curves | None
    absent: Sequence[Absent]


@dataclass(frozen=True)
class Fitted:
    """The suite's analyses by name, in the order of the suite file."""

    collected: Collected
    analyses: Mapping[str, Analysed]


@dataclass(frozen=True)
class Checked:
    """The verdict; `without_entry` are quantities that the suite wants judged and no golden names.

    `recorded` are those of them that may become recorded entries: all, or none where cells are
    missing or lock drift was accepted. `golden` is what the run was held against, None if there was
    no file; `expected` what the suite foretells, None where that is success.
    """

    fitted: Fitted
    quantities: Mapping[str, Quantity]
    comparisons: Sequence[Comparison]
    verdict: Verdict
    without_entry: Mapping[str, float]
    recorded: Mapping[str, float]
    golden: Golden | None
    expected: Expected | None
