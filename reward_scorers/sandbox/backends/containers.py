"""Backends `docker` and `podman`: a hardened container around a sandbox that confines itself.

The container needs an image with Python 3.11 or later and nothing else: what runs inside is sent
over standard input. It has no network, no capability, nothing of the host to read and only a folder
in memory to write to. Our seccomp profile allows the Python inside to put each program in
namespaces of its own; where the engine or the kernel still forbids those, Landlock and seccomp
alone confine programs inside the container, one at a time.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from functools import cache, partial
from typing import Final

from reward_scorers.sandbox.backends.backend import ENVIRONMENT, Backend, Options, Started
from reward_scorers.sandbox.backends.profile import profile
from reward_scorers.sandbox.errors import SandboxUnavailable
from reward_scorers.sandbox.slot import FLAGS, boot

LABEL: Final = "rl-sandbox"
_PINNED: Final = re.compile(r"(\S+@)?sha256:[0-9a-f]{64}|[0-9a-f]{64}")
_ANSWERS_S: Final = 30.0

# Users of a container need no name. Engines that map them know 65536 of them; below lie those that
# machines give to services and people, at the end those of systemd.
_FIRST_USER, _USERS = 20_000, 40_000

# What an engine says of itself, and what it must say for limits to bind.
_FACTS: Final = {
    "docker": "{{.MemoryLimit}} {{.PidsLimit}}",
    "podman": "{{.Host.CgroupControllers}}",
}


def start(engine: str, options: Options) -> Started:
    """A container, with a Python that confines itself.

    Raises:
        SandboxUnavailable: the image is not here, or not named by what it holds.
    """
    name = f"rl-sandbox-{os.getpid()}-{secrets.token_hex(6)}"
    seccomp = as_file(json.dumps(profile(), separators=(",", ":")).encode("ascii"))
    run = [engine, "run", *_arguments(options), *_OF_ENGINE[engine], "--name", name]
    run += ["--security-opt", f"seccomp=/dev/fd/{seccomp}", "--entrypoint", "python3"]
    return Started(
        name=engine,
        command=[*run, _image(engine, options.image), *FLAGS, "-c", boot()],
        environment=dict(os.environ),
        settings={
            "user": 0,
            "packages": None,
            "warm": list(options.warm),
            "groups": [],
            "files_bytes": options.files_bytes,
            "grouped": True,
            "shared": False,
            "environment": ENVIRONMENT,
        },
        around=(engine,),
        stop=[engine, "rm", "--force", *_AT_ONCE[engine], name],
        descriptors=(seccomp,),
    )


_OF_ENGINE: Final = {
    "docker": [],
    "podman": ["--read-only-tmpfs=false", "--http-proxy=false"],
}
_AT_ONCE: Final = {"docker": [], "podman": ["--time", "0", "--ignore"]}


def _arguments(options: Options) -> list[str]:
    user = _FIRST_USER + secrets.randbelow(_USERS)
    memory, files = options.memory_bytes, options.files_bytes
    return [
        *("--interactive", "--rm", "--pull", "never", "--log-driver", "none"),
        *("--label", f"{LABEL}={os.getpid()}", "--hostname", "sandbox", "--workdir", "/"),
        *("--network", "none", "--ipc", "none", "--read-only", "--user", f"{user}:{user}"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        # Profiles of AppArmor forbid mounts, also those in a program's own namespaces.
        *("--security-opt", "apparmor=unconfined"),
        *("--memory", str(memory), "--memory-swap", str(memory)),
        *("--pids-limit", str(options.processes), "--no-healthcheck"),
        # Podman would raise them, which not every root may; a program's own are lower.
        *("--ulimit", "core=0", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"),
        *("--tmpfs", f"/tmp:rw,nosuid,nodev,noexec,mode=1777,size={files}"),  # noqa: S108
        *("--env", "PYTHONHASHSEED=0"),
    ]


def as_file(content: bytes) -> int:
    """A descriptor to read a text from, so that no file has to be left or removed."""
    descriptor = os.memfd_create("seccomp")
    os.write(descriptor, content)
    return descriptor


@cache
def _image(engine: str, image: str) -> str:
    """The id of an image that is here."""
    if not image:
        raise SandboxUnavailable(
            f"backend {engine!r} needs an image with Python: {_how_to_pin(engine, 'python:3.11')}"
        )
    if not _PINNED.fullmatch(image):
        raise SandboxUnavailable(
            f"image {image!r} is a tag, which can be moved to another image, so that scores would"
            f" change: {_how_to_pin(engine, image)}"
        )
    found = _ask(engine, "image", "inspect", "--format", "{{.Id}}", image)
    if found.returncode:
        pull = f"type {engine} pull {image}" if "@" in image else "give name@sha256:... to pull it"
        raise SandboxUnavailable(f"{engine} has no image {image}: {pull}")
    return found.stdout.strip()


def _how_to_pin(engine: str, image: str) -> str:
    return (
        f"type {engine} image inspect --format '{{{{.Id}}}}' {image} and choose"
        ' image="sha256:..." as that says, or give name@sha256:...'
    )


def missing(engine: str) -> str:
    """What this machine lacks; nothing is started."""
    if shutil.which(engine) is None:
        return f"{engine} is not installed: apt-get install {_PACKAGE[engine]}"
    try:
        found = _ask(engine, "version")  # which says plainly that no daemon answers
        if not found.returncode:
            found = _ask(engine, "info", "--format", _FACTS[engine])
    except subprocess.TimeoutExpired:
        return f"{engine} does not answer within {_ANSWERS_S:g} s"
    if found.returncode:
        return f"{engine} does not work: {found.stderr.strip()[-500:]}; {_REPAIR[engine]}"
    limits = found.stdout.strip()
    if engine == "docker" and limits != "true true":
        return f"docker cannot limit memory and processes here (docker info says {limits})"
    if engine == "podman" and not {"memory", "pids"} <= set(limits.strip("[]").split()):
        return (
            "podman cannot limit memory and processes here: it needs control groups of version 2"
            f" with both delegated to this user, or root (podman info says {limits})"
        )
    return ""


_PACKAGE: Final = {"docker": "docker.io", "podman": "podman"}
_REPAIR: Final = {
    "docker": "start its daemon, or let this user use it: docker version",
    "podman": "see podman info",
}


def _ask(engine: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [engine, *arguments], capture_output=True, text=True, timeout=_ANSWERS_S, check=False
    )


DOCKER: Final = Backend("docker", partial(start, "docker"), partial(missing, "docker"))
PODMAN: Final = Backend("podman", partial(start, "podman"), partial(missing, "podman"))
