"""Base models of the micro tiers, made by tools/make_micro_bases.py: safetensors in bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.errors import DataError

# Raised when a file of any of them changes.
BASES_VERSION: Final = 1
_FOLDER: Final = Path(__file__).parent / "weights"


def base_bytes(name: str) -> bytes:
    """The file of one base model.

    Raises:
        DataError: there is none of this name.
    """
    known = {path.stem: path for path in _FOLDER.glob("*.safetensors")}
    if name not in known:
        raise DataError(
            f"no base model is named {name!r}", expected=f"one of {', '.join(sorted(known))}"
        )
    return known[name].read_bytes()
