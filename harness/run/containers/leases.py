"""Whose containers are whose, and the removal of those whose run is dead.

Every container carries labels that say which run it belongs to: a file that the run holds a lock
on while it lives. How a run ends does not matter: the kernel gives the lock back. A reaper, a small
process beside the run, removes what is left when that happens; what it could not remove, the next
run does, or `harness gc`.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from harness.errors import InfrastructureError
from harness.run.claims import is_claimed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX: Final = "rl-scaling-harness."
LEASE: Final = PREFIX + "lease"  # one session of one run
OWNER: Final = PREFIX + "owner"  # the file that the run holds a lock on
HOST: Final = PREFIX + "host"  # the machine, and how long it has been up
VIEW: Final = PREFIX + "view"  # which files the run sees
CELL: Final = PREFIX + "cell"


@dataclass(frozen=True, slots=True)
class Lease:
    """What ties containers to a run."""

    id: str
    owner: Path

    @classmethod
    def new(cls, owner: Path) -> Lease:
        """A lease for a session of the run that holds a lock on `owner`."""
        return cls(uuid.uuid4().hex, owner.absolute())

    def labels(self, cell: str) -> dict[str, str]:
        """The labels of the container of a cell."""
        return {
            LEASE: self.id,
            OWNER: str(self.owner),
            HOST: this_host(),
            VIEW: _view(),
            CELL: cell,
        }


@dataclass(frozen=True, slots=True)
class Left:
    """A container that carries our labels."""

    id: str
    labels: Mapping[str, str]
    state: str = ""


class Keeper(Protocol):
    """An engine, as far as removing containers goes."""

    def list(self, label: str) -> Iterable[Left]:
        """All containers, running or not, with this label: KEY or KEY=VALUE."""

    def remove(self, container: str) -> None:
        """Kill and remove it; one that is gone is no error."""


def is_dead(labels: Mapping[str, str]) -> bool:
    """Whether the run that these labels name is dead; False where that cannot be known."""
    machine, _, boot = labels.get(HOST, "").partition("/")
    own_machine, _, own_boot = this_host().partition("/")
    owner = labels.get(OWNER)
    if not owner or machine != own_machine:
        return False
    if boot != own_boot:
        return True
    if labels.get(VIEW) != _view():
        return False  # a path means another file there
    try:
        return not is_claimed(Path(owner))
    except OSError:
        return False


def dead_ones(keeper: Keeper) -> list[Left]:
    """The containers of dead runs."""
    return [left for left in keeper.list(OWNER) if is_dead(left.labels)]


def remove_dead(keeper: Keeper) -> None:
    """Remove the containers of dead runs."""
    for left in dead_ones(keeper):
        keeper.remove(left.id)


def remove_all(keeper: Keeper, lease: str) -> int:
    """Remove every container of a lease, and return how many there were."""
    found = list(keeper.list(f"{LEASE}={lease}"))
    for left in found:
        keeper.remove(left.id)
    return len(found)


class Reaper:
    """The process beside a run that removes its containers when the run is gone."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._is_needed = True

    def dismiss(self) -> None:
        """Say that nothing is left to be removed."""
        self._is_needed = False

    def end(self) -> None:
        """Let it go: to its work if it is needed, which nobody waits for."""
        assert self._process.stdin is not None
        with suppress(OSError):
            if not self._is_needed:
                self._process.stdin.write(b"done\n")
            self._process.stdin.close()
        if not self._is_needed:
            self._process.wait()


@contextmanager
def reaper(engine: str, lease: Lease) -> Iterator[Reaper]:
    """For the block, have a process that removes the lease's containers once this one is gone.

    It does so after the block, too, unless it was dismissed in it.

    Raises:
        InfrastructureError: no process can be started.
    """
    module = "harness.run.containers.reaper"
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, engine, lease.id],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a signal to this process's group must not reach it
            cwd="/",
        )
    except OSError as error:
        raise InfrastructureError(f"no process can be started: {error}") from error
    found = Reaper(process)
    try:
        yield found
    finally:
        found.end()


@cache
def this_host() -> str:
    """This machine and its current boot, as MACHINE/BOOT."""
    machine = _content("/etc/machine-id") or platform.node()
    return f"{machine}/{_content('/proc/sys/kernel/random/boot_id')}"


@cache
def _view() -> str:
    try:
        return os.readlink("/proc/self/ns/mnt")  # noqa: PTH115 - no path
    except OSError:
        return ""


def _content(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
