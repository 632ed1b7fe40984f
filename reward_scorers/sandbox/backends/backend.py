"""What every way to start a sandbox has in common, and all of them by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reward_scorers.sandbox.cgroups import Group

# All that programs find in their environment. One thread per program: there may be many programs.
ENVIRONMENT: Final = {
    "HOME": "/tmp",  # noqa: S108 - inside the sandbox
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "TMPDIR": "/tmp",  # noqa: S108
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

# What Python is started with: sets have one order in all sandboxes, and a program one verdict.
STARTED_WITH: Final = {**ENVIRONMENT, "PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True)
class Options:
    """What a sandbox is asked for.

    Args:
        packages: names of installed distributions that programs may import, with all that those
            need. In a container its image decides instead.
        warm: modules that are imported once, for all programs.
        image: of a container: a digest or an id, no tag that can move.
        memory_bytes, processes: limits of the whole sandbox.
        files_bytes: size of the folder that programs write to.
    """

    packages: tuple[str, ...] = ()
    warm: tuple[str, ...] = ()
    image: str = ""
    memory_bytes: int = 1 << 30
    processes: int = 64
    files_bytes: int = 64 << 20


@dataclass(slots=True)
class Started:
    """A command that starts a sandbox, which talks on its standard input and output.

    Args:
        name: of the backend.
        command, environment: what is executed.
        settings: what `guest.native.main` is given.
        around: what confines programs besides what the warm parent itself does.
        stop: a command that ends what the command, when it is killed, leaves behind.
        group: the control group of its programs.
        descriptors: open files that it inherits.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    settings: dict[str, Any]
    around: tuple[str, ...] = ()
    stop: list[str] = field(default_factory=list)
    group: Group | None = None
    descriptors: tuple[int, ...] = ()

    def close_descriptors(self) -> None:
        """Close our copies of what the sandbox has inherited."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = ()


Start = Callable[[Options], Started]


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to start a sandbox.

    Args:
        name: as users choose it.
        start: makes the command.
        missing: says what is not there, "" if nothing is missed; it starts nothing.
    """

    name: str
    start: Start
    missing: Callable[[], str]


@cache
def backends() -> dict[str, Backend]:
    """All backends by name."""
    from reward_scorers.sandbox.backends import bubblewrap, containers, gvisor, native

    found = (bubblewrap.BACKEND, native.BACKEND, containers.DOCKER, containers.PODMAN)
    return {backend.name: backend for backend in (*found, gvisor.BACKEND)}
