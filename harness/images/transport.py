"""Moving images: into the engines of this machine, to a registry and from one."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from harness.errors import InfrastructureError, SuiteError
from harness.images.build import in_storage
from harness.images.lock import load_lock
from harness.images.programs import ran, require
from harness.images.recipes import PREFIX, digits, find_recipe, lock_path
from harness.images.resolving import ImageRef, resolve

ENGINES: Final = ("docker", "podman", "apptainer")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def name_of(name: str, image: str) -> str:
    """What people find an image by; programs name it by its id."""
    return f"{PREFIX}/{name}:{digits(image)[:12]}"


def load(image: ImageRef, engine: str) -> bool:
    """Put an image of buildah's storage into an engine; False if it was there already.

    Raises:
        InfrastructureError: buildah or the engine is missing or fails, or the engine gave the image
            another id.
        SuiteError: no such engine.
    """
    if engine not in ENGINES:
        raise SuiteError(f"no engine {engine!r}", expected=f"one of {', '.join(ENGINES)}")
    require("buildah", *(() if engine == "apptainer" else (engine,)))
    if engine == "apptainer":
        return _make_sif(image)
    if has(engine, image.id):
        return False
    require_built(image)
    name = name_of(image.name, image.id)
    with tempfile.TemporaryDirectory() as folder:
        # By the engine's own command, which knows where its daemon is.
        archive = f"{folder}/image.tar"
        ran(["buildah", "push", "--quiet", digits(image.id), f"docker-archive:{archive}:{name}"])
        ran([engine, "load", "--quiet", "--input", archive])
    if not has(engine, image.id):
        raise InfrastructureError(
            f"{engine} gave the image {image.name} another id",
            expected=image.id,
            hint=f"see {engine} image ls --no-trunc; is it a version that rewrites images?",
        )
    return True


def require_built(image: ImageRef) -> None:
    """Refuse to move an image that buildah does not have.

    Raises:
        InfrastructureError: it was locked, and not built here.
    """
    if not in_storage(image.id):
        raise InfrastructureError(
            f"the image {image.name} was not built here",
            expected=image.id,
            hint=f"make images, or: harness images pull {image.name} REGISTRY",
        )


def has(engine: str, image: str) -> bool:
    """Whether docker or podman has an image of this id."""
    told = subprocess.run([engine, "image", "inspect", image], capture_output=True, check=False)
    return told.returncode == 0


def engines_here() -> list[str]:
    """The engines that answer: docker, podman; apptainer if it is installed."""
    found = []
    for engine in ("docker", "podman"):
        if shutil.which(engine) is not None:
            told = subprocess.run([engine, "info"], capture_output=True, check=False)
            if told.returncode == 0:
                found.append(engine)
    return [*found, *(["apptainer"] if shutil.which("apptainer") else [])]


def _make_sif(image: ImageRef) -> bool:
    from harness.images.sif import make_sif, note_of, sif_of

    if note_of(sif_of(image.id)).exists():
        return False
    with tempfile.TemporaryDirectory() as folder:
        archive = f"docker-archive:{folder}/image.tar"
        ran(["buildah", "push", "--quiet", digits(image.id), archive])
        make_sif(archive, image.id)
    return True


def push(name: str, registry: str, *, insecure: bool = False) -> str:
    """Push an image to REGISTRY/NAME and return the digest that the registry has it by.

    Args:
        registry: host and path, such as registry.example.org/team.
        insecure: speak HTTP, as with a registry on this machine.

    Raises:
        InfrastructureError: it was not built, the registry refuses, or the digest differs from the
            lock's, for which the locked image was pushed.
    """
    require("skopeo")
    image = resolve(name)
    require_built(image)
    target = f"{registry.rstrip('/')}/{name}:{digits(image.id)[:12]}"
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "digest")
        ran(
            [
                *("skopeo", "copy", "--digestfile", str(told)),
                *_tls("dest", insecure=insecure),
                *(f"containers-storage:{digits(image.id)}", f"docker://{target}"),
            ]
        )
        digest = told.read_text().strip()
    if image.digest is not None and digest != image.digest:
        raise InfrastructureError(
            f"the image {name} was pushed under another digest than the lock has",
            where=target,
            expected=image.digest,
            found=digest,
            hint="another version of skopeo compresses otherwise: lock anew with this one",
        )
    return digest


def pull(name: str, registry: str, engine: str, *, insecure: bool = False) -> str:
    """Pull a locked image by its digest into an engine, and return its id.

    Raises:
        SuiteError: no such image or engine.
        InfrastructureError: the lock has no digest of it, the registry refuses, or it is another
            image.
    """
    find_recipe(name)
    if engine not in ENGINES[:2]:
        raise SuiteError(f"cannot pull into {engine!r}", expected="docker or podman")
    require("skopeo", engine)
    pin = load_lock(lock_path()).get(name)
    if pin is None or not _DIGEST.fullmatch(pin.digest):
        raise InfrastructureError(
            f"the lock has no digest of the image {name}",
            where=str(lock_path()),
            hint=f"build it: harness images build {name}",
        )
    source = f"docker://{registry.rstrip('/')}/{name}@{pin.digest}"
    kept = name_of(name, pin.id)
    copy = ["skopeo", "copy", *_tls("src", insecure=insecure), source]
    if engine == "podman":
        ran([*copy, f"containers-storage:{kept}"])
    else:
        with tempfile.TemporaryDirectory() as folder:
            archive = f"{folder}/image.tar"
            ran([*copy, f"docker-archive:{archive}:{kept}"])
            ran([engine, "load", "--quiet", "--input", archive])
    if not has(engine, pin.id):
        raise InfrastructureError(
            f"{engine} does not have the image {name} by the locked id",
            expected=pin.id,
            hint=f"see {engine} image ls --no-trunc",
        )
    return pin.id


def _tls(side: str, *, insecure: bool) -> list[str]:
    return [f"--{side}-tls-verify=false"] if insecure else []
