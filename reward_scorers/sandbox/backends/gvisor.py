"""Backend `gvisor`: a kernel in user space, gVisor's, around programs, with nothing but Python.

A program's system calls end in that kernel, so that a bug of the host's kernel is out of reach. It
knows no Landlock and allows no mounts in namespaces of a program's own, so that inside there is
seccomp alone: a program may start threads, but no process, and what it writes is removed.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from reward_scorers.sandbox.backends import native, root
from reward_scorers.sandbox.backends.backend import STARTED_WITH, Backend, Options, Started
from reward_scorers.sandbox.slot import FLAGS, boot

_PREFIX: Final = "rl-sandbox-gvisor-"
_HIDDEN: Final = ("/proc", "/sys", "/dev/shm")  # noqa: S108 - paths inside
_NOBODY: Final = 65534  # of gVisor's own users


def start(options: Options) -> Started:
    """A kernel, with a Python that confines itself."""
    _sweep()
    bundle = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    settings = native.settings(options) | {"shared": True}
    (bundle / "rootfs").mkdir()
    for place, target in root.links().items():
        (bundle / "rootfs" / place[1:]).symlink_to(target)
    (bundle / "config.json").write_text(json.dumps(_config(settings["packages"], options)))
    runsc = ["runsc", "--root", str(bundle / "state"), "--network=none", "--ignore-cgroups"]
    runsc += ["--rootless"] if os.geteuid() else []
    name = f"rl-sandbox-{secrets.token_hex(6)}"
    delete = shlex.join([*runsc, "delete", "--force", name])
    return Started(
        name="gvisor",
        command=[*runsc, "run", "--bundle", str(bundle), name],
        environment=dict(os.environ),
        settings=settings,
        around=("gvisor",),
        stop=["sh", "-c", f"{delete}; rm -rf {shlex.quote(str(bundle))}"],
    )


def _config(packages: dict[str, str], options: Options) -> dict[str, Any]:
    """An OCI bundle's config.json."""
    mounts = [
        _mount(place, "bind", path, "rbind", "ro", "nosuid", "nodev")
        for place, path in root.shown(packages.values()).items()
    ]
    # Where /proc is shown, a program could read the memory of the process that judges it.
    mounts += [_mount(path, "tmpfs", "tmpfs", "ro") for path in _HIDDEN]
    writable = (f"size={options.files_bytes}", "mode=1777", "nosuid", "nodev", "noexec")
    mounts.append(_mount("/tmp", "tmpfs", "tmpfs", *writable))  # noqa: S108 - inside
    return {
        "ociVersion": "1.0.0",
        "process": {
            "terminal": False,
            "user": {"uid": _NOBODY, "gid": _NOBODY},
            "args": [native.python(), *FLAGS, "-c", boot()],
            "env": [f"{name}={value}" for name, value in STARTED_WITH.items()],
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "sandbox",
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]
        },
    }


def _mount(target: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": list(options)}


def _sweep() -> None:
    """Remove the bundles of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        with suppress(OSError):  # others sweep as well
            if folder.stat().st_uid == os.geteuid() and not Path(f"/proc/{pid}").exists():
                shutil.rmtree(folder, ignore_errors=True)


_INSTALL: Final = "apt-get install runsc, or see gvisor.dev/docs/user_guide"
BACKEND: Final = Backend("gvisor", start, partial(native.missing, "runsc", _INSTALL))
