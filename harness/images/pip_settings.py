"""pip's settings of this machine, as a build is told them without keeping any of them.

A build sees a pip.conf of its own as a secret; folders of wheels and the bundle of certificates
that it names are mounted while packages are installed. None of it ends in a layer.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

# Those that say where packages come from. A constraint would fight with the locked versions.
_KEYS: Final = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "cert"),
    *("client-cert", "timeout", "default-timeout", "retries"),
)
_FILES_GIVEN: Final = ("cert", "client-cert")
_OF_PLACES: Final = ("index-url", "extra-index-url", "find-links")
_FILES: Final = (
    "/etc/xdg/pip/pip.conf",
    "/etc/pip.conf",
    "~/.pip/pip.conf",
    "~/.config/pip/pip.conf",
)


@dataclass
class PipSettings:
    """What a build is told.

    Attributes:
        text: of the build's pip.conf.
        mounts: folder or file of this machine -> where the build finds it.
    """

    text: str
    mounts: dict[Path, str] = field(default_factory=dict)


def pip_settings(environment: Mapping[str, str] = os.environ) -> PipSettings:
    """The settings of pip's files and of its environment variables, which win."""
    found = _of_files(environment)
    for key in _KEYS:
        name = f"PIP_{key.upper().replace('-', '_')}"
        if name in environment:
            found[key] = environment[name]
    bundle = environment.get("REQUESTS_CA_BUNDLE") or environment.get("SSL_CERT_FILE")
    if bundle:
        found.setdefault("cert", bundle)
    mounts: dict[Path, str] = {}
    lines = ["[global]"]
    for key, value in found.items():
        words = value.split() if key in _OF_PLACES else [value]
        told = [
            _seen_inside(word, mounts) if key in (*_OF_PLACES, *_FILES_GIVEN) else word
            for word in words
        ]
        lines.append(f"{key} = " + "\n    ".join(told))
    return PipSettings("\n".join(lines) + "\n", mounts)


def _of_files(environment: Mapping[str, str]) -> dict[str, str]:
    own = environment.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return {}  # as pip takes it: no files at all
    paths = [*(Path(name).expanduser() for name in _FILES), *([Path(own)] if own else [])]
    found: dict[str, str] = {}
    for path in paths:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except configparser.Error:
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                told = {key.replace("_", "-"): value for key, value in parser.items(section)}
                found |= {key: value for key, value in told.items() if key in _KEYS}
    return found


def _seen_inside(word: str, mounts: dict[Path, str]) -> str:
    """A folder or file of this machine as the build sees it; an address as it is."""
    parts = urlsplit(word)
    if parts.scheme not in ("", "file"):
        return word
    path = Path(unquote(parts.path)).absolute()
    if not path.exists():
        return word
    if parts.scheme and path.is_dir():
        # An index may point beside itself, as those do whose files lie in a folder next to it.
        inside = mounts.setdefault(path.parent, f"/run/pip/{len(mounts)}")
        return f"file://{inside}/{path.name}"
    return mounts.setdefault(path, f"/run/pip/{len(mounts)}")
