"""A run of one cell that is killed at its Nth step on the disk: `python -m tests.run.crash`.

Arguments: STORE RESULT STEP. A step is an fsync, a rename or a new folder; it is done, then the
run dies. With a STEP past the last one the run ends as usual.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.run.scheduler import run_cells
from harness.run.store import Store
from tests.run.support import FilesBackend, scripted_cells

if TYPE_CHECKING:
    from collections.abc import Callable


def die_at(step: int) -> None:
    """Count what this process does on the disk, and kill it after `step` such calls."""
    numbers = itertools.count(1)

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def counting(*arguments: object, **options: object) -> object:
            answer = call(*arguments, **options)
            if next(numbers) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return counting

    for owner, name in ((os, "fsync"), (Path, "rename"), (Path, "mkdir")):
        setattr(owner, name, counted(getattr(owner, name)))


if __name__ == "__main__":
    store, result, step = sys.argv[1:]
    die_at(int(step))
    run_cells(scripted_cells(1), Store(Path(store)), FilesBackend(result), Path(store))
