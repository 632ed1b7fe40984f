"""The offline Debian base: a root file system from packages, each held against its lock."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from harness.errors import InfrastructureError
from harness.images.programs import ran, require
from harness.images.sbom import read_debian

if TYPE_CHECKING:
    from pathlib import Path

RELEASE: Final = "bookworm"
# Nobody reads them in an image; caches and logs go below.
_LEFT_OUT: Final = ("doc", "man", "info", "locale")
# What would differ with the machine that builds, or is of no use in an image that installs nothing:
# names and name servers, where its apt looks (Ubuntu's mmdebstrap writes it otherwise), caches, and
# programs that run as root for whoever calls them.
_ALIKE: Final = (
    'rm -rf "$1"/var/cache/ldconfig "$1"/var/log/* "$1"/etc/apt/sources.list*',
    'for name in hostname resolv.conf; do : > "$1/etc/$name"; chmod 644 "$1/etc/$name"; done',
    'find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +',
)
_PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy")
_KEPT: Final = ("PATH", "HOME", "TMPDIR", *_PROXIES, *map(str.upper, _PROXIES))
_HEAD: Final = """\
# Every Debian package of the base image, with the SHA-256 of its file.
# Written by: harness images requirements base
"""


def make_rootfs(folder: Path, tar: Path, date: int, log: Path) -> list[str]:
    """Make the root file system with mmdebstrap.

    Args:
        folder: docker/base of the checkout.
        tar: the file to make.
        date: SOURCE_DATE_EPOCH: the same packages give the same bytes.
        log: where mmdebstrap's output goes.

    Returns:
        a line NAME=VERSION sha256:... for each package in it, sorted.

    Raises:
        InfrastructureError: mmdebstrap is missing or fails.
    """
    require("mmdebstrap")
    listed, known = tar.with_suffix(".installed"), tar.with_suffix(".available")
    installed = "dpkg-query --root=\"$1\" -W -f='${Package}=${Version}\\n'"
    apt = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-cache dumpavail'
    hooks = [f"{installed} > '{listed}'", f"{apt} > '{known}'"]
    ran(
        [
            *("mmdebstrap", "--variant=minbase", "--quiet"),
            f"--include={','.join(wanted(folder))}",
            *(f"--customize-hook={hook}" for hook in hooks),
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT),
            *(f"--customize-hook={hook}" for hook in _ALIKE),
            *(RELEASE, tar),
        ],
        log=log,
        environment=_environment(date),
    )
    hashes = _hashes(known.read_text(encoding="utf-8"))
    return sorted(f"{pair} sha256:{hashes[pair]}" for pair in listed.read_text().split())


def _environment(date: int) -> dict[str, str]:
    """Nothing of this user's but where programs and packages are: scripts of packages read it."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    fixed = {"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    return {**kept, **fixed, "SOURCE_DATE_EPOCH": str(date)}


def wanted(folder: Path) -> list[str]:
    """The packages of docker/base/packages.in."""
    lines = (folder / "packages.in").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def lock_text(lines: list[str]) -> str:
    """The content of packages.lock."""
    return _HEAD + "".join(f"{line}\n" for line in lines)


def difference(folder: Path, lines: list[str]) -> list[str]:
    """What Debian has otherwise than packages.lock says; empty if nothing."""
    path = folder / "packages.lock"
    locked = {
        package.name: f"{package.name}={package.version} sha256:{package.sha256[0]}"
        for package in (read_debian(path) if path.is_file() else [])
    }
    found = {line.partition("=")[0]: line for line in lines}
    return [
        f"{locked.get(name, 'nothing')} locked, {found.get(name, 'nothing')} found"
        for name in sorted(locked.keys() | found.keys())
        if locked.get(name) != found.get(name)
    ]


def _hashes(available: str) -> dict[str, str]:
    """NAME=VERSION -> SHA-256 of its file, of what apt knows."""
    found = {}
    for stanza in available.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " "
        )
        if "Package" in fields and "SHA256" in fields:
            found[f"{fields['Package']}={fields['Version']}"] = fields["SHA256"]
    if not found:
        raise InfrastructureError("apt tells no hashes of packages", hint="see man apt-cache")
    return found
