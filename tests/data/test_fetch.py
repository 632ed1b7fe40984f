"""Data sets with an address: where they are looked for, what is believed, what is told.

The one thing replaced here is the server.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness.data import fetch
from harness.data.fetch import cache_folder, download, locate, obtain
from harness.data.stage import NOTE_SUFFIX, stage
from harness.errors import DataError, InfrastructureError

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"question,answer\n1,B\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass(frozen=True)
class Declared:
    path: str = "star/answers.csv"
    url: str | None = "https://example.org/commit/answers.csv"
    generator: None = None

    @property
    def in_suite(self) -> bool:
        return self.url is None


@dataclass(frozen=True)
class Pin:
    sha256: str = SHA256
    bytes: int = len(CONTENT)


class Server:
    """What stands at every address, and which were asked for."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.asked: list[str] = []

    def __call__(self, url: str) -> io.BytesIO:
        self.asked.append(url)
        if self.content is None:
            raise OSError("Name or service not known")
        return io.BytesIO(self.content)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (fetch.MIRRORS, fetch.OFFLINE):
        monkeypatch.delenv(name, raising=False)
    server = Server(CONTENT)
    monkeypatch.setattr(fetch, "_open", server)
    (tmp_path / "suite").mkdir()
    return server


def put(folder: Path, content: bytes = CONTENT) -> Path:
    file = folder / Declared().path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def found(tmp_path: Path) -> tuple[str, bytes]:
    one = obtain(Declared(), tmp_path / "suite", SHA256, len(CONTENT))
    return one.origin, (one.root / Declared().path).read_bytes()


def test_the_order_is_suite_mirrors_cache_address(tmp_path, server, monkeypatch) -> None:
    assert found(tmp_path) == ("download", CONTENT)
    assert found(tmp_path) == ("cache", CONTENT)
    mirrors = [tmp_path / "empty", tmp_path / "mirror"]
    monkeypatch.setenv(fetch.MIRRORS, os.pathsep.join(map(str, mirrors)))
    put(mirrors[1])
    assert found(tmp_path) == ("mirror", CONTENT)
    put(tmp_path / "suite")
    assert found(tmp_path) == ("suite", CONTENT)
    assert server.asked == [Declared().url]


def test_other_bytes_are_passed_over(tmp_path, server, monkeypatch) -> None:
    monkeypatch.setenv(fetch.MIRRORS, str(tmp_path / "mirror"))
    put(tmp_path / "suite", b"a\n")
    put(tmp_path / "mirror", b"b\n")
    put(cache_folder(os.environ) / SHA256, b"c\n")
    assert found(tmp_path) == ("download", CONTENT)
    # The damaged file in the cache was replaced.
    assert found(tmp_path) == ("cache", CONTENT)


@pytest.mark.parametrize("content", [b"x" * len(CONTENT), CONTENT + b"2,C\n", CONTENT[:-1], b""])
def test_a_download_of_other_bytes_is_refused_and_leaves_nothing(tmp_path, server, content) -> None:
    server.content = content
    with pytest.raises(DataError, match=Declared().url):
        found(tmp_path)
    assert [file for file in cache_folder(os.environ).rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("offline", ["1", "true", "yes"])
def test_offline_no_server_is_asked(tmp_path, server, monkeypatch, offline) -> None:
    monkeypatch.setenv(fetch.OFFLINE, offline)
    with pytest.raises(DataError, match="is not fetched") as caught:
        found(tmp_path)
    assert server.asked == []
    told = str(caught.value)
    assert f"{fetch.OFFLINE} is set" in told
    for part in (Declared().url, SHA256, str(tmp_path / "suite" / Declared().path), fetch.MIRRORS):
        assert part in told
    monkeypatch.setenv(fetch.OFFLINE, "0")
    assert found(tmp_path) == ("download", CONTENT)


def test_a_silent_server_is_told(tmp_path, server) -> None:
    server.content = None
    with pytest.raises(DataError, match="cannot be fetched") as caught:
        found(tmp_path)
    assert caught.value.found == "Name or service not known"


@pytest.mark.parametrize("url", [None, "http://example.org/a", "file:///etc/passwd"])
def test_https_only(server, url) -> None:
    with pytest.raises(DataError, match="no https address"):
        download(Declared(url=url))
    assert server.asked == []


def test_a_redirect_may_not_leave_https() -> None:
    with pytest.raises(OSError, match="it leads to http:"):
        fetch._StaysOnHttps().redirect_request(None, None, 301, "", {}, "http://example.org/")


def test_a_cache_that_cannot_be_written_is_no_statement_about_data(tmp_path, server) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(InfrastructureError, match="download cache"):
        found(tmp_path)


def test_without_a_hash_the_cache_is_not_asked(tmp_path, server, monkeypatch) -> None:
    download(Declared())
    assert locate(Declared(), tmp_path / "suite", None) is None
    monkeypatch.setenv(fetch.MIRRORS, str(tmp_path / "mirror"))
    put(tmp_path / "mirror", b"whatever\n")
    assert locate(Declared(), tmp_path / "suite", None).origin == "mirror"


def test_a_suite_without_addresses_is_read_where_it_stands(tmp_path, server) -> None:
    staged = stage({"a": Declared(url=None)}, {}, tmp_path / "suite", tmp_path / "links")
    assert (staged.root, dict(staged.origins)) == (tmp_path / "suite", {})
    assert not (tmp_path / "links").exists()


def test_cells_read_both_kinds_from_one_folder(tmp_path, server) -> None:
    (tmp_path / "suite" / "own.csv").write_text("x\n1\n")
    declared = {"own": Declared("own.csv", None), "fetched": Declared()}
    for _ in range(2):  # the second time over what the first has left
        staged = stage(
            declared, {"own": Pin(), "fetched": Pin()}, tmp_path / "suite", tmp_path / "links"
        )
        assert (staged.root / "own.csv").read_text() == "x\n1\n"
        assert (staged.root / Declared().path).read_bytes() == CONTENT
    assert dict(staged.origins) == {"fetched": "cache"}


def test_what_cannot_be_had_leaves_a_note_until_it_can(tmp_path, server) -> None:
    server.content = None
    pinned = {"fetched": Declared()}, {"fetched": Pin()}
    staged = stage(*pinned, tmp_path / "suite", tmp_path / "links")
    assert dict(staged.origins) == {"fetched": "absent"}
    note = staged.root / (Declared().path + NOTE_SUFFIX)
    told = note.read_text()
    for part in (Declared().url, SHA256, "Name or service not known", fetch.MIRRORS):
        assert part in told
    assert "\n" not in told
    server.content = CONTENT
    again = stage(*pinned, tmp_path / "suite", tmp_path / "links")
    assert dict(again.origins) == {"fetched": "download"}
    assert not note.exists()
