"""The backends by name, strongest first, and the choice of one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from harness.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from harness.run.containers.backend import Backend, Probe
    from harness.run.containers.leases import Keeper

AUTO: Final = "auto"

# Name -> module, and what its classes' names begin with; the strongest isolation first,
# which is the order in which `auto` tries them.
_BACKENDS: Final = {
    "docker": ("harness.run.containers.docker", "Docker"),
    "podman": ("harness.run.containers.podman", "Podman"),
    "apptainer": ("harness.run.containers.apptainer", "Apptainer"),
    "process": ("harness.run.containers.process", "Process"),
}
# Those whose containers outlive the process that started them.
_KEPT: Final = ("docker", "podman")


def backend_names() -> list[str]:
    """The names of all backends, the strongest isolation first."""
    return list(_BACKENDS)


def container_names() -> list[str]:
    """What `container:` in a suite and --container may say."""
    return [AUTO, *_BACKENDS]


def probe(name: str) -> Probe:
    """Ask what a backend can do on this machine.

    Raises:
        SuiteError: no such backend.
    """
    probing: Callable[[], Probe] = _module(name).probe
    return probing()


def open_backend(name: str, image: str = "cpu") -> Backend:
    """The backend of this name; `auto` is the strongest whose probe finds that it works.

    Args:
        name: of a backend, or `auto`.
        image: name of the image in docker/images.lock.toml that cells run in.

    Raises:
        SuiteError: no such backend.
    """
    if name == AUTO:
        return choose(image).backend
    make: Callable[[str], Backend] = _member(name, "Backend")
    return make(image)


def engine_names() -> list[str]:
    """The engines whose containers outlive the process that started them."""
    return list(_KEPT)


def open_keeper(name: str) -> Keeper:
    """What lists and removes containers of an engine.

    Raises:
        InfrastructureError: it does not answer.
    """
    make: Callable[[], Keeper] = _member(name, "Keeper")
    return make()


def _member(name: str, kind: str) -> Any:
    return getattr(_module(name), _BACKENDS[name][1] + kind)


def _module(name: str) -> ModuleType:
    if name not in _BACKENDS:
        raise SuiteError(
            f"no container backend is named {name!r}",
            expected=f"one of {', '.join(container_names())}",
        )
    return import_module(_BACKENDS[name][0])


@dataclass(frozen=True)
class Choice:
    """The strongest backend by which a cell can be run here, and why stronger ones were not it."""

    backend: Backend
    passed_over: Mapping[str, str]


def choose(image: str, *, gpus: bool = False) -> Choice:
    """What `auto` means on this machine for cells in this image; `process` can always run them.

    Args:
        image: as `open_backend` takes it.
        gpus: whether cells get GPUs.
    """
    passed_over: dict[str, str] = {}
    for name in _BACKENDS:
        backend = open_backend(name, image)
        reason = backend.missing()
        if not reason and gpus and probe(name).gpus is None:
            reason = f"{name} cannot give GPUs to containers here: harness doctor tells why"
        if not reason:
            return Choice(backend, passed_over)
        passed_over[name] = reason
    raise AssertionError("backend `process` needs nothing")
