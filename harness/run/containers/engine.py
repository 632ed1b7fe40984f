"""What the backends of container engines have in common: what they look for, how a session goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, InfrastructureError
from harness.run.containers import container as cells
from harness.run.containers.backend import CellExit, Ending
from harness.run.containers.leases import Lease, reaper, remove_all, remove_dead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from harness.run.containers.backend import Job, Probe
    from harness.run.containers.leases import Keeper
    from harness.run.containers.watching import Watcher


def cannot_limit(engine: str, limits: Mapping[str, bool]) -> str:
    """Why an engine is refused whose limits do not all bind; empty if they do."""
    unbound = [name for name, binds in limits.items() if not binds]
    return f"{engine} cannot limit {' and '.join(unbound)} here" if unbound else ""


@dataclass(frozen=True, slots=True)
class Found:
    """What cells are run by.

    Attributes:
        image: as it is asked for.
        id: of the image, as the engine has it.
        more: what else a record is told of it.
    """

    probe: Probe
    image: cells.Image
    id: str
    more: Mapping[str, object]

    @classmethod
    def of(cls, probe: Probe, image: cells.Image, identity: str, **more: object) -> Found:
        """With what is told beside."""
        return cls(probe, image, identity, more)


class EngineBackend(ABC):
    """Runs each cell in a container of an engine."""

    def __init__(self, image: str) -> None:
        self._wanted = image
        self._found: Found | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """What `container:` in a suite says."""

    @abstractmethod
    def look(self) -> Found:
        """What cells would be run by now. What a session began with does not change by it.

        Raises:
            HarnessError: the engine or the image is not there, or a limit does not bind.
        """

    def missing(self) -> str:
        """Why no cell can be run by it on this machine, and what to type; empty if one can."""
        try:
            self.look()
        except HarnessError as error:
            return str(error)
        return ""

    @contextmanager
    def session(self, owner: Path) -> Iterator[None]:
        """What cells are started in.

        Raises:
            InfrastructureError: as `look`.
        """
        self._found = self.look()
        yield

    @property
    def found(self) -> Found:
        """What the session runs cells by."""
        assert self._found is not None, "cells are started within a session"
        return self._found

    def provenance(self) -> Mapping[str, object]:
        """The engine and the image that is asked for; a cell's record has the one that ran."""
        if self._found is None:
            return {"backend": self.name, "digest": None}
        probe, image = self._found.probe, self._found.image
        return {
            "backend": self.name,
            "engine": probe.version,
            "rootless": probe.rootless,
            "cgroup": probe.cgroup,
            "image": image.name,
            "digest": self._found.id,
            "manifest": image.digest,
            **self._found.more,
        }

    def facts(self, job: Job) -> dict[str, object]:
        """What the record of a cell is told of its container."""
        return {**self.provenance(), "gpus": list(job.gpus)}


class LeasingBackend(EngineBackend):
    """One whose containers outlive the process that started them."""

    def __init__(self, image: str) -> None:
        super().__init__(image)
        self._lease: Lease | None = None

    @abstractmethod
    def keeper(self) -> Keeper:
        """What lists and removes its containers."""

    @contextmanager
    def session(self, owner: Path) -> Iterator[None]:
        """What cells are started in; containers of dead runs are removed first.

        Raises:
            InfrastructureError: as `look`.
        """
        with super().session(owner):
            keeper = self.keeper()
            remove_dead(keeper)
            self._lease = Lease.new(owner)
            with reaper(self.name, self._lease) as beside:
                try:
                    yield
                finally:
                    with suppress(InfrastructureError):  # then the reaper does it, or the next run
                        remove_all(keeper, self._lease.id)
                        beside.dismiss()

    @property
    def lease(self) -> Lease:
        """That of the session."""
        assert self._lease is not None, "cells are started within a session"
        return self._lease


class LeasedCell:
    """A running cell of a leasing backend."""

    def __init__(
        self, watcher: Watcher, job: Job, ownership: cells.Ownership, facts: Mapping[str, object]
    ) -> None:
        self._watcher = watcher
        self._job = job
        self._ownership = ownership
        self._facts = facts

    def stop(self) -> None:
        """Ask the cell to end, and kill it a little later."""
        self._watcher.end(Ending.STOPPED)

    def _let_go(self) -> None:
        self._watcher.log.abandon()
        self._ownership.take_back(self._job)

    def _require_image(self, found: object) -> None:
        if found != self._facts["digest"]:
            raise cells.not_this_image(str(self._facts["digest"]), found)

    def _exit(self, code: int, state: Mapping[str, Any], *, is_lost: bool) -> CellExit:
        """How the cell ended, of what the engine says of its container."""
        ending = self._watcher.ending
        if ending is Ending.EXITED and is_lost:
            ending = Ending.ENGINE_LOST
        elif ending is Ending.EXITED and code != 0 and self._was_out_of_memory(state):
            ending = Ending.MEMORY_LIMIT
        return CellExit(
            ending=ending,
            code=cells.signed(code),
            wall_s=self._watcher.wall_s,
            cpu_s=None,
            peak_bytes=None,
            container=self._facts,
            kills_are_told=True,
        )

    def _was_out_of_memory(self, state: Mapping[str, Any]) -> bool:
        # An engine does not notice each time; the first process in the container does.
        return bool(state.get("OOMKilled")) or cells.was_out_of_memory(self._job)
