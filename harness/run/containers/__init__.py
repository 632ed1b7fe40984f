"""The container backends, each behind the same small interface."""

from harness.run.containers.backend import (
    Backend,
    CellExit,
    Ending,
    Limits,
    Running,
    backend_names,
    open_backend,
)

__all__ = ["Backend", "CellExit", "Ending", "Limits", "Running", "backend_names", "open_backend"]
