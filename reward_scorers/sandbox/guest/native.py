"""The sandbox by system calls alone: namespaces and a minimal root, unprivileged or as root.

The first process leaves all namespaces of the host, makes a root that holds Python, its libraries
and nothing else, all of it read-only, gives up its user and its capabilities, and becomes the warm
parent. Where namespaces may not be made, Landlock and seccomp alone confine the programs.
"""

from __future__ import annotations

import errno
import os
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

from . import box, kernel, server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OLD = "/old"
_DEVICES = ("null", "zero", "random", "urandom")
_PACKAGES = "/packages"
_WRITABLE = "/writable"
_KILLS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_DATA = ("/etc/ld.so.cache", "/usr/share/zoneinfo")

# statvfs flag -> mount flag: what a mount has and a remount must repeat.
_KEPT = {
    os.ST_NOSUID: 2,
    os.ST_NODEV: 4,
    os.ST_NOEXEC: 8,
    os.ST_NOATIME: 1024,
    os.ST_NODIRATIME: 2048,
    os.ST_RELATIME: 1 << 21,
}

_OUTER = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)


class Impossible(Exception):  # noqa: N818 - it says what is
    """This machine has no means to confine a program; the message says what is missing."""


def main(settings: Mapping[str, Any]) -> None:
    """Confine this process, then serve; the caller's process 1, or this one, ends with it.

    Args:
        settings: "user": whom to become where this is root; "packages": name -> path of what
            programs may import, None for what is installed here; "warm": modules to import first;
            "groups": descriptors of lists of processes of control groups; "files_bytes": size of
            the folder that programs write to; "grouped": whether the control group that is seen
            here was made for this sandbox; "shared": whether what is around this process (a
            kernel of its own) was made for it alone and does already what namespaces would.

    Raises:
        Impossible
    """
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for group in settings["groups"]:
        os.write(group, b"0")
        os.close(group)
    os.environ.clear()
    os.environ.update(settings["environment"])
    sys.path[:] = map(os.path.realpath, sys.path)
    oom = _open_kills() if settings["grouped"] else None
    packages = settings["packages"]
    if packages is None:
        packages = {}
        sys.path += _installed()
    shared = settings["shared"]
    paths = [] if shared else readable_paths()
    if settings["packages"] is None:
        paths += _installed()
    apart = not shared and _can_leave(settings, paths, packages)
    if apart:
        _leave(settings["user"])
        _fork_first()
        _make_root(paths, packages, settings["files_bytes"])
        sys.path.append(_PACKAGES)
    else:
        paths += packages.values()
        sys.path += sorted({os.path.dirname(path) for path in packages.values()})
    _become(settings["user"])
    if apart:
        kernel.die_with_parent()
    server.warm(settings["warm"])
    namespaces = apart and server.can_nest(proc)
    landlock = kernel.landlock_version()
    if not namespaces and not landlock and not shared:
        raise Impossible(
            "neither user namespaces (user.max_user_namespaces, or a seccomp or AppArmor profile"
            " that forbids them) nor Landlock (Linux 5.13, CONFIG_SECURITY_LANDLOCK)"
        )
    _check_access(paths)
    confined = {
        "namespaces": namespaces,
        "landlock": landlock,
        "writable": _WRITABLE if apart else box.SCRATCH,
        "readable": ["/"] if apart or shared else paths,
        "oom": oom,
        "files_bytes": settings["files_bytes"],
    }
    server.Server(confined, proc).serve()


def _installed() -> list[str]:
    """Where packages are installed for this Python, also where it is a virtual environment's."""
    import site

    prefixes = [sys.prefix]
    above = os.path.dirname(os.path.dirname(sys.executable))
    if os.path.exists(f"{above}/pyvenv.cfg"):
        prefixes = [above]
    folders = site.getsitepackages(prefixes)
    # Debian's Python names other folders, also for virtual environments, which do not have them.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders += [f"{prefix}/lib/{version}/site-packages" for prefix in prefixes]
    found = [os.path.realpath(path) for path in folders if os.path.isdir(path)]
    return list(dict.fromkeys(found))


def _open_kills() -> int | None:
    """The file that counts what was killed for want of memory, None where it is not seen."""
    for path in _KILLS:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
    return None


def _check_access(paths: Iterable[str]) -> None:
    """Python in the home folder of root, say, is of no use to the user that this process is now."""
    for path in paths:
        if not os.access(path, os.R_OK):
            raise Impossible(
                f"no namespaces, and user {os.geteuid()} of the sandbox may not read {path}:"
                " install Python where every user may read it"
            )
    if not os.access(box.SCRATCH, os.W_OK):
        raise Impossible(f"user {os.geteuid()} of the sandbox may not write to {box.SCRATCH}")


