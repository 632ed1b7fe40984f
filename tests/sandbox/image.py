"""The smallest image for the container backends: this Python with all that it is made of.

Nothing is fetched: `docker import` and `podman import` take a tar of files of this machine.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reward_scorers.sandbox.backends.native import python

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEFT_OUT: Final = {
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "site-packages",
    "ensurepip",
    "lib2to3",
    "dist-packages",
    "turtledemo",
}
_FOLDERS: Final = {"tmp": 0o1777, "dev": 0o755, "proc": 0o755, "sys": 0o755, "etc": 0o755}
_STDLIB: Final = Path(sysconfig.get_paths()["stdlib"]).resolve()
_CACHE: Final = Path(tempfile.gettempdir()) / f"rl-sandbox-test-image-{os.geteuid()}"


def image(engine: str, packages: Mapping[str, Path] | None = None) -> str:
    """The id of the image, which is made where there is none yet.

    Args:
        engine: the command of it.
        packages: what can be imported beside the standard library: name -> folder.
    """
    content = _tar(packages or {})
    known = _CACHE / f"{engine}-{hashlib.sha256(content).hexdigest()}"
    if known.exists():
        found = known.read_text()
        asked = subprocess.run([engine, "image", "inspect", found], capture_output=True)
        if asked.returncode == 0:
            return found
    made = subprocess.run([engine, "import", "-"], input=content, capture_output=True, check=True)
    ids = re.findall(r"sha256:[0-9a-f]{64}|^[0-9a-f]{64}$", made.stdout.decode(), re.MULTILINE)
    found = str(ids[-1])
    _CACHE.mkdir(mode=0o700, exist_ok=True)
    known.write_text(found)
    return found


def _tar(packages: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as tar:
        for name, mode in _FOLDERS.items():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        for name in sorted(_files()):
            tar.add(name, recursive=False, filter=_plain)
        for name, source in sorted(packages.items()):
            for file in sorted(source.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    inside = f"{_STDLIB}/site-packages/{name}/{file.relative_to(source)}"
                    tar.add(file, inside, recursive=False, filter=_plain)
        if python() != "/usr/bin/python3":
            link = tarfile.TarInfo("usr/bin/python3")
            link.type, link.linkname = tarfile.SYMTYPE, python()
            tar.addfile(link)
    return buffer.getvalue()


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.mode = 0o755
    return info


def _files() -> set[str]:
    found = {python()}
    for folder, names, files in os.walk(_STDLIB):
        names[:] = [
            name for name in names if name not in _LEFT_OUT and not name.startswith("config-")
        ]
        found |= {f"{folder}/{name}" for name in files if not name.endswith((".pyc", ".a"))}
    loaded = [name for name in found if name.endswith(".so")]
    told = subprocess.run(["ldd", python(), *loaded], capture_output=True, text=True).stdout
    libraries = set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", told, re.MULTILINE))
    return {name for name in found | libraries if Path(name).is_file()}
