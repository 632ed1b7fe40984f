"""What every container backend offers: start a cell, wait for it, stop it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from harness.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """What one cell may use. `wall_s` in seconds (None: no limit), `log_bytes` of log.txt."""

    wall_s: float | None = None
    log_bytes: int = 8 << 20


class Ending(StrEnum):
    """Why a cell's process ended."""

    EXITED = "exited"
    WALL_LIMIT = "wall_limit"
    STOPPED = "stopped"  # by this run


@dataclass(frozen=True, slots=True)
class CellExit:
    """How a cell's process ended.

    Attributes:
        code: exit status, or minus the signal's number.
        wall_s: seconds from start to end.
        cpu_s: user plus system seconds of the process and those it waited for.
        peak_bytes: the largest resident set among them; None where the system told only that of
            this run, which is larger.
    """

    ending: Ending
    code: int
    wall_s: float
    cpu_s: float
    peak_bytes: int | None


class Running(Protocol):
    """A cell that was started."""

    def wait(self) -> CellExit:
        """Wait for the end, collecting the log; called once, after which no process is left."""

    def stop(self) -> None:
        """End the cell soon; from any thread, any number of times."""


class Backend(Protocol):
    """A way to run `python -m harness.cell SPEC OUT`."""

    @property
    def name(self) -> str:
        """What `container:` in a suite says."""

    def start(
        self, cell_dir: Path, out_dir: Path, data_root: Path, limits: Limits, resume: Path
    ) -> Running:
        """Start the cell whose spec.json is in `cell_dir`; its log.txt goes there too.

        The cell may write to `out_dir`, and to `resume`, which it makes and which outlives it.

        Raises:
            InfrastructureError: it cannot be started here.
        """

    def provenance(self) -> Mapping[str, object]:
        """What cells run in: `backend`, `digest` (of the image, or None)."""


_BACKENDS = {"process": ("harness.run.containers.process", "ProcessBackend")}


def backend_names() -> list[str]:
    """The names of all backends, sorted."""
    return sorted(_BACKENDS)


def open_backend(name: str) -> Backend:
    """The backend of this name.

    Raises:
        SuiteError: no such backend.
    """
    if name not in _BACKENDS:
        raise SuiteError(
            f"no container backend is named {name!r}", expected=f"one of {', '.join(_BACKENDS)}"
        )
    module, attribute = _BACKENDS[name]
    make: Callable[[], Backend] = getattr(import_module(module), attribute)
    return make()
