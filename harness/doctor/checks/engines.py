"""The container engines: which work, what they limit, whether they have the image, and room for it.

An engine is needed only where a tier runs in it; `auto` is content with any, `process` with none.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.doctor.finding import Finding, State
from harness.doctor.images import image_bytes
from harness.doctor.registry import check, together
from harness.doctor.setting import Needs, Setting, gigabytes, lacking
from harness.run.containers import backend_names, open_backend, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.run.containers import Probe

TOPIC: Final = "engines"
_PATIENCE_S: Final = 12.0
_LIMITS: Final = ("memory", "pids", "cpus", "disk")


@check(TOPIC)
def engines(setting: Setting) -> Iterator[Finding]:
    """A row for each engine; for those that work, rows for the image and for the disk."""
    jobs = {name: _asked(setting, name) for name in backend_names()}
    for name, told in together(jobs, _PATIENCE_S).items():
        if isinstance(told, Exception):
            found = f"cannot be asked: {told}"
            yield lacking(TOPIC, name, found, needed=setting.needs.container == name)
        else:
            yield from told


def _asked(setting: Setting, name: str) -> Callable[[], list[Finding]]:
    return lambda: list(rows(setting, probe(name)))


def rows(setting: Setting, told: Probe) -> Iterator[Finding]:
    """What is to be said of an engine."""
    yield engine(setting.needs, told)
    if not told.works or told.name == "process":
        return
    lacks = image_missing(told.name, setting.needs.image)
    yield image(setting.needs, told.name, lacks)
    folder = storage(setting, told.name)
    if folder is not None:
        yield room(setting.needs, told.name, folder, is_there=not lacks)


def engine(needs: Needs, told: Probe) -> Finding:
    """Version, rights, control groups, and the limits that bind."""
    needed = needs.container == told.name
    if not told.works:
        version = f"{told.version}: " if told.version else ""
        return lacking(TOPIC, told.name, f"{version}{told.reason}", needed=needed, fix=told.hint)
    binds = [name for name in _LIMITS if told.limits.get(name)]
    lacks = [name for name in _LIMITS if name in told.limits and not told.limits[name]]
    limits = f"limits {', '.join(binds) or 'nothing'}"
    if lacks:
        limits += f", not {', '.join(lacks)}"
    if told.name == "process":
        return Finding(TOPIC, told.name, State.OK, f"no engine is needed; {limits}")
    words = [told.version or "unknown version", "rootless" if told.rootless else "as root"]
    if told.cgroup:
        words.append(f"control groups v{told.cgroup}")
    words += [limits, f"GPUs by {told.gpus}" if told.gpus else "no GPUs"]
    return Finding(TOPIC, told.name, State.OK, "; ".join(words))


def image_missing(name: str, wanted: str) -> str:
    """Why an engine cannot run a cell in the image, as its backend says; empty if it can."""
    try:
        return open_backend(name, wanted).missing()
    except (ImportError, OSError) as error:  # without the files that images are made of
        return f"the image {wanted!r} is not known here: {error}"


def image(needs: Needs, name: str, lacks: str) -> Finding:
    """Whether the engine has the image that cells run in."""
    what = f"{name}: image"
    if not lacks:
        return Finding(TOPIC, what, State.OK, needs.image)
    message, _, rest = lacks.partition("\n")
    told = {
        key.strip(): text.strip()
        for key, _, text in (line.partition(":") for line in rest.splitlines())
    }
    return lacking(
        TOPIC,
        what,
        message,
        needed=needs.container == name,
        expected=told.get("expected", ""),
        fix=told.get("next") or f"harness images load {needs.image}",
    )


def storage(setting: Setting, name: str) -> Path | None:
    """The folder in which an engine keeps images, where it is on this machine."""
    told = {"docker": docker_storage, "podman": podman_storage}.get(name)
    folder = told(setting) if told is not None else None
    return folder if folder is not None and folder.is_dir() else None


def docker_storage(setting: Setting) -> Path | None:
    """What the daemon says, which the client's command asks."""
    told = setting.ask(["docker", "info", "--format", "{{.DockerRootDir}}"])
    return Path(told) if told else None


def podman_storage(setting: Setting) -> Path | None:
    """What podman says."""
    told = setting.ask(["podman", "info", "--format", "{{json .Store}}"])
    try:
        found = json.loads(told or "null")
    except ValueError:
        return None
    root = (found or {}).get("graphRoot") or (found or {}).get("GraphRoot")
    return Path(root) if root else None


def room(needs: Needs, name: str, folder: Path, *, is_there: bool) -> Finding:
    """Whether the image, if it is still to be had, has room in the engine's storage."""
    what = f"{name}: room for images"
    free = shutil.disk_usage(folder).free
    found = f"{gigabytes(free)} free in {folder}"
    size = image_bytes(needs.image)
    if is_there or free >= size:
        return Finding(TOPIC, what, State.OK, found)
    return lacking(
        TOPIC,
        what,
        found,
        needed=needs.container == name,
        expected=f"{gigabytes(size)} for image {needs.image}",
        fix=f"{name} system prune   # removes images that nothing uses",
    )
