"""Data sets that do not travel with their suite: found on this machine, or fetched once over https.

They are looked for in the suite's folder, in the folders of HARNESS_MIRROR (separated as in PATH),
in the download cache, and at their address, which HARNESS_OFFLINE=1 forbids. Everywhere the file
stands under the path that the suite gives it, and only bytes of the pinned SHA-256 count.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol
from urllib.request import HTTPRedirectHandler, build_opener

from harness.errors import DataError, InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MIRRORS: Final = "HARNESS_MIRROR"
OFFLINE: Final = "HARNESS_OFFLINE"
_APPLICATION: Final = "rl-scaling-harness"
_SILENCE_S: Final = 30.0  # how long a server may say nothing
_CHUNK: Final = 1 << 20
_NO: Final = frozenset({"", "0", "false", "no"})


class Recipe(Protocol):
    """Which generator makes a data set."""

    @property
    def name(self) -> str:
        """The generator's."""

    @property
    def version(self) -> int:
        """The generator's."""

    @property
    def seed(self) -> int:
        """Of its draws."""

    @property
    def model(self) -> str | None:
        """Which base model."""


class Fetched(Protocol):
    """What a suite says of a data set that stands elsewhere, or is made."""

    @property
    def path(self) -> str:
        """Relative to each folder in which it is looked for."""

    @property
    def url(self) -> str | None:
        """Its address, https."""

    @property
    def generator(self) -> Recipe | None:
        """What makes it."""

    @property
    def in_suite(self) -> bool:
        """Whether it stands in the suite's folder after all."""


@dataclass(frozen=True, slots=True)
class Found:
    """A data set on this machine: it stands at `root / path`.

    `origin` says what was found first: suite, mirror, cache or download.
    """

    root: Path
    origin: str


def obtain(declared: Fetched, suite_root: Path, sha256: str, size: int) -> Found:
    """Find a pinned data set on this machine, or download it into the cache.

    Raises:
        DataError: it is nowhere and cannot be had; says where to put it.
    """
    found = locate(declared, suite_root, sha256)
    if found is not None:
        return found
    try:
        return download(declared, sha256, size)
    except DataError as error:
        raise DataError(
            error.message,
            expected=f"the file of sha256 {sha256}",
            found=error.found,
            hint=f"put it at {suite_root / declared.path}, or at {declared.path} in a folder that "
            f"{MIRRORS} names",
        ) from None


def locate(declared: Fetched, suite_root: Path, sha256: str | None) -> Found | None:
    """The data set where it stands on this machine; with `sha256`, only that file.

    Without, the cache is not asked, which knows files by their hash alone.
    """
    for origin, root in _places(suite_root, sha256, os.environ):
        file = root / declared.path
        if file.is_file() and (sha256 is None or _sha256_of(file) == sha256):
            return Found(root, origin)
    return None


def download(declared: Fetched, sha256: str | None = None, size: int | None = None) -> Found:
    """Fetch a data set from its address, or make it, into the cache, whole or not at all.

    Args:
        declared: with a `url` or a generator.
        sha256: what the bytes must hash to; None takes what comes.
        size: bytes after which it cannot be the file any more.

    Raises:
        DataError: HARNESS_OFFLINE forbids it, the address does not answer, other bytes come, or
            the generator is of another version.
        InfrastructureError: the cache cannot be written.
    """
    if declared.generator is not None:
        content = _made(declared.generator)
        return _into_cache(declared, sha256, lambda file: _write_made(content, file), "generator")
    url = declared.url
    if url is None or not url.startswith("https://"):
        raise DataError(f"{declared.path} has no https address to fetch it from", found=url)
    if os.environ.get(OFFLINE, "").lower() not in _NO:
        raise DataError(f"{url} is not fetched", found=f"{OFFLINE} is set")
    return _into_cache(declared, sha256, lambda file: _receive(url, file, size), "download")


def _into_cache(
    declared: Fetched, sha256: str | None, fill: Callable[[BinaryIO], str], origin: str
) -> Found:
    """Let `fill` write a file, which tells its SHA-256, and give it its place in the cache."""
    cache = cache_folder(os.environ)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".incoming-", dir=cache)
    except OSError as error:
        raise _unwritable(cache, error) from None
    incoming = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            found = fill(file)
        if sha256 is not None and found != sha256:
            what = declared.url or f"the generator of {declared.path}"
            raise DataError(f"{what} gives other bytes than the lock pins", found=f"sha256 {found}")
        file_in_cache = cache / found / declared.path
        file_in_cache.parent.mkdir(parents=True, exist_ok=True)
        incoming.chmod(0o644)  # a temporary file is its user's alone; a cell may be another one
        incoming.replace(file_in_cache)
    except OSError as error:
        raise _unwritable(cache, error) from None
    finally:
        incoming.unlink(missing_ok=True)
    return Found(cache / found, origin)


def _made(recipe: Recipe) -> bytes:
    from harness.data import micro

    version = micro.VERSION if recipe.name == "micro" else micro.BASES_VERSION
    if recipe.version != version:
        raise DataError(
            f"generator {recipe.name!r} is of another version than the suite asks for",
            expected=f"version {recipe.version}",
            found=f"version {version}",
        )
    if recipe.name == "micro":
        return micro.data_bytes(recipe.seed)
    return micro.base_bytes(recipe.model or "")


def _write_made(content: bytes, file: BinaryIO) -> str:
    _write(file, content)
    return hashlib.sha256(content).hexdigest()


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where downloads are kept, each in a folder named by its SHA-256."""
    home = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / _APPLICATION


def _places(
    suite_root: Path, sha256: str | None, environment: Mapping[str, str]
) -> Iterator[tuple[str, Path]]:
    yield "suite", suite_root
    for folder in environment.get(MIRRORS, "").split(os.pathsep):
        if folder:
            yield "mirror", Path(folder)
    if sha256 is not None:
        yield "cache", cache_folder(environment) / sha256


def _receive(url: str, file: BinaryIO, size: int | None) -> str:
    """Copy what the address holds; returns its SHA-256."""
    digest = hashlib.sha256()
    received = 0
    try:
        with closing(_open(url)) as answer:
            while chunk := answer.read(_CHUNK):
                received += len(chunk)
                if size is not None and received > size:
                    raise DataError(f"{url} holds another file", found=f"more than {size} bytes")
                digest.update(chunk)
                _write(file, chunk)
    except (OSError, HTTPException, ValueError) as error:
        raise DataError(f"{url} cannot be fetched", found=str(error)) from None
    return digest.hexdigest()


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as error:
        raise _unwritable(Path(file.name), error) from None


def _open(url: str) -> BinaryIO:
    """The answer of a server, to be read and closed; OSError if there is none."""
    answer: BinaryIO = build_opener(_StaysOnHttps).open(url, timeout=_SILENCE_S)
    return answer


class _StaysOnHttps(HTTPRedirectHandler):
    """Follows a server elsewhere, but not to an address without encryption."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        """As the base class; OSError where the new address is not https."""
        if not newurl.startswith("https://"):
            raise OSError(f"it leads to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _sha256_of(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _unwritable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"the download cache cannot be written: {error.strerror}",
        where=str(path),
        hint="set XDG_CACHE_HOME to a folder that can be written",
    )
