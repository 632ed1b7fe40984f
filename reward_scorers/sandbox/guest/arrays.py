"""Arrays of NumPy, where it is installed."""

from __future__ import annotations

from typing import Any

from .values import NoValue

# Booleans, integers, decimals, complex numbers, text: no objects, no structures.
_KINDS = frozenset({"|b", "|i", "|u", "<i", "<u", "<f", "<c", "<U"})


def is_known(kind: str) -> bool:
    """Whether arrays of a type travel, as NumPy writes it."""
    return kind[:2] in _KINDS and "," not in kind


def array(kind: Any, shape: Any, flat: Any) -> Any:
    """An array of a type, a shape and its items in a row; a number for an array of no dimension.

    Raises:
        NoValue: there is no such type, or no NumPy.
    """
    try:
        import numpy as np
    except ImportError:
        raise NoValue("an array where there is no NumPy") from None
    if not isinstance(kind, str) or not is_known(kind):
        raise NoValue("an array of no numbers")
    found = np.array(flat, dtype=np.dtype(kind)).reshape([int(size) for size in shape])
    return found[()] if found.ndim == 0 else found
