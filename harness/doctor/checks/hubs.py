"""Where models and data come from: caches of the Hugging Face hub, mirrors, the download cache."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.data.fetch import MIRRORS, OFFLINE, cache_folder
from harness.doctor.finding import Finding, State
from harness.doctor.registry import check
from harness.doctor.setting import Setting, gigabytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOPIC: Final = "hubs"
_SIZING_S: Final = 0.2  # caches of a terabyte are not walked to their end
_OFFLINE: Final = (OFFLINE, "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")


@check(TOPIC)
def hubs(setting: Setting) -> Iterator[Finding]:
    """None is needed by itself: the rows of a suite say which of its data are not here."""
    environment = setting.environment
    yield cache("hub cache", hub_cache(environment), "models--*")
    yield cache("datasets cache", datasets_cache(environment), "*")
    yield downloads(cache_folder(environment))
    yield from mirrors(environment.get(MIRRORS, ""))
    yield offline(environment)


def _hub_home(environment: Mapping[str, str]) -> Path:
    """As huggingface_hub finds it, which would take a second to import."""
    told = environment.get("HF_HOME")
    if told:
        return Path(told).expanduser()
    home = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "~")) / ".cache"
    return Path(home).expanduser() / "huggingface"


def hub_cache(environment: Mapping[str, str]) -> Path:
    """The folder of downloaded models."""
    told = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    return Path(told).expanduser() if told else _hub_home(environment) / "hub"


def datasets_cache(environment: Mapping[str, str]) -> Path:
    """The folder of data sets as the package datasets keeps them."""
    told = environment.get("HF_DATASETS_CACHE")
    return Path(told).expanduser() if told else _hub_home(environment) / "datasets"


def cache(what: str, folder: Path, pattern: str) -> Finding:
    """What a cache holds."""
    if not folder.is_dir():
        return Finding(TOPIC, what, State.OK, f"none yet ({folder})")
    if not os.access(folder, os.R_OK | os.X_OK):
        fix = f"ls -ld {folder}"
        return Finding(TOPIC, what, State.NOTE, f"{folder} cannot be read", "readable", fix)
    entries = sum(1 for _ in folder.glob(pattern))
    return Finding(TOPIC, what, State.OK, f"{entries} entries, {size(folder)} ({folder})")


def size(folder: Path, limit_s: float = _SIZING_S) -> str:
    """About how much is in a folder; "at least" so much where it is too large to be counted."""
    end = time.monotonic() + limit_s
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - quickly
            except OSError:
                continue
        if time.monotonic() > end:
            return f"at least {gigabytes(total)}"
    return gigabytes(total)


def downloads(folder: Path) -> Finding:
    """Whether data sets can be kept where they are downloaded to."""
    place = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not os.access(place, os.W_OK):
        fix = "export XDG_CACHE_HOME=FOLDER   # one that you may write"
        return Finding(
            TOPIC, "download cache", State.NOTE, f"{place} cannot be written", "writable", fix
        )
    return Finding(TOPIC, "download cache", State.OK, f"{folder}")


def mirrors(told: str) -> Iterator[Finding]:
    """The folders of HARNESS_MIRROR, which may name one that is not there (now)."""
    folders = [Path(one) for one in told.split(os.pathsep) if one]
    if not folders:
        yield Finding(TOPIC, "mirrors", State.OK, f"none ({MIRRORS} is not set)")
    for folder in folders:
        if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
            yield Finding(TOPIC, "mirror", State.OK, str(folder))
        else:
            found, fix = f"{folder} is no folder that can be read", f"ls -ld {folder}"
            yield Finding(TOPIC, "mirror", State.NOTE, found, "a folder", fix)


def offline(environment: Mapping[str, str]) -> Finding:
    """Which variables forbid downloads; cells are offline whatever they say."""
    told = [f"{name}={environment[name]}" for name in _OFFLINE if name in environment]
    return Finding(TOPIC, "offline variables", State.OK, ", ".join(told) or "none is set")
