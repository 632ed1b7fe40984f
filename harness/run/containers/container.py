"""One cell's container, whatever the engine: image, command, mounts, user, environment, labels.

It has no network, no capability, a read-only root, our seccomp profile and a user that is not root.
Of this machine it sees the cell's spec, the data sets pinned in it, and the two folders it writes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from harness.data.stage import NOTE_SUFFIX
from harness.errors import InfrastructureError, SuiteError
from harness.run.containers.data import mountable
from harness.run.containers.environment import fixed_environment
from harness.run.disk import read_regular, walk, writing
from harness.run.record import SPEC_FILE, USAGE_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.run.containers.backend import Job

# Where things are for a cell in a container.
_CELL: Final = PurePosixPath("/cell")
SPEC: Final = _CELL / SPEC_FILE
OUT: Final = _CELL / "out"
RESUME: Final = _CELL / "resume"
DATA: Final = PurePosixPath("/data")
SCRATCH: Final = PurePosixPath("/tmp")  # noqa: S108 - a container's own

COMMAND: Final = ("python3", "-P", "-m", "harness.cell", str(SPEC), str(OUT))

# A user without a name and, on most machines, without anything that belongs to it.
USER_OF_ROOT: Final = 65532

DEFAULT_PIDS: Final = 1024
DEFAULT_SCRATCH_BYTES: Final = 1 << 30
_MEMORY_SHARE: Final = 0.9  # of this machine's, for all cells together
OPEN_FILES: Final = 4096

_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")
_PINNED: Final = re.compile(r"\S+@sha256:[0-9a-f]{64}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of this machine, and where a cell finds it."""

    source: Path
    target: PurePosixPath
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is asked for: `reference` is an id or NAME@sha256:..., never a tag.

    Attributes:
        name: in docker/images.lock.toml, or the reference itself.
        id: of the image, if it is known before the engine is asked.
        digest: of its manifest, if it is known.
    """

    name: str
    reference: str
    id: str | None = None
    digest: str | None = None


def find_image(name: str) -> Image:
    """The image that `image:` in a suite names.

    Args:
        name: in docker/images.lock.toml, or an image by its content: sha256:... or
            NAME@sha256:...

    Raises:
        SuiteError: a tag, which can be moved to another image.
        InfrastructureError: it is neither built here nor locked for this version of the harness.
    """
    if _ID.fullmatch(name):
        return Image(name, name, id=name)
    if _PINNED.fullmatch(name):
        return Image(name, name, digest=name.partition("@")[2])
    if not _NAME.fullmatch(name):
        raise SuiteError(
            f"image {name!r} is not pinned: a tag can be moved to another image",
            expected="a name in docker/images.lock.toml, NAME@sha256:... or sha256:...",
            hint="docker image inspect --format '{{.Id}}' " + name + "   says what to write",
        )
    from harness.images import resolve

    found = resolve(name)
    return Image(name, found.id, found.id, found.digest)


def how_to_get(image: Image, engine: str) -> str:
    """What to type where an engine lacks an image."""
    if image.name != image.reference:
        return f"harness images load {image.name}   (make images builds it first)"
    if "@" in image.reference:
        return f"{engine} pull {image.reference}"
    return f"name an image that `{engine} image ls --no-trunc` shows, or NAME@sha256:..."


def mounts(job: Job) -> tuple[Mount, ...]:
    """What a cell sees of this machine.

    A link among the data is mounted as what it leads to; a note why a data set is absent, as it is.

    Raises:
        InfrastructureError: the disk refuses.
    """
    found = [
        Mount(mountable(job.folder / SPEC_FILE, job.folder / "seen" / SPEC_FILE), SPEC),
        Mount(job.out, OUT, writable=True),
        Mount(job.resume, RESUME, writable=True),
    ]
    for path in job.data:
        for name in (path, path + NOTE_SUFFIX):
            source = job.data_root / name
            if source.exists():
                found.append(Mount(mountable(source, job.folder / "data" / name), DATA / name))
    return tuple(found)


def refuse_in_name(one: Mount, letters: str) -> None:
    """Refuse what an engine's command line would take for something else.

    Raises:
        InfrastructureError: a path has one of these letters.
    """
    if any(letter in f"{one.source}{one.target}" for letter in letters):
        raise InfrastructureError(
            f"the engine cannot mount a path that has one of {' '.join(letters)} in its name",
            where=str(one.source),
            hint="name another --workspace, or another path under `data:`; docker takes any name",
        )


def environment(job: Job) -> Mapping[str, str]:
    """The variables that a cell gets beside those of its image."""
    fixed = fixed_environment(SCRATCH, DATA, RESUME)
    if not job.gpus:
        # Where NVIDIA's runtime is the default one, an image may ask for all GPUs by this variable.
        fixed["NVIDIA_VISIBLE_DEVICES"] = "void"
    if any(gpu.startswith("MIG-") for gpu in job.gpus):
        return fixed  # parts of GPUs have no device files of their own, so that cells cannot count
    return {**fixed, "HARNESS_GPUS": str(len(job.gpus))}


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who the cell is, and what has to be done to the files of it so that it may write them.

    Attributes:
        user: uid:gid inside the container.
        given_to: uid on this machine that the folders are given to while it runs; None: nobody.
    """

    user: str
    given_to: int | None = None

    @classmethod
    def of_this_process(cls, *, rootless: bool, keeps_id: bool) -> Ownership:
        """A user that is not root on this machine.

        Args:
            rootless: whether the engine has no rights beyond those of this process's user.
            keeps_id: whether it then gives the cell this user's own number.
        """
        uid, gid = os.geteuid(), os.getegid()
        if uid == 0:
            return cls(f"{USER_OF_ROOT}:{USER_OF_ROOT}", USER_OF_ROOT)
        if rootless and not keeps_id:
            return cls("0:0")  # of a user namespace whose root is this user
        return cls(f"{uid}:{gid}")

    def give(self, job: Job, *others: Path) -> None:
        """Let the cell write its folders, and others.

        Raises:
            InfrastructureError: the disk refuses.
        """
        with writing(job.resume):
            job.resume.mkdir(parents=True, exist_ok=True)
            if self.given_to is not None:
                for folder in (job.out, job.resume, *others):
                    _change_owner(folder, self.given_to)

    def take_back(self, job: Job, *others: Path) -> None:
        """Make all that the cell wrote this process's own again, to read and to remove."""
        for folder in (job.out, job.resume, *others):
            with suppress(OSError):
                if self.given_to is not None:
                    _change_owner(folder, os.geteuid())
                elif os.geteuid() != 0:
                    _open_up(folder)


