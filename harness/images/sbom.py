"""The bill of materials of an image, as CycloneDX JSON: what its locks say is in it.

An image holds what its locks name and nothing else: packages are installed with their hashes and
without dependencies. A test holds the bill against what the image itself lists.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.errors import DataError
from harness.images.recipes import chain

if TYPE_CHECKING:
    from pathlib import Path

_PINNED: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==(?P<version>[^\s;\\]+)"
)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_DEBIAN: Final = re.compile(r"(?P<name>\S+)=(?P<version>\S+) sha256:(?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Package:
    """A package at a version, with the SHA-256 of the files that it may be installed from."""

    kind: str  # deb or pypi
    name: str
    version: str
    sha256: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its address in the form of the package-url specification."""
        if self.kind == "deb":
            return f"pkg:deb/debian/{self.name}@{self.version}?distro=bookworm"
        return f"pkg:pypi/{re.sub(r'[-_.]+', '-', self.name).lower()}@{self.version}"


def read_requirements(path: Path) -> list[Package]:
    """The packages of a lock that pip installs from.

    Raises:
        DataError: a line that pins no version, or has no hash; with file and line.
    """
    found: list[Package] = []
    for number, line in _logical_lines(path.read_text(encoding="utf-8")):
        pinned, hashes = _PINNED.match(line), tuple(_HASH.findall(line))
        if pinned is None or not hashes:
            raise DataError(
                "a requirement that is not pinned"
                if pinned is None
                else "a requirement without hash",
                where=f"{path}:{number}",
                expected="NAME==VERSION --hash=sha256:...",
                found=line[:80],
                hint="write the lock anew: harness images requirements",
            )
        found.append(Package("pypi", pinned["name"], pinned["version"], hashes))
    return found


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines without comments, joined where they end in a backslash, each with its number."""
    lines: list[tuple[int, str]] = []
    begun: tuple[int, str] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        if begun is not None:
            number, line = begun[0], f"{begun[1]} {line}"
        if line.endswith("\\"):
            begun = number, line[:-1].strip()
            continue
        begun = None
        if line:
            lines.append((number, line))
    if begun is not None and begun[1]:
        lines.append(begun)
    return lines


def read_debian(path: Path) -> list[Package]:
    """The packages of a lock of Debian packages.

    Raises:
        DataError: a line of another form; with file and line.
    """
    found = []
    for number, line in _logical_lines(path.read_text(encoding="utf-8")):
        match = _DEBIAN.fullmatch(line)
        if match is None:
            raise DataError(
                "not a Debian package with its hash",
                where=f"{path}:{number}",
                expected="NAME=VERSION sha256:...",
                found=line[:80],
                hint="write the lock anew: harness images requirements base",
            )
        found.append(Package("deb", match["name"], match["version"], (match["sha256"],)))
    return found


def packages_of(root: Path, name: str, debian: Path | None = None) -> list[Package]:
    """All packages of an image and of those below it.

    Args:
        debian: Debian's packages as they are in the base, if they are not those of its lock.
    """
    found: list[Package] = []
    for recipe in chain(name):
        for lock in (recipe.requirements, *recipe.more):
            if lock is not None and lock.endswith(".lock"):
                path = root / "docker" / recipe.folder / lock
                is_debian = lock == "packages.lock"
                found += read_debian(debian or path) if is_debian else read_requirements(path)
    return found


def bill_of_materials(
    root: Path, name: str, version: str | None, commit: str, debian: Path | None = None
) -> str:
    """The bill as text: no date and no random number in it, so that an image stays the same.

    Args:
        version: of the project that is in the image; None: it is not in it.
        commit: as the label of the image has it.
        debian: see `packages_of`.
    """
    project = [] if version is None else [Package("pypi", "rl-scaling-harness", version, ())]
    components: list[dict[str, Any]] = [
        {
            "type": "library",
            "bom-ref": package.purl,
            "name": package.name,
            "version": package.version,
            "purl": package.purl,
            **_hashes(package),
        }
        for package in [*packages_of(root, name, debian), *project]
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": name,
                "name": f"rl-scaling-harness/{name}",
                **({} if version is None else {"version": version}),
                "properties": [{"name": "git:commit", "value": commit}],
            }
        },
        "components": components,
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _hashes(package: Package) -> dict[str, Any]:
    """Of one file; where several would do, the lock does not say which was installed."""
    if len(package.sha256) != 1:
        return {}
    return {"hashes": [{"alg": "SHA-256", "content": package.sha256[0]}]}
