"""What the kernel offers to confine programs: user namespaces, seccomp, Landlock, control groups.

None is needed by itself: the code scorer and the engines need some of them, and say so themselves.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import TYPE_CHECKING, Final

from harness.doctor.finding import Finding, State
from harness.doctor.registry import check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.doctor.setting import Setting

TOPIC: Final = "namespaces"
# landlock_create_ruleset has this number on every architecture that has it.
_LANDLOCK: Final = 444
_LANDLOCK_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION
_WANTED: Final = ("memory", "pids", "cpu")


@check(TOPIC)
def namespaces(setting: Setting) -> Iterator[Finding]:
    """What there is, and the setting that stands in the way of what there is not."""
    yield user_namespaces(setting)
    yield seccomp(setting)
    yield landlock(landlock_abi())
    yield control_groups(setting)


def user_namespaces(setting: Setting) -> Finding:
    """Whether a user without rights may make a user namespace."""
    what = "user namespaces"
    most = setting.number("proc/sys/user/max_user_namespaces")
    if most is None:
        return Finding(TOPIC, what, State.NOTE, "this kernel has none")
    for path, forbids in (
        ("user/max_user_namespaces", 0),
        ("kernel/unprivileged_userns_clone", 0),  # Debian, Arch
        ("kernel/apparmor_restrict_unprivileged_userns", 1),  # Ubuntu 23.10 and later
    ):
        if setting.number(f"proc/sys/{path}") == forbids:
            name = path.replace("/", ".")
            allowed = {0: 1, 1: 0}[forbids] if "max" not in path else 15000
            return Finding(
                TOPIC,
                what,
                State.NOTE,
                f"forbidden by {name} = {forbids}",
                "allowed",
                f"sudo sysctl -w {name}={allowed}",
            )
    return Finding(TOPIC, what, State.OK, f"allowed, up to {most}")


def seccomp(setting: Setting) -> Finding:
    """Whether system calls can be filtered."""
    actions = setting.text("proc/sys/kernel/seccomp/actions_avail")
    if actions is None:
        return Finding(
            TOPIC, "seccomp", State.NOTE, "this kernel has none", "CONFIG_SECCOMP_FILTER=y"
        )
    return Finding(TOPIC, "seccomp", State.OK, "filters of system calls")


def landlock(abi: int | None) -> Finding:
    """Whether a program can be kept from files by Landlock."""
    if abi is None:
        return Finding(
            TOPIC,
            "Landlock",
            State.NOTE,
            "this kernel has none, or it is switched off",
            "Linux 5.13 or later, and landlock among its modules",
            "cat /sys/kernel/security/lsm   # add landlock to the kernel's parameter lsm=",
        )
    return Finding(TOPIC, "Landlock", State.OK, f"ABI {abi}")


def landlock_abi() -> int | None:
    """The version of Landlock that the kernel speaks; None without."""
    if platform.system() != "Linux":
        return None
    call = ctypes.CDLL(None, use_errno=True).syscall
    version = call(_LANDLOCK, None, ctypes.c_size_t(0), ctypes.c_uint32(_LANDLOCK_VERSION))
    return version if version > 0 else None


def control_groups(setting: Setting) -> Finding:
    """Their version, and whether memory, processes and cores can be limited for this user."""
    what = "control groups"
    told = setting.text("sys/fs/cgroup/cgroup.controllers")
    if told is None:
        folder = setting.root / "sys/fs/cgroup"
        names = [name for name in _WANTED if (folder / name).is_dir()]
        if not names:
            return Finding(TOPIC, what, State.NOTE, "none are mounted", "version 2")
        found = f"version 1: {', '.join(names)}"
        if os.geteuid() != 0:
            return Finding(TOPIC, what, State.NOTE, f"{found}; for root only", "version 2")
        return Finding(TOPIC, what, State.OK, found)
    controllers = [name for name in _WANTED if name in told.split()]
    lacks = [name for name in _WANTED if name not in controllers]
    if lacks:
        fix = "sudo systemctl set-property user.slice Delegate=yes"
        found = f"version 2 without {', '.join(lacks)}"
        return Finding(TOPIC, what, State.NOTE, found, ", ".join(_WANTED), fix)
    return Finding(TOPIC, what, State.OK, f"version 2: {', '.join(controllers)}")
