"""Backend `native`: namespaces, Landlock and seccomp by system calls; nothing to install."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import sys
from typing import Any, Final

from reward_scorers.sandbox import cgroups
from reward_scorers.sandbox.backends.backend import (
    ENVIRONMENT,
    STARTED_WITH,
    Backend,
    Options,
    Started,
)
from reward_scorers.sandbox.packages import package_paths
from reward_scorers.sandbox.slot import FLAGS, boot

# Above the ranges that distributions and systemd hand out (systemd.io/UIDS-GIDS).
FIRST_USER: Final = 1_879_100_000
_USERS: Final = 1_000_000


def start(options: Options) -> Started:
    """A Python that confines itself."""
    group = cgroups.new_group(options.memory_bytes, options.processes)
    descriptors = group.descriptors() if group else ()
    return Started(
        name="native",
        command=[python(), *FLAGS, "-c", boot()],
        environment=dict(STARTED_WITH),
        settings=settings(options) | {"groups": list(descriptors)},
        around=("cgroup",) if group else (),
        group=group,
        descriptors=descriptors,
    )


def python() -> str:
    """The interpreter itself, not a virtual environment's link to it."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def settings(options: Options) -> dict[str, Any]:
    """What `guest.native.main` is given."""
    return {
        "user": free_user(),
        "packages": package_paths(options.packages),
        "warm": list(options.warm),
        "groups": [],
        "files_bytes": options.files_bytes,
        "grouped": False,
        "shared": False,
        "environment": ENVIRONMENT,
    }


def free_user() -> int:
    """A user of this machine that nobody is, for a sandbox, where we are root.

    Limits of processes count by user, and do not bind root. Where not all numbers may be used, as
    in a container with users of its own, the highest of those that may.
    """
    user = FIRST_USER + secrets.randbelow(_USERS)
    with open("/proc/self/uid_map", encoding="ascii") as file:  # noqa: PTH123 - one line of text
        ranges = [tuple(map(int, line.split())) for line in file]
    if any(first <= user < first + count for first, _, count in ranges):
        return user
    highest = max(first + count - 1 for first, _, count in ranges)
    return highest - secrets.randbelow(min(_USERS, highest)) if highest else 0


def missing(program: str = "", install: str = "") -> str:
    """What this machine lacks; more is seen when a sandbox starts.

    Args:
        program: that a backend needs besides.
        install: how it is had.
    """
    if sys.platform != "linux":
        return (
            f"programs can be confined by Linux only, and this is {platform.system()}: install"
            ' Docker or Podman and choose backend="docker" or backend="podman" with an image'
        )
    if program and shutil.which(program) is None:
        return f"{program} is not installed: {install}"
    return ""


BACKEND: Final = Backend("native", start, missing)
