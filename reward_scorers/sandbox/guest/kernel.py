"""The system calls that Python does not offer, by ctypes: namespaces, mounts, Landlock, seccomp.

All that isolates a program goes through this module, so that it can be audited as a whole. Each
function is one system call and raises OSError with its name. Structures and constants are those of
the kernel's uapi headers. Nothing here allocates a thread or keeps a state.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from typing import TYPE_CHECKING

from .numbers import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable

# PyDLL keeps the interpreter's lock during a call: `clone_process` returns in two processes.
_LIBC = ctypes.PyDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

MACHINES = {"x86_64": 0, "aarch64": 1}  # machine -> column of NUMBERS
MACHINE = os.uname().machine

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2
_AT_RECURSIVE = 0x8000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
_LAST_CAPABILITY = 63

_SECCOMP_SET_MODE_FILTER = 1

# Landlock's rights over files, by the version of its interface that brought them.
_LANDLOCK_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
_LANDLOCK_READ = 0b1100  # read a file, list a folder
_LANDLOCK_FILE = 0x4006  # read, write, truncate
_LANDLOCK_NEVER = 0x8A41  # execute; make a device or a socket; control a device
_LANDLOCK_NET = 0b11  # bind and connect TCP, from version 4
_LANDLOCK_SCOPED = 0b11  # abstract unix sockets and signals, from version 6
_LANDLOCK_RULE_PATH = 1
_LANDLOCK_VERSION = 1


def number(name: str) -> int:
    """A system call's number on this machine."""
    found = NUMBERS[name][MACHINES[MACHINE]]
    if found is None:
        raise OSError(38, f"{name} does not exist on {MACHINE}")
    return found


def _checked(name: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def _call(name: str, *arguments: int | bytes | None) -> int:
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return _checked(name, _LIBC.syscall(ctypes.c_long(number(name)), *words))


def unshare(flags: int) -> None:
    """Move this process to new namespaces."""
    _call("unshare", flags)


def clone_process(flags: int) -> int:
    """Fork into new namespaces: 0 in the child, the child's number in the parent.

    Unlike os.fork, nothing of Python is told. The process must have one thread only.
    """
    return _call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)


def mount(
    source: str | None,
    target: str,
    kind: str | None = None,
    flags: int = 0,
    data: str | None = None,
) -> None:
    """Mount a file system, or change a mount."""
    _call("mount", _path(source), _path(target), _path(kind), flags, _path(data))


def restrict_mounts(target: str) -> None:
    """Make a mount and all below it read-only, without devices and privileged programs."""
    flags = MS_RDONLY | MS_NOSUID | MS_NODEV  # as MOUNT_ATTR_...
    attributes = struct.pack("<4Q", flags, 0, 0, 0)
    _call("mount_setattr", -1, _path(target), _AT_RECURSIVE, attributes, len(attributes))


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    """Take a mount away."""
    _call("umount2", _path(target), flags)


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root of this mount namespace, and the old root a mount at `old`."""
    _call("pivot_root", _path(new), _path(old))


def set_host_name(name: str) -> None:
    """Name this uts namespace."""
    _call("sethostname", _path(name), len(name))


def prctl(option: int, *arguments: int) -> None:
    """Change something of this process."""
    padded = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    _checked("prctl", _LIBC.prctl(option, *padded))


def no_new_privileges() -> None:
    """From here on, no program that is started gains a privilege."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent() -> None:
    """Have this process killed when the thread that forked it ends."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of processes below this one whose parent ends."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def drop_bounding_set() -> None:
    """Give up what starting a program with file capabilities would give."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # this kernel has fewer, or this process may not (then it has none)
            break


def drop_capabilities() -> None:
    """Give up every capability, for good where `no_new_privileges` goes with it."""
    header = struct.pack("<Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _call("capset", header, bytes(24))


def landlock_version() -> int:
    """The version of Landlock's interface, 0 where there is none."""
    try:
        return _call("landlock_create_ruleset", None, 0, _LANDLOCK_VERSION)
    except OSError:
        return 0


def paths_ruleset(readable: Iterable[int], writable: Iterable[int]) -> int:
    """Landlock: a ruleset by which files are seen only below these open folders or files.

    Nor may who is restricted by it use TCP, or signal and connect to processes outside.

    Args:
        readable: descriptors; read only.
        writable: descriptors; everything but execution and devices.

    Returns:
        A descriptor for `restrict_paths`.
    """
    version = landlock_version()
    known = _LANDLOCK_RIGHTS[max(step for step in _LANDLOCK_RIGHTS if step <= version)]
    rights = (1 << known) - 1
    handled = [rights]
    if version >= 4:
        handled.append(_LANDLOCK_NET)
    if version >= 6:
        handled.append(_LANDLOCK_SCOPED)
    told = struct.pack(f"<{len(handled)}Q", *handled)
    ruleset = _call("landlock_create_ruleset", told, len(told), 0)
    for descriptor in readable:
        _add_rule(ruleset, descriptor, rights & _LANDLOCK_READ)
    for descriptor in writable:
        _add_rule(ruleset, descriptor, rights & ~_LANDLOCK_NEVER)
    return ruleset


def restrict_paths(ruleset: int) -> None:
    """Restrict this process, and those that it forks from here on, by a ruleset of Landlock."""
    _call("landlock_restrict_self", ruleset, 0)


def _add_rule(ruleset: int, descriptor: int, rights: int) -> None:
    if not _is_folder(descriptor):  # for which the rights of folders are an error
        rights &= _LANDLOCK_FILE
    rule = struct.pack("<Qi", rights, descriptor)
    _call("landlock_add_rule", ruleset, _LANDLOCK_RULE_PATH, rule, 0)


def _is_folder(descriptor: int) -> bool:
    return os.fstat(descriptor).st_mode & 0o170000 == 0o040000


def filter_calls(program: bytes) -> None:
    """Install a seccomp filter (an array of BPF instructions) for this process and its children."""
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    _call("seccomp", _SECCOMP_SET_MODE_FILTER, 0, head)


def _path(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)
