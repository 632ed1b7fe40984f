"""Seccomp profiles of containers, in Docker's format.

Docker's own profile forbids what the warm parent does to confine programs: new namespaces, and
mounts in them. `profile` is for the container of a sandbox alone: it lets the warm parent do that,
and beyond it nothing that the filter for programs (`guest.seccomp`) does not. `service_profile` is
for a container in which a service with a sandbox of backend `native` or `bubblewrap` runs:

    python -m reward_scorers.sandbox.backends.profile > seccomp.json
    docker run --security-opt seccomp=seccomp.json --security-opt apparmor=unconfined ...
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from reward_scorers.sandbox.guest.numbers import NUMBERS
from reward_scorers.sandbox.guest.seccomp import ALLOWED, FORBIDDEN, REFUSED

# What starts Python, confines it and programs, and passes reports on.
_WARM_PARENT: Final = frozenset(
    {
        "capget",
        "capset",
        "execve",
        "mount",
        "mount_setattr",
        "pivot_root",
        "setgroups",
        "sethostname",
        "setresgid",
        "setresuid",
        "splice",
        "umount2",
        "unshare",
    }
)
# What services may need that programs do not: debuggers, memory of other processes and nodes.
_SERVICE: Final = frozenset(
    {
        "chroot",
        "kcmp",
        "migrate_pages",
        "modify_ldt",
        "move_pages",
        "name_to_handle_at",
        "pidfd_getfd",
        "process_madvise",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
    }
)
_EPERM: Final = 1
_ENOSYS: Final = 38
_MACHINES: Final = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")


def profile() -> dict[str, Any]:
    """The profile for a sandbox alone, the same for every machine."""
    refused = (REFUSED | FORBIDDEN) - _WARM_PARENT
    unknown = set(NUMBERS) - ALLOWED - _WARM_PARENT - refused
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _ENOSYS,
        "archMap": [{"architecture": name, "subArchitectures": []} for name in _MACHINES],
        "syscalls": [
            {"names": sorted(ALLOWED | _WARM_PARENT), "action": "SCMP_ACT_ALLOW"},
            _refused(refused, _EPERM),
            # Old engines answer EPERM to what is not listed, and the C library then does not fall
            # back on what is.
            _refused(unknown, _ENOSYS),
        ],
    }


def service_profile() -> dict[str, Any]:
    """The profile for a service: all but what only attacks on a kernel need."""
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{"architecture": name, "subArchitectures": []} for name in _MACHINES],
        "syscalls": [_refused(FORBIDDEN - _WARM_PARENT - _SERVICE, _EPERM)],
    }


def _refused(names: set[str] | frozenset[str], error: int) -> dict[str, Any]:
    return {"names": sorted(names), "action": "SCMP_ACT_ERRNO", "errnoRet": error}


if __name__ == "__main__":
    json.dump(service_profile(), sys.stdout, indent=1)
