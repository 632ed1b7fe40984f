"""Telling work that ends from work that does not: no measurement of how long it takes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# CPU seconds. What is linear in its input ends in one or two on any machine; what is quadratic in
# a megabyte, or hangs, takes minutes.
ENDLESS_S: Final = 60.0


@contextmanager
def no_endless_work() -> Iterator[None]:
    """Fail where the block needs more than `ENDLESS_S` of this process's CPU time."""
    began = time.process_time()
    yield
    assert time.process_time() - began < ENDLESS_S
