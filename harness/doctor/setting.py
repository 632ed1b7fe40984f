"""What the checks look at, and what a run needs of it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.doctor.finding import Finding, State
from harness.run.health import Nvml, nvml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.steps import Loaded

# Scorers that run programs which a model has written (docs/sandbox.md).
_RUN_PROGRAMS: Final = frozenset({"code", "cruxeval_input"})
_COMMAND_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Needs:
    """What one cell of a tier needs, and how many run at a time; by default, next to nothing.

    Attributes:
        suite: as it was named; None where no suite was.
        container: a backend's name, or auto.
        image: of the container.
        memory_bytes, cpus, pids, disk_bytes: what the tier asks for each cell; None: not said.
        sandbox: whether programs written by a model are run.
        workers: cells at a time.
    """

    suite: str | None = None
    tier: str | None = None
    engine: str = "replay"
    container: str = "process"
    image: str = "cpu"
    gpus: int = 0
    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int | None = None
    disk_bytes: int | None = None
    sandbox: bool = False
    workers: int = 1

    def container_may_be(self, name: str) -> bool:
        """Whether cells would run in this backend, as far as the suite says."""
        return self.container in (name, "auto")


def needs_of(loaded: Loaded) -> Needs:
    """What a tier needs of a machine."""
    tier, request = loaded.tier, loaded.request
    asked = tier.resources
    return Needs(
        suite=request.suite,
        tier=tier.name,
        engine=tier.engine,
        container=tier.container,
        image=tier.image,
        gpus=asked.gpus,
        memory_bytes=_bytes(asked.memory_gb),
        cpus=asked.cpus,
        pids=asked.pids,
        disk_bytes=_bytes(asked.disk_gb),
        sandbox=not _RUN_PROGRAMS.isdisjoint(tier.scorers),
        workers=request.workers,
    )


def _bytes(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * 1e9)


def ask(words: Sequence[str], timeout_s: float = _COMMAND_S) -> str | None:
    """What a program prints; None if there is none, it fails, or it does not answer in time."""
    try:
        done = subprocess.run(
            list(words),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@dataclass(frozen=True)
class Setting:
    """What the checks look at.

    Attributes:
        loaded: the suite and tier that were chosen; None: none were.
        root: the folder that holds proc, sys, etc and var.
        ask: runs a program, and tells what it prints or None.
    """

    needs: Needs = Needs()
    workspace: Path = Path("runs")
    loaded: Loaded | None = None
    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    library: Nvml = field(default_factory=nvml)
    ask: Callable[[Sequence[str]], str | None] = ask

    def number(self, path: str) -> int | None:
        """The whole number in a file below the root; None if there is none."""
        try:
            return int((self.root / path).read_text())
        except (OSError, ValueError):
            return None

    def text(self, path: str) -> str | None:
        """The text of a file below the root; None if it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return None


def lacking(
    topic: str, what: str, found: str, *, needed: bool, expected: str = "", fix: str = ""
) -> Finding:
    """A finding of something that is not there: a miss if it is needed, else a note."""
    return Finding(topic, what, State.MISS if needed else State.NOTE, found, expected, fix)


def gigabytes(count: float) -> str:
    """Bytes for a person: 24.7 GB, 512 MB."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"
