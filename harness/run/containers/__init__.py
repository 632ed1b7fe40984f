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
from harness.run.containers.registry import backend_names, container_names, open_backend, probe

__all__ = [
    "Backend",
    "CellExit",
    "Ending",
    "Job",
    "Limits",
    "Probe",
    "Running",
    "backend_names",
    "container_names",
    "open_backend",
    "probe",
]
