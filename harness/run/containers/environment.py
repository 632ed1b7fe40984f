"""What a cell finds in its environment: fixed values, and nothing of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import PurePath

_FIXED: Final = {
    "LANG": "C.UTF-8",
    "HARNESS_LEASE": "stdin",
    "PYTHONUNBUFFERED": "1",
    "PYTHONHASHSEED": "0",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    # More threads than one make a cell slower under contention, and change its last digits.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}


def fixed_environment(scratch: PurePath, data: PurePath, resume: PurePath) -> dict[str, str]:
    """The variables that every cell gets, whatever it runs in; paths as the cell sees them."""
    return {
        **_FIXED,
        "HARNESS_DATA": str(data),
        "HARNESS_RESUME": str(resume),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
    }
