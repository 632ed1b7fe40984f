"""The container backends, each behind the same small interface."""

from harness.run.containers.backend import (
    Backend,
    CellExit,
    Ending,
    Job,
    Limits,
    Probe,
    Running,
)
from harness.run.containers.registry import (
    Choice,
    backend_names,
    choose,
    container_names,
    open_backend,
    probe,
)

__all__ = [
    "Backend",
    "CellExit",
    "Choice",
    "Ending",
    "Job",
    "Limits",
    "Probe",
    "Running",
    "backend_names",
    "choose",
    "container_names",
    "open_backend",
    "probe",
]
