"""The state of a run that a later attempt can go on from: one file, whole or not there."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.cell.contract import sync_folders, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_FILE = "state.pt"


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Put `state` in the place of the last one, once it is on the disk.

    Raises:
        OSError: the disk refuses; the last state is still there.
    """
    content = {**state, "computed_by": computed_by()}
    write_whole(folder / STATE_FILE, lambda file: torch.save(content, file))
    sync_folders(folder)


def load_state(folder: Path) -> dict[str, Any] | None:
    """The last whole state, or None if there is none that can be gone on from.

    On other software or another kind of processor it would not give the numbers of an uninterrupted
    run, so that the cell starts again.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        written_by = state.pop("computed_by")
    except Exception as error:  # noqa: BLE001 - a disk may have damaged it in any way
        sys.stderr.write(f"{path} cannot be read ({error!r:.120}); the cell starts again\n")
        return None
    if written_by != computed_by():
        sys.stderr.write(
            f"{path} was written on another machine or by another torch; the cell starts again\n"
        )
        return None
    return state


def computed_by() -> dict[str, str | int]:
    """What the last digits of a computation depend on, besides what is computed."""
    return {
        "torch": str(torch.__version__),  # a class of its own, which `weights_only` refuses
        "cpu": _processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu",
    }


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