def _can_leave(
    settings: Mapping[str, Any], paths: Iterable[str], packages: Mapping[str, str]
) -> bool:
    """Whether it works to leave the host and to make a root: a process that ends tries.

    Namespaces may be had and yet be of no use, as with the AppArmor profiles of Ubuntu and Docker.
    """
    process = os.fork()
    if process == 0:
        try:
            _leave(settings["user"])
            _make_root(paths, packages, settings["files_bytes"])
        except OSError:
            os._exit(1)
        finally:
            os._exit(0)  # what else was raised is raised, and told, when it is done
    return os.waitpid(process, 0)[1] == 0


def _leave(user: int) -> None:
    """Leave the host's namespaces."""
    if os.geteuid() == 0:
        try:
            kernel.unshare(_OUTER)
        except PermissionError:  # root without CAP_SYS_ADMIN, as in a container
            _become(user)
        else:
            return
    outer = os.geteuid(), os.getegid()
    kernel.unshare(_OUTER | kernel.CLONE_NEWUSER)
    server.map_user(os.open("/proc", os.O_PATH | os.O_CLOEXEC), outer)


def _fork_first() -> None:
    """Go on in process 1 of the new namespace; this one waits for it and ends as it does."""
    process = os.fork()
    if process:
        os.close(0)
        os.close(1)
        _, status = os.waitpid(process, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def readable_paths() -> list[str]:
    """Where Python, its standard library and the shared libraries that they use lie."""
    names = sysconfig.get_paths()
    wanted = {names["stdlib"], names["platstdlib"], sysconfig.get_config_var("DESTSHARED")}
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            path = line.rstrip("\n").partition("/")[2]
            if ".so" in path:
                wanted.add(os.path.dirname(f"/{path}"))
    found = {os.path.realpath(path) for path in (*wanted, *_DATA) if path and os.path.exists(path)}
    return sorted(p for p in found if not any(p.startswith(f"{other}/") for other in found))


def _make_root(paths: Iterable[str], packages: Mapping[str, str], files_bytes: int) -> None:
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", "/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    os.mkdir(f"/tmp{_OLD}")
    os.chdir("/tmp")
    kernel.pivot_root("/tmp", f"/tmp{_OLD}")
    os.chdir("/")
    for path in paths:
        _bind(path, path)
    for name, path in packages.items():
        _bind(path, f"{_PACKAGES}/{name}")
    _links()
    os.mkdir("/dev")
    for name in _DEVICES:
        _bind(f"/dev/{name}", f"/dev/{name}", devices=True)
    os.symlink(box.SCRATCH, "/dev/shm")  # semaphores of multiprocessing
    os.makedirs(f"{_WRITABLE}/tmp")
    os.symlink(f"{_WRITABLE}/tmp", box.SCRATCH)
    # For programs that cannot have a file system of their own; others mount it over this one.
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("tmpfs", f"{_WRITABLE}/tmp", "tmpfs", flags, f"size={files_bytes},mode=1777")
    kernel.unmount(_OLD)
    os.rmdir(_OLD)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY
    kernel.mount(None, "/", None, flags | kernel.MS_NOSUID | kernel.MS_NODEV)
    kernel.set_host_name("sandbox")


def _links() -> None:
    """Links such as /lib -> usr/lib, which the linker and Python's own paths go through."""
    for name in ("/lib", "/lib64", "/bin"):
        old = f"{_OLD}{name}"
        if os.path.islink(old) and not os.path.lexists(name):
            os.symlink(os.readlink(old), name)


def _bind(source: str, target: str, *, devices: bool = False) -> None:
    old = f"{_OLD}{source}"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(old):
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
    try:
        kernel.mount(old, target, None, kernel.MS_BIND)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Something is mounted below, as libraries of a GPU in a container, which may not be bared.
        kernel.mount(old, target, None, kernel.MS_BIND | kernel.MS_REC)
        kernel.restrict_mounts(target)
        return
    if devices:
        return
    held = os.statvfs(target).f_flag
    kept = sum(flag for mark, flag in _KEPT.items() if held & mark and flag > 4)
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY
    kernel.mount(None, target, None, flags | kernel.MS_NOSUID | kernel.MS_NODEV | kept)


def _become(user: int) -> None:
    """Be nobody of this machine for good, with no group and no capability."""
    if os.geteuid() == 0 and user:
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        except PermissionError:  # root without capabilities, which is as good as nobody
            pass
    kernel.drop_bounding_set()
    kernel.drop_capabilities()
    kernel.no_new_privileges()
    # A change of user forbids a process to write its own uid_map.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