def _change_owner(folder: Path, owner: int) -> None:
    os.chown(folder, owner, owner)
    for entry in walk(folder):
        os.chown(entry.path, owner, owner, follow_symlinks=False)


def _open_up(folder: Path) -> None:
    """Let this user read and remove what it owns; root can anyway."""
    for entry in walk(folder):  # which looks into a folder after it was handed out here
        if not entry.is_symlink():
            mode = stat.S_IMODE(entry.stat().st_mode)
            os.chmod(entry.path, mode | (0o700 if entry.is_dir() else 0o600))  # noqa: PTH101


def memory_bytes(job: Job) -> int:
    """What a cell may use of memory; without a limit of its own, nearly all of this machine's."""
    limit = job.limits.memory_bytes
    return memory_of_machine() if limit is None else limit


def memory_of_machine() -> int:
    """Bytes of this machine's memory that cells may share."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(_MEMORY_SHARE * total)


def scratch_bytes(job: Job) -> int:
    """How large the folder in memory is that a cell has for what it does not keep."""
    limit = job.limits.disk_bytes
    return DEFAULT_SCRATCH_BYTES if limit is None else min(limit, DEFAULT_SCRATCH_BYTES)


def was_out_of_memory(job: Job) -> bool:
    """Whether the kernel killed a process of the cell, as the container's first process tells."""
    try:
        told = json.loads(read_regular(job.out / USAGE_FILE))
        return int(told["oom_kills"]) > 0
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False


def signed(code: int) -> int:
    """An exit status of a shell as Python has it: minus the number of a signal."""
    return 128 - code if 128 < code <= 128 + signal.NSIG else code


def not_this_image(wanted: str, ran: object) -> InfrastructureError:
    """The engine started something else than it was asked for."""
    return InfrastructureError(
        "the engine ran another image than the one that it was asked for",
        expected=wanted,
        found=str(ran),
        hint="remove the image there, then `make images`",
    )
