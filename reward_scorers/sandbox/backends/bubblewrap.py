"""Backend `bubblewrap`: Bubblewrap's sandbox around one that confines itself, as `native` does.

Bubblewrap is small, well known and reviewed, and is set free by profiles of distributions that
forbid namespaces to others. Should the inner sandbox be left, there is nothing but Python to see.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Final

from reward_scorers.sandbox import cgroups
from reward_scorers.sandbox.backends import native, root
from reward_scorers.sandbox.backends.backend import STARTED_WITH, Backend, Options, Started
from reward_scorers.sandbox.slot import FLAGS, boot

_DEVICES: Final = ("null", "zero", "random", "urandom")
_SYS_ADMIN: Final = 1 << 21

# Bubblewrap ends with the thread that has started it, and threads of ours come and go. So a shell,
# which has one thread, starts it, and does not replace itself by it, since it has more to do.
_SHELL: Final = ("sh", "-c", '"$@"; exit $?', "sh")


def start(options: Options) -> Started:
    """Bubblewrap, and in it a Python that confines itself."""
    settings = native.settings(options)
    group = cgroups.new_group(options.memory_bytes, options.processes)
    descriptors = group.descriptors() if group else ()
    return Started(
        name="bubblewrap",
        command=[*_SHELL, "bwrap", *_arguments(settings["packages"]), "--", *_python()],
        environment={"PATH": os.environ.get("PATH", os.defpath)},
        settings=settings | {"groups": list(descriptors)},
        around=("bubblewrap", "cgroup") if group else ("bubblewrap",),
        group=group,
        descriptors=descriptors,
    )


def _python() -> list[str]:
    return [native.python(), *FLAGS, "-c", boot()]


def _arguments(packages: dict[str, str]) -> list[str]:
    made = ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    made += [*_namespaces(), "--hostname", "sandbox"]
    for name, value in STARTED_WITH.items():
        made += ["--setenv", name, value]
    shown = root.shown(packages.values())
    for folder in sorted({str(above) for place in shown for above in Path(place).parents}):
        made += ["--perms", "0755", "--dir", folder]  # it would make those for itself alone
    for place, path in shown.items():
        made += ["--ro-bind", path, place]
    for place, target in root.links().items():
        made += ["--symlink", target, place]
    made += ["--proc", "/proc", "--perms", "0755", "--dir", "/dev"]
    for name in _DEVICES:
        made += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    made += ["--perms", "1777", "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/"]  # noqa: S108
    return made


def _namespaces() -> list[str]:
    """All of them; but as root no users of its own, for Bubblewrap's would be root outside.

    The Python inside is then left the capabilities to become another user, which it does first.
    """
    if os.geteuid() != 0 or not _is_administrator():
        return ["--unshare-all"]
    made = [f"--unshare-{name}" for name in ("ipc", "pid", "net", "uts", "cgroup-try")]
    return [*made, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]


def _is_administrator() -> bool:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) & _SYS_ADMIN)
    return False


_INSTALL: Final = "apt-get install bubblewrap, or dnf install bubblewrap"
BACKEND: Final = Backend("bubblewrap", start, partial(native.missing, "bwrap", _INSTALL))
