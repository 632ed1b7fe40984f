"""The GPUs that a container shows its cell, held against those that the cell was given."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import InfrastructureError

GPUS_VARIABLE = "HARNESS_GPUS"
_DEVICES = Path("/dev")


def check_gpus(devices: Path = _DEVICES) -> None:
    """Refuse to run with more or fewer GPUs than HARNESS_GPUS says; unset, nothing is checked.

    A cell that trained on another number of GPUs than its neighbours, or beside another cell on the
    same one, would have other timings and other memory.

    Args:
        devices: the folder of device files.

    Raises:
        InfrastructureError: they differ.
    """
    told = os.environ.get(GPUS_VARIABLE)
    if told is None:
        return
    found = sorted(path.name for path in devices.glob("nvidia[0-9]*"))
    if len(found) != int(told):
        raise InfrastructureError(
            "the container shows other GPUs than the cell was given",
            expected=f"{told} of them",
            found=", ".join(found) or "none",
            hint="harness doctor tells how containers get GPUs here",
        )
