"""Python's search for cyclic garbage, held back where many short-lived tensors are made."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def not_collected() -> Iterator[None]:
    """Look for no cyclic garbage in the block.

    A search is due after every some hundred new objects and, now and then, goes through all that
    the imported libraries hold: a tenth of the time that a small model takes. Tensors are freed as
    soon as nothing refers to them, with or without it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
