"""GPU slots: as many GPUs as a cell asks for, handed to one cell at a time."""

from __future__ import annotations

from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from harness.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def share_out(devices: Sequence[str], each: int) -> list[tuple[str, ...]]:
    """Groups of `each` devices, in order; those left over at the end stay unused.

    Raises:
        InfrastructureError: fewer devices than one cell asks for.
    """
    if each == 0:
        return []
    groups = [tuple(devices[i : i + each]) for i in range(0, len(devices) - each + 1, each)]
    if not groups:
        raise InfrastructureError(
            f"a cell of this tier asks for {each} GPUs",
            expected=f"at least {each}",
            found=", ".join(devices) or "none",
            hint="harness doctor tells what this machine has; --gpus names those to use",
        )
    return groups


class Slots:
    """Hands out groups of GPUs; without any, every cell gets none and none waits."""

    def __init__(self, groups: Sequence[tuple[str, ...]] = ()) -> None:
        self.count = len(groups)
        self._free: SimpleQueue[tuple[str, ...]] = SimpleQueue()
        for group in groups:
            self._free.put(group)

    @contextmanager
    def take(self) -> Iterator[tuple[str, ...]]:
        """A group for the length of the block; waits until one is free."""
        if self.count == 0:
            yield ()
            return
        group = self._free.get()
        try:
            yield group
        finally:
            self._free.put(group)
